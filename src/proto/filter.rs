//! Whether an event passes a room event filter.
//!
//! Spec: client-server API, "Filtering".

use crate::pdu::Pdu;

/// The parts of a `RoomEventFilter` that look at one event alone. Empty borrowed lists are not the same as absent ones: an empty
/// `types` lets nothing pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventFilter<'a> {
    /// Types that pass; `*` stands for any characters.
    pub types: Option<&'a [String]>,
    /// Types that do not pass.
    pub not_types: &'a [String],
    /// Senders that pass.
    pub senders: Option<&'a [ruma::OwnedUserId]>,
    /// Senders that do not pass.
    pub not_senders: &'a [ruma::OwnedUserId],
    /// Rooms that pass.
    pub rooms: Option<&'a [ruma::OwnedRoomId]>,
    /// Rooms that do not pass.
    pub not_rooms: &'a [ruma::OwnedRoomId],
    /// Whether the content must have, or must not have, a `url`.
    pub contains_url: Option<bool>,
}

impl EventFilter<'_> {
    /// Whether the event passes.
    pub fn passes(&self, pdu: &Pdu) -> bool {
        todo!()
    }
}

/// Whether a type matches a pattern in which `*` stands for any characters.
pub fn type_matches(pattern: &str, event_type: &str) -> bool {
    todo!()
}
