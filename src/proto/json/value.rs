//! Values.
use super::Text;
/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// null
    Null,
    /// string
    String(Text<'a>),
}
impl Value<'_> {
    /// Writes it canonically.
    pub fn write(&self, _out: &mut String) {
        todo!()
    }
}
/// An object.
#[derive(Clone, Debug, PartialEq)]
pub struct Object<'a>(Vec<(Text<'a>, Value<'a>)>);
