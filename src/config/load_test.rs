//! Layers, merging, origins and the texts of errors.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{
    Config, Credentials, Environment, Source, load, load_without_secrets, service::Service,
};

/// The three directories of the system below a temporary one.
struct Machine {
    root: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.mode(name, 0o600)
    }

    fn mode(&self, name: &str, mode: u32) -> &Self {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn environment(&self) -> Environment {
        Environment {
            directories: ["etc", "run", "usr"].map(|name| self.path(name)).into(),
            credentials: self.path("credentials").into(),
            state_directory: None,
            broker: None,
        }
    }

    fn load(&self) -> Config {
        load(&Source::System, &self.environment()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The problems, one a line, with paths from the root.
    fn problems_of(&self, source: &Source) -> Vec<String> {
        let problems = load(source, &self.environment()).expect_err("there are problems");
        let root = format!("{}/", self.root.path().display());
        problems.to_string().lines().map(|line| line.replace(&root, "")).collect()
    }

    fn problems(&self) -> Vec<String> {
        self.problems_of(&Source::System)
    }

    /// Table, key and place of everything that a file sets.
    fn origins(&self) -> Vec<String> {
        let root = format!("{}/", self.root.path().display());
        let config = self.load();
        let set = config.entries().iter().filter_map(|entry| {
            let origin = entry.origin.as_ref()?.to_string().replace(&root, "");
            Some(format!("{} {origin}", entry.path()))
        });
        set.collect()
    }
}

const BASE: &str = "server_name = \"a.example\"\nreport_stats = false\n";

#[test]
fn the_strongest_main_file_wins_whole() {
    let machine = Machine::new();
    machine.write("usr/homeserver.toml", &format!("{BASE}[presence]\nenabled = false\n"));
    assert!(!machine.load().reloadable.presence.enabled);
    machine.write("run/homeserver.toml", BASE);
    assert!(machine.load().reloadable.presence.enabled);
    machine.write("etc/homeserver.toml", "server_name = \"b.example\"\nreport_stats = true\n");
    let config = machine.load();
    assert_eq!(config.fixed.identity.server_name, "b.example");
    assert!(config.reloadable.presentation.report_stats);
}

#[test]
fn fragments_are_sorted_by_name_whatever_their_directory() {
    let machine = Machine::new();
    machine
        .write("etc/homeserver.toml", &format!("{BASE}[log]\nlevel = \"main\"\n"))
        .write("usr/conf.d/30-c.toml", "[log]\nlevel = \"usr\"\n")
        .write("etc/conf.d/10-a.toml", "[log]\nlevel = \"etc\"\nformat = \"text\"\n")
        .write("run/conf.d/20-b.toml", "[log]\nlevel = \"run\"\n")
        .write("etc/conf.d/99-not-read.conf", "what = is this\n")
        .write("etc/conf.d/.40-hidden.toml", "what = is this\n");
    let config = machine.load();
    assert_eq!(config.reloadable.log_level, "usr");
    let origins = machine.origins();
    assert!(origins.contains(&"log.level usr/conf.d/30-c.toml:2".to_owned()), "{origins:?}");
    assert!(origins.contains(&"log.format etc/conf.d/10-a.toml:3".to_owned()), "{origins:?}");
}

#[test]
fn a_name_masks_the_same_name_in_weaker_directories() {
    let machine = Machine::new();
    machine
        .write("etc/homeserver.toml", BASE)
        .write("usr/conf.d/10.toml", "[presence]\nenabled = false\n[log]\nlevel = \"usr\"\n")
        .write("run/conf.d/10.toml", "[log]\nlevel = \"run\"\n");
    let config = machine.load();
    assert_eq!(config.reloadable.log_level, "run");
    assert!(config.reloadable.presence.enabled, "the weaker file is not read at all");
}

#[test]
fn an_empty_file_and_a_link_to_null_mask() {
    let machine = Machine::new();
    machine
        .write("etc/homeserver.toml", BASE)
        .write("usr/conf.d/10.toml", "[log]\nlevel = \"usr\"\n")
        .write("usr/conf.d/20.toml", "[presence]\nenabled = false\n")
        .write("etc/conf.d/10.toml", "");
    symlink("/dev/null", machine.path("etc/conf.d/20.toml")).unwrap();
    let config = machine.load();
    assert_eq!(config.reloadable.log_level, "info");
    assert!(config.reloadable.presence.enabled);
}

#[test]
fn fragments_alone_are_enough() {
    let machine = Machine::new();
    machine
        .write("etc/conf.d/server-name.toml", "server_name = \"a.example\"\n")
        .write("etc/conf.d/report-stats.toml", "report_stats = false\n");
    assert_eq!(machine.load().fixed.identity.server_name, "a.example");
}

#[test]
fn a_named_file_brings_the_fragments_beside_it_and_no_others() {
    let machine = Machine::new();
    machine
        .write("etc/conf.d/10.toml", "[log]\nlevel = \"etc\"\n")
        .write("mine/my.toml", &format!("{BASE}[log]\nlevel = \"mine\"\n"))
        .write("mine/conf.d/10.toml", "[presence]\nenabled = false\n")
        .write("mine/secret", "s3cret\n")
        .write("mine/conf.d/20.toml", "[registration]\nshared_secret_file = \"secret\"\n");
    let source = Source::File(machine.path("mine/my.toml"));
    let config = load(&source, &machine.environment()).unwrap();
    assert_eq!(config.reloadable.log_level, "mine");
    assert!(!config.reloadable.presence.enabled);
    let secret = config.reloadable.registration.shared_secret.unwrap();
    assert_eq!(secret.expose(), "s3cret");
}

#[test]
fn tables_merge_and_everything_else_is_replaced() {
    let machine = Machine::new();
    machine
        .write(
            "etc/homeserver.toml",
            &format!(
                "{BASE}[passwords]\nrequire = [\"digit\", \"symbol\"]\nminimum_length = 12\n\
                 [rate_limits]\nmessage = {{ burst = 7 }}\n\
                 [[listeners]]\nbind = [\"127.0.0.1:1\"]\nx_forwarded = true\n"
            ),
        )
        .write("etc/conf.d/10.toml", "[passwords]\nrequire = [\"uppercase\"]\n")
        .write("etc/conf.d/20.toml", "[rate_limits.message]\nper_second = 2\n")
        .write("etc/conf.d/30.toml", "[[listeners]]\nbind = [\"127.0.0.1:2\"]\n");
    let config = machine.load();
    assert_eq!(config.reloadable.passwords.require.len(), 1);
    assert_eq!(config.reloadable.passwords.minimum_length, 12);
    let rate = config.reloadable.rate_limits.message;
    assert_eq!(rate.burst, 7);
    assert!((rate.per_second - 2.0).abs() < f64::EPSILON);
    let listeners = &config.listeners.list;
    assert_eq!(listeners.len(), 1);
    assert_eq!(listeners[0].bind, ["127.0.0.1:2"]);
    assert!(!listeners[0].x_forwarded);
}

#[test]
fn nothing_at_all_names_the_places_and_the_way_out() {
    let machine = Machine::new();
    assert_eq!(
        machine.problems(),
        ["there is no configuration: none of etc/homeserver.toml, run/homeserver.toml, \
         usr/homeserver.toml exists; `matrix-homeserver config generate` makes one"]
    );
    let missing = Source::File(machine.path("no/such.toml"));
    assert_eq!(
        machine.problems_of(&missing),
        ["cannot read no/such.toml: No such file or directory (os error 2)"]
    );
    machine.write("etc/homeserver.toml/file", "");
    assert_eq!(machine.problems(), ["cannot read etc/homeserver.toml: it is a directory"]);
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let machine = Machine::new();
    machine.write("etc/homeserver.toml", "");
    fs::write(machine.path("etc/homeserver.toml"), b"server_name = \"\xff\"\n").unwrap();
    assert_eq!(machine.problems(), ["cannot read etc/homeserver.toml: it is not UTF-8 text"]);
}

#[test]
fn all_syntax_errors_of_all_files_are_said_with_their_lines() {
    let machine = Machine::new();
    machine
        .write("etc/homeserver.toml", &format!("{BASE}x = \ny = 1\ny = 2\n"))
        .write("etc/conf.d/10.toml", "\n\n[log\n");
    let problems = machine.problems();
    for start in [
        "etc/homeserver.toml:3: ",
        "etc/homeserver.toml:5: duplicate key",
        "etc/conf.d/10.toml:3: ",
    ] {
        assert!(problems.iter().any(|line| line.starts_with(start)), "{start}: {problems:?}");
    }
}

#[test]
fn what_is_missing_is_said_with_what_to_do() {
    let machine = Machine::new();
    machine.write("etc/homeserver.toml", "");
    assert_eq!(
        machine.problems(),
        [
            "`server_name` is missing; set it to the part of user ids after the colon",
            "`report_stats` is missing; set it to true or false; it has no default",
        ]
    );
}

#[test]
fn unknown_keys_suggest_the_nearest() {
    let machine = Machine::new();
    machine.write(
        "etc/homeserver.toml",
        "server_nam = \"x\"\nserver_name = \"a.example\"\nreport_stats = false\ncolour = 1\n\
         shared_secret = \"x\"\n\
         [registraton]\nenabled = true\n\
         [registration]\nenable = true\nenable_registration = true\n\
         [[listeners]]\nbinds = []\n[listeners.tls]\ncertificate = \"/x\"\nprivate_key = \"/x\"\n\
         key = \"x\"\n",
    );
    assert_eq!(
        machine.problems(),
        [
            "etc/homeserver.toml:1: unknown key `server_nam`; did you mean `server_name`?",
            "etc/homeserver.toml:4: unknown key `colour`",
            "etc/homeserver.toml:5: unknown key `shared_secret`; \
         did you mean `registration.shared_secret`?",
            "etc/homeserver.toml:6: unknown key `registraton`; did you mean `registration`?",
            "etc/homeserver.toml:9: unknown key `registration.enable`; \
         did you mean `registration.enabled`?",
            "etc/homeserver.toml:10: unknown key `registration.enable_registration`",
            "etc/homeserver.toml:12: unknown key `listeners.binds`; did you mean `listeners.bind`?",
            "etc/homeserver.toml:16: unknown key `listeners.tls.key`; \
         did you mean `listeners.tls.private_key`?",
        ]
    );
}

#[test]
fn wrong_types_and_values_are_all_said_at_once() {
    let machine = Machine::new();
    machine.write(
        "etc/homeserver.toml",
        "server_name = \"https://a.example\"\nreport_stats = \"yes\"\n\
         public_baseurl = \"matrix.example\"\nstate_directory = \"here\"\nlisteners = 1\n\
         [database]\nurl = \"mysql://x\"\nreaders = 0\nwait_timeout = 10\nread_timeout = \"1x\"\n\
         [rooms]\ndefault_version = \"13\"\n\
         [passwords]\nrequire = [\n  \"digit\",\n  \"number\",\n]\nminimum_length = -1\n\
         [cache]\nmemory = \"1 MiB\"\n[sessions]\naccess_token_lifetime = \"0s\"\n\
         [rate_limits]\nmessage = 3\njoin = { per_second = inf, burst = 1.5 }\n",
    );
    let at = |line: u32, rest: &str| format!("etc/homeserver.toml:{line}: {rest}");
    assert_eq!(
        machine.problems(),
        [
            at(
                1,
                "`server_name` \"https://a.example\" is no server name; write it without https://"
            ),
            at(2, "`report_stats` expects true or false, not a string"),
            at(3, "`public_baseurl` expects a URL that begins with https:// or http://"),
            at(4, "`state_directory` expects an absolute path"),
            at(5, "`listeners` expects tables `[[listeners]]`, not an integer"),
            at(7, "`database.url` expects sqlite:///PATH or postgresql://…"),
            at(8, "`database.readers` must lie between 1 and 64"),
            at(
                9,
                "`database.wait_timeout` expects a duration with units such as \"10s\" or \
             \"1h 30m\", \
             not an integer"
            ),
            at(
                10,
                "`database.read_timeout` expects a duration with units such as \"10s\" or \
             \"1h 30m\" \
             (ms, s, m, h, d, w), not \"1x\""
            ),
            at(12, "`rooms.default_version` expects a room version from \"1\" to \"12\""),
            at(
                16,
                "`passwords.require` expects one of \"digit\", \"symbol\", \"lowercase\", \
             \"uppercase\", not \"number\""
            ),
            at(18, "`passwords.minimum_length` must not be negative"),
            at(20, "`cache.memory` must lie between \"8 MiB\" and \"1024 GiB\""),
            at(22, "`sessions.access_token_lifetime` must be longer than nothing"),
            at(24, "`rate_limits.message` expects a table, not an integer"),
            at(25, "`rate_limits.join.per_second` must be a finite number"),
            at(25, "`rate_limits.join.burst` expects an integer, not a float"),
        ]
    );
}

#[test]
fn listing_is_the_configuration_in_force_with_its_origins() {
    let machine = Machine::new();
    machine.write("etc/homeserver.toml", BASE).write(
        "etc/conf.d/10.toml",
        "[[listeners]]\nbind = [\"127.0.0.1:1\"]\n\n[[listeners]]\nbind = [\"127.0.0.1:2\"]\n\
         [listeners.tls]\ncertificate = \"/c\"\nprivate_key = \"/k\"\n",
    );
    let config = machine.load();
    let root = format!("{}/", machine.root.path().display());
    let shown = config.show(true).replace(&root, "");
    for line in [
        "server_name = \"a.example\"  # etc/homeserver.toml:1",
        "public_baseurl = \"https://a.example/\"  # default",
        "[[listeners]]\nbind = [\"127.0.0.1:2\"]  # etc/conf.d/10.toml:5",
        "[listeners.tls]\ncertificate = \"/c\"  # etc/conf.d/10.toml:7",
        "# shared_secret is not set",
        "[rate_limits.message]\nper_second = 10.0  # default",
    ] {
        assert!(shown.contains(line), "{line}\n---\n{shown}");
    }
    // What is shown is a configuration, and the same one.
    let again = Machine::new();
    again.write("etc/homeserver.toml", &config.show(false));
    assert_eq!(again.load().show(false), config.show(false));
}

#[test]
fn environment_of_this_process_has_the_systems_directories() {
    let directories = Environment::of_process().directories;
    assert_eq!(directories[0], Path::new("/etc/matrix-homeserver"));
    assert_eq!(directories[2], Path::new("/usr/lib/matrix-homeserver"));
}

#[test]
fn the_state_directory_of_the_service_manager_is_the_default() {
    let machine = Machine::new();
    machine.write("etc/homeserver.toml", BASE);
    let environment =
        Environment { state_directory: Some("/srv/state".into()), ..machine.environment() };
    let fixed = load(&Source::System, &environment).unwrap().fixed;
    assert_eq!(fixed.identity.signing_key_file, Path::new("/srv/state/signing.key"));
    assert_eq!(fixed.database.url.expose(), "sqlite:///srv/state/homeserver.db");
}

#[test]
fn secrets_come_from_files_credentials_first() {
    let machine = Machine::new();
    let registration = "[registration]\nshared_secret_file = \"name\"\n";
    machine
        .write("etc/homeserver.toml", &format!("{BASE}{registration}"))
        .mode("etc/homeserver.toml", 0o644);
    assert_eq!(
        machine.problems(),
        ["etc/homeserver.toml:4: `registration.shared_secret_file` cannot take etc/name: \
         No such file or directory (os error 2); nor is there a credential matrix-homeserver.name"]
    );
    let secret = || machine.load().reloadable.registration.shared_secret.unwrap();
    machine.write("etc/name", "from the directory\r\n");
    assert_eq!(secret().expose(), "from the directory");
    machine.write("credentials/matrix-homeserver.name", "from a credential");
    assert_eq!(secret().expose(), "from a credential");
    assert_eq!(format!("{:?}", secret()), "Secret(***)");
    let files = ["credentials/matrix-homeserver.name", "etc/homeserver.toml"];
    assert_eq!(machine.load().files(), files.map(|name| machine.path(name)));
}

#[test]
fn whoever_needs_no_secret_does_without() {
    let machine = Machine::new();
    let turn = "[turn]\nuris = [\"turn:a\"]\nshared_secret_file = \"sealed\"\n";
    machine.write("etc/homeserver.toml", &format!("{BASE}{turn}"));
    // What is there and cannot be read is not missing besides.
    assert_eq!(machine.problems().len(), 1);
    let config = load_without_secrets(&Source::System, &machine.environment()).unwrap();
    assert!(!config.reloadable.turn.as_ref().unwrap().shared_secret.is_known());
    assert!(config.show(false).contains("shared_secret_file = \"sealed\""));
    machine.write("etc/sealed", "known");
    assert!(machine.load().reloadable.turn.unwrap().shared_secret.is_known());
    assert!(machine.load().encrypted().is_empty());
}

#[test]
fn an_encrypted_credential_is_taken_as_it_is() {
    let machine = Machine::new();
    let registration = "[registration]\nshared_secret_file = \"name\"\n";
    let listener = "[[listeners]]\ntls = { certificate = \"cert\", private_key = \"key\" }\n";
    machine.write("etc/homeserver.toml", &format!("{BASE}{registration}{listener}"));
    let store = |name: &str| format!("etc/credstore.encrypted/matrix-homeserver.{name}");
    let files = [store("cert"), store("key"), store("name")];
    for file in &files {
        machine.write(file, "gibberish");
    }
    let credentials = Credentials::of_service(machine.root.path(), &Service::Main);
    let config =
        load(&Source::System, &Environment { credentials, ..machine.environment() }).unwrap();
    assert_eq!(config.encrypted(), files.map(|file| machine.path(&file)));
    assert!(!config.reloadable.registration.shared_secret.unwrap().is_known());
}

#[test]
fn secrets_that_everybody_can_read_are_refused() {
    let machine = Machine::new();
    machine
        .write("etc/homeserver.toml", BASE)
        .write("etc/conf.d/10.toml", "[registration]\nshared_secret = \"s3cret\"\n")
        .write(
            "etc/conf.d/20.toml",
            "[database]\nurl = \"postgresql://u:s3cret@h/d\"\n\
             [passwords]\nbcrypt_pepper_file = \"pepper\"\n",
        )
        .write("etc/pepper", "s3cret");
    let shown = machine.load().show(true);
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.contains("shared_secret = \"***\""), "{shown}");
    assert!(shown.contains("url = \"postgresql://u:***@h/d\""), "{shown}");
    machine
        .mode("etc/conf.d/10.toml", 0o644)
        .mode("etc/conf.d/20.toml", 0o644)
        .mode("etc/pepper", 0o604);
    assert_eq!(
        machine.problems(),
        [
            "etc/conf.d/10.toml:2: `registration.shared_secret` holds a secret, but every user can \
         read etc/conf.d/10.toml; use `shared_secret_file` or chmod o-r",
            "etc/conf.d/20.toml:2: `database.url` holds a secret, but every user can read \
         etc/conf.d/20.toml; use `password_file` or chmod o-r",
            "etc/conf.d/20.toml:4: `passwords.bcrypt_pepper_file` cannot take etc/pepper: \
         every user can read it; take that right away (chmod o-r)",
        ]
    );
}

#[test]
fn a_secret_stands_in_one_place() {
    let machine = Machine::new();
    machine
        .write(
            "etc/homeserver.toml",
            &format!(
                "{BASE}[registration]\nshared_secret = \"a\"\nshared_secret_file = \"name\"\n\
                 [passwords]\nbcrypt_pepper_file = \"empty\"\n"
            ),
        )
        .write("etc/name", "b")
        .write("etc/empty", "\n");
    assert_eq!(
        machine.problems(),
        [
            "etc/homeserver.toml:5: `registration.shared_secret_file` cannot stand beside \
         `shared_secret`",
            "etc/homeserver.toml:7: `passwords.bcrypt_pepper_file` cannot take etc/empty: \
         it is empty",
        ]
    );
}
