//! The tree of a JSON text: borrowed from it, with objects in canonical order.

use std::{borrow::Cow, fmt::Write as _};

use super::{Text, number};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer of 64 bits; in the strict form of at most 53.
    Integer(i64),
    /// A number that only the lenient form has: a float, or an integer of more than 64 bits, in its
    /// canonical text.
    Number(Cow<'a, str>),
    /// A string.
    String(Text<'a>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object.
    Object(Object<'a>),
}

impl<'a> Value<'a> {
    /// The string, if it is one.
    pub fn as_text(&self) -> Option<&Text<'a>> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The string, if it is one without a lone surrogate.
    pub fn as_str(&self) -> Option<Cow<'_, str>> {
        self.as_text().filter(|text| !text.has_surrogate()).map(Text::value)
    }

    /// The integer, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The array's values, if it is one.
    pub fn as_array(&self) -> Option<&[Value<'a>]> {
        match self {
            Value::Array(values) => Some(values),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Writes its canonical text.
    pub fn write(&self, out: &mut String) {
        self.write_with(out, &Value::write_number, &|text, out| text.write(out));
    }

    /// Writes it as strict canonical JSON whatever it holds: numbers cut to integers in range, lone
    /// surrogates replaced. This is how the authorization rules of room versions 1 to 5 see an
    /// event's content.
    pub fn write_tame(&self, out: &mut String) {
        let write_number = |value: &Value<'_>, out: &mut String| {
            let number = match value {
                Value::Integer(number) => {
                    (*number).clamp(-number::MAX_INTEGER, number::MAX_INTEGER)
                }
                Value::Number(text) => number::tame(text),
                _ => return,
            };
            write_integer(number, out);
        };
        self.write_with(out, &write_number, &|text, out| text.write_tame(out));
    }

    /// Whether [`Value::write_tame`] writes something else than [`Value::write`].
    pub fn is_wild(&self) -> bool {
        match self {
            Value::Null | Value::Bool(_) => false,
            Value::Integer(number) => number.unsigned_abs() > number::MAX_INTEGER.unsigned_abs(),
            Value::Number(_) => true,
            Value::String(text) => text.has_surrogate(),
            Value::Array(values) => values.iter().any(Value::is_wild),
            Value::Object(object) => {
                object.0.iter().any(|(key, value)| key.has_surrogate() || value.is_wild())
            }
        }
    }

    fn write_number(value: &Value<'_>, out: &mut String) {
        match value {
            Value::Integer(number) => write_integer(*number, out),
            Value::Number(text) => out.push_str(text),
            _ => {}
        }
    }

    fn write_with(
        &self,
        out: &mut String,
        write_number: &dyn Fn(&Value<'_>, &mut String),
        write_text: &dyn Fn(&Text<'_>, &mut String),
    ) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(true) => out.push_str("true"),
            Value::Bool(false) => out.push_str("false"),
            Value::Integer(_) | Value::Number(_) => write_number(self, out),
            Value::String(text) => write_text(text, out),
            Value::Array(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    value.write_with(out, write_number, write_text);
                }
                out.push(']');
            }
            Value::Object(object) => {
                out.push('{');
                for (index, (key, value)) in object.0.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_text(key, out);
                    out.push(':');
                    value.write_with(out, write_number, write_text);
                }
                out.push('}');
            }
        }
    }
}

fn write_integer(number: i64, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{number}");
}

/// A JSON object: its keys in canonical order, each once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a>(Vec<(Text<'a>, Value<'a>)>);

impl<'a> Object<'a> {
    /// Makes an object of its members as they came: the last of equal keys counts.
    pub(super) fn of(mut members: Vec<(Text<'a>, Value<'a>)>) -> Self {
        let in_order = members.is_sorted_by(|(one, _), (two, _)| one.order(two).is_lt());
        if !in_order {
            members.sort_by(|(one, _), (two, _)| one.order(two));
            let mut unique: Vec<(Text<'a>, Value<'a>)> = Vec::with_capacity(members.len());
            for member in members {
                match unique.last_mut() {
                    Some(last) if last.0.order(&member.0).is_eq() => *last = member,
                    _ => unique.push(member),
                }
            }
            members = unique;
        }
        Object(members)
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(name, _)| name.is(key)).map(|(_, value)| value)
    }

    /// The members in canonical order.
    pub fn iter(&self) -> impl Iterator<Item = (&Text<'a>, &Value<'a>)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts a value under a key, in place of the one there.
    pub fn insert(&mut self, key: &str, value: Value<'a>) {
        let key = Text::of(key);
        match self.0.binary_search_by(|(name, _)| name.order(&key)) {
            Ok(index) => self.0[index].1 = value,
            Err(index) => self.0.insert(index, (key, value)),
        }
    }

    /// Takes a key's value out.
    pub fn remove(&mut self, key: &str) -> Option<Value<'a>> {
        let index = self.0.iter().position(|(name, _)| name.is(key))?;
        Some(self.0.remove(index).1)
    }

    /// Writes its canonical text.
    pub fn write(&self, out: &mut String) {
        self.write_members(out, |_| true, |_, value, out| value.write(out));
    }

    /// Writes the members whose keys pass, each value by `write_value`, which is given the key,
    /// too.
    pub(crate) fn write_members(
        &self,
        out: &mut String,
        passes: impl Fn(&str) -> bool,
        mut write_value: impl FnMut(&str, &Value<'a>, &mut String),
    ) {
        out.push('{');
        let start = out.len();
        for (key, value) in &self.0 {
            let name = key.value();
            if !passes(&name) {
                continue;
            }
            if out.len() > start {
                out.push(',');
            }
            key.write(out);
            out.push(':');
            write_value(&name, value, out);
        }
        out.push('}');
    }
}
