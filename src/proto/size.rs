//! The limits on an event's size.
//!
//! Spec: client-server API, "Size limits"; server-server API, "PDUs".

/// The most bytes of a whole event in canonical JSON, signatures included.
pub const MAX_EVENT_BYTES: usize = 65_536;
/// The most bytes of an event type, a state key, a sender, a room id or an event id.
pub const MAX_ID_BYTES: usize = 255;
/// The most events that one event can name as its previous ones.
pub const MAX_PREV_EVENTS: usize = 20;
/// The most events that one event can name as its auth events.
pub const MAX_AUTH_EVENTS: usize = 10;
/// The greatest depth: the greatest integer of canonical JSON. Our own events stop counting there,
/// and a greater claim is taken as this one.
pub const MAX_DEPTH: u64 = (1 << 53) - 1;
