//! Tells code, comments and literals of a Rust file apart, byte by byte.
//!
//! No more of the language than that: enough not to take a word in a string or a comment for code.

/// What a byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Code,
    Comment,
    /// The inside of a string or character literal; its quotes are code.
    Literal,
}

/// The kind of each byte of `text`.
pub(crate) fn kinds(text: &str) -> Vec<Kind> {
    let mut lexer = Lexer { bytes: text.as_bytes(), at: 0, kinds: Vec::with_capacity(text.len()) };
    while lexer.at < lexer.bytes.len() {
        lexer.step();
    }
    lexer.kinds
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    kinds: Vec<Kind>,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let rest = &self.bytes[self.at..];
        match rest {
            [b'/', b'/', ..] => self.line_comment(),
            [b'/', b'*', ..] => self.block_comment(),
            [b'"', ..] => self.quoted(b'"'),
            [b'r', b'"' | b'#', ..] if !self.follows_word() => self.raw(1),
            [b'b' | b'c', b'r', b'"' | b'#', ..] if !self.follows_word() => self.raw(2),
            [b'\'', b'\\', ..] => self.quoted(b'\''),
            [b'\'', ..] if self.is_character() => self.quoted(b'\''),
            _ => self.take(1, Kind::Code),
        }
    }

    fn take(&mut self, count: usize, kind: Kind) {
        let count = count.min(self.bytes.len() - self.at);
        self.kinds.extend(std::iter::repeat_n(kind, count));
        self.at += count;
    }

    /// Whether the byte before belongs to a word, so that an `r` here is its last letter.
    fn follows_word(&self) -> bool {
        let before = self.at.checked_sub(1).map(|at| self.bytes[at]);
        before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }

    /// Whether the quote here opens a character literal and not a lifetime.
    fn is_character(&self) -> bool {
        let rest = &self.bytes[self.at + 1..];
        let length = match rest.first() {
            None => return false,
            Some(byte) if byte.is_ascii() => 1,
            Some(byte) => byte.leading_ones() as usize,
        };
        rest.get(length) == Some(&b'\'')
    }

    fn line_comment(&mut self) {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        self.take(length, Kind::Comment);
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match &self.bytes[self.at..] {
                [] => return,
                [b'/', b'*', ..] => {
                    depth += 1;
                    self.take(2, Kind::Comment);
                }
                [b'*', b'/', ..] => {
                    depth -= 1;
                    self.take(2, Kind::Comment);
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.take(1, Kind::Comment),
            }
        }
    }

    fn quoted(&mut self, quote: u8) {
        self.take(1, Kind::Code);
        loop {
            match &self.bytes[self.at..] {
                [] => return,
                [b'\\', ..] => self.take(2, Kind::Literal),
                [byte, ..] if *byte == quote => return self.take(1, Kind::Code),
                _ => self.take(1, Kind::Literal),
            }
        }
    }

    /// A raw string behind a prefix of `prefix` letters; or else a raw identifier.
    fn raw(&mut self, prefix: usize) {
        let rest = &self.bytes[self.at + prefix..];
        let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
        if rest.get(hashes) != Some(&b'"') {
            return self.take(prefix, Kind::Code);
        }
        self.take(prefix + hashes + 1, Kind::Code);
        let mut end = vec![b'"'];
        end.resize(hashes + 1, b'#');
        let rest = &self.bytes[self.at..];
        let length = rest.windows(end.len()).position(|window| window == end);
        self.take(length.unwrap_or(rest.len()), Kind::Literal);
        self.take(end.len(), Kind::Code);
    }
}

#[test]
fn tells_what_is_what() {
    // A letter each: code c, comment m, literal l.
    for (text, expected) in [
        ("a // b", "ccmmmm"),
        ("/* /* */ */a", "mmmmmmmmmmmc"),
        ("\"a\\\"b\"c", "cllllcc"),
        ("r\"a\\\"b", "ccllcc"),
        ("r#\"a\"b\"#c", "ccclllccc"),
        ("br\"a\"", "ccclc"),
        ("var\"a\"", "cccclc"),
        ("r#fn a", "cccccc"),
        ("'a' 'b", "clcccc"),
        ("'\\'' a", "cllccc"),
        ("'\"' a", "clccc"),
        ("b'\"'a", "cclcc"),
        ("&'a str", "ccccccc"),
        ("'ä' a", "cllccc"),
        ("\"//\" a", "cllccc"),
        ("// \"\na", "mmmmcc"),
    ] {
        let found: String = kinds(text)
            .iter()
            .map(|kind| match kind {
                Kind::Code => 'c',
                Kind::Comment => 'm',
                Kind::Literal => 'l',
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }
}
