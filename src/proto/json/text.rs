//! Strings of JSON, kept as their canonical text so that most of them are never copied.

use std::{borrow::Cow, cmp::Ordering, fmt::Write as _};

use super::{Form, JsonError};

/// A string: the text between its quotes, escaped canonically.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    escaped: Cow<'a, str>,
    has_escapes: bool,
}

impl<'a> Text<'a> {
    /// Text that is escaped canonically already.
    pub(super) fn canonical(escaped: &'a str, has_escapes: bool) -> Self {
        Text { escaped: Cow::Borrowed(escaped), has_escapes }
    }

    /// Text as it may stand in a JSON text, valid as far as the positions of its backslashes go;
    /// `at` is where it stands.
    pub(super) fn normalise(raw: &str, form: Form, at: usize) -> Result<Self, JsonError> {
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(start) = rest.find('\\') {
            out.push_str(&rest[..start]);
            let position = at + (raw.len() - rest.len()) + start;
            let used = normalise_escape(&rest[start..], form, &mut out)
                .map_err(|problem| problem.at(position))?;
            rest = &rest[start + used..];
        }
        out.push_str(rest);
        let has_escapes = out.contains('\\');
        Ok(Text { escaped: Cow::Owned(out), has_escapes })
    }

    /// A string's canonical form.
    pub fn of(text: &str) -> Text<'static> {
        let mut out = String::with_capacity(text.len());
        escape(text, &mut out);
        let has_escapes = out.contains('\\');
        Text { escaped: Cow::Owned(out), has_escapes }
    }

    /// The string itself; a lone surrogate is replaced by U+FFFD.
    pub fn value(&self) -> Cow<'_, str> {
        if !self.has_escapes {
            return Cow::Borrowed(&self.escaped);
        }
        let mut out = String::with_capacity(self.escaped.len());
        for piece in Pieces(&self.escaped) {
            match piece {
                Piece::Plain(text) => out.push_str(text),
                Piece::Character(character) => out.push(character),
                Piece::Surrogate(_) => out.push(char::REPLACEMENT_CHARACTER),
            }
        }
        Cow::Owned(out)
    }

    /// Whether it is this string.
    pub fn is(&self, text: &str) -> bool {
        if self.has_escapes {
            !self.has_surrogate() && self.value() == text
        } else {
            self.escaped == text
        }
    }

    /// Whether it holds half of a surrogate pair, which only the lenient form has.
    pub fn has_surrogate(&self) -> bool {
        self.has_escapes && Pieces(&self.escaped).any(|piece| matches!(piece, Piece::Surrogate(_)))
    }

    pub(super) fn write(&self, out: &mut String) {
        out.push('"');
        out.push_str(&self.escaped);
        out.push('"');
    }

    pub(super) fn write_tame(&self, out: &mut String) {
        if self.has_surrogate() {
            write_string(&self.value(), out);
        } else {
            self.write(out);
        }
    }

    /// The order of canonical JSON: by code point, which is the order of UTF-8's bytes, and of
    /// generalised UTF-8's.
    pub(super) fn order(&self, other: &Text<'_>) -> Ordering {
        if self.has_escapes || other.has_escapes {
            self.bytes().cmp(&other.bytes())
        } else {
            self.escaped.cmp(&other.escaped)
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.escaped.len());
        for piece in Pieces(&self.escaped) {
            match piece {
                Piece::Plain(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Character(character) => {
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Piece::Surrogate(unit) => out.extend_from_slice(&generalised_utf8(unit)),
            }
        }
        out
    }
}

/// A string's canonical text, with its quotes.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    escape(text, out);
    out.push('"');
}

fn escape(text: &str, out: &mut String) {
    let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let mut rest = text;
    while let Some(at) = rest.bytes().position(needs_escape) {
        out.push_str(&rest[..at]);
        escape_character(char::from(rest.as_bytes()[at]), out);
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

fn escape_character(character: char, out: &mut String) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        '\0'..='\u{1f}' => escape_unit(u32::from(character), out),
        _ => out.push(character),
    }
}

fn escape_unit(unit: u32, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\\u{unit:04x}");
}

enum Problem {
    Syntax,
    Surrogate,
}

impl Problem {
    fn at(&self, position: usize) -> JsonError {
        match self {
            Problem::Syntax => JsonError::Syntax(position),
            Problem::Surrogate => JsonError::Surrogate(position),
        }
    }
}

