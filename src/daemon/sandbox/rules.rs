//! Which rights the process needs once it runs: from the configuration and what systemd passed to
//! a list of paths. Nothing here asks the kernel for anything but names.
//!
//! Directories are granted, not files, so that a renewed certificate can be read at a reload. Where
//! a file lies in a directory that is too wide for that, it is granted alone.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use config::{Config, EgressConfig, Environment, FRAGMENTS, Source};
use http::Bind;
use nix::unistd::{AccessFlags, access};

/// Nix allows for no other place.
const NIX_STORE: &str = "/nix/store";

/// Directories that hold so much else that no file in them opens them, besides those with one name
/// and the home directories.
const WIDE: [&str; 9] = [
    "/etc/ssl",
    "/run/user",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local",
    "/usr/share",
    "/var/lib",
    "/var/run",
    "/var/tmp",
];

/// What the resolver of the C library reads, and what it loads to do so.
const RESOLVER_FILES: [&str; 6] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/ld.so.cache",
];
/// Where the files are made that these are links to, and put anew in each other's place.
const RESOLVER_DIRECTORIES: [&str; 6] = [
    "/etc",
    "/run/NetworkManager",
    "/run/connman",
    "/run/netconfig",
    "/run/resolvconf",
    "/run/systemd/resolve",
];
const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

/// Where distributions keep the authorities that the system trusts, and what these link to.
const AUTHORITIES: [&str; 6] = [
    "/etc/ssl/certs",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];
const AUTHORITY_FILES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"];

/// What may be done at and below a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// Read files and list directories.
    Read,
    /// Whatever files and directories are there for, but running them.
    Write,
    /// Read and write what is there already.
    Use,
    /// Remove files: the sockets that this process made.
    Remove,
}

/// One path and what it is granted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) path: PathBuf,
    pub(super) rights: Rights,
    /// The key of the configuration that demands it; without one it need not be there.
    pub(super) key: Option<&'static str>,
    /// Whether it is a file whose directory is not granted.
    pub(super) alone: bool,
}

/// All that the sandbox leaves.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) rules: Vec<Rule>,
    /// Whether TCP connections are made here, and not by the broker.
    pub(super) connects: bool,
    /// Whether the service manager listens at an abstract socket.
    pub(super) abstract_sockets: bool,
}

/// What the process finds around it.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    /// Directories of the configuration.
    pub(super) configuration: Vec<PathBuf>,
    pub(super) credentials: Option<PathBuf>,
    /// `$RUNTIME_DIRECTORY`.
    pub(super) runtime: Vec<PathBuf>,
    /// Where Nix keeps what it made; what it configures moves there with each generation.
    pub(super) store: PathBuf,
    /// What stands in for the system's authorities.
    pub(super) authorities: Vec<PathBuf>,
    pub(super) has_broker: bool,
    pub(super) abstract_sockets: bool,
}

impl Surroundings {
    /// Those of this process.
    pub(super) fn of_process(source: &Source) -> Self {
        let environment = Environment::of_process();
        let paths = |name: &str| -> Vec<PathBuf> {
            let value = std::env::var_os(name).unwrap_or_default();
            std::env::split_paths(&value).filter(|path| path.is_absolute()).collect()
        };
        let notify = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
        Self {
            configuration: environment.configuration_directories(source),
            credentials: environment.credentials.directory().map(Path::to_owned),
            runtime: paths("RUNTIME_DIRECTORY"),
            store: NIX_STORE.into(),
            authorities: ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(paths).concat(),
            has_broker: environment.broker.is_some(),
            abstract_sockets: notify.as_encoded_bytes().starts_with(b"@"),
        }
    }
}

/// What this configuration needs in these surroundings.
pub(super) fn plan(config: &Config, surroundings: &Surroundings) -> Plan {
    let mut rules = Rules { list: Vec::new(), surroundings };
    rules.state(config);
    rules.sockets(config);
    rules.configuration(config);
    rules.authorities();
    rules.machine();
    if !surroundings.has_broker {
        rules.resolver();
    }
    let sandbox = &config.fixed.sandbox;
    for path in &sandbox.read_paths {
        rules.demand(path, Rights::Read, "sandbox.read_paths");
    }
    for path in &sandbox.write_paths {
        rules.demand(path, Rights::Write, "sandbox.write_paths");
    }
    Plan {
        rules: rules.list,
        connects: !surroundings.has_broker,
        abstract_sockets: surroundings.abstract_sockets,
    }
}

/// What the broker needs in these surroundings: to resolve names, and to read its part of the
/// configuration again. It writes nothing; a socket that it made by itself it removes.
pub(super) fn broker_plan(
    config: &EgressConfig,
    socket: Option<&Path>,
    surroundings: &Surroundings,
) -> Plan {
    let mut rules = Rules { list: Vec::new(), surroundings };
    if let Some(socket) = socket {
        rules.socket(socket);
    }
    rules.layers(&config.files);
    rules.resolver();
    Plan { rules: rules.list, connects: true, abstract_sockets: surroundings.abstract_sockets }
}

/// What the process needs that resolves names for a server without a broker: to read whatever
/// resolv.conf is there by then. It writes nothing.
pub(super) fn resolver_plan(surroundings: &Surroundings) -> Plan {
    let mut rules = Rules { list: Vec::new(), surroundings };
    for directory in RESOLVER_DIRECTORIES {
        rules.directory(Path::new(directory));
    }
    rules.resolver();
    Plan { rules: rules.list, connects: true, abstract_sockets: false }
}

