//! Rules between keys, and the sample configuration and the manual against the keys that are read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::{
    Config, Credentials, Environment, Problems, SAMPLE, Source, load, section::listener::Resource,
};

/// Loads the two required keys and `text`.
fn load_text(text: &str) -> Result<Config, Problems> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("homeserver.toml");
    let base = if text.contains("server_name") { "" } else { REQUIRED };
    fs::write(&file, format!("{base}{text}")).unwrap();
    for name in
        ["database-password", "registration-shared-secret", "bcrypt-pepper", "turn-shared-secret"]
    {
        fs::write(directory.path().join(name), "secret").unwrap();
    }
    for entry in fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    // The system's layers, whose defaults the sample and the manual tell.
    let environment = Environment {
        directories: vec![directory.path().to_owned()],
        credentials: Credentials::default(),
        state_directory: None,
        broker: None,
    };
    load(&Source::System, &environment)
}

const REQUIRED: &str = "server_name = \"example.org\"\nreport_stats = false\n";

/// The reasons without their places.
fn reasons(text: &str) -> Vec<String> {
    let Err(problems) = load_text(text) else { return Vec::new() };
    problems.0.into_iter().map(|problem| problem.reason).collect()
}

fn value_of(config: &Config, path: &str) -> Option<String> {
    let entry = config.entries().iter().find(|entry| entry.path() == path);
    entry.unwrap_or_else(|| panic!("no key {path}")).value.clone()
}

#[test]
fn open_registration_takes_a_second_key() {
    let enabled = "[registration]\nenabled = true\n";
    assert_eq!(reasons(enabled).len(), 1);
    assert!(reasons(enabled)[0].contains("would let anybody register"));
    assert!(reasons(&format!("{enabled}require_token = true\n")).is_empty());
    assert!(reasons(&format!("{enabled}without_verification = true\n")).is_empty());
}

#[test]
fn listeners_have_defaults_and_bounds() {
    let config = load_text("").unwrap();
    assert!(config.listeners.is_default);
    assert_eq!(config.listeners.list[0].bind.len(), 2);
    let config = load_text("[[listeners]]\nresources = [\"health\"]\n").unwrap();
    assert!(!config.listeners.is_default);
    assert_eq!(config.listeners.list[0].resources, [Resource::Health]);
    assert_eq!(reasons("listeners = []\n"), ["`listeners` must name at least one listener"]);
    assert_eq!(
        reasons("[[listeners]]\nbind = []\nresources = []\n"),
        [
            "`listeners.bind` must name at least one address",
            "`listeners.resources` must name at least one resource",
        ]
    );
    assert_eq!(
        reasons("[[listeners]]\ntls = { certificate = \"/c\" }\n"),
        ["`listeners.tls.private_key` is missing; name the PEM file of the private key"]
    );
    assert_eq!(reasons("listeners = [1]\n"), ["`listeners` expects tables, not an integer"]);
}

#[test]
fn the_database_has_one_password() {
    let with_file = |url: &str| {
        reasons(&format!("[database]\nurl = \"{url}\"\npassword_file = \"database-password\"\n"))
    };
    assert!(with_file("postgresql:///d?host=/run").is_empty());
    assert_eq!(with_file("sqlite:///x.db").len(), 1);
    assert_eq!(with_file("postgresql://u:p@h/d").len(), 1);
    assert_eq!(with_file("postgresql:///d?user=u&password=p").len(), 1);
    assert_eq!(reasons("[database]\nurl = \"sqlite://x.db\"\n").len(), 1);
    let told = reasons("[database]\nurl = \"sqlite:///x.db?mode=ro\"\n");
    assert!(told[0].ends_with("takes no parameters"), "{told:?}");
    let told = reasons("[database]\nreaders = 99999999999999999999\n");
    assert_eq!(told, ["`database.readers` is too large"]);
    let config = load_text("[database]\nurl = \"postgresql:///d?password=p&user=u\"\n").unwrap();
    let database = &config.fixed.database;
    assert_eq!(database.url.masked(), "postgresql:///d?password=***&user=u");
    assert_eq!(format!("{:?}", database.url), "postgresql:///d?password=***&user=u");
    assert!(database.url.expose().contains("password=p"));
}

