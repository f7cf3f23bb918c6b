//! Words that must not stand in the sources, and one line that must.
//!
//! The samples are put together from pieces where the rules would find them in this very file.

use crate::{Offence, Source, assert_lines, sample, sources::has_extension, sources::line_of};

/// Words in any text of ours that say "later".
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("HA", "CK")];

/// Hosts of package registries: where packages come from is the builder's choice.
const REGISTRY_HOSTS: [&str; 9] = [
    concat!("crates", ".io"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("yarnpkg", ".com"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("rubygems", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("docker", ".io"),
];

/// What channels without a bound are called.
const UNBOUNDED: [&str; 4] =
    ["unbounded", "unbounded_channel", "UnboundedSender", "UnboundedReceiver"];

pub(crate) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// All words (ASCII letters, digits, underscores) with their offsets.
pub(crate) fn words_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let starts = (0..bytes.len())
        .filter(move |&at| is_word_byte(bytes[at]) && (at == 0 || !is_word_byte(bytes[at - 1])));
    starts.map(move |start| {
        let length = bytes[start..].iter().take_while(|byte| is_word_byte(**byte)).count();
        (start, &text[start..start + length])
    })
}

/// What follows the word at `offset`, without the blanks between.
fn after<'a>(text: &'a str, offset: usize, word: &str) -> &'a str {
    text[offset + word.len()..].trim_start()
}

pub(crate) fn missing_opening(source: &Source) -> Vec<Offence> {
    if !source.is_rust() || source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![Offence::new(source, 1, "the file does not open with //! and what it owns")]
}

