//! `[passwords]`: log-in by password and what a password has to be like. Changed by a reload.

use crate::{reader::Reader, secret::Secret, setting::Word};

/// A kind of character that a password must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Character {
    /// A digit.
    Digit,
    /// Neither letter nor digit.
    Symbol,
    /// A lower-case letter.
    Lowercase,
    /// An upper-case letter.
    Uppercase,
}

impl Word for Character {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("digit", Self::Digit),
        ("symbol", Self::Symbol),
        ("lowercase", Self::Lowercase),
        ("uppercase", Self::Uppercase),
    ];
}

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passwords {
    /// Whether users log in by password.
    pub enabled: bool,
    /// The least number of characters.
    pub minimum_length: usize,
    /// At least one character of each of these kinds.
    pub require: Vec<Character>,
    /// What Synapse appended to passwords before it hashed them, for accounts that came from there.
    pub bcrypt_pepper: Option<Secret>,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Passwords {
    Passwords {
        enabled: reader.or("enabled", true),
        minimum_length: reader.within("minimum_length", 8, 1..=512),
        require: reader.or("require", Vec::new()),
        bcrypt_pepper: reader.secret("bcrypt_pepper", "bcrypt_pepper_file"),
    }
}
