//! What is granted for which configuration.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use tempfile::TempDir;

use super::*;

/// A machine below a temporary directory.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for directory in ["etc/conf.d", "run/credentials/unit", "state", "store/1", "runtime"] {
            fs::create_dir_all(machine.path(directory)).unwrap();
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            configuration: vec![self.path("etc")],
            credentials: Some(self.path("run/credentials/unit")),
            runtime: vec![self.path("runtime")],
            store: self.path("store"),
            authorities: Vec::new(),
            has_broker: true,
            abstract_sockets: false,
        }
    }

    fn load(&self, more: &str) -> Config {
        let text = format!(
            "server_name = \"a.example\"\nreport_stats = false\nstate_directory = \"{}\"\n{more}",
            self.path("state").display()
        );
        self.write("etc/homeserver.toml", &text);
        let source = Source::File(self.path("etc/homeserver.toml"));
        config::load(&source, &Environment::of_process()).unwrap()
    }

    /// What is granted below the temporary directory, with the names there.
    fn granted(&self, more: &str) -> Vec<(String, Rights)> {
        let plan = plan(&self.load(more), &self.surroundings());
        let below = plan.rules.into_iter().filter_map(|rule| {
            let name = rule.path.strip_prefix(self.0.path()).ok()?;
            Some((name.to_str().unwrap().to_owned(), rule.rights))
        });
        below.collect()
    }
}

/// The same with names of their own.
fn named(rules: &[(&str, Rights)]) -> Vec<(String, Rights)> {
    rules.iter().map(|&(name, rights)| (name.to_owned(), rights)).collect()
}

const USUAL: [(&str, Rights); 5] = [
    ("state", Rights::Write),
    ("runtime", Rights::Write),
    ("state", Rights::Remove),
    ("etc", Rights::Read),
    ("run/credentials", Rights::Read),
];

#[test]
fn the_usual_configuration_needs_little() {
    assert_eq!(Machine::new().granted(""), named(&USUAL));
}

#[test]
fn the_database_the_key_and_the_sockets_may_lie_elsewhere() {
    let machine = Machine::new();
    for directory in ["db", "sockets", "keys"] {
        fs::create_dir(machine.path(directory)).unwrap();
    }
    let place = |name: &str| machine.path(name).display().to_string();
    let text = format!(
        "signing_key_file = \"{}\"\n[database]\nurl = \"sqlite://{}\"\n\
         [[listeners]]\nbind = [\"unix:{}\", \"127.0.0.1:1\"]\n",
        place("keys/key"),
        place("db/x.db"),
        place("sockets/client.sock"),
    );
    let writes = [("db", Rights::Write), ("keys", Rights::Write), ("sockets", Rights::Remove)];
    let granted = machine.granted(&text);
    for rule in named(&writes) {
        assert!(granted.contains(&rule), "{rule:?} in {granted:?}");
    }
    // A key that is there is only read.
    machine.write("keys/key", "");
    let granted = machine.granted(&text);
    assert!(granted.contains(&("keys".to_owned(), Rights::Read)), "{granted:?}");
    assert!(!granted.contains(&("keys".to_owned(), Rights::Write)), "{granted:?}");
}

#[test]
fn files_are_granted_by_their_directory_and_where_they_lead() {
    let machine = Machine::new();
    machine.write("archive/one/chain1.pem", "");
    machine.write("archive/one/key1.pem", "");
    machine.write("secrets/deep/name", "secret");
    fs::create_dir_all(machine.path("live/one")).unwrap();
    symlink("../../archive/one/chain1.pem", machine.path("live/one/chain.pem")).unwrap();
    symlink("../../archive/one/key1.pem", machine.path("live/one/key.pem")).unwrap();
    let text = format!(
        "[[listeners]]\ntls = {{ certificate = \"{}\", private_key = \"{}\" }}\n\
         [registration]\nshared_secret_file = \"{}\"\n",
        machine.path("live/one/chain.pem").display(),
        machine.path("live/one/key.pem").display(),
        machine.path("secrets/deep/name").display(),
    );
    let more =
        [("secrets/deep", Rights::Read), ("live/one", Rights::Read), ("archive/one", Rights::Read)];
    assert_eq!(machine.granted(&text), named(&[&USUAL[..], &more].concat()));
}

#[test]
fn the_authorities_of_a_database_are_read() {
    let machine = Machine::new();
    machine.write("ca/root.pem", "");
    let root = machine.path("ca/root.pem").display().to_string().replace('/', "%2F");
    let granted = machine.granted(&format!(
        "[database]\nurl = \"postgresql://u@h/d?sslmode=verify-full&sslrootcert={root}\"\n"
    ));
    assert!(granted.contains(&("ca".to_owned(), Rights::Read)), "{granted:?}");
}

#[test]
fn what_nix_made_is_granted_with_what_it_will_make() {
    let machine = Machine::new();
    machine.write("store/1/10.toml", "[log]\nlevel = \"info\"\n");
    symlink(machine.path("store/1/10.toml"), machine.path("etc/conf.d/10.toml")).unwrap();
    let granted = machine.granted("");
    assert!(granted.contains(&("store".to_owned(), Rights::Read)), "{granted:?}");
    assert!(!granted.iter().any(|(name, _)| name == "store/1"), "{granted:?}");
}

