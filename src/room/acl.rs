//! Server access control lists: which servers may take part in a room.
//!
//! Spec: client-server API, "Server Access Control Lists (ACLs)".

use ruma::ServerName;
use serde_json::{Map, Value};
use store::numbers::SERVER_ACL;

use crate::RoomView;

struct Acl {
    allow: Vec<String>,
    deny: Vec<String>,
    allow_ip_literals: bool,
}

/// Whether the room's access control list lets a server take part.
pub(crate) fn allows(view: &RoomView, server: &ServerName) -> bool {
    let Some(pdu) = view.state_pdu(SERVER_ACL) else { return true };
    Acl::read(pdu.auth_content().get()).allows(server)
}

/// Whether the content of an access control list keeps a server out.
pub(crate) fn denies(content: &str, server: &ServerName) -> bool {
    !Acl::read(content).allows(server)
}

impl Acl {
    /// Reads a list as other servers do: a field that is not what it has to be counts as absent, an
    /// entry that is no text as none. So a slip in one place opens the room to nobody.
    fn read(content: &str) -> Acl {
        let content = serde_json::from_str::<Map<String, Value>>(content).unwrap_or_default();
        let list = |field: &str| {
            let entries = content.get(field).and_then(Value::as_array).into_iter().flatten();
            entries.filter_map(Value::as_str).map(str::to_lowercase).collect::<Vec<_>>()
        };
        let allow_ip_literals = content.get("allow_ip_literals").and_then(Value::as_bool);
        Acl {
            allow: list("allow"),
            deny: list("deny"),
            allow_ip_literals: allow_ip_literals.unwrap_or(true),
        }
    }

    fn allows(&self, server: &ServerName) -> bool {
        if !self.allow_ip_literals && server.is_ip_literal() {
            return false;
        }
        // The list is about hosts; a port does not make another server.
        let host = server.host().to_lowercase();
        let matches =
            |patterns: &[String]| patterns.iter().any(|pattern| matches_glob(pattern, &host));
        !matches(&self.deny) && matches(&self.allow)
    }
}

/// Whether a text matches a pattern in which `*` stands for any characters and `?` for exactly one.
fn matches_glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut place) = (0, 0);
    // Where the last `*` was, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[place] => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                place = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
#[path = "acl_test.rs"]
mod tests;
