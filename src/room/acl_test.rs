//! Which servers a list lets in.

use ruma::server_name;

use super::{Acl, matches_glob};

fn acl(text: &str) -> Acl {
    serde_json::from_str(text).unwrap()
}

#[test]
fn globs_match_as_a_whole() {
    for (pattern, text, expected) in [
        ("*", "", true),
        ("*", "anything", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*.example.org", "a.example.org", true),
        ("*.example.org", "example.org", false),
        ("*a*b*", "xxaxxbxx", true),
        ("*a*b", "ab", true),
        ("*ab", "aab", true),
        ("abc", "abcd", false),
    ] {
        assert_eq!(matches_glob(pattern, text), expected, "{pattern} {text}");
    }
}

#[test]
fn what_is_denied_stays_out_and_what_is_not_allowed_too() {
    let list = acl(r#"{"allow":["*"],"deny":["*.Evil.org"]}"#);
    assert!(list.allows(server_name!("good.org:8448")));
    assert!(!list.allows(server_name!("very.evil.org")));
    assert!(list.allows(server_name!("1.2.3.4")));
    let list = acl(r#"{"allow":["*"],"allow_ip_literals":false}"#);
    assert!(!list.allows(server_name!("1.2.3.4")));
    assert!(!list.allows(server_name!("[::1]:80")));
    assert!(!acl("{}").allows(server_name!("good.org")));
}
