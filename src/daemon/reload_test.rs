//! What a reload does to the settings of all crates, key by key of the sample, against what it
//! says.

use config::testing::changes;

use super::*;

/// Keys that nothing goes by: one is judged with others, the other is an answer for later.
const WITHOUT_EFFECT: [&str; 2] = ["registration.without_verification", "report_stats"];

fn load(text: &str) -> Config {
    let directory = tempfile::tempdir().unwrap();
    config::testing::load_text(directory.path(), text)
}

/// All that the running server goes by.
fn fingerprint(handles: &Handles, config: &Config) -> String {
    // No setting tells how names are resolved.
    let Handles { user, room, client, dial, resolver: _ } = handles;
    let (user, client) = (user.load(), client.load());
    // What is not shown to anybody is compared as well.
    let secrets = (
        user.registration.shared_secret.clone(),
        user.passwords.bcrypt_pepper.clone(),
        client.turn.as_ref().map(|turn| turn.shared_secret.clone()),
    );
    let listeners = config.listeners.list.iter().map(|listener| {
        let files = listen::tls_files(listener);
        (format!("{:?}", listen::listening(listener)), files)
    });
    let limits = settings::limits(&config.reloadable);
    let stop_timeout = config.reloadable.limits.stop_timeout;
    let level = crate::logging::parse_level(&config.reloadable.log_level);
    let rest = (limits, stop_timeout, level, listeners.collect::<Vec<_>>());
    format!("{user:?} {:?} {client:?} {:?} {secrets:?} {rest:?}", room.load(), dial.load())
}

#[test]
fn every_key_is_in_force_after_a_reload_or_waits_for_a_restart() {
    let all = changes();
    assert!(all.len() > 60, "{}", all.len());
    for change in all {
        let (before, after) = (load(&change.before), load(&change.after));
        let handles = Handles::new(&before, Arc::new(http::SystemResolver));
        let old = fingerprint(&handles, &before);
        handles.apply(&after.reloadable, &before.fixed);
        let changed = fingerprint(&handles, &after) != old;
        let places = match_listeners(&before.listeners.list, &after.listeners.list);
        let (in_force, told) = compare(before.entries(), after.entries(), &places);
        let path = &change.path;
        let about = |changes: &[Change]| {
            let below = format!("{path}.");
            changes.iter().any(|told| told.path == *path || told.path.starts_with(&below))
        };
        let (applied, waiting) = (about(&told.applied), about(&told.waiting));
        assert!(applied != waiting, "{path}: {told:?}");
        if applied && !WITHOUT_EFFECT.contains(&path.as_str()) {
            assert!(changed, "{path} is said to be in force, but nothing changed");
        }
        // A second reload finds nothing new in force, but what waits is told again.
        let (_, again) = compare(&in_force, after.entries(), &places);
        assert!(again.applied.is_empty() && again.waiting.len() == told.waiting.len(), "{path}");
        // Back to where it was, nothing waits any more.
        let (_, back) = compare(&in_force, before.entries(), &places);
        assert!(!waiting || back.waiting.is_empty(), "{path}: {back:?}");
    }
}

#[test]
fn a_place_that_is_another_takes_a_restart_with_all_it_has() {
    let listener = |bind: &str, resource: &str| {
        load(&format!(
            "server_name = \"a.example\"\nreport_stats = false\n\
             [[listeners]]\nbind = [\"{bind}\"]\nresources = [\"{resource}\"]\n"
        ))
    };
    let before = listener("127.0.0.1:1", "client");
    let after = listener("127.0.0.1:2", "health");
    let places = |after: &Config| match_listeners(&before.listeners.list, &after.listeners.list);
    let (_, told) = compare(before.entries(), after.entries(), &places(&after));
    let waiting: Vec<_> = told.waiting.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(waiting, ["listeners.bind", "listeners.resources"]);
    assert!(told.applied.is_empty());
    let after = listener("127.0.0.1:1", "health");
    let (_, told) = compare(before.entries(), after.entries(), &places(&after));
    assert_eq!(told.applied[0].path, "listeners.resources");
    assert!(told.waiting.is_empty());
}

#[test]
fn a_listener_is_the_same_wherever_it_stands() {
    let base = "server_name = \"a.example\"\nreport_stats = false\n";
    let listener = |port: u16, resource: &str| {
        format!("[[listeners]]\nbind = [\"127.0.0.1:{port}\"]\nresources = [\"{resource}\"]\n")
    };
    let (one, two) = (listener(1, "client"), listener(2, "federation"));
    let before = load(&format!("{base}{one}{two}"));
    let compare_with = |in_force: &[Entry], text: &str| {
        let after = load(&format!("{base}{text}"));
        let places = match_listeners(&before.listeners.list, &after.listeners.list);
        compare(in_force, after.entries(), &places)
    };
    let told = |changes: &[Change]| -> Vec<String> {
        changes.iter().map(|change| change.text.clone()).collect()
    };
    // In another order nothing has changed.
    let (_, changes) = compare_with(before.entries(), &format!("{two}{one}"));
    assert_eq!(changes.applied.len() + changes.waiting.len(), 0, "{changes:?}");
    // Another one before them waits; what follows it does not.
    let (new, other) = (listener(3, "health"), listener(1, "admin"));
    let (in_force, changes) = compare_with(before.entries(), &format!("{new}{two}{other}"));
    assert_eq!(told(&changes.applied), ["listeners.resources = [\"admin\"]"]);
    let waiting = [
        "listeners.bind = [\"127.0.0.1:3\"]",
        "listeners.resources = [\"health\"]",
        "listeners.x_forwarded = false",
    ];
    assert_eq!(told(&changes.waiting), waiting);
    let (in_force, changes) = compare_with(&in_force, &format!("{new}{two}{other}"));
    assert_eq!(
        (changes.applied.len(), told(&changes.waiting)),
        (0, waiting.map(str::to_owned).into())
    );
    // One that goes runs on with all that it has.
    let (in_force, changes) = compare_with(&in_force, &two);
    assert_eq!(told(&changes.waiting)[0], "listeners.bind = gone");
    assert_eq!((changes.applied.len(), changes.waiting.len()), (0, 3));
    let (_, changes) = compare_with(&in_force, &format!("{one}{two}"));
    assert_eq!(told(&changes.applied), ["listeners.resources = [\"client\"]"]);
    assert!(changes.waiting.is_empty(), "{changes:?}");
}

#[test]
fn a_secret_is_told_by_its_name_alone() {
    let secret = |text: &str| {
        load(&format!(
            "server_name = \"a.example\"\nreport_stats = false\n\
             [registration]\nshared_secret = \"{text}\"\n"
        ))
    };
    let (before, after) = (secret("hidden-one"), secret("hidden-two"));
    let (_, told) = compare(before.entries(), after.entries(), &[]);
    assert_eq!(told.applied[0].text, "registration.shared_secret: a new secret");
    assert!(!format!("{told:?}").contains("hidden"));
}
