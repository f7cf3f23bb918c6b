//! `config generate`: the sample configuration with the answers put in, and a fresh shared secret
//! beside it.
//!
//! Invariant: nothing that is there is overwritten.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use config::{Environment, MAIN_FILE, SAMPLE, Source};
use nix::unistd::{Gid, Group};
use proto::clock::random_string;

use super::{SERVICE, ask, print};
use crate::{failure::Failure, system::SystemRandom};

/// Name of the secret's file.
const SECRET_FILE: &str = "registration-shared-secret";
/// Characters of the secret, six random bits each.
const SECRET_LENGTH: usize = 48;

/// Yes or no, in the words of Synapse and in those of TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Answer {
    #[value(alias = "true")]
    Yes,
    #[value(alias = "false")]
    No,
}

#[derive(Args, Debug)]
pub(super) struct Generate {
    /// The part of user ids after the colon; it can never be changed
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Whether statistics about this server's use may be reported
    #[arg(long, value_name = "ANSWER")]
    report_stats: Option<Answer>,
    /// Directory of the configuration
    #[arg(short, long, value_name = "DIRECTORY", default_value = "/etc/matrix-homeserver")]
    output: PathBuf,
    /// Directory of the database and the signing key, if it is not the usual one
    #[arg(long, value_name = "DIRECTORY")]
    data_directory: Option<PathBuf>,
    /// Where clients will reach the server, if it is not https:// and the server name
    #[arg(long, value_name = "URL")]
    public_baseurl: Option<String>,
    /// Where the server is to listen, if it is not port 8008 of the loopback interface
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Vec<String>,
}

pub(super) fn run(arguments: &Generate) -> Result<(), Failure> {
    let server_name = match &arguments.server_name {
        Some(name) => name.clone(),
        None => ask_for("--server-name", "Server name (after the colon of user ids): ")?,
    };
    let report_stats = match arguments.report_stats {
        Some(answer) => answer == Answer::Yes,
        None => loop {
            let question = "Report statistics about this server's use (yes or no)? ";
            match ask_for("--report-stats", question)?.as_str() {
                "yes" | "y" => break true,
                "no" | "n" => break false,
                _ => {}
            }
        },
    };
    let text = fill_in(arguments, &server_name, report_stats)?;
    write_all(&arguments.output, &text)?;
    let file = arguments.output.join(MAIN_FILE);
    print(format!("{} was written", file.display()))
}

fn ask_for(option: &str, question: &str) -> Result<String, Failure> {
    if ask::is_interactive() {
        return ask::ask(question);
    }
    Err(Failure::new(format!("{option} is missing, and there is no terminal to ask at")))
}

/// The sample with its answers.
fn fill_in(arguments: &Generate, server_name: &str, report_stats: bool) -> Result<String, Failure> {
    let mut text = SAMPLE.to_owned();
    set(&mut text, "server_name", &server_name.into());
    set(&mut text, "report_stats", &report_stats.into());
    set(&mut text, "registration.shared_secret_file", &SECRET_FILE.into());
    if let Some(url) = &arguments.public_baseurl {
        set(&mut text, "public_baseurl", &url.as_str().into());
    }
    if let Some(directory) = &arguments.data_directory {
        let directory = std::path::absolute(directory)
            .map_err(|error| Failure::new(format!("{}: {error}", directory.display())))?;
        let directory = directory
            .to_str()
            .ok_or_else(|| Failure::new(format!("{} is not UTF-8 text", directory.display())))?;
        set(&mut text, "state_directory", &directory.into());
    }
    if !arguments.bind.is_empty() {
        text = text.replace("\n#[[listeners]]\n", "\n[[listeners]]\n");
        set(&mut text, "listeners.bind", &arguments.bind.clone().into());
    }
    Ok(text)
}

/// Uncomments a key of the sample and gives it a value. Of the same name in another table it takes
/// no notice.
fn set(text: &mut String, path: &str, value: &toml::Value) {
    let (table, key) = path.rsplit_once('.').unwrap_or(("", path));
    let start = format!("#{key} = ");
    let mut here = "";
    let lines = text.lines().map(|line| {
        let bare = line.strip_prefix('#').unwrap_or(line);
        if bare.starts_with('[') {
            here = bare.trim_matches(['[', ']']);
        }
        let is_meant = here == table && line.starts_with(&start);
        if is_meant { format!("{key} = {value}") } else { line.to_owned() }
    });
    let mut filled: String = lines.collect::<Vec<_>>().join("\n");
    filled.push('\n');
    *text = filled;
}

/// Writes both files, or neither: what is wrong is found before anything is there.
fn write_all(directory: &Path, text: &str) -> Result<(), Failure> {
    let file = directory.join(MAIN_FILE);
    let secret_file = directory.join(SECRET_FILE);
    if file.exists() {
        return Err(Failure::new(format!("{} is there already", file.display())));
    }
    fs::create_dir_all(directory).map_err(|error| cannot("make", directory, &error))?;
    if !secret_file.exists() {
        let secret = random_string(&SystemRandom, SECRET_LENGTH);
        write_new(&secret_file, &format!("{secret}\n"), 0o600)?;
        share_with_service(&secret_file, directory)?;
    }
    check(directory, text)?;
    write_new(&file, text, 0o644)
}

/// Reads the text as it would be read from the directory, so that a wrong answer is said now.
fn check(directory: &Path, text: &str) -> Result<(), Failure> {
    let draft = directory.join(".homeserver.toml.new");
    let _ = fs::remove_file(&draft);
    write_new(&draft, text, 0o600)?;
    let loaded = config::load(&Source::File(draft.clone()), &Environment::of_process());
    let removed = fs::remove_file(&draft);
    let checked = loaded.and_then(|config| crate::settings::check(&config));
    checked.map_err(Failure::from).map_err(|failure| Failure {
        message: failure.message.replace(&*draft.to_string_lossy(), "generated"),
        ..failure
    })?;
    removed.map_err(|error| cannot("remove", &draft, &error))
}

/// The group of the service, if the directory is where it reads its configuration from: root owns
/// that, and the service is another user.
fn group_of_service(directory: &Path) -> Option<Gid> {
    let directory = fs::canonicalize(directory).ok()?;
    let name = directory.file_name()?.to_str()?;
    let is_ours = name == SERVICE || name.starts_with(&format!("{SERVICE}-"));
    if !is_ours || directory.parent() != Some(Path::new("/etc")) {
        return None;
    }
    Group::from_name(SERVICE).ok().flatten().map(|group| group.gid)
}

/// Lets the service read a secret that root has made for it.
fn share_with_service(path: &Path, directory: &Path) -> Result<(), Failure> {
    let Some(group) = group_of_service(directory) else { return Ok(()) };
    let shared = chown(path, None, Some(group.as_raw()))
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o640)));
    shared.map_err(|error| cannot("give to the service", path, &error))
}

/// Writes a file that must not be there yet; it gets the owner of its directory, so that what root
/// generates for the server can be read by the server.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        let directory = fs::metadata(path.parent().unwrap_or(Path::new("/")))?;
        if file.metadata()?.uid() != directory.uid() {
            fchown(&file, Some(directory.uid()), Some(directory.gid()))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| cannot("write", path, &error))
}

fn cannot(verb: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot {verb} {}: {error}", path.display()))
}