/// The driver reads a password up to the first @, wherever that stands.
#[test]
fn no_part_of_a_password_is_taken_for_something_else() {
    for url in [
        "postgresql://u:s3/cret@h/d",
        "postgresql://u:s3?cret@h/d",
        "postgres://u:s3@cret@h/d",
        "postgresql:///d?host=/run&pass%77ord=s3cret",
        "postgresql://u:s3@h/d?password=cret",
        "postgresql:///d?password=s3&password=cret",
    ] {
        let reasons = reasons(&format!("[database]\nurl = \"{url}\"\n"));
        assert_eq!(reasons.len(), 1, "{url}: {reasons:?}");
        let told = &reasons[0];
        assert!(told.starts_with("`database.url` ") && !told.contains("cret"), "{told}");
    }
    for url in ["postgresql://u:s%2F3@h/d", "postgresql://u@h/d?password=%40", "postgresql:///d"] {
        assert!(reasons(&format!("[database]\nurl = \"{url}\"\n")).is_empty(), "{url}");
    }
}

#[test]
fn the_url_says_as_whom_and_with_what() {
    let url = |url: &str| {
        let config = load_text(&format!("[database]\nurl = \"{url}\"\n")).unwrap();
        config.fixed.database.url
    };
    for text in ["postgresql://me@h/d", "postgresql:///d?host=/run&user=me"] {
        assert!(url(text).names_user(), "{text}");
    }
    for text in ["postgresql:///d?host=/run%40x&users=me", "postgresql://h/d"] {
        assert!(!url(text).names_user(), "{text}");
    }
    let with_file = url("postgresql://h/d?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem");
    assert_eq!(with_file.parameter("sslrootcert").as_deref(), Some("/etc/ca.pem"));
    assert_eq!(with_file.parameter("sslcert"), None);
    assert_eq!(url("postgresql://h/d?sslrootcert=%2").parameter("sslrootcert"), None);
    assert_eq!(with_file.file(), None);
    assert_eq!(url("sqlite:///x/y.db").file(), Some(Path::new("/x/y.db")));
}

#[test]
fn a_turn_server_needs_a_secret() {
    assert_eq!(load_text("").unwrap().reloadable.turn, None);
    let uris = "[turn]\nuris = [\"turn:t.example\"]\n";
    assert_eq!(reasons(uris), ["`turn.uris` needs `turn.shared_secret_file` beside it"]);
    let config = load_text(&format!("{uris}shared_secret = \"s\"\n")).unwrap();
    assert_eq!(config.reloadable.turn.unwrap().uris, ["turn:t.example"]);
    let other = "[turn]\nuris = [\"https://t.example\"]\nshared_secret = \"s\"\n";
    assert!(reasons(other)[0].contains("expects turn:"));
}

#[test]
fn contacts_are_checked() {
    let support = "[support]\nadmin_email = \"nobody\"\nadmin_user = \"admin\"\n";
    assert_eq!(
        reasons(support),
        [
            "`support.admin_email` expects a mail address",
            "`support.admin_user` \"admin\" is no user id",
        ]
    );
    let page = |url: &str| format!("[support]\npage = \"{url}\"\n");
    for url in ["https://h.example/help/", "http://h/?topic=matrix#users"] {
        let config = load_text(&page(url)).unwrap();
        assert_eq!(config.reloadable.support.page.as_deref(), Some(url));
    }
    for url in ["help", "ftp://h/", "https:///x", "https://h/a b"] {
        assert_eq!(reasons(&page(url)).len(), 1, "{url}");
    }
}

#[test]
fn whatever_a_key_or_a_value_holds_its_line_is_one() {
    let problems = load_text("\"a\\nb\" = 1\n").unwrap_err().to_string();
    assert!(problems.ends_with(": unknown key `a\\nb`"), "{problems}");
    let value = "turn:\\\"a\\n\\u007f\\\\b";
    let turn = format!("[turn]\nuris = [\"{value}\"]\nshared_secret = \"s\"\n");
    let shown = value_of(&load_text(&turn).unwrap(), "turn.uris").unwrap();
    assert!(!shown.contains(char::is_control), "{shown}");
    assert_eq!(parse_value(&shown), parse_value(&format!("[\"{value}\"]")));
}

