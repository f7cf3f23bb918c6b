//! Certificates of listeners: read at the start and at a reload, refused, and warned of.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::{
    machine::{Machine, PATIENCE, Ran},
    manager::Manager,
};

/// `EX_CONFIG`.
const BAD_CONFIGURATION: i32 = 78;
const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// A certificate that ends so many days from now, and its key.
pub(crate) fn certificate(days: i64) -> (String, String) {
    certificate_for(days * SECONDS_PER_DAY)
}

/// The same in seconds.
pub(crate) fn certificate_for(seconds: i64) -> (String, String) {
    let output = Command::new("date").arg("+%s").output().unwrap();
    let now: i64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    let date = |seconds: i64| {
        let since_epoch = Duration::from_secs((now + seconds).try_into().unwrap());
        date_time_ymd(1970, 1, 1) + since_epoch
    };
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let begin = seconds.min(0) - 2 * SECONDS_PER_DAY;
    (parameters.not_before, parameters.not_after) = (date(begin), date(seconds));
    (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

pub(crate) fn write_certificate(machine: &Machine, directory: &str, pair: &(String, String)) {
    machine.write(&format!("{directory}tls.pem"), &pair.0, 0o644);
    machine.write(&format!("{directory}tls.key"), &pair.1, 0o600);
}

/// A plain listener that answers nothing but its health, one with TLS, and more.
pub(crate) fn configure_tls(machine: &Machine, more: &str) {
    let text = format!(
        "server_name = \"test.example\"\nreport_stats = false\nstate_directory = \"{}\"\n\
         [[listeners]]\nbind = [\"127.0.0.1:{}\"]\nresources = [\"health\"]\n\
         [[listeners]]\nbind = [\"unix:{}\"]\n\
         tls = {{ certificate = \"tls.pem\", private_key = \"tls.key\" }}\n{more}",
        machine.text("state"),
        machine.port,
        machine.text("tls.sock"),
    );
    machine.write("homeserver.toml", &text, 0o600);
}

/// What `config check` says, which is what a reload says.
fn check(machine: &Machine) -> Ran {
    machine.run_configured(&["config", "check"])
}

#[test]
fn a_key_and_a_certificate_are_credentials_and_are_read_again() {
    let machine = Machine::new();
    configure_tls(&machine, "");
    write_certificate(&machine, "credentials/matrix-homeserver.", &certificate(5));
    let credentials = machine.text("credentials");
    let mut manager = Manager::ready(&machine, &[("CREDENTIALS_DIRECTORY", &credentials)]);
    let expires = |days: i64| {
        format!("the certificate {credentials}/matrix-homeserver.tls.pem expires in {days} days")
    };
    wait_for(&machine, &expires(4));
    write_certificate(&machine, "credentials/matrix-homeserver.", &certificate(9));
    manager.reload();
    wait_for(&machine, &expires(8));
    let log = machine.log();
    assert!(log.contains("listeners.tls.certificate: a new certificate is in force"), "{log}");
    manager.reload();
    assert_eq!(machine.log().matches("a new certificate is in force").count(), 1);
    assert_eq!(manager.stop(), Some(0));
}

/// Certificates are looked at beside the start, so that their lines may come after it.
fn wait_for(machine: &Machine, line: &str) {
    let start = Instant::now();
    while !machine.log().contains(line) {
        assert!(start.elapsed() < PATIENCE, "no {line} in:\n{}", machine.log());
        thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_at_the_start_and_at_a_reload() {
    let machine = Machine::new();
    configure_tls(&machine, "");
    let good = certificate(100);
    write_certificate(&machine, "", &good);
    let manager = Manager::ready(&machine, &[]);
    let key_of_another = (good.0.clone(), certificate(100).1);
    let cases = [
        (certificate(-3), "tls.pem expired "),
        (key_of_another, "does not belong to the certificate"),
        ((good.0.clone(), "nonsense".to_owned()), "tls.key: no PEM private key in the file"),
        (("nonsense".to_owned(), good.1.clone()), "tls.pem: no PEM certificate in the file"),
    ];
    for (pair, reason) in cases {
        write_certificate(&machine, "", &pair);
        let ran = check(&machine);
        let line = ran.failed(BAD_CONFIGURATION).to_owned();
        assert!(line.contains("homeserver.toml:9: `listeners.tls.certificate`"), "{line}");
        assert!(line.contains(reason), "{line}");
        let started = machine.run_configured(&["serve"]);
        assert!(started.failed(BAD_CONFIGURATION).contains(reason), "{started:?}");
        let (status, _) = manager.reload();
        let refused = "RELOAD REFUSED, the old configuration is in force: ";
        assert!(status.contains(refused) && status.contains(reason), "{status}");
        assert_eq!(machine.request("GET /health", None).0, 200);
    }
    write_certificate(&machine, "", &good);
    machine.write("tls.key", &good.1, 0o644);
    assert!(check(&machine).failed(BAD_CONFIGURATION).contains("every user can read"));
    fs::remove_file(machine.path("tls.key")).unwrap();
    assert!(check(&machine).failed(BAD_CONFIGURATION).contains("No such file"));
    let started = machine.run_configured(&["serve"]);
    assert!(started.failed(BAD_CONFIGURATION).contains("tls.key: No such file"), "{started:?}");
    write_certificate(&machine, "", &good);
    assert!(!manager.reload().0.contains("REFUSED"));
}
