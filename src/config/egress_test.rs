//! What the broker reads of a configuration, what it does not look at, and what the server refuses
//! because the broker could not read it.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use tempfile::TempDir;

use super::*;

/// A directory of layers.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.write("homeserver.toml", "server_name = \"a.example\"\nreport_stats = false\n");
        machine
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.mode(name, 0o644);
    }

    fn mode(&self, name: &str, mode: u32) {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(self.0.path().join(name), permissions).unwrap();
    }

    fn environment(&self) -> Environment {
        Environment {
            directories: vec![self.0.path().to_owned()],
            credentials: Credentials::default(),
            state_directory: None,
            broker: Some(PathBuf::from("/run/broker.sock")),
        }
    }

    fn broker(&self) -> Result<EgressConfig, String> {
        load_egress(&Source::System, &self.environment()).map_err(|error| self.shorten(&error))
    }

    fn server(&self) -> Result<crate::Config, String> {
        crate::load(&Source::System, &self.environment()).map_err(|error| self.shorten(&error))
    }

    fn shorten(&self, problems: &Problems) -> String {
        problems.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }
}

#[test]
fn the_broker_looks_at_its_sections_alone() {
    let machine = Machine::new();
    machine.write(
        "homeserver.toml",
        "colour = 1\n[database]\nurl = 3\npassword_file = \"nowhere\"\n\
         [registration]\nshared_secret_file = \"nowhere\"\n\
         [egress]\nip_range_allowlist = [\"10.1.0.0/16\"]\n",
    );
    machine
        .write("conf.d/10.toml", "[egress]\nconnect_timeout = \"3s\"\n[log]\nlevel = \"debug\"\n");
    let config = machine.broker().unwrap();
    assert_eq!(config.egress.ip_range_allowlist, ["10.1.0.0/16"]);
    assert_eq!(config.egress.connect_timeout.as_secs(), 3);
    assert_eq!(config.egress.ip_range_denylist.len(), 19);
    assert_eq!(config.log.level, "debug");
    assert!(config.unread.is_empty());
    let problem = config.problem("egress.connect_timeout", "is too short").to_string();
    assert!(problem.ends_with("conf.d/10.toml:2: `egress.connect_timeout` is too short"));
}

#[test]
fn the_broker_of_other_servers_needs_no_configuration() {
    let machine = Machine(tempfile::tempdir().unwrap());
    assert_eq!(machine.broker().unwrap().egress.ip_range_denylist.len(), 19);
    assert!(machine.server().unwrap_err().contains("there is no configuration"));
    // One that is named has to be there.
    let named = Source::File(machine.0.path().join("nowhere.toml"));
    assert!(load_egress(&named, &machine.environment()).is_err());
}

#[test]
fn what_is_written_for_one_of_several_servers_is_refused() {
    let machine = Machine::new();
    machine.write("conf.d/10.toml", "[egress]\nconnect_timeout = \"3s\"\n");
    let mut environment = machine.environment();
    let read = crate::load(&Source::System, &environment).unwrap();
    let further = Source::File("/etc/matrix-homeserver-two/homeserver.toml".into());
    let lost = |source: &Source, environment: &Environment| {
        machine.shorten(&Problems(lost(read.entries(), source, environment)))
    };
    // A broker of its own reads it.
    assert_eq!(lost(&further, &environment), "");
    environment.broker = Some(PathBuf::from(BROKER_SOCKET));
    let refused = lost(&further, &environment);
    let expected = "conf.d/10.toml:2: `egress.connect_timeout` is the broker's to read, which all \
                    servers of this machine share: it goes by ";
    assert!(refused.starts_with(expected), "{refused}");
    // A draft may be tried anywhere.
    for source in [Source::System, Source::File("draft.toml".into())] {
        assert_eq!(lost(&source, &environment), "");
    }
    environment.broker = None;
    assert_eq!(lost(&further, &environment), "");
}

#[test]
fn the_broker_is_as_strict_as_the_server() {
    let machine = Machine::new();
    assert_eq!(machine.broker().unwrap().landlock, Landlock::Enforce);
    machine.write(
        "conf.d/10.toml",
        "[sandbox]\nlandlock = \"best-effort\"\nread_paths = [\"/srv/x\"]\n",
    );
    let config = machine.broker().unwrap();
    assert_eq!(config.landlock, Landlock::BestEffort);
    let entries: Vec<_> = config.entries().iter().map(Entry::path).collect();
    assert!(entries.contains(&"sandbox.landlock".to_owned()), "{entries:?}");
    assert!(!entries.contains(&"sandbox.read_paths".to_owned()), "{entries:?}");
    let names: Vec<_> = config.files.iter().filter_map(|path| path.file_name()).collect();
    assert_eq!(names, ["homeserver.toml", "10.toml"]);
    machine.write("conf.d/10.toml", "[sandbox]\nlandlock = \"of\"\n");
    assert!(machine.broker().unwrap_err().starts_with("conf.d/10.toml:2: `sandbox.landlock`"));
}

#[test]
fn what_is_wrong_in_its_sections_has_its_line() {
    let machine = Machine::new();
    machine.write("conf.d/10.toml", "[egress]\nip_range_denyList = []\nconnect_timeout = \"1h\"\n");
    assert_eq!(
        machine.broker().unwrap_err(),
        "conf.d/10.toml:2: unknown key `egress.ip_range_denyList`; did you mean \
         `egress.ip_range_denylist`?\n\
         conf.d/10.toml:3: `egress.connect_timeout` must lie between \"1s\" and \"2m\""
    );
    machine.write("conf.d/10.toml", "[egress\n");
    assert!(machine.broker().unwrap_err().starts_with("conf.d/10.toml:1: "));
}

#[test]
fn the_server_refuses_what_the_broker_may_not_read() {
    let machine = Machine::new();
    machine.write("conf.d/10.toml", "[egress]\nip_range_allowlist = []\n[cache]\n");
    assert!(machine.server().is_ok());
    machine.mode("conf.d/10.toml", 0o640);
    let refused = machine.server().unwrap_err();
    assert!(refused.starts_with("conf.d/10.toml:2: `egress.ip_range_allowlist` is the broker's"));
    let alone = Environment { broker: None, ..machine.environment() };
    assert!(crate::load(&Source::System, &alone).is_ok());
    machine.write("conf.d/10.toml", "[cache]\n");
    machine.mode("conf.d/10.toml", 0o640);
    assert!(machine.server().is_ok());
}

#[test]
fn the_admin_socket_is_where_the_service_manager_holds_it() {
    let machine = Machine::new();
    let socket = machine.server().unwrap().fixed.admin.socket;
    assert_eq!(socket, PathBuf::from("/run/matrix-homeserver-admin.sock"));
    let file = Source::File(machine.0.path().join("homeserver.toml"));
    let environment =
        Environment { state_directory: Some("/srv/state".into()), ..machine.environment() };
    let socket = crate::load(&file, &environment).unwrap().fixed.admin.socket;
    assert_eq!(socket, PathBuf::from("/srv/state/admin.sock"));
}
