//! Tests of the checks of signatures and hashes.

use std::collections::BTreeMap;

use ruma::{
    CanonicalJsonObject,
    serde::Base64,
    server_name,
    signatures::{Verified, hash_and_sign_event, verify_event},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    draft::Signer,
    rules::Rules,
    signing::SigningKey,
    test_room::{ALICE, BOB, Maker, SEED_LINE, member, message, state_event},
};

/// One key for every server.
struct OneKey(VerifyKey);

impl VerifyKeys for OneKey {
    fn find(&self, _: &ServerName, key_id: &str, _: Option<i64>) -> Option<VerifyKey> {
        (key_id == "ed25519:1").then_some(self.0)
    }
}

fn key() -> SigningKey {
    SigningKey::parse(SEED_LINE).unwrap()
}

fn ruma_keys(servers: &[&str]) -> BTreeMap<String, BTreeMap<String, Base64>> {
    let public = Base64::parse(key().public_key()).unwrap();
    let of_server = BTreeMap::from([("ed25519:1".to_owned(), public)]);
    servers.iter().map(|server| ((*server).to_owned(), of_server.clone())).collect()
}

/// The minimal event of the specification's test vectors.
#[test]
fn specified_event_signature() {
    let json = r#"{"auth_events": [], "content": {}, "depth": 3, "hashes": {"sha256":
        "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos"}, "origin": "domain", "origin_server_ts":
        1000000, "prev_events": [], "room_id": "!x:domain", "sender": "@a:domain", "signatures":
        {"domain": {"ed25519:1":
        "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg"
        }}, "type": "X", "unsigned": {"age_ts": 1000000}}"#;
    // The vectors do not say of which room version they are; `origin` is signed up to version 10.
    let keys = OneKey(key().verify_key());
    for version in ["3", "6", "10"] {
        let signed = SignedPdu::parse(json, Rules::of(version).unwrap()).unwrap();
        let verified = verify(signed, &keys).unwrap();
        assert!(!verified.was_redacted());
        assert!(!verified.pdu().json().contains("unsigned"));
    }
    let signed = SignedPdu::parse(json, Rules::of("11").unwrap()).unwrap();
    let missing = VerifyError::NoSignature(server_name!("domain").to_owned());
    assert_eq!(verify(signed, &keys).unwrap_err(), missing);
}

/// Our events pass ruma's verification, and have the ids that ruma computes.
#[test]
fn ours_pass_ruma_in_every_version() {
    for rules in Rules::all() {
        let mut maker = Maker::new(rules.id);
        let mut tip = maker.room();
        maker.send(&mut tip, message(ALICE)).unwrap();
        maker.send(&mut tip, member(BOB, BOB, "join")).unwrap();
        maker
            .send(&mut tip, state_event(ALICE, "m.room.topic", "", json!({"topic": "t"})))
            .unwrap();
        for pdu in maker.events.values() {
            let object: CanonicalJsonObject = serde_json::from_str(pdu.json()).unwrap();
            let servers = ruma_keys(&["a.example", "b.example"]);
            assert_eq!(verify_event(&servers, &object, &rules.ruma).unwrap(), Verified::All);
            let hash = ruma::signatures::reference_hash(&object, &rules.ruma).unwrap();
            assert_eq!(hash, pdu.reference_hash());
            if !rules.has_event_id_field() {
                assert_eq!(pdu.event_id().as_str(), format!("${hash}"));
            }
            ruma::state_res::check_pdu_format(&object, &rules.event_format).unwrap();
            let again = SignedPdu::parse(pdu.json(), rules).unwrap();
            assert_eq!(again.pdu().json(), pdu.json());
            assert_eq!(again.pdu().event_id(), pdu.event_id());
            let verified = verify(again, &OneKey(key().verify_key())).unwrap();
            assert!(!verified.was_redacted());
        }
    }
}

fn ruma_key() -> ruma::signatures::Ed25519KeyPair {
    // PKCS#8, version 1, around the seed of the test vectors.
    let mut document = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let seed: Base64 = Base64::parse(SEED_LINE.rsplit(' ').next().unwrap()).unwrap();
    document.extend_from_slice(seed.as_bytes());
    ruma::signatures::Ed25519KeyPair::from_der(&document, "1".into()).unwrap()
}

