//! Authorization: which state allows an event, and whether it does. The rules themselves are
//! ruma-state-res's; here they get our events, what ruma leaves open, and a typed reason.
//!
//! What ruma leaves open: that a create event names the room version whose rules are applied to it,
//! that a room without `m.room.join_rules`, or with one that has no `join_rule`, is one for the
//! invited, and that an invite with a `third_party_invite` that is none is refused.
//!
//! Spec: server-server API, "Auth events selection", "Authorisation rules"; the "Authorisation
//! rules" of each room version.

use std::sync::{Arc, LazyLock};

use ruma::{
    EventId,
    events::StateEventType,
    owned_event_id,
    state_res::{
        auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules,
    },
};

use crate::{
    draft::Draft,
    pdu::{Pdu, timeline_type},
    rules::Rules,
    verify::VerifiedPdu,
    visibility::Membership,
};

mod denied;
mod known;

pub use self::{
    denied::{Denied, DeniedKind},
    known::Known,
};

/// The (type, state key) pairs of the state that an event of this kind selects as its auth events.
pub fn auth_keys(draft: &Draft, rules: &Rules) -> Result<Vec<(StateEventType, String)>, Denied> {
    let state_key = draft.state_key.as_deref();
    auth_types_for_event(
        &timeline_type(&draft.event_type),
        &draft.sender,
        state_key,
        &draft.content,
        &rules.authorization,
    )
    .map_err(Denied::malformed)
}

/// As [`auth_keys`], for an event that is there already.
pub fn auth_keys_of(pdu: &Pdu) -> Result<Vec<(StateEventType, String)>, Denied> {
    auth_types_for_event(
        pdu.event_type(),
        pdu.sender(),
        pdu.state_key(),
        pdu.auth_content(),
        &pdu.rules().authorization,
    )
    .map_err(Denied::malformed)
}

/// The (type, state key) pairs that [`check_state`] may ask for: the auth events' and, in every
/// version, the create event's.
pub fn needed_keys(pdu: &Pdu) -> Result<Vec<(StateEventType, String)>, Denied> {
    let mut keys = auth_keys_of(pdu)?;
    let create = (StateEventType::RoomCreate, String::new());
    if !keys.contains(&create) {
        keys.push(create);
    }
    Ok(keys)
}

/// The checks that need no state: those of create events, and those of the list of auth events.
/// `find` is asked for every auth event and, in room version 12, for the create event.
pub fn check_auth_events(
    pdu: &Pdu,
    find: impl Fn(&EventId) -> Option<Known>,
) -> Result<(), Denied> {
    let rules = pdu.rules();
    let is_create = pdu.type_str() == "m.room.create";
    if is_create {
        let version = pdu.content_field::<Option<String>>("room_version").flatten();
        if version.as_deref().unwrap_or("1") != rules.id {
            return Err(Denied::malformed("the create event is of another room version".into()));
        }
    }
    check_state_independent_auth_rules(&rules.authorization, pdu, find).map_err(|reason| {
        let kind = if is_create { DeniedKind::Malformed } else { DeniedKind::AuthEvents };
        Denied { kind, reason }
    })
}

/// All other checks, against one state: `find` gives the event under a type and state key
/// ([`needed_keys`]). To be made three times for a received event: with the state that its auth
/// events make, with the state before it, and with the current state (where a denial makes it
/// soft-failed).
pub fn check_state(pdu: &Pdu, find: impl Fn(&str, &str) -> Option<Arc<Pdu>>) -> Result<(), Denied> {
    let is_invite = pdu.membership() == Some(Membership::Invite);
    if is_invite && has_field(pdu, "third_party_invite", |invite| !invite.is_object()) {
        return Err(Denied::malformed("the event's `third_party_invite` is none".into()));
    }
    let find_state = |event_type: &StateEventType, state_key: &str| {
        let found = find(&event_type.to_string(), state_key);
        if *event_type == StateEventType::RoomJoinRules {
            let found = found.filter(|rules| has_field(rules, "join_rule", |_| true));
            return Some(found.unwrap_or_else(|| INVITE_ONLY.clone()));
        }
        found
    };
    check_state_dependent_auth_rules(&pdu.rules().authorization, pdu, find_state)
        .map_err(|reason| Denied { kind: denied::kind(pdu, &find), reason })
}

