//! Tests of canonical JSON, strict and lenient.

use proptest::prelude::*;

use super::*;

fn strict(text: &str) -> Result<String, JsonError> {
    canonical(text, Form::Strict)
}

fn lenient(text: &str) -> Result<String, JsonError> {
    canonical(text, Form::Lenient)
}

/// The examples of the specification's appendix.
#[test]
fn specified_examples() {
    let cases = [
        ("{}", "{}"),
        ("{\n \"one\": 1,\n \"two\": \"Two\"\n}", r#"{"one":1,"two":"Two"}"#),
        (r#"{"b":"2","a":"1"}"#, r#"{"a":"1","b":"2"}"#),
        (r#"{"a": "日本語"}"#, r#"{"a":"日本語"}"#),
        (r#"{"本": 2, "日": 1}"#, r#"{"日":1,"本":2}"#),
        (r#"{"a": "\u65E5"}"#, r#"{"a":"日"}"#),
        (r#"{"a": null}"#, r#"{"a":null}"#),
        (
            r#"{"auth":{"success":true,"mxid":"@john.doe:example.com","profile":{"display_name":
            "John Doe","three_pids":[{"medium":"email","address":"john.doe@example.org"},
            {"medium":"msisdn","address":"123456789"}]}}}"#,
            concat!(
                r#"{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","#,
                r#""three_pids":[{"address":"john.doe@example.org","medium":"email"},"#,
                r#"{"address":"123456789","medium":"msisdn"}]},"success":true}}"#,
            ),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(strict(text).as_deref(), Ok(expected));
        assert_eq!(lenient(text).as_deref(), Ok(expected));
    }
}

#[test]
fn strings_are_escaped_as_little_as_possible() {
    let text =
        r#""\u0008\u0009\u000a\u000B\u000c\u000d\u001F\u0022\u005c\/\u007f\u2028\ud83d\udca9""#;
    let expected = "\"\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\/\u{7f}\u{2028}💩\"";
    assert_eq!(strict(text).as_deref(), Ok(expected));
    assert_eq!(strict(expected).as_deref(), Ok(expected));
    assert_eq!(strict(r#""\\u1234""#).as_deref(), Ok(r#""\\u1234""#));
}

#[test]
fn keys_are_sorted_by_code_point() {
    // U+FB33 comes before U+1F600, though its UTF-16 code unit comes after the other's surrogates.
    assert_eq!(strict(r#"{"😀":1,"דּ":2}"#).as_deref(), Ok(r#"{"דּ":2,"😀":1}"#));
    // The sorting goes by what the keys are, not by how they are written.
    assert_eq!(
        strict(r##"{"b":1,"\u0061":2,"\"":3,"!":4,"#":5}"##).as_deref(),
        Ok(r##"{"!":4,"\"":3,"#":5,"a":2,"b":1}"##)
    );
}

#[test]
fn the_last_of_duplicate_keys_counts() {
    assert_eq!(strict(r#"{"a":1,"b":2,"a":3,"a":4}"#).as_deref(), Ok(r#"{"a":4,"b":2}"#));
    assert_eq!(lenient(r#"{"a":1,"\u0061":{"c":1,"c":2}}"#).as_deref(), Ok(r#"{"a":{"c":2}}"#));
}

#[test]
fn strict_numbers_are_integers_in_range() {
    for good in ["0", "-1", "9007199254740991", "-9007199254740991"] {
        assert_eq!(strict(good).as_deref(), Ok(good));
    }
    let bad = ["1.0", "-0", "-0.0", "1e3", "9007199254740992", "-9007199254740992", "1e999"];
    for bad in bad {
        assert_eq!(strict(&format!("[{bad}]")), Err(JsonError::Number(1)), "{bad}");
    }
}

/// What Python's `json.dumps(json.loads(…))` gives.
#[test]
fn lenient_numbers_are_written_as_python_writes_them() {
    let cases = [
        ("-0", "0"),
        ("-0.0", "-0.0"),
        ("0.0", "0.0"),
        ("1.0", "1.0"),
        ("1e3", "1000.0"),
        ("1E15", "1000000000000000.0"),
        ("1e16", "1e+16"),
        ("1.5e16", "1.5e+16"),
        ("123456789012345678.5", "1.2345678901234568e+17"),
        ("0.0001", "0.0001"),
        ("0.00012", "0.00012"),
        ("0.00001", "1e-05"),
        ("1.5e-7", "1.5e-07"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("0.1", "0.1"),
        ("12.50", "12.5"),
        ("-273.15", "-273.15"),
        ("9007199254740993", "9007199254740993"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775808"),
        ("-123456789012345678901234567890", "-123456789012345678901234567890"),
    ];
    for (text, expected) in cases {
        assert_eq!(lenient(text).as_deref(), Ok(expected));
    }
    assert_eq!(lenient("1e999"), Err(JsonError::Number(0)));
    assert!(lenient(&"9".repeat(MAX_DIGITS)).is_ok());
    assert_eq!(lenient(&"9".repeat(MAX_DIGITS + 1)), Err(JsonError::Number(0)));
    for bad in ["NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "1e", "0x1", "--1", "-"] {
        assert!(matches!(lenient(bad), Err(JsonError::Syntax(_))), "{bad}");
    }
}

#[test]
fn lone_surrogates_are_kept_in_the_lenient_form() {
    let text = r#"{"a\uDC00":"x\ud800y","b":"\uD83D\uDCA9\uD83D","c":"\\ud800"}"#;
    assert_eq!(strict(text), Err(JsonError::Surrogate(3)));
    let expected = "{\"a\\udc00\":\"x\\ud800y\",\"b\":\"💩\\ud83d\",\"c\":\"\\\\ud800\"}";
    assert_eq!(lenient(text).as_deref(), Ok(expected));
    assert_eq!(lenient(expected).as_deref(), Ok(expected));

    let hashed = bytes_to_hash(expected, Form::Lenient);
    let mut bytes = b"{\"a\xed\xb0\x80\":\"x\xed\xa0\x80y\",\"b\":\"".to_vec();
    bytes.extend_from_slice("💩".as_bytes());
    bytes.extend_from_slice(b"\xed\xa0\xbd\",\"c\":\"\\\\ud800\"}");
    assert_eq!(hashed, bytes);

    let object = parse_object(text, Form::Lenient).unwrap();
    assert_eq!(object.get("b").unwrap().as_text().unwrap().value(), "💩\u{fffd}");
    assert_eq!(object.get("b").unwrap().as_str(), None);
}

#[test]
fn lone_surrogates_sort_between_their_neighbours() {
    let text = "{\"\u{e000}\":1,\"\\ud800\":2,\"\u{d7ff}\":3}";
    let expected = "{\"\u{d7ff}\":3,\"\\ud800\":2,\"\u{e000}\":1}";
    assert_eq!(lenient(text).as_deref(), Ok(expected));
}

#[test]
fn wild_values_can_be_tamed() {
    let text = r#"{"a":1.9,"b":-1.9,"c":1e300,"d":99999999999999999999,"e":"\ud800",
        "f":[9007199254740993]}"#;
    let value = parse(text, Form::Lenient).unwrap();
    assert!(value.is_wild());
    let mut tame = String::new();
    value.write_tame(&mut tame);
    let expected = "{\"a\":1,\"b\":-1,\"c\":9007199254740991,\"d\":9007199254740991,\
                    \"e\":\"\u{fffd}\",\"f\":[9007199254740991]}";
    assert_eq!(tame, expected);
    assert!(!parse(&tame, Form::Strict).unwrap().is_wild());
}

#[test]
fn broken_texts_are_refused() {
    let broken = [
        "",
        " ",
        "{",
        "}",
        "[",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u+123\"",
        "\"\\é\"",
        "\"\n\"",
        "\"\u{1}\"",
        "tru",
        "nul",
        "1 2",
        "{} {}",
        "[1 2]",
        "'a'",
    ];
    for text in broken {
        assert!(matches!(strict(text), Err(JsonError::Syntax(_))), "{text:?}");
        assert!(matches!(lenient(text), Err(JsonError::Syntax(_))), "{text:?}");
    }
    assert_eq!(parse_object("[]", Form::Strict), Err(JsonError::NotAnObject));
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(strict(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(strict(&nested(MAX_DEPTH + 1)), Err(JsonError::TooDeep(MAX_DEPTH)));
    assert!(strict(&"[".repeat(1_000_000)).is_err());
}

#[test]
fn objects_can_be_changed() {
    let mut object = parse_object(r#"{"b":1,"d":2}"#, Form::Strict).unwrap();
    object.insert("c", Value::Bool(true));
    object.insert("a", Value::Null);
    object.insert("d", Value::String(Text::of("\"")));
    assert_eq!(object.remove("b"), Some(Value::Integer(1)));
    assert_eq!(object.remove("b"), None);
    let mut out = String::new();
    object.write(&mut out);
    assert_eq!(out, r#"{"a":null,"c":true,"d":"\""}"#);
}

fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("finite", |number| number.is_finite())
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(crate::test_room::generated(256))]

    /// On what both accept, ruma's canonical JSON is the same.
    #[test]
    fn agrees_with_ruma(value in any_json()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let ruma: ruma::CanonicalJsonValue = serde_json::from_str(&text).unwrap();
        let expected = serde_json::to_string(&ruma).unwrap();
        prop_assert_eq!(strict(&text), Ok(expected.clone()));
        prop_assert_eq!(lenient(&text), Ok(expected.clone()));
        prop_assert_eq!(strict(&expected), Ok(expected.clone()));
        prop_assert_eq!(&*bytes_to_hash(&expected, Form::Lenient), expected.as_bytes());
    }

    /// No text makes the parser panic, and what it writes it reads again as the same.
    #[test]
    fn arbitrary_texts(text in "[\\[\\]{},:\"\\\\/bfnrtu0-9a-fA-FdD8.eE+ é-]{0,40}") {
        if let Ok(once) = lenient(&text) {
            prop_assert_eq!(lenient(&once), Ok(once.clone()));
            let raw: Result<&serde_json::value::RawValue, _> = serde_json::from_str(&once);
            prop_assert!(raw.is_ok());
        }
        if let Ok(once) = strict(&text) {
            prop_assert_eq!(lenient(&text), Ok(once));
        }
    }

    /// Floats read back as themselves.
    #[test]
    fn floats_round_trip(number in finite()) {
        let text = lenient(&format!("{number:e}")).unwrap();
        if text.contains('.') || text.contains('e') {
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), number.to_bits());
        } else {
            // The exponent form of a float always has an `e`, so it stays a float.
            prop_assert!(false, "{} became an integer", text);
        }
    }
}
