//! Who may redact what; what remains of an event is [`crate::pdu::Pdu::redacted`].
//!
//! Spec: the "Handling redactions" of each room version.

use crate::{
    pdu::Pdu,
    power::{Level, Powers},
};

/// Whether this redaction, allowed by the authorization rules, is to be applied to this event: both
/// are of one room, and the redaction's sender has the redact level or is of the server of the
/// event's sender. In room versions 1 and 2 the authorization rules have said all there is to say
/// about the sender. `powers` are those of the state before the redaction.
pub fn may_apply(redaction: &Pdu, target: &Pdu, powers: &Powers) -> bool {
    if redaction.room_id() != target.room_id() || redaction.redacts() != Some(target.event_id()) {
        return false;
    }
    redaction.rules().authorization.special_case_room_redaction
        || powers.reaches(redaction.sender(), Level::Redact)
        || redaction.sender().server_name() == target.sender().server_name()
}

#[cfg(test)]
#[path = "redact_test.rs"]
mod tests;
