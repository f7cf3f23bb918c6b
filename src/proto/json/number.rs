//! Numbers.
/// The most digits of an integer in the lenient form, as in Python.
pub const MAX_DIGITS: usize = 4300;
