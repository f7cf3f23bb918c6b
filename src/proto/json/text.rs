//! Strings.
use std::borrow::Cow;
/// A string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a>(pub(crate) Cow<'a, str>);