#[test]
fn lifetimes_may_be_endless() {
    let config = load_text("[sessions]\naccess_token_lifetime = \"1h\"\n").unwrap();
    let sessions = &config.reloadable.sessions;
    assert_eq!(sessions.access_token_lifetime.0.unwrap().as_secs(), 3600);
    assert_eq!(sessions.refresh_token_lifetime.0, None);
    assert_eq!(value_of(&config, "sessions.refresh_token_lifetime").unwrap(), "\"never\"");
    assert!(reasons("[sessions]\nrefresh_token_lifetime = \"ever\"\n")[0].contains("\"never\""));
}

#[test]
fn the_base_url_is_written_with_and_without_slash() {
    for url in ["https://m.example/", "https://m.example", "http://[::1]:8008/", "http://h/base/"] {
        let config = load_text(&format!("public_baseurl = \"{url}\"\n")).unwrap();
        let expected = url.trim_end_matches('/');
        assert_eq!(config.reloadable.presentation.public_baseurl.as_str(), expected);
    }
    for url in ["https://", "https:///x", "ftp://h", "https://h/?x", "https://h/ x", "https://u@h/"]
    {
        assert_eq!(reasons(&format!("public_baseurl = \"{url}\"\n")).len(), 1, "{url}");
    }
}

/// The assignments of the sample: table header and line.
fn sample_lines() -> Vec<(String, String)> {
    let mut header = String::new();
    let mut lines = Vec::new();
    for line in SAMPLE.lines().filter(|line| !line.starts_with("##") && !line.is_empty()) {
        let line = line.strip_prefix('#').unwrap_or(line);
        assert!(!line.starts_with(' '), "neither prose (##) nor a key (#): {line}");
        if line.starts_with('[') {
            line.clone_into(&mut header);
        } else {
            lines.push((header.clone(), line.to_owned()));
        }
    }
    lines
}

