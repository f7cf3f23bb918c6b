//! Tests of keys and signatures against the specification's vectors.

use ruma::server_name;

use super::*;
use crate::test_room::{Counting, SEED_LINE};

/// The test vectors of the specification's appendix.
#[test]
fn specified_json_signatures() {
    let key = SigningKey::parse(SEED_LINE).unwrap();
    assert_eq!(key.key_id(), "ed25519:1");
    let cases = [
        (
            "{}",
            concat!(
                "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtT",
                "dGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"
            ),
        ),
        (
            r#"{"two": "Two", "one": 1}"#,
            concat!(
                "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL",
                "53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"
            ),
        ),
    ];
    for (object, signature) in cases {
        let signed = sign_object(object, server_name!("domain"), &key).unwrap();
        let value: serde_json::Value = serde_json::from_str(&signed).unwrap();
        assert_eq!(value["signatures"]["domain"]["ed25519:1"], signature);
        let verifies =
            |text: &str, server| verify_object(text, server, "ed25519:1", key.verify_key());
        assert!(verifies(&signed, server_name!("domain")));
        assert!(!verifies(&signed, server_name!("other")));
        assert!(!verifies(&signed.replacen('{', r#"{"three":3,"#, 1), server_name!("domain")));
    }
}

#[test]
fn a_second_signature_keeps_the_first() {
    let first = SigningKey::parse(SEED_LINE).unwrap();
    let second = SigningKey::generate(&Counting::new());
    let once = sign_object(r#"{"unsigned":{"a":1}}"#, server_name!("domain"), &first).unwrap();
    let twice = sign_object(&once, server_name!("domain"), &second).unwrap();
    assert!(verify_object(&twice, server_name!("domain"), &first.key_id(), first.verify_key()));
    assert!(verify_object(&twice, server_name!("domain"), &second.key_id(), second.verify_key()));
    assert!(twice.contains(r#""unsigned":{"a":1}"#));
}

#[test]
fn a_generated_key_reads_back() {
    let key = SigningKey::generate(&Counting::new());
    assert!(key.version().starts_with("a_"));
    assert_eq!(key.version().len(), 6);
    let again = SigningKey::parse(&format!("# ours\n\n{}", key.to_line())).unwrap();
    assert_eq!(again.to_line(), key.to_line());
    assert_eq!(again.public_key(), key.public_key());
    assert_eq!(VerifyKey::parse(&key.public_key()), Some(key.verify_key()));
    assert!(key.verify_key().verifies(b"text", &again.sign(b"text")));
    assert!(!key.verify_key().verifies(b"other", &again.sign(b"text")));
    assert!(!key.verify_key().verifies(b"text", "no base64!"));
    assert!(!format!("{key:?}").contains(key.to_line().split(' ').nth(2).unwrap().trim()));
}

#[test]
fn broken_keys_are_refused() {
    let seed = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";
    let cases = [
        (String::new(), KeyError::Shape),
        ("# nothing\n".into(), KeyError::Shape),
        ("ed25519 1".into(), KeyError::Shape),
        (format!("ed25519 1 {seed} more"), KeyError::Shape),
        (format!("rsa 1 {seed}"), KeyError::Algorithm),
        (format!("ed25519 a-b {seed}"), KeyError::Version),
        (format!("ed25519 1 {}", &seed[1..]), KeyError::Seed),
        ("ed25519 1 !".into(), KeyError::Seed),
    ];
    for (text, error) in cases {
        assert_eq!(SigningKey::parse(&text).unwrap_err(), error, "{text}");
    }
    assert!(SigningKey::parse(&format!("ed25519 1 {seed}=")).is_ok());
}
