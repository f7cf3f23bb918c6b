//! Events as clients get them: the body once per event, and the reader's own parts spliced in.
//!
//! Spec: client-server API, "Room event format", "Stripped state"; for `redacts`, room version 11,
//! "Redactions".

use std::fmt::Write as _;

use ruma::RoomId;

use crate::{
    json::{Text, Value, parse_object, write_string},
    pdu::Pdu,
};

/// The client format of an event without `room_id` and `unsigned`: an object's text with both
/// braces, never empty. Serialised once and shared by all readers; [`splice`] adds the rest.
///
/// A redaction has its `redacts` in both places, at the top level and in the content, since clients
/// know only the one or the other.
pub fn client_body(pdu: &Pdu) -> Box<str> {
    let mut out = String::with_capacity(pdu.content().len() + 256);
    out.push_str("{\"content\":");
    write_content(pdu, &mut out);
    out.push_str(",\"event_id\":");
    write_string(pdu.event_id().as_str(), &mut out);
    // Writing to a string cannot fail.
    let _ = write!(out, ",\"origin_server_ts\":{}", pdu.origin_server_ts());
    if let Some(redacts) = pdu.redacts() {
        out.push_str(",\"redacts\":");
        write_string(redacts.as_str(), &mut out);
    }
    write_end(pdu, &mut out);
    out.into()
}

/// What is added to a [`client_body`] for one reader.
#[derive(Clone, Copy, Debug, Default)]
pub struct Splice<'a> {
    /// The room's id: in every answer except `/sync`, where the room's key says it.
    pub room_id: Option<&'a RoomId>,
    /// The text of the `unsigned` object, if it has any key.
    pub unsigned: Option<&'a str>,
}

/// Writes the event for one reader: the body with what is added to it.
pub fn splice(body: &str, add: Splice<'_>, out: &mut String) {
    let unsigned = add.unsigned.unwrap_or_default();
    out.reserve(body.len() + unsigned.len() + 64);
    out.push_str(body.strip_suffix('}').unwrap_or(body));
    if let Some(room_id) = add.room_id {
        out.push_str(",\"room_id\":");
        write_string(room_id.as_str(), out);
    }
    if !unsigned.is_empty() {
        out.push_str(",\"unsigned\":");
        out.push_str(unsigned);
    }
    out.push('}');
}

/// The stripped form of a state event (`content`, `sender`, `state_key`, `type`); `None` if it is
/// no state event.
pub fn stripped_state(pdu: &Pdu) -> Option<String> {
    pdu.state_key()?;
    let mut out = String::with_capacity(pdu.content().len() + 128);
    out.push_str("{\"content\":");
    out.push_str(pdu.content());
    write_end(pdu, &mut out);
    Some(out)
}

fn write_end(pdu: &Pdu, out: &mut String) {
    out.push_str(",\"sender\":");
    write_string(pdu.sender().as_str(), out);
    if let Some(state_key) = pdu.state_key() {
        out.push_str(",\"state_key\":");
        write_string(state_key, out);
    }
    out.push_str(",\"type\":");
    write_string(pdu.type_str(), out);
    out.push('}');
}

fn write_content(pdu: &Pdu, out: &mut String) {
    let redacts = pdu.redacts().filter(|_| !pdu.rules().redacts_in_content());
    let content = redacts.and_then(|_| parse_object(pdu.content(), pdu.rules().json).ok());
    match redacts.zip(content) {
        Some((redacts, mut content)) => {
            content.insert("redacts", Value::String(Text::of(redacts.as_str())));
            content.write(out);
        }
        None => out.push_str(pdu.content()),
    }
}

#[cfg(test)]
#[path = "client_event_test.rs"]
mod tests;