#[test]
fn a_file_in_a_wide_directory_is_granted_alone() {
    let machine = Machine::new();
    let config = machine.load("");
    let surroundings = Surroundings {
        has_broker: false,
        configuration: vec!["/etc".into()],
        ..machine.surroundings()
    };
    let rules = plan(&config, &surroundings).rules;
    let hosts = rules.iter().find(|rule| rule.path == Path::new("/etc/hosts")).unwrap();
    assert!(hosts.alone);
    let paths: Vec<_> = rules.iter().map(|rule| rule.path.to_str().unwrap()).collect();
    for path in ["/etc", "/", "/etc/ssl", "/etc/passwd"] {
        assert!(!paths.contains(&path), "{path}");
    }
    // The fragments that a configuration in /etc itself would have.
    assert!(paths.contains(&"/etc/conf.d"), "{paths:?}");
    for wide in ["/", "/etc", "/srv", "/home/alice", "/var/lib", "/etc/ssl", "/run/user"] {
        assert!(is_wide(Path::new(wide)), "{wide}");
    }
    for own in ["/etc/matrix-homeserver", "/run/systemd/resolve", "/home/alice/matrix"] {
        assert!(!is_wide(Path::new(own)), "{own}");
    }
}

#[test]
fn a_broker_resolves_and_connects() {
    let machine = Machine::new();
    let config = machine.load("");
    let with = plan(&config, &machine.surroundings());
    let without = plan(&config, &Surroundings { has_broker: false, ..machine.surroundings() });
    let reads =
        |plan: &Plan, path: &str| plan.rules.iter().any(|rule| rule.path == Path::new(path));
    assert!(!with.connects && !reads(&with, "/etc/hosts") && !reads(&with, "/usr/lib"));
    assert!(without.connects && reads(&without, "/etc/hosts") && reads(&without, "/usr/lib"));
}

#[test]
fn what_resolves_names_reads_a_new_resolv_conf_and_writes_nothing() {
    let machine = Machine::new();
    let plan = resolver_plan(&machine.surroundings());
    assert!(plan.connects);
    assert!(plan.rules.iter().all(|rule| rule.rights == Rights::Read), "{:?}", plan.rules);
    let reads = |path: &str| plan.rules.iter().any(|rule| rule.path == Path::new(path));
    assert!(reads("/etc") && reads("/run/systemd/resolve") && reads("/usr/lib"));
    for hidden in ["/", "/run", "/var", "/var/lib", "/proc", "/dev"] {
        assert!(!reads(hidden), "{hidden}");
    }
    assert!(is_of_resolver(Path::new("/etc/resolv.conf")));
    assert!(!is_of_resolver(Path::new("/etc/passwd")));
}

#[test]
fn the_broker_itself_writes_nothing() {
    let machine = Machine::new();
    machine.write("etc/homeserver.toml", "[sandbox]\nwrite_paths = [\"/srv/x\"]\n");
    machine.write("elsewhere/10.toml", "");
    fs::create_dir(machine.path("sockets")).unwrap();
    symlink("../../elsewhere/10.toml", machine.path("etc/conf.d/10.toml")).unwrap();
    let source = Source::File(machine.path("etc/homeserver.toml"));
    let config = config::load_egress(&source, &Environment::of_process()).unwrap();
    let below = |plan: &Plan| -> Vec<_> {
        let rules = plan.rules.iter().map(|rule| (rule.path.clone(), rule.rights));
        rules.filter(|(path, _)| path.starts_with(machine.0.path())).collect()
    };
    let plan = broker_plan(&config, None, &machine.surroundings());
    assert!(plan.connects);
    assert!(plan.rules.iter().all(|rule| rule.rights == Rights::Read && rule.key.is_none()));
    let reads = |path: &str| plan.rules.iter().any(|rule| rule.path == Path::new(path));
    assert!(reads("/etc/hosts") && reads("/usr/lib"), "{plan:?}");
    assert!(!reads("/etc") && !reads("/etc/passwd") && !reads("/etc/ssl/certs"), "{plan:?}");
    let directories = ["etc", "etc/conf.d", "elsewhere"].map(|name| machine.path(name));
    assert_eq!(below(&plan), directories.clone().map(|path| (path, Rights::Read)));

    let socket = machine.path("sockets/broker.sock");
    let by_hand = broker_plan(&config, Some(&socket), &machine.surroundings());
    let removed = (machine.path("sockets"), Rights::Remove);
    assert_eq!(below(&by_hand)[0], removed);
    assert_eq!(by_hand.rules.len(), plan.rules.len() + 1);
}

#[test]
fn what_the_configuration_demands_must_be_there() {
    let machine = Machine::new();
    let config =
        machine.load("[sandbox]\nread_paths = [\"/nowhere\"]\nwrite_paths = [\"/srv/x\"]\n");
    let plan = plan(&config, &machine.surroundings());
    let demanded: Vec<_> =
        plan.rules.iter().filter_map(|rule| Some((rule.path.to_str()?, rule.key?))).collect();
    let state = machine.path("state");
    assert_eq!(
        demanded,
        [
            (state.to_str().unwrap(), "state_directory"),
            ("/nowhere", "sandbox.read_paths"),
            ("/srv/x", "sandbox.write_paths"),
        ]
    );
}