/// An event as another server would make it.
fn foreign(rules: &Rules, change: impl FnOnce(&mut Value)) -> String {
    let reference = |id: &str| {
        if rules.references_carry_hashes() {
            json!([format!("${id}:b.example"), {"sha256": "abc"}])
        } else {
            json!(format!("${id}"))
        }
    };
    let mut event = json!({
        "auth_events": [reference("auth")], "prev_events": [reference("prev")],
        "content": {"body": "hällo\n"}, "depth": 7, "origin_server_ts": 1_000_000,
        "room_id": "!room:a.example", "sender": BOB, "type": "m.room.message",
    });
    if rules.has_event_id_field() {
        event["event_id"] = "$here:b.example".into();
    }
    change(&mut event);
    let mut object: CanonicalJsonObject = serde_json::from_value(event).unwrap();
    hash_and_sign_event("b.example", &ruma_key(), &mut object, &rules.redaction).unwrap();
    serde_json::to_string(&object).unwrap()
}

#[test]
fn rumas_events_pass_in_every_version() {
    for rules in Rules::all() {
        let json = foreign(rules, |_| {});
        let verified =
            verify(SignedPdu::parse(&json, rules).unwrap(), &OneKey(key().verify_key())).unwrap();
        assert!(!verified.was_redacted(), "version {}", rules.id);
        assert_eq!(verified.pdu().json(), json);
    }
}

#[test]
fn a_wrong_content_hash_redacts() {
    for rules in Rules::all() {
        let json = foreign(rules, |_| {}).replace("hällo", "hullo");
        let signed = SignedPdu::parse(&json, rules).unwrap();
        let event_id = signed.pdu().event_id().to_owned();
        let verified = verify(signed, &OneKey(key().verify_key())).unwrap();
        assert!(verified.was_redacted());
        assert_eq!(verified.pdu().content(), "{}");
        assert_eq!(verified.pdu().event_id(), event_id);
        let again = verified.pdu().reference_hash();
        assert_eq!(again, SignedPdu::parse(&json, rules).unwrap().0.reference_hash());
    }
}

