//! Commands that reach the server by TLS and by a unix socket, and the layers of the system's
//! configuration.

use std::path::Path;

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::machine::{Machine, Ran};

fn configure(machine: &Machine, listener: &str) {
    let text = format!(
        "server_name = \"test.example\"\nreport_stats = false\nstate_directory = \"{}\"\n\
         [registration]\nshared_secret_file = \"secret\"\n\
         [[listeners]]\nbind = [\"127.0.0.1:{}\"]\nresources = [\"health\"]\n\
         [[listeners]]\n{listener}\n",
        machine.text(""),
        machine.port
    );
    machine.write("homeserver.toml", &text, 0o600);
}

const MAKE: [&str; 6] = ["register-user", "-u", "a", "-p", "wonderland", "--no-admin"];

#[test]
fn a_user_is_made_over_a_unix_socket() {
    let machine = Machine::new();
    configure(&machine, &format!("bind = [\"unix:{}\"]", machine.text("client.sock")));
    let server = machine.serve();
    assert_eq!(machine.run_configured(&MAKE).ok(), "Success! @a:test.example was made.");
    drop(server);
}

#[test]
fn a_user_is_made_over_tls_if_the_certificate_is_trusted() {
    let machine = Machine::new();
    let names = vec!["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    machine.write("cert.pem", &cert.pem(), 0o644);
    machine.write("key.pem", &signing_key.serialize_pem(), 0o600);
    let port = Machine::new().port;
    let files = [machine.text("cert.pem"), machine.text("key.pem")];
    configure(
        &machine,
        &format!(
            "bind = [\"127.0.0.1:{port}\"]\n\
             tls = {{ certificate = \"{}\", private_key = \"{}\" }}",
            files[0], files[1]
        ),
    );
    let server = machine.serve();
    let url = format!("https://localhost:{port}");
    let config = machine.text("homeserver.toml");
    let mut arguments = MAKE.to_vec();
    arguments.extend(["-c", config.as_str(), url.as_str()]);
    let program = Path::new(env!("CARGO_BIN_EXE_matrix-homeserver"));
    let distrusting = machine.run(&arguments);
    let line = distrusting.failed(1);
    assert!(line.contains("cannot reach the server at https://localhost"), "{line}");
    let mut command = machine.command(program, &arguments);
    let trusting = Ran::from(command.env("SSL_CERT_FILE", &files[0]).output().unwrap());
    assert_eq!(trusting.ok(), "Success! @a:test.example was made.");
    drop(server);
}
