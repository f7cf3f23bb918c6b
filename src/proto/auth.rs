//! Authorization: which state allows an event, and whether it does. The rules themselves are ruma-state-res's; here they
//! get our events, what ruma leaves open, and a typed reason.
//!
//! Spec: server-server API, "Auth events selection", "Authorisation rules"; the "Authorisation rules" of each room version.

use std::sync::Arc;

use ruma::EventId;
use ruma::events::StateEventType;

use crate::{draft::Draft, pdu::Pdu, rules::Rules, verify::VerifiedPdu};

/// What kind of rule denied an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedKind {
    /// The event's own content or shape.
    Malformed,
    /// Its auth events are missing, rejected, superfluous or of another room.
    AuthEvents,
    /// There is no create event in the state.
    NoRoom,
    /// The room is not federated and the sender is of another server than the creator.
    NotFederated,
    /// The sender is not joined.
    NotJoined,
    /// The sender or target is banned.
    Banned,
    /// The sender's power does not suffice.
    Power,
    /// The join rule does not let the user in.
    JoinRule,
    /// Any other rule about membership: a change that the present membership does not allow.
    Membership,
    /// Any other rule.
    Other,
}

/// Why an event is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Denied {
    /// What kind of rule denied it.
    pub kind: DeniedKind,
    /// The rule in words.
    pub reason: String,
}

/// The (type, state key) pairs of the state that an event of this kind selects as its auth events.
pub fn auth_keys(draft: &Draft, rules: &Rules) -> Result<Vec<(StateEventType, String)>, Denied> {
    todo!()
}

/// As [`auth_keys`], for an event that is there already.
pub fn auth_keys_of(pdu: &Pdu) -> Result<Vec<(StateEventType, String)>, Denied> {
    todo!()
}

/// The (type, state key) pairs that [`check_state`] may ask for: the auth events' and, in every version, the create event's.
pub fn needed_keys(pdu: &Pdu) -> Result<Vec<(StateEventType, String)>, Denied> {
    todo!()
}

/// An event that the checks are given to look at.
#[derive(Clone)]
pub struct Known {
    /// The event.
    pub pdu: Arc<Pdu>,
    /// Whether it was rejected when it came.
    pub rejected: bool,
}

/// The checks that need no state: those of create events, and those of the list of auth events. `find` is asked for
/// every auth event and, in room version 12, for the create event.
pub fn check_auth_events(
    pdu: &Pdu,
    find: impl Fn(&EventId) -> Option<Known>,
) -> Result<(), Denied> {
    todo!()
}

/// All other checks, against one state: `find` gives the event under a type and state key ([`needed_keys`]). To be made
/// three times for a received event: with the state that its auth events make, with the state before it, and with the
/// current state (where a denial makes it soft-failed).
pub fn check_state(
    pdu: &Pdu,
    find: impl Fn(&str, &str) -> Option<Arc<Pdu>>,
) -> Result<(), Denied> {
    todo!()
}

/// An event that its auth events and the state before it allow.
#[derive(Clone)]
pub struct AuthorizedPdu(Arc<Pdu>);

impl AuthorizedPdu {
    /// The event.
    pub fn pdu(&self) -> &Arc<Pdu> {
        &self.0
    }

    /// The event.
    pub fn into_pdu(self) -> Arc<Pdu> {
        self.0
    }
}

impl VerifiedPdu {
    /// Steps 4 and 5 of the checks on receipt: against its auth events and against the state before it. A denied event
    /// comes back with the reason, since it is stored as rejected.
    #[expect(clippy::result_large_err, reason = "a rejected event is stored, so it comes back")]
    pub fn authorize(
        self,
        find_event: impl Fn(&EventId) -> Option<Known>,
        find_state: impl Fn(&str, &str) -> Option<Arc<Pdu>>,
    ) -> Result<AuthorizedPdu, (VerifiedPdu, Denied)> {
        todo!()
    }
}