/// Brings the escape at the start of `text` into canonical form; gives how long it was.
fn normalise_escape(text: &str, form: Form, out: &mut String) -> Result<usize, Problem> {
    let simple = match text.as_bytes().get(1) {
        Some(b'u') => None,
        Some(b'"') => Some('"'),
        Some(b'\\') => Some('\\'),
        Some(b'/') => Some('/'),
        Some(b'b') => Some('\u{8}'),
        Some(b't') => Some('\t'),
        Some(b'n') => Some('\n'),
        Some(b'f') => Some('\u{c}'),
        Some(b'r') => Some('\r'),
        _ => return Err(Problem::Syntax),
    };
    if let Some(character) = simple {
        escape_character(character, out);
        return Ok(2);
    }
    let first = code_unit(text).ok_or(Problem::Syntax)?;
    let second = if is_high(first) { code_unit(&text[6..]) } else { None };
    if let Some(low) = second.filter(|unit| is_low(*unit)) {
        let character = char::decode_utf16([first, low]).next().and_then(Result::ok);
        escape_character(character.ok_or(Problem::Syntax)?, out);
        return Ok(12);
    }
    match (char::from_u32(u32::from(first)), form) {
        (Some(character), _) => escape_character(character, out),
        (None, Form::Lenient) => escape_unit(u32::from(first), out),
        (None, Form::Strict) => return Err(Problem::Surrogate),
    }
    Ok(6)
}

/// The code unit of the `\uXXXX` at the start of `text`.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    // `from_str_radix` would take a sign, too.
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(())?;
    u16::from_str_radix(digits, 16).ok()
}

fn is_high(unit: u16) -> bool {
    (0xd800..0xdc00).contains(&unit)
}

fn is_low(unit: u16) -> bool {
    (0xdc00..0xe000).contains(&unit)
}

/// The three bytes that UTF-8's scheme gives for a surrogate.
fn generalised_utf8(unit: u16) -> [u8; 3] {
    let [high, low] = unit.to_be_bytes();
    [0xe0 | (high >> 4), 0x80 | ((high & 0x0f) << 2) | (low >> 6), 0x80 | (low & 0x3f)]
}

/// A piece of canonically escaped text.
enum Piece<'a> {
    Plain(&'a str),
    Character(char),
    Surrogate(u16),
}

/// The pieces of canonically escaped text.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let plain = self.0.find('\\').unwrap_or(self.0.len());
        if plain > 0 {
            let (text, rest) = self.0.split_at(plain);
            self.0 = rest;
            return Some(Piece::Plain(text));
        }
        let (piece, used) = match code_unit(self.0) {
            Some(unit) => (
                char::from_u32(u32::from(unit)).map_or(Piece::Surrogate(unit), Piece::Character),
                6,
            ),
            None => (Piece::Character(short_escape(self.0.as_bytes()[1])), 2),
        };
        self.0 = &self.0[used..];
        Some(piece)
    }
}

fn short_escape(letter: u8) -> char {
    match letter {
        b'b' => '\u{8}',
        b't' => '\t',
        b'n' => '\n',
        b'f' => '\u{c}',
        b'r' => '\r',
        other => char::from(other),
    }
}

/// The bytes of a canonical text over which hashes and signatures go: the text itself, except that
/// a lone surrogate, which only the lenient form has, stands as the three bytes of generalised
/// UTF-8. So did the servers hash that made such events: they were written in Python 2, whose UTF-8
/// encoder did that.
pub fn bytes_to_hash(canonical: &str, form: Form) -> Cow<'_, [u8]> {
    if form == Form::Strict || !canonical.contains("\\ud") {
        return Cow::Borrowed(canonical.as_bytes());
    }
    let mut out = Vec::with_capacity(canonical.len());
    let mut rest = canonical;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at..];
        let unit = code_unit(escape);
        if let Some(unit) = unit.filter(|unit| is_high(*unit) || is_low(*unit)) {
            out.extend_from_slice(&generalised_utf8(unit));
        } else {
            let length = if unit.is_some() { 6 } else { 2 };
            out.extend_from_slice(&escape.as_bytes()[..length]);
        }
        rest = &escape[if unit.is_some() { 6 } else { 2 }..];
    }
    out.extend_from_slice(rest.as_bytes());
    Cow::Owned(out)
}
