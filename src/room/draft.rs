//! How a draft becomes an event of a room: previous events, depth, auth events, signature, and
//! whether it is allowed.
//!
//! Spec: server-server API, "PDUs", "Auth events selection".

use std::sync::Arc;

use proto::{
    auth::{AuthorizedPdu, auth_keys, needed_keys},
    clock::random_string,
    draft::{Draft, DraftError, EVENT_ID_LENGTH, Placement, Reference, SignedPdu, Signer},
    pdu::{FormatError, Pdu},
    rules::Rules,
    size::MAX_DEPTH,
};
use ruma::{ServerName, UserId, events::StateEventType};
use store::{numbers::CREATE, room::event::Body};

use crate::{RoomError, RoomView, acl, keys::Pair, rooms::Inner, stage::Stage};

/// An event that is signed and allowed.
pub(crate) struct Completed {
    pub(crate) pdu: AuthorizedPdu,
    pub(crate) auth_events: Vec<Arc<Body>>,
}

/// Completes a draft on top of the stage's working state.
pub(crate) async fn complete(
    stage: &Stage<'_>,
    draft: &Draft,
    timestamp_ms: u64,
) -> Result<Completed, RoomError> {
    let view = &stage.view;
    check_reach(stage.inner, view, draft)?;
    check_own_access(draft, &stage.inner.setup.server_name)?;
    let (placement, auth_state) = placement(stage, draft, timestamp_ms).await?;
    let signed = stage.inner.sign(draft, &placement, view.rules)?;
    let mut state = auth_state.clone();
    let needed = needed_keys(signed.pdu())?;
    let further = needed
        .into_iter()
        .filter(|(event_type, state_key)| state.find(&event_type.to_string(), state_key).is_none());
    state.0.extend(load_state(stage, further.collect()).await?.0);
    let find_state =
        |event_type: &str, state_key: &str| state.find(event_type, state_key).map(Arc::clone);
    let authorized = signed.into_own().authorize_own(find_state);
    let pdu = authorized.map_err(|rejected| RoomError::from(rejected.denied))?;
    Ok(Completed { pdu, auth_events: auth_state.bodies().cloned().collect() })
}

/// Checks that an invitation can reach whom it invites. Into a room that is closed to another
/// server the authorization rules let one pass, and then keep out whoever accepts it.
fn check_reach(inner: &Inner, view: &RoomView, draft: &Draft) -> Result<(), RoomError> {
    if draft.event_type != "m.room.member" {
        return Ok(());
    }
    let target = draft.state_key.as_deref().and_then(|key| <&UserId>::try_from(key).ok());
    let is_near = target.is_none_or(|target| target.server_name() == inner.setup.server_name);
    let content = serde_json::from_str::<serde_json::Value>(draft.content.get());
    if is_near || !content.is_ok_and(|content| content["membership"] == "invite") {
        return Ok(());
    }
    let create = view.state_pdu(CREATE);
    if create.is_some_and(|create| create.content_field::<bool>("m.federate") == Some(false)) {
        return Err(RoomError::Forbidden("this room is closed to other servers"));
    }
    if inner.setup.peers.is_none() {
        return Err(RoomError::Peer("there is no federation".to_owned()));
    }
    Ok(())
}

/// Checks that nobody shuts this server out of a room by mistake: nobody here could take that back.
fn check_own_access(draft: &Draft, server: &ServerName) -> Result<(), RoomError> {
    let is_acl = draft.event_type == "m.room.server_acl" && draft.state_key.as_deref() == Some("");
    if is_acl && acl::denies(draft.content.get(), server) {
        let reason = "this access control list would keep out the server that sets it";
        return Err(RoomError::InvalidParam(reason.to_owned()));
    }
    Ok(())
}

/// Where a draft goes on top of the stage's working state, and the auth events that it selects
/// there.
pub(crate) async fn placement(
    stage: &Stage<'_>,
    draft: &Draft,
    timestamp_ms: u64,
) -> Result<(Placement, AuthState), RoomError> {
    let view = &stage.view;
    let auth_state = load_state(stage, auth_keys(draft, view.rules)?).await?;
    let tips = view.tips.iter().map(|tip| tip.pdu());
    let deepest = tips.clone().map(|tip| tip.depth()).max().unwrap_or(0);
    let placement = Placement {
        room_id: Some(view.id.clone()),
        origin_server_ts: timestamp_ms,
        depth: (deepest + 1).min(MAX_DEPTH),
        prev_events: tips.map(|tip| Reference::from(&**tip)).collect(),
        auth_events: auth_state.bodies().map(|body| Reference::from(&**body.pdu())).collect(),
        event_id_localpart: stage.inner.event_id_localpart(view.rules),
    };
    Ok((placement, auth_state))
}

/// The few state events that one event is checked with.
#[derive(Clone)]
pub(crate) struct AuthState(Vec<(Pair, Arc<Body>)>);

impl AuthState {
    fn bodies(&self) -> impl Iterator<Item = &Arc<Body>> {
        self.0.iter().map(|(_, body)| body)
    }

    fn find(&self, event_type: &str, state_key: &str) -> Option<&Arc<Pdu>> {
        let is = |pair: &Pair| pair.0 == event_type && pair.1 == state_key;
        self.0.iter().find(|(pair, _)| is(pair)).map(|(_, body)| body.pdu())
    }
}

/// The events of the working state under these pairs; those that are not there are left out.
async fn load_state(
    stage: &Stage<'_>,
    pairs: Vec<(StateEventType, String)>,
) -> Result<AuthState, RoomError> {
    let pairs = pairs.iter().map(text).collect::<Vec<_>>();
    let keys = stage.inner.find_keys(&pairs).await?;
    let mut state = Vec::with_capacity(pairs.len());
    for (pair, key) in pairs.into_iter().zip(keys) {
        let Some(key) = key else { continue };
        if let Some(body) = stage.state_body(key).await? {
            state.push((pair, body));
        }
    }
    Ok(AuthState(state))
}

fn text(pair: &(StateEventType, String)) -> Pair {
    (pair.0.to_string(), pair.1.clone())
}

impl Inner {
    /// Signs a draft at its place.
    pub(crate) fn sign(
        &self,
        draft: &Draft,
        placement: &Placement,
        rules: &'static Rules,
    ) -> Result<SignedPdu, RoomError> {
        let signer = Signer { server: &self.setup.server_name, key: &self.setup.signing_key };
        draft.complete(placement, signer, rules).map_err(RoomError::from)
    }

    /// The random part of an event id, where the room version wants one.
    pub(crate) fn event_id_localpart(&self, rules: &'static Rules) -> Option<String> {
        let random = &*self.setup.random;
        rules.has_event_id_field().then(|| random_string(random, EVENT_ID_LENGTH))
    }
}

impl From<DraftError> for RoomError {
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::Format(FormatError::TooLarge | FormatError::TooLong(_)) => Self::TooLarge,
            other => Self::BadContent(other.to_string()),
        }
    }
}
