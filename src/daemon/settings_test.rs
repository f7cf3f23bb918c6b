//! The configuration as each crate is handed it.

use std::{fs, os::unix::fs::PermissionsExt};

use config::{Credentials, Environment, Source};

use super::*;

fn configured(text: &str) -> Config {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("homeserver.toml");
    let required = "server_name = \"example.org\"\nreport_stats = false\n";
    fs::write(&file, format!("{required}{text}")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let environment = Environment {
        directories: Vec::new(),
        credentials: Credentials::default(),
        state_directory: None,
        broker: None,
    };
    config::load(&Source::File(file), &environment).unwrap()
}

#[test]
fn the_caches_share_the_budget() {
    for mib in [8_u64, 64, 1024] {
        let config = configured(&format!("[cache]\nmemory = \"{mib} MiB\"\n"));
        let store = store(&config.fixed);
        let user = user(&config.reloadable, &config.fixed.cache);
        let room = room(&config.reloadable, &config.fixed.cache);
        let connections = u64::try_from(store.readers).unwrap() + 1;
        let sum = u64::try_from(store.log_bytes).unwrap()
            + u64::from(store.page_cache_kib) * 1024 * connections
            + store.cached_numbers * NUMBER_BYTES
            + user.cache_bytes
            + room.rooms_bytes
            + room.events_bytes
            + room.states_bytes;
        let budget = mib * 1024 * 1024;
        assert!(sum <= budget && sum > budget / 100 * 98, "{sum} of {budget}");
    }
}

#[test]
fn a_password_of_the_database_is_put_into_the_url() {
    let url = |text: &str| {
        let database = format!("[database]\npassword = \"p&:ä/1\"\nurl = \"{text}\"\n");
        store(&configured(&database).fixed).url
    };
    let escaped = "password=p%26%3A%C3%A4%2F1";
    assert_eq!(url("postgresql://u@/d"), format!("postgresql://u@/d?{escaped}"));
    assert_eq!(url("postgresql:///d?user=u"), format!("postgresql:///d?user=u&{escaped}"));
    let none = configured("[database]\nurl = \"postgresql://u@/d\"\n");
    assert_eq!(store(&none.fixed).url, "postgresql://u@/d");
}

#[test]
fn the_database_is_told_who_comes() {
    let url = |text: &str| {
        let database = format!("[database]\nurl = \"{text}\"\n");
        store(&configured(&database).fixed).url
    };
    let user = percent_encode(user_name().unwrap());
    assert_eq!(url("postgresql:///d?host=/run"), format!("postgresql:///d?host=/run&user={user}"));
    assert_eq!(url("postgresql:///d"), format!("postgresql:///d?user={user}"));
    assert_eq!(url("sqlite:///d"), "sqlite:///d");
}

#[test]
fn the_defaults_are_those_of_the_crates() {
    let config = configured("");
    let defaults = http::Limits::default();
    assert_eq!(limits(&config.reloadable), defaults);
    let client = client(&config.reloadable);
    let defaults = client_api::Settings::default();
    assert_eq!(client.rate_limits, defaults.rate_limits);
    assert_eq!(client.body_timeout, defaults.body_timeout);
    assert_eq!(client.public_base_url.as_deref(), Some("https://example.org/"));
    assert_eq!(client.support, None);
    assert!(client.turn.is_none() && client.delegated_server.is_none());
    let room = room(&config.reloadable, &config.fixed.cache);
    let defaults = room::Settings::default();
    assert_eq!(format!("{room:?}"), format!("{defaults:?}"));
}

#[test]
fn lifetimes_without_end_are_none_and_zero_switches_off() {
    let user = |text: &str| {
        let config = configured(text);
        user(&config.reloadable, &config.fixed.cache).sessions
    };
    let defaults = user("");
    assert_eq!(defaults.plain_access_token_lifetime_ms, None);
    assert_eq!(defaults.refreshable_access_token_lifetime_ms, Some(300_000));
    assert_eq!(defaults.login_token_lifetime_ms, None);
    let set = user("[sessions]\naccess_token_lifetime = \"1h\"\nlogin_token_lifetime = \"2m\"\n");
    assert_eq!(set.plain_access_token_lifetime_ms, Some(3_600_000));
    assert_eq!(set.login_token_lifetime_ms, Some(120_000));
}

#[test]
fn support_and_turn_are_handed_on() {
    let config = configured(
        "[well_known]\nclient = false\nserver = \"m.example.org:443\"\n\
         [support]\nsecurity_email = \"s@example.org\"\npage = \"https://example.org/help\"\n\
         [turn]\nuris = [\"turn:t.example.org\"]\nshared_secret = \"s\"\n\
         [passwords]\nrequire = [\"digit\", \"symbol\"]\n",
    );
    let client = client(&config.reloadable);
    assert_eq!(client.public_base_url, None);
    assert_eq!(client.delegated_server.as_deref(), Some("m.example.org:443"));
    let support = client.support.unwrap();
    assert_eq!(support.contacts.len(), 1);
    assert_eq!(support.contacts[0].role, "m.role.security");
    assert_eq!(client.turn.unwrap().uris, ["turn:t.example.org"]);
    let passwords = user(&config.reloadable, &config.fixed.cache).passwords;
    assert!(passwords.require_digit && passwords.require_symbol);
    assert!(!passwords.require_lowercase && !passwords.require_uppercase);
}

#[test]
fn the_way_out_has_ranges_that_nobody_opens() {
    let dial = |text: &str| dial(&configured(text).reloadable.egress).unwrap();
    let permits = |settings: &http::DialSettings, address: &str| {
        settings.ranges.permits(address.parse().unwrap())
    };
    let default = dial("");
    for address in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "0.0.0.0", "::"] {
        assert!(!permits(&default, address), "{address}");
    }
    assert!(permits(&default, "1.1.1.1") && permits(&default, "2606:4700::1111"));
    assert_eq!(default.timeout.as_secs(), 10);
    let open = dial("[egress]\nip_range_denylist = []\nconnect_timeout = \"3s\"\n");
    assert!(permits(&open, "127.0.0.1") && permits(&open, "::1"));
    assert!(
        !permits(&open, "0.0.0.0") && !permits(&open, "::") && !permits(&open, "::ffff:0.0.0.0")
    );
    assert_eq!(open.timeout.as_secs(), 3);
    let wrong = configured("[egress]\nip_range_allowlist = [\"ten\"]\n");
    assert!(check(&wrong).unwrap_err().to_string().contains("`egress.ip_range_allowlist` cannot"));
    assert!(!permits(&checked_dial(&wrong.reloadable.egress), "1.1.1.1"));
}
