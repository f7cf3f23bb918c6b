//! JSON as events need it: parsed without copying, written canonically, in the strict form of room
//! versions 6 and later and in the lenient form of versions 1 to 5.
//!
//! Both forms sort keys by code point, keep the last of duplicate keys (as every Python server
//! does, and so that no two readers of one event can disagree) and escape as little as possible.
//! They differ in what they accept:
//!
//! | | strict | lenient |
//! |---|---|---|
//! | integers | −2⁵³+1 … 2⁵³−1 | any, up to [`MAX_DIGITS`] digits |
//! | floats | refused | written as Python's `repr` writes them, since Synapse hashed them so |
//! | lone surrogates | refused | an escape in text, generalised UTF-8 in what is hashed |
//!
//! Spec: appendices, "Canonical JSON"; room version 6, "Canonical JSON".

mod number;
mod parse;
mod text;
mod value;

pub(crate) use self::text::write_string;
pub use self::{
    number::MAX_DIGITS,
    parse::{MAX_DEPTH, parse, parse_object},
    text::{Text, bytes_to_hash},
    value::{Object, Value},
};

/// Which JSON is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Canonical JSON as specified: room versions 6 and later, and everything that is no room
    /// event.
    Strict,
    /// What Synapse accepted in room versions 1 to 5.
    Lenient,
}

/// Why a text is no JSON of the form asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It does not parse.
    #[error("invalid JSON at byte {0}")]
    Syntax(usize),
    /// It is nested deeper than [`MAX_DEPTH`].
    #[error("JSON nested too deep at byte {0}")]
    TooDeep(usize),
    /// A number is no integer, or not in the range of canonical JSON.
    #[error("a number that canonical JSON does not have at byte {0}")]
    Number(usize),
    /// A string holds half of a surrogate pair.
    #[error("a lone surrogate at byte {0}")]
    Surrogate(usize),
    /// It is no object.
    #[error("not a JSON object")]
    NotAnObject,
}

/// The canonical text of a JSON text.
pub fn canonical(text: &str, form: Form) -> Result<String, JsonError> {
    let mut out = String::with_capacity(text.len());
    parse(text, form)?.write(&mut out);
    Ok(out)
}

#[cfg(test)]
#[path = "json_test.rs"]
mod tests;
