//! Tests of what requests are read as when they are not as they should be.

use serde::Deserialize;

use super::*;
use crate::error::Kind as Code;

#[derive(Debug, Default, Deserialize, PartialEq)]
struct Sample {
    #[serde(default)]
    count: u64,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Strict {
    #[expect(dead_code, reason = "only its absence is tested")]
    name: String,
}

fn read<T: DeserializeOwned>(body: &str) -> Result<T, ApiError> {
    serde_json::from_slice(object(body.as_bytes())?).map_err(|error| bad_json(&error))
}

#[track_caller]
fn assert_refused<T: DeserializeOwned + std::fmt::Debug>(body: &str, code: Code) {
    let error = read::<T>(body).expect_err(body);
    assert!(error.is(code), "{body}: {error:?}");
}

#[test]
fn an_empty_body_is_an_empty_object() {
    assert_eq!(read::<Sample>("").unwrap(), Sample::default());
    assert_eq!(read::<Sample>(" \n").unwrap(), Sample::default());
    assert_eq!(read::<Sample>("{}").unwrap(), Sample::default());
}

#[test]
fn what_is_no_json_is_told_from_what_is_no_object() {
    for body in ["{", "nonsense", "{\"count\":1}}", "{\"count\":1,}", "[1", "\"a", "{'a':1}"] {
        assert_refused::<Sample>(body, NOT_JSON);
    }
    for body in ["[]", "[1, [\"a\"]]", "1", "null", "\"text\"", "true"] {
        assert_refused::<Sample>(body, BAD_JSON);
    }
    let latin1 = object(b"{\"a\":\"\xe9\"}").unwrap();
    let error = serde_json::from_slice::<Map<String, Value>>(latin1).unwrap_err();
    assert!(bad_json(&error).is(NOT_JSON));
}

#[test]
fn wrong_types_and_missing_keys() {
    assert_refused::<Sample>("{\"count\":\"1\"}", BAD_JSON);
    assert_refused::<Sample>("{\"count\":-1}", BAD_JSON);
    assert_refused::<Sample>("{\"names\":{}}", BAD_JSON);
    assert_refused::<Strict>("{}", MISSING_PARAM);
    assert_refused::<Strict>("{\"name\":null}", BAD_JSON);
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let body = format!("{{\"names\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_refused::<Map<String, Value>>(&body, NOT_JSON);
}

#[test]
fn queries() {
    let read = |query: &str| {
        serde_html_form::from_str::<Sample>(query).map_err(|error| bad_parameter(&error))
    };
    assert_eq!(read("count=3&other=x").unwrap().count, 3);
    assert_eq!(read("names=a&names=b").unwrap().names, ["a", "b"]);
    assert!(read("count=x").err().unwrap().is(INVALID_PARAM));
    assert!(read("count=1&count=2").err().unwrap().is(INVALID_PARAM));
    let strict = serde_html_form::from_str::<Strict>("");
    assert!(bad_parameter(&strict.unwrap_err()).is(MISSING_PARAM));
}