fn path_of(header: &str, line: &str) -> String {
    let table = header.trim_matches(['[', ']']);
    let key = line.split_once(" = ").expect("an assignment").0;
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

#[test]
fn the_sample_as_it_is_lacks_only_what_must_be_answered() {
    assert_eq!(reasons(&SAMPLE.replace("#server_name", "server_name")).len(), 1);
    assert!(reasons(SAMPLE).iter().all(|reason| reason.contains("is missing")));
}

#[test]
fn the_sample_has_every_key_and_no_other() {
    let config = load_text("").unwrap();
    let sample: BTreeSet<String> =
        sample_lines().iter().map(|(header, line)| path_of(header, line)).collect();
    let rates = |path: &str| {
        // A rate is one line of the sample.
        let parent = path.strip_suffix(".per_second").or(path.strip_suffix(".burst"));
        parent.unwrap_or(path).to_owned()
    };
    let keys: BTreeSet<String> =
        config.entries().iter().map(|entry| rates(&entry.path())).collect();
    assert_eq!(sample, keys);
}

#[test]
fn the_sample_shows_the_defaults() {
    let default = load_text("").unwrap();
    for (header, line) in sample_lines() {
        let path = path_of(&header, &line);
        if header.starts_with("[listeners.tls") {
            continue;
        }
        let text = if ["server_name", "report_stats"].contains(&path.as_str()) {
            REQUIRED.to_owned()
        } else if header == "[database]" && line.starts_with("password") {
            format!("{header}\nurl = \"postgresql:///d\"\n{line}\n")
        } else {
            format!("{header}\n{line}\n")
        };
        let set = load_text(&text).unwrap_or_else(|error| panic!("{line}: {error}"));
        let children = |config: &Config| -> Vec<_> {
            let below = format!("{path}.");
            let entries = config.entries().iter();
            let same =
                entries.filter(|entry| entry.path() == path || entry.path().starts_with(&below));
            same.map(|entry| entry.value.clone()).collect()
        };
        let (set, default) = (children(&set), children(&default));
        assert!(!set.is_empty() && set.iter().all(Option::is_some), "{path}");
        assert!(set == default || default == [None], "{path}: {set:?}, by default {default:?}");
    }
}

#[test]
fn the_sample_with_all_its_keys_is_one_configuration() {
    // Of a secret and its file only one may stand.
    let inline_secret = |line: &str| {
        ["password = ", "shared_secret = ", "bcrypt_pepper = "]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let mut text = String::new();
    for line in SAMPLE.lines().filter(|line| !line.starts_with("##")) {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with("url = ") {
            text += "url = \"postgresql:///d\"\n";
        } else if !inline_secret(line) {
            text += line;
            text += "\n";
        }
    }
    let config = load_text(&text).unwrap_or_else(|error| panic!("{error}"));
    let unset: Vec<_> = config
        .entries()
        .iter()
        .filter(|entry| entry.value.is_none())
        .map(crate::Entry::path)
        .collect();
    assert_eq!(
        unset,
        [
            "database.password",
            "registration.shared_secret",
            "passwords.bcrypt_pepper",
            "turn.shared_secret"
        ]
    );
}

#[test]
fn the_manual_describes_every_key_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manual = fs::read_to_string(root.join("man/matrix-homeserver.toml.5")).unwrap();
    let mut table = String::new();
    let mut described = BTreeSet::new();
    let mut lines = manual.lines();
    while let Some(line) = lines.next() {
        if let Some(header) = line.strip_prefix(".SS ") {
            let header = header.replace("\\&", "").replace('"', "");
            table = header.trim_matches(['[', ']']).to_owned();
            if table.contains(' ') {
                table.clear();
            }
        }
        // Keys are the tags of the section's list; one paragraph may describe several.
        if line == ".TP" || line == ".TQ" {
            let tag = lines.next().unwrap_or_default();
            if let Some(key) = tag.strip_prefix(".B ") {
                described.insert(path_of(&table, &format!("{key} = ")));
            }
        }
    }
    let keys: BTreeSet<String> =
        sample_lines().iter().map(|(header, line)| path_of(header, line)).collect();
    assert_eq!(described, keys);
}

/// The values of the manual by their keys: what stands behind "Default:" or "As in:", one for each
/// key of the paragraph, or one for all.
fn told_values(manual: &str) -> BTreeMap<String, toml::Value> {
    let (mut table, mut keys, mut told) = (String::new(), Vec::new(), BTreeMap::new());
    let mut lines = manual.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(header) = line.strip_prefix(".SS ") {
            table = header.replace("\\&", "").replace('"', "").trim_matches(['[', ']']).to_owned();
            if table.contains(' ') {
                table.clear();
            }
        } else if line == ".TP" {
            keys.clear();
        } else if let Some(key) = line.strip_prefix(".B ").filter(|key| !key.contains([' ', '\\']))
        {
            keys.push(path_of(&table, &format!("{key} = ")));
        }
        let Some(first) = line.strip_prefix("Default: ").or_else(|| line.strip_prefix("As in: "))
        else {
            continue;
        };
        let mut text = first.to_owned();
        while let Some(more) = lines.next_if(|line| *line != ".br") {
            text = format!("{text} {more}");
        }
        let values: Vec<toml::Value> = text
            .split("\\fB")
            .filter_map(|part| part.split_once("\\fR"))
            .map(|(value, _)| parse_value(&value.replace("\\-", "-")))
            .collect();
        assert!([1, keys.len()].contains(&values.len()), "{keys:?}: {values:?}");
        let each = values.iter().cycle().cloned();
        told.extend(keys.drain(..).zip(each));
    }
    told
}

fn parse_value(text: &str) -> toml::Value {
    let table: toml::Table = format!("value = {text}").parse().unwrap();
    table["value"].clone()
}

#[test]
fn the_manual_tells_the_values_of_the_sample() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manual = fs::read_to_string(root.join("man/matrix-homeserver.toml.5")).unwrap();
    let sample: BTreeMap<String, toml::Value> = sample_lines()
        .iter()
        .map(|(header, line)| {
            let (_, value) = line.split_once(" = ").unwrap();
            (path_of(header, line), parse_value(value))
        })
        .collect();
    assert_eq!(told_values(&manual), sample);
}