/// Whether the content has a field that is like this.
fn has_field(pdu: &Pdu, field: &str, is: impl Fn(&serde_json::Value) -> bool) -> bool {
    // The content that the rules read: ruma would find the same there.
    let content = serde_json::from_str::<serde_json::Value>(pdu.auth_content().get());
    content.is_ok_and(|content| content.get(field).is_some_and(is))
}

/// The join rules of a room that has none.
static INVITE_ONLY: LazyLock<Arc<Pdu>> = LazyLock::new(|| {
    let json = r#"{"auth_events":[],"content":{"join_rule":"invite"},"depth":0,"origin_server_ts":0,
        "prev_events":[],"room_id":"!default","sender":"@default:default","state_key":"",
        "type":"m.room.join_rules"}"#;
    let rules = Rules::of("11").expect("version 11 is in the table");
    let pdu = Pdu::load(json, owned_event_id!("$default"), rules);
    Arc::new(pdu.expect("the text has every field of an event"))
});

/// An event that its auth events and the state before it allow.
#[derive(Clone, Debug)]
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

/// A denied event, which is stored as rejected.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// The event.
    pub pdu: Arc<Pdu>,
    /// Why it is rejected.
    pub denied: Denied,
}

impl VerifiedPdu {
    /// Steps 4 and 5 of the checks on receipt: against its auth events (`find_event` as for
    /// [`check_auth_events`]) and against the state before it (`find_state` as for
    /// [`check_state`]).
    pub fn authorize(
        self,
        find_event: impl Fn(&EventId) -> Option<Known>,
        find_state: impl Fn(&str, &str) -> Option<Arc<Pdu>>,
    ) -> Result<AuthorizedPdu, Box<Rejected>> {
        let pdu = self.into_pdu();
        let checked = check_against_auth_events(&pdu, &find_event)
            .and_then(|()| check_state(&pdu, &find_state));
        match checked {
            Ok(()) => Ok(AuthorizedPdu(pdu)),
            Err(denied) => Err(Box::new(Rejected { pdu, denied })),
        }
    }

    /// As [`VerifiedPdu::authorize`], for our own event: its auth events were just selected from
    /// the state before it, so that step 4 could say nothing that step 5 does not.
    pub fn authorize_own(
        self,
        find_state: impl Fn(&str, &str) -> Option<Arc<Pdu>>,
    ) -> Result<AuthorizedPdu, Box<Rejected>> {
        let pdu = self.into_pdu();
        let is_create = pdu.type_str() == "m.room.create";
        let independent = if is_create { check_auth_events(&pdu, |_| None) } else { Ok(()) };
        match independent.and_then(|()| check_state(&pdu, &find_state)) {
            Ok(()) => Ok(AuthorizedPdu(pdu)),
            Err(denied) => Err(Box::new(Rejected { pdu, denied })),
        }
    }
}

/// Step 4 of the checks on receipt alone: for an event whose state before is not known, such as an
/// outlier.
pub fn check_against_auth_events(
    pdu: &Pdu,
    find: impl Fn(&EventId) -> Option<Known>,
) -> Result<(), Denied> {
    check_auth_events(pdu, &find)?;
    let create = pdu.create_event_id().filter(|create| create != pdu.event_id());
    let state: Vec<Arc<Pdu>> = pdu
        .auth_events()
        .iter()
        .chain(&create)
        .filter_map(|event_id| find(event_id))
        .filter(|known| !known.rejected)
        .map(|known| known.pdu)
        .collect();
    check_state(pdu, |event_type, state_key| {
        state.iter().find(|event| event.is_state_of(event_type, state_key)).cloned()
    })
}

#[cfg(test)]
#[path = "auth/levels_test.rs"]
mod levels_tests;
#[cfg(test)]
#[path = "auth/member_test.rs"]
mod member_tests;
#[cfg(test)]
#[path = "auth_test.rs"]
mod tests;
