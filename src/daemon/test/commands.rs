//! Generating a configuration, and making and administrating users.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::json;

use crate::{
    machine::{Machine, SECRET},
    manager::Manager,
};

const GENERATE: [&str; 9] = [
    "config",
    "generate",
    "--server-name",
    "example.org",
    "--report-stats",
    "no",
    "--output",
    "made",
    "--data-directory",
];

#[test]
fn a_generated_configuration_is_in_order() {
    let machine = Machine::new();
    let mut arguments = GENERATE.to_vec();
    arguments.extend(["made/data", "--bind", "127.0.0.1:1", "--bind", "[::1]:1"]);
    arguments.extend(["--public-baseurl", "http://127.0.0.1:1/"]);
    assert_eq!(machine.run(&arguments).ok(), "made/homeserver.toml was written");
    let shown = machine.run(&["config", "show", "-c", "made/homeserver.toml"]);
    let state = machine.text("made/data");
    for line in [
        "server_name = \"example.org\"",
        "report_stats = false",
        "public_baseurl = \"http://127.0.0.1:1/\"",
        "bind = [\"127.0.0.1:1\", \"[::1]:1\"]",
        "shared_secret_file = \"registration-shared-secret\"",
        &format!("state_directory = \"{state}\""),
    ] {
        assert!(shown.ok().contains(line), "{line}\n{}", shown.output);
    }
    // The other secret of the same name is another server's.
    let turn = shown.ok().split_once("\n[turn]\n").unwrap().1.split("\n[").next().unwrap();
    assert!(turn.contains("# shared_secret_file is not set"), "{turn}");
    let names: Vec<_> = fs::read_dir(machine.path("made"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let secret = fs::metadata(machine.path("made/registration-shared-secret")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
    let again = machine.run(&arguments);
    assert!(again.failed(1).contains("homeserver.toml is there already"), "{again:?}");
}

#[test]
fn wrong_answers_leave_no_configuration() {
    let machine = Machine::new();
    let mut arguments = GENERATE.to_vec();
    arguments[3] = "https://example.org";
    arguments.push("data");
    let ran = machine.run(&arguments);
    assert!(ran.failed(78).contains("is no server name"), "{ran:?}");
    assert!(!machine.path("made/homeserver.toml").exists());
    arguments[3] = "example.org";
    arguments[5] = "maybe";
    assert_eq!(machine.run(&arguments).status, Some(2));
    let ran = machine.run(&["config", "generate", "--server-name", "a", "--output", "made"]);
    assert!(ran.failed(1).contains("--report-stats is missing"), "{ran:?}");
}

#[test]
fn hashes_are_argon2id() {
    let machine = Machine::new();
    let first = machine.run(&["hash-password", "-p", "secret"]);
    assert!(first.ok().starts_with("$argon2id$v=19$"), "{first:?}");
    let program = machine.link("hash_password");
    let second = machine.run_as(&program, &[], "secret\n");
    assert!(second.ok().starts_with("$argon2id$v=19$"), "{second:?}");
    assert_ne!(first.ok(), second.ok(), "each hash has a salt of its own");
    let ran = machine.run_as(&program, &[], "\n");
    assert!(ran.failed(1).contains("must not be empty"), "{ran:?}");
    let ran = machine.run_as(&program, &["-p", ""], "");
    assert!(ran.failed(1).contains("must not be empty"), "{ran:?}");
    let ran = machine.run_as(&program, &[], "");
    assert!(ran.failed(1).contains("standard input ended"), "{ran:?}");
}

#[test]
fn users_are_made_over_http_with_the_shared_secret() {
    let machine = Machine::new();
    let server = machine.serve();
    let command = ["register-user", "-u", "alice", "-p", "wonderland", "--no-admin"];
    let made = machine.run_configured(&command);
    assert_eq!(made.ok(), "Success! @alice:test.example was made.");
    let again = machine.run_configured(&command);
    assert!(again.failed(1).contains("the user exists already"), "{again:?}");
    let mut arguments = command.to_vec();
    arguments.push("--exists-ok");
    assert_eq!(machine.run_configured(&arguments).ok(), "The user exists already.");
    assert_eq!(machine.log_in("alice", "wonderland").0, 200);

    let program = machine.link("register_new_matrix_user");
    machine.write("password", "looking-glass\n", 0o600);
    let url = format!("http://127.0.0.1:{}", machine.port);
    let arguments = ["-u", "bob", "--password-file", "password", "-a", "-k", SECRET, &url];
    assert_eq!(
        machine.run_as(&program, &arguments, "").ok(),
        "Success! @bob:test.example was made."
    );
    assert_eq!(machine.log_in("bob", "looking-glass").0, 200);
    let listed = machine.run_configured(&["user", "list"]);
    assert_eq!(listed.ok(), "@alice:test.example\t-\talice\n@bob:test.example\tadmin\tbob");

    let wrong = ["-u", "eve", "-p", "wonderland", "--no-admin", "-k", "guess", &url];
    let ran = machine.run_as(&program, &wrong, "");
    assert!(ran.failed(1).contains("the server refused with 403"), "{ran:?}");
    let odd = ["-u", "no such name", "-p", "wonderland", "--no-admin", "-k", SECRET, &url];
    let ran = machine.run_as(&program, &odd, "");
    assert!(ran.failed(1).contains("the server refused with 400"), "{ran:?}");
    drop(server);
}

#[test]
fn users_are_administrated_over_the_admin_socket() {
    let machine = Machine::new();
    let server = machine.serve();
    machine.write("first", "first-password\n", 0o600);
    machine.write("second", "second-password", 0o600);
    let user = |arguments: &[&str]| {
        let mut all = vec!["user"];
        all.extend(arguments);
        machine.run_configured(&all)
    };
    let made = user(&["create", "alice", "--password-file", "first", "--display-name", "Alice L."]);
    assert_eq!(made.ok(), "@alice:test.example was made");
    assert_eq!(machine.log_in("alice", "first-password").0, 200);
    let again = user(&["create", "alice", "--password-file", "first"]);
    assert!(again.failed(1).contains("already taken"), "{again:?}");
    let foreign = user(&["create", "@alice:other.example", "--password-file", "first"]);
    assert!(foreign.failed(1).contains("is not a user of test.example"), "{foreign:?}");

    let admin = user(&["set-admin", "@alice:test.example"]);
    assert_eq!(admin.ok(), "@alice:test.example is an administrator");
    assert_eq!(user(&["list"]).ok(), "@alice:test.example\tadmin\tAlice L.");
    assert_eq!(
        user(&["set-admin", "alice", "--revoke"]).ok(),
        "@alice:test.example is no administrator"
    );

    let reset = user(&["reset-password", "alice", "--password-file", "second"]);
    assert_eq!(reset.ok(), "@alice:test.example has the new password");
    assert_eq!(machine.log_in("alice", "first-password").0, 403);
    assert_eq!(machine.log_in("alice", "second-password").0, 200);

    assert_eq!(user(&["deactivate", "alice"]).ok(), "@alice:test.example is deactivated");
    assert_eq!(machine.log_in("alice", "second-password").0, 403);
    assert_eq!(user(&["list"]).ok(), "");
    let listed = user(&["list", "--deactivated", "--search", "ali"]);
    assert!(listed.ok().starts_with("@alice:test.example\tdeactivated"), "{listed:?}");
    let again = user(&["deactivate", "alice"]);
    assert!(again.failed(1).contains("is deactivated"), "{again:?}");
    let nobody = user(&["reset-password", "nobody", "--password-file", "first"]);
    assert!(nobody.failed(1).contains("is not a user of this server"), "{nobody:?}");
    // Who looks for the reason later finds it.
    let told = ["made an administrator", "no administrator any more", "a password was reset"];
    assert!(told.iter().all(|line| machine.log().contains(line)), "{}", machine.log());
    let socket = fs::metadata(machine.path("admin.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    drop(server);
}

#[test]
fn who_administrates_needs_no_secret_of_the_server() {
    let machine = Machine::new();
    // As the credential of the service, which commands do not see.
    machine.write("credentials/matrix-homeserver.secret", SECRET, 0o600);
    fs::remove_file(machine.path("secret")).unwrap();
    let directory = machine.text("credentials");
    let mut manager = Manager::ready(&machine, &[("CREDENTIALS_DIRECTORY", &directory)]);
    assert_eq!(machine.run_configured(&["user", "list"]).ok(), "");
    assert_eq!(machine.run_configured(&["health"]).ok(), "the server is well");
    assert_eq!(machine.run_configured(&["reload"]).ok(), "the configuration was read again");
    let shown = machine.run_configured(&["config", "show"]);
    assert!(shown.ok().contains("shared_secret_file = \"secret\""), "{shown:?}");
    let checked = machine.run_configured(&["check-connection", "127.0.0.1:1"]);
    assert!(checked.failed(1).contains("127.0.0.1"), "{checked:?}");
    // Whoever judges or uses it needs it.
    for command in [&["config", "check"][..], &["register-user", "-u", "a", "-p", "bbbbbbbb"]] {
        let ran = machine.run_configured(command);
        let line = ran.failed(78);
        assert!(line.ends_with("nor is there a credential matrix-homeserver.secret"), "{line}");
    }
    assert_eq!(manager.stop(), Some(0));
}

#[test]
fn health_is_told_by_the_exit_status() {
    let machine = Machine::new();
    let said = machine.run_configured(&["health"]);
    assert!(said.failed(1).contains("cannot reach the server"), "{}", said.output);
    let mut server = machine.serve();
    assert_eq!(machine.run_configured(&["health"]).ok(), "the server is well");
    let url = format!("http://127.0.0.1:{}", machine.port);
    assert_eq!(machine.run(&["health", &url]).ok(), "the server is well");
    let said = machine.run(&["health", &format!("{url}/elsewhere")]);
    assert!(said.failed(1).contains("404"), "{}", said.output);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn registration_tokens_are_made_shown_and_removed() {
    let machine = Machine::new();
    fs::create_dir(machine.path("conf.d")).unwrap();
    let required = "[registration]\nenabled = true\nrequire_token = true\n";
    machine.write("conf.d/10.toml", required, 0o600);
    let server = machine.serve();
    let token = |arguments: &[&str]| {
        let mut all = vec!["registration-token"];
        all.extend(arguments);
        machine.run_configured(&all)
    };
    let register = |name: &str, token: &str| {
        let auth = json!({"type": "m.login.registration_token", "token": token});
        let body = json!({"username": name, "password": "wonderland", "auth": auth});
        machine.request("POST /_matrix/client/v3/register", Some(&body)).0
    };
    assert_eq!(token(&["create", "--token", "once", "--uses", "1", "--hours", "24"]).ok(), "once");
    let made = token(&["create"]);
    let made = made.ok();
    assert_eq!(made.len(), 16, "{made}");
    assert_eq!((register("alice", "once"), register("bob", "once")), (200, 401));
    assert_eq!((register("bob", made), register("carol", "guessed")), (200, 401));
    let listed = token(&["list"]);
    let mut lines: Vec<_> = listed.ok().lines().map(str::to_owned).collect();
    lines.sort();
    let mut expected = ["once\t1/1\tinvalid".to_owned(), format!("{made}\t1/-\tvalid")];
    expected.sort();
    assert_eq!(lines, expected);
    assert_eq!(token(&["remove", made]).ok(), format!("{made} was removed"));
    assert_eq!(register("carol", made), 401);
    assert!(token(&["remove", made]).failed(1).contains("no such registration token"));
    let twice = token(&["create", "--token", "once"]);
    assert!(twice.failed(1).contains("exists already"), "{twice:?}");
    let odd = token(&["create", "--token", "a b"]);
    assert!(odd.failed(1).contains("1 to 64 characters"), "{odd:?}");
    assert_eq!(token(&["create", "--uses", "0"]).status, Some(2));
    drop(server);
}
