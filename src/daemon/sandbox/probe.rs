//! `sandbox-probe`: closes the very sandbox of `serve` and tries what it should and should not
//! allow, one line each. Run in the place of the server by its unit, it shows what the unit forbids
//! besides.
//!
//! Invariant: what it makes it removes, and whatever turns out to be allowed changes nothing.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream, ToSocketAddrs},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown},
            net::{SocketAddr, UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use config::{Config, Source};
use nix::{
    errno::Errno,
    mount::{MsFlags, mount, umount},
    sched::{CloneFlags, sched_getaffinity, sched_setaffinity, unshare},
    sys::{
        personality::{self, Persona},
        ptrace,
        signal::kill,
        socket::{AddressFamily, SockFlag, SockType, socket},
    },
    unistd::{Pid, gethostname, getppid, getuid, sethostname, setuid},
};
use rustix::process::{getpriority_process, setpriority_process};
use rustls::{ClientConfig, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt;

use super::{Sandbox, close};
use crate::{failure::Failure, state};

/// A port at which nobody listens: to be refused is to have got there.
const DISCARD: (&str, u16) = ("127.0.0.1", 9);

/// Closes the sandbox of this configuration and tries it: a line `NAME RESULT ERROR` for each try.
pub(crate) fn run(config: &Config, source: &Source) -> Result<Vec<String>, Failure> {
    let identity = &config.fixed.identity;
    state::prepare(&identity.state_directory)?;
    let inside = identity.state_directory.join(format!(".probe-{}", std::process::id()));
    let place = |error| Failure::new(format!("cannot make {}: {error}", inside.display()));
    fs::create_dir(&inside).map_err(place)?;
    let tried = Probe::begin(config, inside.clone()).and_then(|probe| {
        let sandbox = close(config, source)?;
        Ok(probe.report(&sandbox))
    });
    fs::remove_dir_all(&inside).map_err(place)?;
    tried
}

/// What is there before the sandbox is closed.
struct Probe {
    /// A directory in the state.
    inside: PathBuf,
    /// A file of the configuration.
    configuration: Option<PathBuf>,
    /// A socket of somebody outside.
    outside: SocketAddr,
    _listener: UnixListener,
}

impl Probe {
    fn begin(config: &Config, inside: PathBuf) -> Result<Self, Failure> {
        let name = format!("matrix-homeserver-probe-{}", std::process::id());
        let outside = SocketAddr::from_abstract_name(name).map_err(Failure::new)?;
        let listener = UnixListener::bind_addr(&outside).map_err(Failure::new)?;
        // The layers come after the secrets.
        let configuration = config.files().last().cloned();
        Ok(Self { inside, configuration, outside, _listener: listener })
    }

    fn report(&self, sandbox: &Sandbox) -> Vec<String> {
        let (verdict, abi) = sandbox.verdict();
        let mut lines = vec![line("landlock", verdict, &abi)];
        // Namespaces come last: whoever gets into one sees another machine.
        for group in [self.files(), self.programs(), self.sockets(), processes(), self.machine()] {
            for (name, tried) in group {
                lines.push(match tried {
                    Ok(()) => line(name, "allowed", "-"),
                    Err(error) => line(name, "refused", &cause(&error)),
                });
            }
        }
        lines
    }

    fn files(&self) -> Vec<Try> {
        let read = |path: &str| read(Path::new(path));
        let list = |path: &str| fs::read_dir(path).map(|_| ());
        let kept = self.inside.join("kept");
        let moved = self.inside.join("directory/moved");
        let configuration = self.configuration.as_deref();
        let beside = configuration.and_then(Path::parent).unwrap_or(Path::new("/nowhere"));
        vec![
            ("write-state", write(&kept)),
            ("read-state", self::read(&kept)),
            ("make-directory", fs::create_dir(self.inside.join("directory"))),
            ("move-state", fs::rename(&kept, &moved)),
            ("read-configuration", configuration.map_or(Ok(()), self::read)),
            ("list-configuration", fs::read_dir(beside).map(|_| ())),
            ("write-configuration", write_and_remove(beside)),
            ("read-self", read("/proc/self/status")),
            ("read-urandom", File::open("/dev/urandom").map(|_| ())),
            ("read-authorities", read_authorities()),
            ("read-passwd", read("/etc/passwd")),
            ("read-init", read("/proc/1/status")),
            ("read-meminfo", read("/proc/meminfo")),
            ("list-root", list("/")),
            ("list-etc", list("/etc")),
            ("list-cgroups", list("/sys/fs/cgroup")),
            ("write-etc", write_and_remove(Path::new("/etc"))),
            ("write-temporary", write_and_remove(Path::new("/tmp"))),
            ("write-shared-memory", write_and_remove(Path::new("/dev/shm"))),
            ("set-user-id-bit", set_user_id_bit(&moved)),
            ("change-owner", chown_to_owner(&moved)),
        ]
    }

    fn programs(&self) -> Vec<Try> {
        // What is no program shows whether it may be run: an interpreter has rights of its own.
        let none = self.inside.join("program");
        let written = fs::write(&none, "no program")
            .and_then(|()| fs::set_permissions(&none, fs::Permissions::from_mode(0o700)));
        let ran = match written.and_then(|()| execute(&none)) {
            Err(error) if error.raw_os_error() == Some(Errno::ENOEXEC as i32) => Ok(()),
            other => other,
        };
        vec![("execute-program", execute(Path::new("/bin/true"))), ("execute-state", ran)]
    }

    fn sockets(&self) -> Vec<Try> {
        let open = |family, kind| {
            socket(family, kind, SockFlag::SOCK_CLOEXEC, None).map(drop).map_err(io::Error::from)
        };
        let connected = match TcpStream::connect(DISCARD) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            other => other.map(drop),
        };
        let resolved = ("localhost", 0).to_socket_addrs().map(|_| ());
        vec![
            ("bind-tcp", TcpListener::bind("127.0.0.1:0").map(drop)),
            ("connect-tcp", connected),
            ("resolve-name", resolved),
            ("connect-abstract", UnixStream::connect_addr(&self.outside).map(drop)),
            ("socket-internet", open(AddressFamily::Inet, SockType::Stream)),
            ("socket-packet", open(AddressFamily::Packet, SockType::Datagram)),
            ("socket-netlink", open(AddressFamily::Netlink, SockType::Datagram)),
        ]
    }

    /// What is set here is what it was.
    fn machine(&self) -> Vec<Try> {
        let priority = getpriority_process(None)
            .and_then(|priority| setpriority_process(None, priority))
            .map_err(io::Error::from);
        let affinity = sched_getaffinity(Pid::from_raw(0))
            .and_then(|set| sched_setaffinity(Pid::from_raw(0), &set));
        let name = gethostname().map_err(io::Error::from);
        let none: Option<&str> = None;
        let mounted = mount(Some(&self.inside), &self.inside, none, MsFlags::MS_BIND, none)
            .and_then(|()| umount(&self.inside));
        let persona = personality::get().and_then(|persona| {
            // Only what differs from the usual is refused.
            personality::set(persona | Persona::ADDR_NO_RANDOMIZE)?;
            personality::set(persona)
        });
        vec![
            ("set-user", setuid(getuid()).map_err(io::Error::from)),
            ("set-priority", priority),
            ("set-affinity", affinity.map_err(io::Error::from)),
            ("set-personality", persona.map(drop).map_err(io::Error::from)),
            ("set-host-name", name.and_then(|name| sethostname(name).map_err(io::Error::from))),
            ("mount", mounted.map_err(io::Error::from)),
            ("new-user-namespace", unshare(CloneFlags::CLONE_NEWUSER).map_err(io::Error::from)),
        ]
    }
}

fn processes() -> Vec<Try> {
    let parent = getppid();
    let trace = ptrace::seize(parent, ptrace::Options::empty())
        .and_then(|()| ptrace::detach(parent, None).or(Ok(())));
    vec![
        ("signal-parent", kill(parent, None).map_err(io::Error::from)),
        ("trace-parent", trace.map_err(io::Error::from)),
    ]
}

/// What was tried and what came of it.
type Try = (&'static str, io::Result<()>);

fn line(name: &str, result: &str, detail: &str) -> String {
    format!("{name:<20} {result:<8} {detail}")
}

/// The error's name, as errno(3) has it; the resolver's errors have none there.
fn cause(error: &io::Error) -> String {
    error
        .raw_os_error()
        .map_or_else(|| "other".to_owned(), |number| format!("{:?}", Errno::from_raw(number)))
}

fn read(path: &Path) -> io::Result<()> {
    File::open(path)?.read(&mut [0; 16]).map(|_| ())
}

/// The authorities that the system trusts, as whoever connects reads them.
fn read_authorities() -> io::Result<()> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map(drop)
        .map_err(io::Error::other)
}

fn write(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)?.write_all(b"written")
}

fn write_and_remove(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!(".matrix-homeserver-probe-{}", std::process::id()));
    write(&path)?;
    fs::remove_file(path)
}

fn set_user_id_bit(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o4600))
}

fn chown_to_owner(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    chown(path, Some(metadata.uid()), Some(metadata.gid()))
}

fn execute(program: &Path) -> io::Result<()> {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().map(|_| ())
}
