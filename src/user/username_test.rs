//! The grammar of names.

use ruma::server_name;

use super::*;

struct Bytes(u8);

impl Random for Bytes {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0);
    }
}

#[test]
fn names_follow_the_grammar() {
    let server = server_name!("example.org");
    for good in ["alice", "a.b_c=d-e/f+g", "0x", "q"] {
        assert_eq!(check(good, server).unwrap(), format!("@{good}:example.org"));
    }
    for bad in ["", "Alice", "a b", "ä", "a@b", "a:b", "_bridge", "12345", "a\n", "a!"] {
        assert!(matches!(check(bad, server), Err(Error::InvalidUsername(_))), "{bad}");
    }
    assert!(check(&"a".repeat(242), server).is_ok());
    assert!(matches!(check(&"a".repeat(243), server), Err(Error::InvalidUsername(_))));
}

#[test]
fn generated_names_are_names() {
    let server = server_name!("example.org");
    for byte in 0..=255 {
        let name = generate(&Bytes(byte), server).unwrap();
        assert_eq!(check(name.localpart(), server).unwrap(), name);
        let guest = generate_guest(&Bytes(byte), server).unwrap();
        assert!(guest.localpart().bytes().all(|b| b.is_ascii_digit()));
    }
}

#[test]
fn log_in_takes_localpart_or_user_id() {
    let server = server_name!("example.org");
    assert_eq!(parse_login("alice", server).unwrap(), "@alice:example.org");
    assert_eq!(parse_login("@alice:example.org", server).unwrap(), "@alice:example.org");
    assert_eq!(parse_login("@Alice:other", server).unwrap(), "@Alice:other");
    assert_eq!(parse_login("@nonsense", server), None);
}
