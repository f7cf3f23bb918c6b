//! Events as clients get them: the body once per event, and the reader's own parts spliced in.
//!
//! Spec: client-server API, "Room event format", "Stripped state".

use crate::pdu::Pdu;

/// The client format of an event without `room_id` and `unsigned`: an object's text, complete with both braces, never empty. Serialised
/// once and shared by all readers; [`splice`] adds the rest.
pub fn client_body(pdu: &Pdu) -> Box<str> {
    todo!()
}

/// What is added to a [`client_body`] for one reader.
#[derive(Clone, Copy, Debug, Default)]
pub struct Splice<'a> {
    /// The room's id: in every answer except `/sync`, where the room's key says it.
    pub room_id: Option<&'a ruma::RoomId>,
    /// The text of the `unsigned` object, if it has any key.
    pub unsigned: Option<&'a str>,
}

/// Writes the event for one reader.
pub fn splice(body: &str, add: Splice<'_>, out: &mut String) {
    todo!()
}

/// The stripped form of a state event (`content`, `sender`, `state_key`, `type`); `None` if it is no state event.
pub fn stripped_state(pdu: &Pdu) -> Option<String> {
    todo!()
}
