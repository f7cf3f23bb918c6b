//! What is written parses again.

use serde_json::{Value, json};

use super::*;

fn written(write: impl FnOnce(&mut JsonWriter)) -> Value {
    let mut writer = JsonWriter::with_capacity(64);
    write(&mut writer);
    serde_json::from_slice(&writer.finish()).unwrap()
}

#[test]
fn members_and_elements_are_separated() {
    let value = written(|writer| {
        writer.object(|object| {
            object.key("a").unsigned(1);
            object.key("b").array(|array| {
                array.string("x");
                array.object(|_| ());
                array.raw(r#"{"raw":[]}"#);
                array.boolean(true);
                array.array(|_| ());
            });
            object.key("c").events(|_| ());
            object.key("d").boolean(false);
        });
    });
    let expected = json!({
        "a": 1, "b": ["x", {}, {"raw": []}, true, []], "c": {"events": []}, "d": false,
    });
    assert_eq!(value, expected);
}

#[test]
fn strings_and_keys_are_escaped() {
    for text in ["", "plain", "\"", "\\", "\u{0}\n\u{1f}", "{[:", "ünï", "a\u{2028}"] {
        let value = written(|writer| {
            writer.object(|object| {
                object.key(text).string(text);
                object.key("next").string(text);
            });
        });
        assert_eq!(value[text], text);
        assert_eq!(value["next"], text);
    }
}

#[test]
fn numbers_have_all_their_digits() {
    for number in [0, 9, 10, 1_000_000, u64::MAX] {
        assert_eq!(written(|writer| writer.unsigned(number)), json!(number));
    }
}
