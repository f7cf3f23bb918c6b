//! Parser.
use super::*;
/// The deepest nesting.
pub const MAX_DEPTH: usize = 128;
/// Parses a value.
pub fn parse(_text: &str, _form: Form) -> Result<Value<'_>, JsonError> {
    todo!()
}
/// Parses an object.
pub fn parse_object(_text: &str, _form: Form) -> Result<Object<'_>, JsonError> {
    todo!()
}
