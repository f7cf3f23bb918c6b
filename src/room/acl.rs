//! Server access control lists: which servers may take part in a room.
//!
//! Spec: client-server API, "Server Access Control Lists (ACLs)".

use ruma::ServerName;
use serde::Deserialize;
use store::numbers::SERVER_ACL;

use crate::RoomView;

#[derive(Deserialize)]
struct Acl {
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
    #[serde(default = "yes")]
    allow_ip_literals: bool,
}

fn yes() -> bool {
    true
}

/// Whether the room's access control list lets a server take part. A list that cannot be read lets
/// everybody.
pub(crate) fn allows(view: &RoomView, server: &ServerName) -> bool {
    let Some(pdu) = view.state_pdu(SERVER_ACL) else { return true };
    let Ok(acl) = serde_json::from_str::<Acl>(pdu.content()) else { return true };
    acl.allows(server)
}

/// Whether the content of an access control list keeps a server out.
pub(crate) fn denies(content: &str, server: &ServerName) -> bool {
    serde_json::from_str::<Acl>(content).is_ok_and(|acl| !acl.allows(server))
}

impl Acl {
    fn allows(&self, server: &ServerName) -> bool {
        if !self.allow_ip_literals && server.is_ip_literal() {
            return false;
        }
        // The list is about hosts; a port does not make another server.
        let host = server.host().to_lowercase();
        let matches = |patterns: &[String]| {
            patterns.iter().any(|pattern| matches_glob(&pattern.to_lowercase(), &host))
        };
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