/// Servers put into `unsigned` what they like.
#[test]
fn what_is_unsigned_is_in_no_hash() {
    for rules in Rules::all() {
        let text = foreign(rules, |_| {});
        let more = text.replacen('{', r#"{"unsigned":{"age":1},"#, 1);
        let plain = parse_object(&text, rules.json).unwrap();
        let object = parse_object(&more, rules.json).unwrap();
        assert!(object.get("unsigned").is_some());
        assert!(content_hash_matches(&object, rules), "version {}", rules.id);
        let reference = crate::hash::reference_hash(&object, rules);
        assert_eq!(reference, crate::hash::reference_hash(&plain, rules));
        let [plain, more] = [text, more].map(|text| {
            let signed = SignedPdu::parse(&text, rules).unwrap();
            verify(signed, &OneKey(key().verify_key())).unwrap()
        });
        assert!(!more.was_redacted());
        assert_eq!(more.pdu().event_id(), plain.pdu().event_id());
    }
}

#[test]
fn a_broken_signature_drops() {
    let keys = OneKey(key().verify_key());
    for rules in Rules::all() {
        let signed = foreign(rules, |_| {});
        // The depth is signed.
        let json = signed.replace("\"depth\":7", "\"depth\":8");
        let error = verify(SignedPdu::parse(&json, rules).unwrap(), &keys).unwrap_err();
        assert_eq!(error, VerifyError::NoSignature(server_name!("b.example").to_owned()));
        // Another key, and another algorithm.
        let other = OneKey(VerifyKey([3; 32]));
        assert!(verify(SignedPdu::parse(&signed, rules).unwrap(), &other).is_err());
        let json = signed.replace("ed25519:1", "rsa:1");
        assert!(verify(SignedPdu::parse(&json, rules).unwrap(), &keys).is_err());
        // No signature at all.
        let mut object: Value = serde_json::from_str(&signed).unwrap();
        object.as_object_mut().unwrap().remove("signatures");
        let json = object.to_string();
        assert!(verify(SignedPdu::parse(&json, rules).unwrap(), &keys).is_err());
    }
}

fn servers_of(json: &str, rules: &'static Rules) -> Vec<String> {
    let signed = SignedPdu::parse(json, rules).unwrap();
    let servers = required_servers(signed.pdu()).unwrap();
    servers.iter().map(ToString::to_string).collect()
}

#[test]
fn who_must_sign() {
    let rules = |version: &str| Rules::of(version).unwrap();
    let servers = |version: &str, change: fn(&mut Value)| {
        servers_of(&foreign(rules(version), change), rules(version))
    };
    assert_eq!(servers("12", |_| {}), ["b.example"]);
    let other_id = |event: &mut Value| event["event_id"] = "$here:c.example".into();
    assert_eq!(servers("1", other_id), ["b.example", "c.example"]);
    assert_eq!(servers("2", other_id), ["b.example", "c.example"]);
    assert_eq!(servers("3", other_id), ["b.example"]);
    let invite = |event: &mut Value| {
        event["type"] = "m.room.member".into();
        event["state_key"] = "@x:x.example".into();
        event["content"] = json!({"membership": "invite", "third_party_invite": {}});
    };
    assert_eq!(servers("3", invite), Vec::<String>::new());
    assert_eq!(servers("1", invite), ["b.example"]);
    // In name only, or of another event than an invite.
    for value in [json!(null), json!(true), json!("signed"), json!([{"signed": {}}])] {
        let invite = |event: &mut Value| {
            invite(event);
            event["content"]["third_party_invite"] = value.clone();
        };
        for rules in Rules::all() {
            assert_eq!(servers_of(&foreign(rules, invite), rules), ["b.example"]);
        }
    }
    for membership in ["join", "leave", "ban", "knock"] {
        let other = |event: &mut Value| {
            invite(event);
            event["content"]["membership"] = membership.into();
        };
        assert_eq!(servers_of(&foreign(rules("3"), other), rules("3")), ["b.example"]);
    }
    let authorised = |event: &mut Value| {
        event["type"] = "m.room.member".into();
        event["state_key"] = BOB.into();
        event["content"] =
            json!({"membership": "join", "join_authorised_via_users_server": "@a:a.example"});
    };
    assert_eq!(servers("7", authorised), ["b.example"]);
    assert_eq!(servers("8", authorised), ["b.example", "a.example"]);
    let broken = foreign(rules("8"), |event| {
        authorised(event);
        event["content"]["join_authorised_via_users_server"] = 3.into();
    });
    let signed = SignedPdu::parse(&broken, rules("8")).unwrap();
    assert!(matches!(required_servers(signed.pdu()), Err(VerifyError::Identifier(_))));
}

/// An invite by third-party id whose content is not what was hashed is redacted: where redaction
/// takes the identity server's signature away, an ordinary invite of the sender's would be left.
#[test]
fn a_third_party_invite_with_a_wrong_hash_needs_its_senders_signature() {
    let keys = OneKey(key().verify_key());
    for rules in Rules::all() {
        let signed = foreign(rules, |event| {
            event["type"] = "m.room.member".into();
            event["state_key"] = "@x:x.example".into();
            let third = json!({"display_name": "d", "signed": {"token": "t"}});
            event["content"] = json!({"membership": "invite", "third_party_invite": third});
        });
        let mut forged: Value = serde_json::from_str(&signed).unwrap();
        forged["content"]["third_party_invite"]["display_name"] = "e".into();
        let of_other_server = forged["signatures"]["b.example"].clone();
        forged["signatures"] = json!({"evil.example": of_other_server});
        let forged = SignedPdu::parse(&forged.to_string(), rules).unwrap();
        let kept = rules.redaction.keep_room_member_third_party_invite_signed;
        match verify(forged, &keys) {
            Ok(verified) => {
                assert!(kept && !rules.has_event_id_field());
                assert!(verified.pdu().content().contains(r#"{"signed":{"token":"t"}}"#));
            }
            Err(error) => {
                assert!(!kept);
                let missing = server_name!("b.example").to_owned();
                assert_eq!(error, VerifyError::NoSignature(missing));
            }
        }
    }
}

#[test]
fn a_countersigned_join_bears_both_signatures() {
    let rules = Rules::of("10").unwrap();
    let json = foreign(rules, |event| {
        event["type"] = "m.room.member".into();
        event["state_key"] = BOB.into();
        event["content"] = json!({"membership": "join", "join_authorised_via_users_server": ALICE});
    });
    let keys = OneKey(key().verify_key());
    let signed = SignedPdu::parse(&json, rules).unwrap();
    assert!(verify(signed.clone(), &keys).is_err());
    let ours = Signer { server: server_name!("a.example"), key: &key() };
    let both = signed.countersign(ours).unwrap();
    assert_eq!(both.pdu().event_id(), signed.pdu().event_id());
    assert_eq!(key_ids(both.pdu(), server_name!("a.example")), ["ed25519:1"]);
    assert!(key_ids(both.pdu(), server_name!("c.example")).is_empty());
    assert!(!verify(both, &keys).unwrap().was_redacted());
}

/// Room versions 5 and later ask whether the key was valid at the event's time.
#[test]
fn validity_is_asked_for_from_version_5() {
    struct Asked(std::cell::Cell<Option<i64>>);
    impl VerifyKeys for Asked {
        fn find(&self, _: &ServerName, _: &str, at: Option<i64>) -> Option<VerifyKey> {
            self.0.set(at);
            Some(key().verify_key())
        }
    }
    for (version, expected) in [("4", None), ("5", Some(1_000_000)), ("12", Some(1_000_000))] {
        let rules = Rules::of(version).unwrap();
        let asked = Asked(std::cell::Cell::new(None));
        verify(SignedPdu::parse(&foreign(rules, |_| {}), rules).unwrap(), &asked).unwrap();
        assert_eq!(asked.0.get(), expected);
    }
}

/// Floats, big integers and lone surrogates are hashed as the servers did that made such events.
#[test]
fn wild_events_of_old_rooms() {
    let rules = Rules::of("1").unwrap();
    let content = r#"{"big":123456789012345678901234567890,"body":"\ud83d","float":1.0}"#;
    let envelope = |hashes: &str, signatures: &str| {
        format!(
            "{{\"auth_events\":[],\"content\":{content},\"depth\":5,\"event_id\":\"$x:b.example\"\
             {hashes},\"origin_server_ts\":1,\"prev_events\":[],\"room_id\":\"!r:b.example\",\
             \"sender\":\"{BOB}\"{signatures},\"type\":\"m.room.message\"}}"
        )
    };
    let mut message = envelope("", "").into_bytes();
    let at = message.windows(6).position(|window| window == b"\\ud83d").unwrap();
    message.splice(at..at + 6, *b"\xed\xa0\xbd");
    let hash =
        Base64::<ruma::serde::base64::Standard>::new(crate::hash::sha256(&[&message]).to_vec());
    let hashes = format!(",\"hashes\":{{\"sha256\":\"{}\"}}", hash.encode());
    let to_sign = envelope(&hashes, "").replace(content, "{}");
    let signature = key().sign(to_sign.as_bytes());
    let signatures = format!(",\"signatures\":{{\"b.example\":{{\"ed25519:1\":\"{signature}\"}}}}");
    let json = envelope(&hashes, &signatures);

    let signed = SignedPdu::parse(&json, rules).unwrap();
    let verified = verify(signed, &OneKey(key().verify_key())).unwrap();
    assert!(!verified.was_redacted());
    assert_eq!(verified.pdu().content(), content);
    assert_eq!(verified.pdu().content_raw().get(), content);
    let tame = "{\"big\":9007199254740991,\"body\":\"\u{fffd}\",\"float\":1}";
    assert_eq!(verified.pdu().auth_content().get(), tame);
    let strict = SignedPdu::parse(&json, Rules::of("6").unwrap());
    assert!(matches!(strict, Err(crate::pdu::FormatError::Json(_))));
}
