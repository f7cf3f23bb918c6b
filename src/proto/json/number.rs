//! Numbers of JSON: what each form accepts, and how the lenient one writes what the strict one does
//! not have.

use super::{Form, JsonError, Value};

/// The most digits of an integer in the lenient form; Python refuses to read longer ones.
pub const MAX_DIGITS: usize = 4300;

/// The greatest magnitude of an integer of canonical JSON.
pub(super) const MAX_INTEGER: i64 = (1 << 53) - 1;

/// Makes a value of a number's text, which has the grammar of a JSON number; `at` is where it
/// stands.
pub(super) fn read(text: &str, form: Form, at: usize) -> Result<Value<'_>, JsonError> {
    let is_integer = !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    match form {
        Form::Strict if is_integer && text != "-0" => match text.parse::<i64>() {
            Ok(number) if (-MAX_INTEGER..=MAX_INTEGER).contains(&number) => {
                Ok(Value::Integer(number))
            }
            _ => Err(JsonError::Number(at)),
        },
        Form::Strict => Err(JsonError::Number(at)),
        Form::Lenient if is_integer => read_big(text, at),
        Form::Lenient => {
            // The grammar of JSON numbers is part of what Rust parses; too large a number becomes
            // infinite, which Synapse refuses to write.
            let number: f64 = text.parse().map_err(|_| JsonError::Syntax(at))?;
            if number.is_finite() {
                Ok(Value::Number(python_repr(number).into()))
            } else {
                Err(JsonError::Number(at))
            }
        }
    }
}

fn read_big(text: &str, at: usize) -> Result<Value<'_>, JsonError> {
    if let Ok(number) = text.parse::<i64>() {
        return Ok(Value::Integer(number));
    }
    if text.trim_start_matches('-').len() > MAX_DIGITS {
        return Err(JsonError::Number(at));
    }
    Ok(Value::Number(text.into()))
}

/// A float as Python's `repr` writes it: the shortest digits that read back as the same number, in
/// fixed notation for decimal exponents from −4 to 15, in scientific notation with an exponent of
/// at least two digits otherwise.
fn python_repr(number: f64) -> String {
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(|character| *character != '.').collect();
    if (-4..16).contains(&exponent) {
        return format!("{sign}{}", fixed(&digits, exponent));
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{exponent_sign}{:02}", exponent.unsigned_abs())
}

/// `digits` with the point behind the first one moved by `exponent`, and at least one digit on
/// either side of it.
fn fixed(digits: &str, exponent: i32) -> String {
    let magnitude = usize::try_from(exponent.unsigned_abs()).unwrap_or(0);
    if exponent < 0 {
        return format!("0.{}{digits}", "0".repeat(magnitude - 1));
    }
    let whole = magnitude + 1;
    if digits.len() <= whole {
        format!("{digits}{}.0", "0".repeat(whole - digits.len()))
    } else {
        format!("{}.{}", &digits[..whole], &digits[whole..])
    }
}

/// A number of the lenient form as an integer of canonical JSON, as the authorization rules of
/// those room versions read power levels: cut at the decimal point, and at the ends of the range.
pub(super) fn tame(text: &str) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cut is what the room version asks for"
    )]
    let number = text.parse::<f64>().unwrap_or(0.0) as i64;
    number.clamp(-MAX_INTEGER, MAX_INTEGER)
}
