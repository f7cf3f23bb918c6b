//! Which servers a list lets in.

use ruma::server_name;

use super::{Acl, matches_glob};

fn acl(text: &str) -> Acl {
    Acl::read(text)
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

/// A list with a slip in it keeps out whom it names all the same.
#[test]
fn what_is_wrong_in_a_list_opens_the_room_to_nobody() {
    let (good, evil) = (server_name!("good.org"), server_name!("evil.org"));
    for text in [
        r#"{"allow":["*"],"deny":["evil.org",null,5]}"#,
        r#"{"allow":["*",{}],"deny":["evil.org"],"allow_ip_literals":"no"}"#,
        r#"{"allow":["good.org",7],"deny":"evil.org"}"#,
    ] {
        assert!(acl(text).allows(good) && !acl(text).allows(evil), "{text}");
    }
    for text in [r#"{"allow":"*"}"#, r#"{"allow":null,"deny":[]}"#] {
        assert!(!acl(text).allows(good), "{text}");
    }
}
