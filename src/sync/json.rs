//! Writes JSON straight to bytes. Responses are mostly events that are serialised already: a writer
//! that copies them is an order of magnitude cheaper than typed values that a serialiser walks, and
//! than raw values that are validated again one by one.
//!
//! Invariant: what went in by `raw` is one valid JSON value, so the result is valid. Commas come by
//! themselves: one is due exactly when the last byte opens nothing and follows no colon.

use bytes::Bytes;

/// A JSON text that grows.
#[derive(Debug, Default)]
pub(crate) struct JsonWriter {
    out: String,
}

impl JsonWriter {
    /// An empty text with room for `capacity` bytes.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { out: String::with_capacity(capacity) }
    }

    /// The finished text as bytes.
    pub(crate) fn finish(self) -> Bytes {
        Bytes::from(self.out.into_bytes())
    }

    /// The finished text.
    pub(crate) fn into_text(self) -> String {
        self.out
    }

    /// Puts a comma where one is due.
    fn separate(&mut self) {
        if !matches!(self.out.as_bytes().last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(',');
        }
    }

    /// An object whose members `write` adds.
    pub(crate) fn object(&mut self, write: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push('{');
        write(self);
        self.out.push('}');
    }

    /// An array whose elements `write` adds.
    pub(crate) fn array(&mut self, write: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push('[');
        write(self);
        self.out.push(']');
    }

    /// A member's name; its value has to follow.
    pub(crate) fn key(&mut self, name: &str) -> &mut Self {
        self.string(name);
        self.out.push(':');
        self
    }

    /// A string, escaped where that is needed.
    pub(crate) fn string(&mut self, text: &str) {
        self.separate();
        if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
            self.out.push('"');
            self.out.push_str(text);
            self.out.push('"');
        } else {
            // A string always serialises.
            self.out.push_str(&serde_json::to_string(text).unwrap_or_default());
        }
    }

    /// An unsigned number.
    pub(crate) fn unsigned(&mut self, number: u64) {
        use std::fmt::Write as _;

        self.separate();
        // Writing to a string cannot fail.
        let _ = write!(self.out, "{number}");
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, value: bool) {
        self.separate();
        self.out.push_str(if value { "true" } else { "false" });
    }

    /// One JSON value that is serialised already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.separate();
        self.out.push_str(json);
    }

    /// One JSON value that `write` appends.
    pub(crate) fn raw_with(&mut self, write: impl FnOnce(&mut String)) {
        self.separate();
        write(&mut self.out);
    }

    /// `{"events":[…]}`, the shape of most sections.
    pub(crate) fn events(&mut self, write: impl FnOnce(&mut Self)) {
        self.object(|object| object.key("events").array(write));
    }
}

#[cfg(test)]
#[path = "json_test.rs"]
mod tests;
