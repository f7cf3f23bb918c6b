//! For tests here and in the daemon: every key of the sample with another value, so that no test of
//! what a change does can pass over a key.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{Config, Credentials, Environment, SAMPLE, Source, load, unit};

/// Two configurations that differ in one key.
#[derive(Clone, Debug)]
pub struct Change {
    /// The key with its tables.
    pub path: String,
    /// The configuration with the value that the sample shows.
    pub before: String,
    /// The same with another one.
    pub after: String,
}

/// The files of secrets that the configurations name, beside them.
pub const SECRET_FILES: [&str; 5] = [
    "database-password",
    "registration-shared-secret",
    "bcrypt-pepper",
    "turn-shared-secret",
    "another-secret",
];

/// The configuration of a text, read as the system's from an empty directory, with the files of
/// secrets beside it.
///
/// # Panics
/// If the directory cannot be written or the configuration is refused.
pub fn load_text(directory: &Path, text: &str) -> Config {
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        let written = fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    };
    write("homeserver.toml", text);
    for name in SECRET_FILES {
        write(name, name);
    }
    let environment = Environment {
        directories: vec![directory.to_owned()],
        credentials: Credentials::default(),
        state_directory: None,
        broker: None,
    };
    load(&Source::System, &environment).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Values whose neighbour cannot be found by rule.
const OTHERS: [(&str, &str); 24] = [
    ("server_name", "\"example.com\""),
    ("public_baseurl", "\"https://example.com/\""),
    ("state_directory", "\"/var/lib/another\""),
    ("signing_key_file", "\"/var/lib/another/signing.key\""),
    ("listeners.bind", "[\"127.0.0.1:8009\"]"),
    ("listeners.resources", "[\"health\"]"),
    ("listeners.tls.certificate", "\"/etc/another/fullchain.pem\""),
    ("listeners.tls.private_key", "\"/etc/another/privkey.pem\""),
    ("database.url", "\"sqlite:///var/lib/another.db\""),
    ("passwords.require", "[\"digit\"]"),
    ("sessions.access_token_lifetime", "\"1h\""),
    ("sessions.refresh_token_lifetime", "\"1h\""),
    ("rooms.default_version", "\"11\""),
    ("well_known.server", "\"matrix.example.com:443\""),
    ("support.admin_user", "\"@other:example.org\""),
    ("support.security_user", "\"@other:example.org\""),
    ("support.page", "\"https://example.com/\""),
    ("turn.uris", "[\"turn:turn.example.com\"]"),
    ("egress.ip_range_denylist", "[\"10.0.0.0/8\"]"),
    ("egress.ip_range_allowlist", "[\"10.1.0.0/16\"]"),
    ("log.level", "\"debug\""),
    ("log.format", "\"text\""),
    ("sandbox.landlock", "\"off\""),
    ("admin.socket", "\"/run/another.sock\""),
];

/// Each key of the sample once.
pub fn changes() -> Vec<Change> {
    let mut header = "";
    let mut changes = Vec::new();
    for line in SAMPLE.lines().filter(|line| !line.starts_with("##") && !line.is_empty()) {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            header = line;
        } else if let Some((key, value)) = line.split_once(" = ") {
            changes.push(change(header, key, value));
        }
    }
    changes
}

fn change(header: &str, key: &str, value: &str) -> Change {
    let table = header.trim_matches(['[', ']']);
    let path = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
    // An empty list of TURN servers is a whole section that is not there.
    let value = if path == "turn.uris" { "[\"turn:turn.example.org\"]" } else { value };
    let with = |value: &str| document(header, &path, key, value);
    let (before, after) = (with(value), with(&other(&path, value)));
    Change { path, before, after }
}

fn other(path: &str, value: &str) -> String {
    if let Some((_, other)) = OTHERS.iter().find(|(key, _)| *key == path) {
        return (*other).to_owned();
    }
    if path.ends_with("_file") {
        return "\"another-secret\"".to_owned();
    }
    if path.ends_with("_paths") {
        return "[\"/srv\"]".to_owned();
    }
    if let Some(rest) = value.strip_prefix("{ per_second = ") {
        return format!("{{ per_second = 1{rest}");
    }
    let text = value.trim_matches('"');
    if let Some(duration) = unit::parse_duration(text) {
        let more = duration + std::time::Duration::from_secs(1);
        return format!("\"{}\"", unit::show_duration(more));
    }
    if let Some(size) = unit::parse_size(text) {
        return format!("\"{}\"", unit::show_size(crate::Size { bytes: size.bytes * 2 }));
    }
    match value {
        "true" => "false".to_owned(),
        "false" => "true".to_owned(),
        _ if text.len() < value.len() => format!("\"another-{text}\""),
        _ => {
            let number: u64 = value.parse().unwrap_or_else(|_| panic!("no other value of {path}"));
            (number + 1).to_string()
        }
    }
}

/// A configuration that is whole with this key in it.
fn document(header: &str, path: &str, key: &str, value: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (required, usual) in [("server_name", "\"example.org\""), ("report_stats", "false")] {
        let value = if path == required { value } else { usual };
        lines.push(format!("{required} = {value}"));
    }
    let assignment = format!("{key} = {value}");
    if !lines.contains(&assignment) {
        lines.extend(beside(header, path).iter().map(|&line| line.to_owned()));
        lines.push(assignment);
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The table of a key, and what it cannot be without.
fn beside<'a>(header: &'a str, path: &str) -> Vec<&'a str> {
    match path {
        "listeners.tls.certificate" => vec!["[[listeners]]", header, "private_key = \"/k\""],
        "listeners.tls.private_key" => vec!["[[listeners]]", header, "certificate = \"/c\""],
        "database.password" | "database.password_file" => {
            vec![header, "url = \"postgresql:///d?host=/run/postgresql\""]
        }
        "registration.enabled" => vec![header, "require_token = true"],
        "turn.uris" => vec![header, "shared_secret = \"secret\""],
        "turn.shared_secret" | "turn.shared_secret_file" => vec![header, "uris = [\"turn:a\"]"],
        "turn.user_lifetime" => vec![header, "uris = [\"turn:a\"]", "shared_secret = \"secret\""],
        _ if header.is_empty() => Vec::new(),
        _ => vec![header],
    }
}
