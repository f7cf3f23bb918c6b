//! Whether an event passes a room event filter.
//!
//! Spec: client-server API, "Filtering".

use ruma::{OwnedRoomId, OwnedUserId};

use crate::{json::parse_object, pdu::Pdu};

/// The parts of a `RoomEventFilter` that look at one event alone. A missing list of what passes
/// lets everything pass, an empty one nothing; what is excluded is excluded even if it also passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventFilter<'a> {
    /// Types that pass; `*` stands for any characters.
    pub types: Option<&'a [String]>,
    /// Types that do not pass; `*` stands for any characters.
    pub not_types: &'a [String],
    /// Senders that pass.
    pub senders: Option<&'a [OwnedUserId]>,
    /// Senders that do not pass.
    pub not_senders: &'a [OwnedUserId],
    /// Rooms that pass.
    pub rooms: Option<&'a [OwnedRoomId]>,
    /// Rooms that do not pass.
    pub not_rooms: &'a [OwnedRoomId],
    /// Whether the content must have, or must not have, a `url`.
    pub contains_url: Option<bool>,
}

impl EventFilter<'_> {
    /// Whether the event passes.
    pub fn passes(&self, pdu: &Pdu) -> bool {
        self.passes_type(pdu.type_str())
            && list_passes(self.senders, self.not_senders, |user| user == pdu.sender())
            && list_passes(self.rooms, self.not_rooms, |room| room == pdu.room_id())
            && self.contains_url.is_none_or(|wanted| wanted == has_url(pdu))
    }

    /// Whether events of this type pass.
    pub fn passes_type(&self, event_type: &str) -> bool {
        list_passes(self.types, self.not_types, |pattern| type_matches(pattern, event_type))
    }
}

fn list_passes<T>(passing: Option<&[T]>, excluded: &[T], matches: impl Fn(&T) -> bool) -> bool {
    passing.is_none_or(|list| list.iter().any(&matches)) && !excluded.iter().any(matches)
}

fn has_url(pdu: &Pdu) -> bool {
    // Most contents are decided without parsing: a key `url` is written as it is in canonical JSON.
    pdu.content().contains("\"url\":")
        && parse_object(pdu.content(), pdu.rules().json)
            .is_ok_and(|content| content.get("url").is_some_and(|url| url.as_text().is_some()))
}

/// Whether a type matches a pattern in which `*` stands for any characters, also none.
pub fn type_matches(pattern: &str, event_type: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == event_type };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut remaining) = event_type.strip_prefix(start) else { return false };
    for part in middle.split('*') {
        // The first place is the best one: it leaves the most for the parts behind it.
        let Some(at) = remaining.find(part) else { return false };
        remaining = &remaining[at + part.len()..];
    }
    remaining.ends_with(end)
}

#[cfg(test)]
#[path = "filter_test.rs"]
mod tests;
