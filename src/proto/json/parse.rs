//! The parser: a text to a tree that borrows from it.

use super::{Form, JsonError, Object, Text, Value, number};

/// The deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 128;

/// Parses a text that holds one value.
pub fn parse(text: &str, form: Form) -> Result<Value<'_>, JsonError> {
    let mut parser = Parser { text, at: 0, form };
    let value = parser.value(0)?;
    parser.skip_whitespace();
    if parser.at < text.len() {
        return Err(parser.syntax());
    }
    Ok(value)
}

/// Parses a text that holds one object.
pub fn parse_object(text: &str, form: Form) -> Result<Object<'_>, JsonError> {
    match parse(text, form)? {
        Value::Object(object) => Ok(object),
        _ => Err(JsonError::NotAnObject),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    form: Form,
}

impl<'a> Parser<'a> {
    fn syntax(&self) -> JsonError {
        JsonError::Syntax(self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        self.skip_whitespace();
        if self.peek() != Some(byte) {
            return Err(self.syntax());
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        self.skip_whitespace();
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'{') => self.object(depth + 1).map(Value::Object),
            Some(b'[') => self.array(depth + 1).map(Value::Array),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.syntax()),
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, JsonError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.syntax());
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Object<'a>, JsonError> {
        self.enter(depth)?;
        let mut members = Vec::new();
        if self.leave_if_empty(b'}') {
            return Ok(Object::of(members));
        }
        loop {
            self.skip_whitespace();
            if self.peek() != Some(b'"') {
                return Err(self.syntax());
            }
            let key = self.string()?;
            self.expect(b':')?;
            members.push((key, self.value(depth)?));
            if self.ends(b'}')? {
                return Ok(Object::of(members));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value<'a>>, JsonError> {
        self.enter(depth)?;
        let mut values = Vec::new();
        if self.leave_if_empty(b']') {
            return Ok(values);
        }
        loop {
            values.push(self.value(depth)?);
            if self.ends(b']')? {
                return Ok(values);
            }
        }
    }

    fn enter(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep(self.at));
        }
        self.at += 1;
        Ok(())
    }

    fn leave_if_empty(&mut self, end: u8) -> bool {
        self.skip_whitespace();
        let is_empty = self.peek() == Some(end);
        self.at += usize::from(is_empty);
        is_empty
    }

    /// Behind a member: whether the array or object ends here; otherwise a comma must follow.
    fn ends(&mut self, end: u8) -> Result<bool, JsonError> {
        self.skip_whitespace();
        match self.peek() {
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(true)
            }
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.syntax()),
        }
    }

    fn number(&mut self) -> Result<Value<'a>, JsonError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        number::read(&self.text[start..self.at], self.form, start)
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.syntax()) } else { Ok(()) }
    }

    /// A string. Most are canonical as they stand and are only borrowed.
    fn string(&mut self) -> Result<Text<'a>, JsonError> {
        self.at += 1;
        let start = self.at;
        let mut has_escapes = false;
        let mut is_canonical = true;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    let letter = self.text.as_bytes().get(self.at + 1);
                    let short =
                        matches!(letter, Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't'));
                    is_canonical &= short;
                    self.at += 2;
                }
                Some(0x20..) => self.at += 1,
                _ => return Err(self.syntax()),
            }
        }
        // The loop stops at a quote only; a multi-byte character behind a backslash is an error
        // found below.
        let raw = self.text.get(start..self.at).ok_or(JsonError::Syntax(start))?;
        self.at += 1;
        if is_canonical {
            Ok(Text::canonical(raw, has_escapes))
        } else {
            Text::normalise(raw, self.form, start)
        }
    }
}
