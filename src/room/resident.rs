//! The other side of a join over federation: this server is in the room, another server's user
//! wants in.
//!
//! Spec: server-server API, "Joining Rooms".

use std::{collections::BTreeMap, sync::Arc};

use proto::{
    draft::{Placement, Reference, Signer},
    number::{EventNumber, StateGroup},
    visibility::Membership,
};
use ruma::{RoomId, RoomVersionId, ServerName, UserId};
use serde_json::{Map, Value, json, value::RawValue};
use store::{
    Snapshot,
    room::{chains, event::Event, events},
};

use crate::{
    Outcome, Room, RoomError, Rooms, acl,
    content::{member_draft, raw},
    draft,
    join_rules::authorise_join,
    peers::{JoinAnswer, JoinTemplate},
    receive::{dropped, parse},
    resolve::StateSource,
    stage::Stage,
    visibility::Sight,
};

impl Rooms {
    /// `/make_join`: the event that another server's user would join with, for its server to sign.
    pub async fn make_join(
        &self,
        origin: &ServerName,
        room_id: &RoomId,
        user: &UserId,
        versions: &[RoomVersionId],
    ) -> Result<JoinTemplate, RoomError> {
        let room = self.resident_room(origin, room_id).await?;
        if user.server_name() != origin {
            return Err(RoomError::Forbidden("the user is of another server"));
        }
        let version = room.rules().version();
        if !versions.contains(&version) {
            return Err(RoomError::IncompatibleVersion(version));
        }
        let tip = self.lock_settled(&room.0).await?;
        let stage = Stage::new(&self.inner, &room.0, &tip);
        let mut content = Map::new();
        if let Some(authorising) = authorise_join(self, &stage.view, user).await? {
            content.insert(
                "join_authorised_via_users_server".to_owned(),
                authorising.to_string().into(),
            );
        }
        let event = member_draft(user, user, Membership::Join, content)?;
        let (placement, _) = draft::placement(&stage, &event, self.now_ms()).await?;
        let template = json!({
            "type": "m.room.member",
            "sender": user,
            "state_key": user,
            "room_id": room_id,
            "content": event.content,
            "depth": placement.depth,
            "origin_server_ts": placement.origin_server_ts,
            "prev_events": references(&placement.prev_events),
            "auth_events": references(&placement.auth_events),
        });
        Ok(JoinTemplate { version, event: raw(&template)? })
    }

    /// `/send_join`: takes the signed event, and tells the room's state before it.
    pub async fn accept_join(
        &self,
        origin: &ServerName,
        room_id: &RoomId,
        pdu: &RawValue,
    ) -> Result<JoinAnswer, RoomError> {
        let room = self.resident_room(origin, room_id).await?;
        let mut signed = parse(pdu, room_id, room.rules())?;
        let event = signed.pdu();
        let own = event.state_key() == Some(event.sender().as_str());
        if event.membership() != Some(Membership::Join) || !own {
            return Err(RoomError::BadContent("it is not the join of its sender".to_owned()));
        }
        if event.sender().server_name() != origin {
            return Err(RoomError::Forbidden("the sender is of another server"));
        }
        let via = event.content_field::<String>("join_authorised_via_users_server");
        if via.is_some_and(|via| self.is_local_text(&via)) {
            let countersigned = signed.countersign(self.signer());
            signed = countersigned.map_err(|error| dropped(None, &error.to_string()))?;
        }
        let event_id = signed.pdu().event_id().to_owned();
        let verified = self.verify_all(vec![signed]).await?.pop();
        let (pdu, _) = verified
            .ok_or_else(|| dropped(Some(event_id.clone()), "its signatures are not right"))?;
        let event = raw_event(pdu.json())?;
        let received = self.take_in(origin, &room, pdu).await?;
        if received.outcome != Outcome::Accepted {
            return Err(RoomError::Forbidden("the room does not let the user in"));
        }
        let (sight, chains) = (self.sight(), self.inner.chains.clone());
        let read = self.inner.setup.store.read(move |snapshot| {
            let join = events::find_by_id(snapshot, &sight.events, &event_id)?;
            let join = join.ok_or(RoomError::EventNotFound)?;
            let mut source =
                StateSource { snapshot, sight: &sight, chains: &chains, create: None, fresh: None };
            state_before(&mut source, &join)
        });
        let (state, auth_chain) = read.await?;
        Ok(JoinAnswer { event: Some(event), state, auth_chain })
    }