/// Whether resolving names is what the file is for.
pub(super) fn is_of_resolver(path: &Path) -> bool {
    RESOLVER_FILES.iter().any(|file| path == Path::new(file))
}

struct Rules<'a> {
    list: Vec<Rule>,
    surroundings: &'a Surroundings,
}

impl Rules<'_> {
    fn push(&mut self, rule: Rule) {
        let is_there = self.list.iter().any(|other| {
            (&other.path, other.rights) == (&rule.path, rule.rights)
                && (rule.key.is_none() || other.key == rule.key)
        });
        if !is_there {
            self.list.push(rule);
        }
    }

    fn allow(&mut self, path: &Path, rights: Rights) {
        self.push(Rule { path: path.to_owned(), rights, key: None, alone: false });
    }

    fn demand(&mut self, path: &Path, rights: Rights, key: &'static str) {
        self.push(Rule { path: path.to_owned(), rights, key: Some(key), alone: false });
    }

    /// A directory is read, and so is where it leads.
    fn directory(&mut self, directory: &Path) {
        let store = &self.surroundings.store;
        if directory.canonicalize().is_ok_and(|real| real.starts_with(store)) {
            self.allow(store, Rights::Read);
        } else {
            self.allow(directory, Rights::Read);
        }
    }

    /// A file is read by its directory, and by the directory of the file that it links to.
    fn file(&mut self, path: &Path) {
        let Ok(path) = std::path::absolute(path) else { return };
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        for file in [&path, &real] {
            let Some(directory) = file.parent() else { continue };
            let leads_to = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
            if !is_wide(directory) && !is_wide(&leads_to) {
                self.directory(directory);
            } else if *file == real {
                self.push(Rule {
                    path: real.clone(),
                    rights: Rights::Read,
                    key: None,
                    alone: true,
                });
            }
        }
    }

    /// What the server keeps.
    fn state(&mut self, config: &Config) {
        let surroundings = self.surroundings;
        let identity = &config.fixed.identity;
        self.demand(&identity.state_directory, Rights::Write, "state_directory");
        if let Some(directory) = config.fixed.database.url.file().and_then(Path::parent) {
            self.allow(directory, Rights::Write);
        }
        let key = &identity.signing_key_file;
        if key.exists() {
            self.file(key);
        } else if let Some(directory) = key.parent() {
            self.allow(directory, Rights::Write);
        }
        for directory in &surroundings.runtime {
            self.allow(directory, Rights::Write);
        }
    }

    /// Sockets that this process made are removed at its end, where it has the right to.
    fn sockets(&mut self, config: &Config) {
        let binds = config.listeners.list.iter().flat_map(|listener| &listener.bind);
        let listeners = binds.filter_map(|bind| match bind.parse() {
            Ok(Bind::Unix { path, .. }) => Some(path),
            _ => None,
        });
        for socket in listeners.chain([config.fixed.admin.socket.clone()]) {
            self.socket(&socket);
        }
    }

    fn socket(&mut self, socket: &Path) {
        let directory = socket.parent().unwrap_or(Path::new("/"));
        if access(directory, AccessFlags::W_OK).is_ok() {
            self.allow(directory, Rights::Remove);
        }
    }

    /// The configuration's directories and files.
    fn layers(&mut self, files: &[PathBuf]) {
        for directory in &self.surroundings.configuration {
            let real = directory.canonicalize();
            if real.is_ok_and(|real| is_wide(&real)) {
                self.directory(&directory.join(FRAGMENTS));
            } else {
                self.directory(directory);
            }
        }
        for file in files {
            self.file(file);
        }
    }

    /// What a reload reads.
    fn configuration(&mut self, config: &Config) {
        self.layers(&[]);
        if let Some(directory) = &self.surroundings.credentials {
            // A refresh mounts another directory at this place, below the one that is granted.
            let above = directory
                .parent()
                .filter(|parent| parent.file_name() == Some(OsStr::new("credentials")));
            self.allow(above.unwrap_or(directory), Rights::Read);
        }
        for file in config.files() {
            self.file(file);
        }
        for listener in &config.listeners.list {
            if let Some(files) = &listener.tls {
                self.file(&files.certificate);
                self.file(&files.private_key);
            }
        }
        if let Some(file) = config.fixed.database.url.parameter("sslrootcert") {
            self.file(Path::new(&file));
        }
    }

    fn authorities(&mut self) {
        let surroundings = self.surroundings;
        for directory in AUTHORITIES {
            self.directory(Path::new(directory));
        }
        for file in AUTHORITY_FILES {
            self.file(Path::new(file));
        }
        for path in &surroundings.authorities {
            if path.is_dir() { self.directory(path) } else { self.file(path) }
        }
    }

    /// What the embedded database and the runtime ask of the machine.
    fn machine(&mut self) {
        self.allow(Path::new("/dev/null"), Rights::Use);
        self.allow(Path::new("/dev/urandom"), Rights::Read);
        self.allow(Path::new("/proc/self"), Rights::Read);
    }

    fn resolver(&mut self) {
        for file in RESOLVER_FILES {
            self.file(Path::new(file));
        }
        for directory in LIBRARIES {
            self.directory(Path::new(directory));
        }
    }
}

/// Whether a directory holds more than what belongs to one program.
fn is_wide(directory: &Path) -> bool {
    // The root itself counts as a component.
    let depth = directory.components().count();
    depth <= 2
        || WIDE.iter().any(|wide| directory == Path::new(wide))
        || directory.parent() == Some(Path::new("/home"))
}

#[cfg(test)]
#[path = "rules_test.rs"]
mod tests;
