//! Redaction: what remains of an event, and who may redact what.
//!
//! Spec: the "Redactions" and "Handling redactions" of each room version.

use crate::{pdu::Pdu, power::Powers};

/// Whether this redaction, allowed by the authorization rules, is to be applied to this event: same room, and its sender has the redact level or is of
/// the server of the event's sender. In room versions 1 and 2 the authorization rules say it all. `powers` are those of
/// the state before the redaction.
pub fn may_apply(redaction: &Pdu, target: &Pdu, powers: &Powers) -> bool {
    todo!()
}