    /// A room that this server is in and that the other may take part in.
    async fn resident_room(
        &self,
        origin: &ServerName,
        room_id: &RoomId,
    ) -> Result<Room, RoomError> {
        let room = self.find(room_id).await?.ok_or(RoomError::RoomNotFound)?;
        let view = room.view();
        if view.joined_local().next().is_none() {
            return Err(RoomError::RoomNotFound);
        }
        if !acl::allows(&view, origin) {
            return Err(RoomError::Forbidden("the room does not let this server take part"));
        }
        Ok(room)
    }

    fn is_local_text(&self, user: &str) -> bool {
        <&UserId>::try_from(user).is_ok_and(|user| self.is_local(user))
    }

    pub(crate) fn signer(&self) -> Signer<'_> {
        Signer { server: self.server_name(), key: &self.inner.setup.signing_key }
    }
}

/// An event's JSON text as a raw value.
pub(crate) fn raw_event(json: &str) -> Result<Box<RawValue>, RoomError> {
    RawValue::from_string(json.to_owned()).map_err(|error| RoomError::Damaged(error.to_string()))
}

/// References as they stand in an event: ids, or in room versions 1 and 2 pairs of id and hash.
fn references(references: &[Reference]) -> Value {
    let write = |reference: &Reference| match &reference.hash {
        Some(hash) => json!([reference.event_id, { "sha256": hash }]),
        None => json!(reference.event_id),
    };
    references.iter().map(write).collect()
}

/// Events as they are sent.
type Events = Vec<Box<RawValue>>;

/// The state before an event and its full auth chain.
fn state_before(
    source: &mut StateSource<'_, '_>,
    event: &Event,
) -> Result<(Events, Events), RoomError> {
    let (state, chain) = numbers_before(source, event)?;
    let sight = source.sight;
    Ok((json(source.snapshot, sight, &state)?, json(source.snapshot, sight, &chain)?))
}

/// The numbers of the state before an event and of its full auth chain.
pub(crate) fn numbers_before(
    source: &mut StateSource<'_, '_>,
    event: &Event,
) -> Result<(Vec<EventNumber>, Vec<EventNumber>), RoomError> {
    let sight = source.sight;
    let mut group = event.group.ok_or(RoomError::EventNotFound)?;
    if event.key.is_some() && event.outcome != Outcome::Rejected {
        // A state event has a group of its own, made from that of the state before it.
        let parent: Option<StateGroup> = sight.groups.parent(source.snapshot, group)?;
        let Some(parent) = parent else { return Ok((Vec::new(), Vec::new())) };
        group = parent;
    }
    let state = sight.groups.map(source.snapshot, group)?;
    let numbers = state.values().copied().collect::<Vec<_>>();
    let mut reached = BTreeMap::new();
    for map in source.reached(&numbers)?.values() {
        for (chain, sequence) in map.iter() {
            let most = reached.entry(*chain).or_insert(0);
            *most = (*sequence).max(*most);
        }
    }
    let mut chain = Vec::new();
    for (number, last) in reached {
        chain.extend(chains::list_range(source.snapshot, number, 0, last)?);
    }
    Ok((numbers, chain))
}

fn json(
    snapshot: &mut Snapshot<'_>,
    sight: &Sight,
    numbers: &[EventNumber],
) -> Result<Events, RoomError> {
    let loaded = events::load_all(snapshot, &sight.events, numbers)?;
    loaded.iter().map(|event: &Arc<Event>| raw_event(event.pdu().json())).collect()
}

/// Where the template's event goes, from what the other server says.
pub(crate) fn read_placement(
    template: &Value,
    room_id: &RoomId,
    timestamp_ms: u64,
) -> Option<Placement> {
    let list = |field: &str| {
        let items = template.get(field)?.as_array()?;
        items.iter().map(read_reference).collect::<Option<Vec<_>>>()
    };
    Some(Placement {
        room_id: Some(room_id.to_owned()),
        origin_server_ts: timestamp_ms,
        depth: template.get("depth")?.as_u64()?,
        prev_events: list("prev_events")?,
        auth_events: list("auth_events")?,
        event_id_localpart: None,
    })
}

fn read_reference(item: &Value) -> Option<Reference> {
    let (id, hash) = match item {
        Value::String(id) => (id.as_str(), None),
        Value::Array(pair) => {
            let hash = pair.get(1)?.get("sha256")?.as_str()?;
            (pair.first()?.as_str()?, Some(hash.to_owned()))
        }
        _ => return None,
    };
    Some(Reference { event_id: id.try_into().ok()?, hash })
}