/// The attributes of the file, each with its offset.
fn attributes(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (offset, _) in code.match_indices('#') {
        let rest = code[offset + 1..].trim_start_matches('!');
        if !rest.starts_with('[') {
            continue;
        }
        let start = code.len() - rest.len();
        let mut depth = 0_usize;
        let end = rest.bytes().position(|byte| {
            match byte {
                b'[' => depth += 1,
                b']' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        found.push((start, &rest[..end.unwrap_or(rest.len())]));
    }
    found
}

fn attribute_words(source: &Source, word: &str, reason: &str) -> Vec<Offence> {
    if !source.is_rust() {
        return Vec::new();
    }
    let code = source.code();
    let mut offences = Vec::new();
    for (start, attribute) in attributes(&code) {
        for (offset, _) in words_of(attribute).filter(|(_, found)| *found == word) {
            offences.push(Offence::new(source, line_of(&code, start + offset), reason));
        }
    }
    offences
}

pub(crate) fn ignored_tests(source: &Source) -> Vec<Offence> {
    attribute_words(source, "ignore", "an ignored test tests nothing")
}

pub(crate) fn allow_attributes(source: &Source) -> Vec<Offence> {
    attribute_words(source, "allow", "use #[expect(lint, reason = \"…\")]")
}

pub(crate) fn unfinished(source: &Source) -> Vec<Offence> {
    if source.is_lock_file() {
        return Vec::new();
    }
    let words = words_of(&source.text).filter(|(_, word)| UNFINISHED.contains(word));
    let mut offences: Vec<Offence> = words
        .map(|(at, word)| Offence::new(source, line_of(&source.text, at), format!("{word} left")))
        .collect();
    if source.is_rust() {
        let code = source.code();
        let macros = words_of(&code).filter(|(at, word)| {
            matches!(*word, "todo" | "unimplemented") && after(&code, *at, word).starts_with('!')
        });
        offences.extend(macros.map(|(at, word)| {
            Offence::new(source, line_of(&code, at), format!("{word}! is no implementation"))
        }));
    }
    offences
}

pub(crate) fn unbounded_channels(source: &Source) -> Vec<Offence> {
    if !source.is_rust() {
        return Vec::new();
    }
    let code = source.code();
    let is_unbounded = |at: usize, word: &str| {
        let named = UNBOUNDED.contains(&word);
        // `oneshot::channel()` holds one value; any other channel without a size has no bound.
        let unsized_channel = word == "channel"
            && without_turbofish(after(&code, at, word)).replace(' ', "").starts_with("()")
            && !code[..at].ends_with("oneshot::")
            && !code[..at].trim_end().ends_with("fn");
        named || unsized_channel
    };
    words_of(&code)
        .filter(|(at, word)| is_unbounded(*at, word))
        .map(|(at, word)| {
            Offence::new(source, line_of(&code, at), format!("{word}: every channel has a bound"))
        })
        .collect()
}

/// What follows `::<…>`, if that is there.
fn without_turbofish(rest: &str) -> &str {
    let Some(inside) = rest.strip_prefix("::<") else { return rest };
    let mut depth = 1_usize;
    let end = inside.bytes().position(|byte| {
        match byte {
            b'<' => depth += 1,
            b'>' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    end.map_or("", |end| inside[end + 1..].trim_start())
}

pub(crate) fn sql_outside_store(source: &Source) -> Vec<Offence> {
    if !source.path.starts_with("src/") || source.path.starts_with("src/store/") {
        return Vec::new();
    }
    if has_extension(&source.path, "sql") {
        return vec![Offence::new(source, 0, "SQL stands only in src/store")];
    }
    if !source.is_rust() {
        return Vec::new();
    }
    let literals = source.literals();
    let words: Vec<(usize, &str)> = words_of(&literals).collect();
    let mut offences = Vec::new();
    for (index, (at, _)) in words.iter().enumerate() {
        let statement: Vec<&str> = words[index..].iter().take(40).map(|(_, word)| *word).collect();
        if is_statement(&statement) {
            let reason = "SQL stands only in src/store";
            offences.push(Offence::new(source, line_of(&literals, *at), reason));
        }
    }
    offences
}

/// Whether a statement of SQL begins with these words.
fn is_statement(words: &[&str]) -> bool {
    match words {
        ["SELECT", rest @ ..] => rest.contains(&"FROM"),
        ["UPDATE", _, "SET", ..]
        | ["DELETE", "FROM", ..]
        | ["INSERT" | "REPLACE", "INTO", ..]
        | ["INSERT", "OR", _, "INTO", ..]
        | ["CREATE" | "DROP" | "ALTER", "TABLE" | "INDEX" | "VIEW" | "TRIGGER", ..]
        | ["CREATE", "UNIQUE", "INDEX", ..]
        | ["PRAGMA", _, ..] => true,
        _ => false,
    }
}

pub(crate) fn registry_hosts(source: &Source) -> Vec<Offence> {
    if source.is_lock_file() {
        return Vec::new();
    }
    let lowered = source.text.to_ascii_lowercase();
    let mut offences = Vec::new();
    for host in REGISTRY_HOSTS {
        for (at, _) in lowered.match_indices(host) {
            let reason = format!("{host}: no host of a package registry");
            offences.push(Offence::new(source, line_of(&lowered, at), reason));
        }
    }
    offences
}

#[test]
fn a_missing_opening_is_found() {
    assert_lines(missing_opening, &sample("src/a.rs", "use b;\n"), &[1]);
    assert_lines(missing_opening, &sample("tests/a.rs", "// No.\n"), &[1]);
    assert_lines(missing_opening, &sample("src/a.rs", ""), &[1]);
    assert_lines(missing_opening, &sample("src/a.rs", "//! Owns a.\n"), &[]);
    assert_lines(missing_opening, &sample("src/a.sql", "-- b\n"), &[]);
}

#[test]
fn an_ignored_test_is_found() {
    let text = "#[test]\n#[ignore]\nfn a() {}\n#[ignore = \"slow\"]\nfn b() {}\n";
    assert_lines(ignored_tests, &sample("src/a.rs", text), &[2, 4]);
    let conditional = "#[cfg_attr(unix,\n  ignore)]\nfn a() {}";
    assert_lines(ignored_tests, &sample("src/a.rs", conditional), &[2]);
    let innocent = "// #[ignore]\nlet ignore = \"#[ignore]\"; a[ignore];";
    assert_lines(ignored_tests, &sample("src/a.rs", innocent), &[]);
}

#[test]
fn an_allow_attribute_is_found() {
    let text = "#![allow(dead_code)]\n#[cfg_attr(unix, allow(a))]\n#[allow\n(b)]\nfn c() {}\n";
    assert_lines(allow_attributes, &sample("src/a.rs", text), &[1, 2, 3]);
    let innocent = "#[expect(a, reason = \"we allow it\")]\nfn allow(b: u8) {} // #[allow(c)]";
    assert_lines(allow_attributes, &sample("src/a.rs", innocent), &[]);
}

#[test]
fn unfinished_work_is_found() {
    for word in UNFINISHED {
        let text = format!("//! A.\n// {word}: later\n");
        assert_lines(unfinished, &sample("src/a.rs", &text), &[2]);
        assert_lines(unfinished, &sample("debian/rules", &text), &[2]);
        assert_lines(unfinished, &sample("Cargo.lock", &text), &[]);
    }
    let text = "fn a() { todo!() }\nfn b() { unimplemented !(\"\") }\n";
    assert_lines(unfinished, &sample("src/a.rs", text), &[1, 2]);
    assert_lines(unfinished, &sample("src/a.rs", "let todo = \"todo!\"; // todo!"), &[]);
}

#[test]
fn an_unbounded_channel_is_found() {
    let text = "mpsc::unbounded_channel();\nlet a: UnboundedSender<u8>;\nmpsc::channel();\n\
                let (a, b) = channel::<Vec<u8>> ();\nflume::unbounded()";
    assert_lines(unbounded_channels, &sample("src/a.rs", text), &[1, 2, 3, 4, 5]);
    let innocent = "mpsc::channel(8); oneshot::channel(); // unbounded\nwatch::channel::<u8>(0);";
    assert_lines(unbounded_channels, &sample("src/a.rs", innocent), &[]);
}

#[test]
fn sql_is_found() {
    let text = "const A: &str = \"SELECT a\n FROM b\";\nexecute(\"UPDATE a SET b = 1\");\n\
                f(r#\"DELETE FROM a\"#);\ng(\"INSERT INTO a VALUES (1)\");\n\
                h(\"PRAGMA synchronous\");\ni(\"CREATE TABLE a (b BIGINT)\")";
    assert_lines(sql_outside_store, &sample("src/daemon/a.rs", text), &[1, 3, 4, 5, 6, 7]);
    assert_lines(sql_outside_store, &sample("src/store/a.rs", text), &[]);
    assert_lines(sql_outside_store, &sample("src/room/a.sql", "SELECT 1"), &[0]);
    let innocent = "// SELECT a FROM b\nf(\"please SELECT one, or UPDATE it\"); // DELETE FROM a";
    assert_lines(sql_outside_store, &sample("src/room/a.rs", innocent), &[]);
}

#[test]
fn a_registry_host_is_found() {
    for host in REGISTRY_HOSTS {
        let text = format!("a\nurl = \"https://static.{}/b\"\n", host.to_uppercase());
        assert_lines(registry_hosts, &sample("flake.nix", &text), &[2]);
        assert_lines(registry_hosts, &sample("flake.lock", &text), &[]);
        assert_lines(registry_hosts, &sample("web/package-lock.json", &text), &[]);
    }
}
