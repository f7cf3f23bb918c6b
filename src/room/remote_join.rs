//! Joining a room of other servers: another server in it makes the event's template, this one signs
//! it, the other one sends it into the room and tells the state before it.
//!
//! The state goes in as outliers and member rows, in pieces that nobody sees; one last change makes
//! the room known and the user joined.
//!
//! Spec: server-server API, "Joining Rooms".

use std::{collections::HashMap, sync::Arc};

use imbl::OrdMap;
use proto::{
    auth::{check_state, needed_keys},
    number::{EventNumber, RoomNumber, StateKeyNumber},
    pdu::Pdu,
    rules::Rules,
    state::StateMap,
    visibility::Membership,
};
use ruma::{RoomId, ServerName};
use serde_json::{Map, Value};
use smallvec::SmallVec;
use store::{
    numbers::CREATE,
    room::{
        event::{Body, Event, Outcome},
        events, keys,
        levels::Node,
        members::{self, MemberRow},
        rooms,
    },
};

use crate::{
    Room, RoomError, RoomView, Rooms, Submitted,
    admit::Ready,
    content::member_draft,
    keys::Pair,
    members::Members,
    membership::OwnMembership,
    peers::{JoinAnswer, PeerError},
    reach::is_indexed,
    receive::{breathe, parse},
    recipe::object,
    resident::read_placement,
    room::Core,
    stage::{Gaps, Redaction, Stage, StagedEvent},
    tip::Tip,
    view::{KeyChange, Parts, is_pinned, member_of},
};

/// How many servers are asked, one after the other.
const SERVERS_MAX: usize = 5;
/// How many events of a state are taken.
const STATE_EVENTS_MAX: usize = 200_000;
/// How many member rows one change stores, and how many events of a state are read at once.
const PIECE: usize = 500;

/// The signed join and what the other server answered to it.
struct Joined {
    rules: &'static Rules,
    join: Arc<Pdu>,
    state: Vec<Arc<Pdu>>,
    auth_chain: Vec<Arc<Pdu>>,
}

/// The state that was told, by numbers, and what of its events the room needs. It is gathered piece
/// by piece, so that the events of a large room are not all in memory.
#[derive(Default)]
struct Told {
    state: StateMap,
    members: Members,
    /// Those of this server among the members.
    local: Vec<MemberRow>,
    pinned: OrdMap<StateKeyNumber, Arc<Body>>,
    /// What the join is checked with.
    needed: Vec<Arc<Pdu>>,
}

impl Rooms {
    /// Joins a room through other servers. `room` is there if this server was in the room before.
    pub(crate) async fn join_remote(
        &self,
        request: &OwnMembership,
        room: Option<&Room>,
    ) -> Result<Submitted, RoomError> {
        let _joining = self.inner.joining(&request.room_id).await;
        let mut last = RoomError::Peer("no server is named that may be in the room".to_owned());
        let servers = self.candidates(request);
        for server in servers.iter().take(SERVERS_MAX) {
            match self.join_through(server, request).await {
                Ok(joined) => return self.enter(request, room, server, joined).await,
                Err(error) => {
                    tracing::info!(%server, room = %request.room_id, %error, "cannot join");
                    last = error;
                }
            }
        }
        Err(last)
    }

    fn candidates(&self, request: &OwnMembership) -> Vec<ruma::OwnedServerName> {
        let mut servers = request.via.clone();
        servers.extend(request.room_id.server_name().map(ToOwned::to_owned));
        servers.retain(|server| server != self.server_name());
        let mut seen = std::collections::HashSet::new();
        servers.retain(|server| seen.insert(server.clone()));
        servers
    }

    async fn join_through(
        &self,
        server: &ServerName,
        request: &OwnMembership,
    ) -> Result<Joined, RoomError> {
        let (user, room_id) = (&request.user, &request.room_id);
        let versions = Rules::all().map(Rules::version).collect();
        let peer = |error: PeerError| RoomError::Peer(error.0);
        let template = self.peers()?.make_join(server, room_id, user, versions);
        let template = template.await.map_err(peer)?;
        let rules = Rules::of(template.version.as_str())
            .ok_or_else(|| RoomError::UnsupportedVersion(template.version.clone()))?;
        let bad = || RoomError::Peer("the other server's template is not usable".to_owned());
        let event = object(&template.event)?;
        let mut content = match event.get("content") {
            Some(Value::Object(content)) => content.clone(),
            _ => Map::new(),
        };
        request.profile.write(&mut content);
        if let Some(reason) = &request.reason {
            content.insert("reason".to_owned(), reason.as_str().into());
        }
        let draft = member_draft(user, user, Membership::Join, content)?;
        let placement = read_placement(&Value::Object(event), room_id, self.now_ms());
        let mut placement = placement.ok_or_else(bad)?;
        placement.event_id_localpart = self.inner.event_id_localpart(rules);
        let signed = self.inner.sign(&draft, &placement, rules)?;
        let sent = crate::resident::raw_event(signed.pdu().json())?;
        let answer = self.peers()?.send_join(server, room_id, &sent).await.map_err(peer)?;
        let join = self.countersigned(&answer, signed, room_id).await?;
        let count = answer.state.len() + answer.auth_chain.len();
        if count > STATE_EVENTS_MAX {
            return Err(RoomError::Limit("the room's state is too large"));
        }
        let state = self.check_answer(answer.state, room_id, rules).await?;
        let auth_chain = self.check_answer(answer.auth_chain, room_id, rules).await?;
        Ok(Joined { rules, join, state, auth_chain })
    }

    /// The join as the other server has it: with its signature where a restricted rule wants that.
    async fn countersigned(
        &self,
        answer: &JoinAnswer,
        signed: proto::draft::SignedPdu,
        room_id: &RoomId,
    ) -> Result<Arc<Pdu>, RoomError> {
        let rules = signed.pdu().rules();
        if let Some(event) = &answer.event {
            let theirs = parse(event, room_id, rules)?;
            if theirs.pdu().event_id() == signed.pdu().event_id()
                && let Some((pdu, _)) = self.verify_all(vec![theirs]).await?.pop()
            {
                return Ok(pdu);
            }
        }
        Ok(signed.into_own().into_pdu())
    }

    /// The events that are right. Each text is given up as soon as it is parsed.
    async fn check_answer(
        &self,
        events: Vec<Box<serde_json::value::RawValue>>,
        room_id: &RoomId,
        rules: &'static Rules,
    ) -> Result<Vec<Arc<Pdu>>, RoomError> {
        let mut parsed = Vec::with_capacity(events.len());
        for (place, event) in events.into_iter().enumerate() {
            breathe(place).await;
            parsed.extend(parse(&event, room_id, rules));
        }
        let verified = self.verify_all(parsed).await?;
        Ok(verified.into_iter().map(|(pdu, _)| pdu).collect())
    }

    /// Takes over what the other server told.
    async fn enter(
        &self,
        request: &OwnMembership,
        room: Option<&Room>,
        server: &ServerName,
        mut joined: Joined,
    ) -> Result<Submitted, RoomError> {
        let event_id = joined.join.event_id().to_owned();
        if let Some(room) = room {
            let told = {
                let mut tip = self.lock_settled(&room.0).await?;
                tip.chain_ends.clear();
                self.store_told(room.number(), &mut joined).await?
            };
            let told = vec![told.state];
            let ready = Ready { pdu: Arc::clone(&joined.join), told, anew: true };
            let received = self.admit(&room.0, &ready).await?;
            if received.outcome != Outcome::Accepted {
                return Err(RoomError::Peer(format!("{server} let in who may not come in")));
            }
        } else {
            self.enter_new(request, joined).await?;
        }
        Ok(Submitted { event_id, position: self.inner.setup.store.position() })
    }

    async fn enter_new(
        &self,
        request: &OwnMembership,
        mut joined: Joined,
    ) -> Result<(), RoomError> {
        let number = self.inner.intern_room(&request.room_id).await?;
        let version = joined.rules.id;
        let stub = move |txn: &mut store::WriteTxn<'_>| rooms::insert_stub(txn, number, version);
        self.inner.setup.store.write(stub).await?;
        let mut told = self.store_told(number, &mut joined).await?;
        check_join(&joined.join, &told.needed)?;
        self.store_members(number, &told.members).await?;
        let local = std::mem::take(&mut told.local);
        let view = self.first_view(request, &joined, (number, told)).await?;
        self.make_known(&joined, view, local).await
    }

    /// Stores state and auth chain as outliers. They are taken out of what was answered, so that
    /// they are not kept for longer.
    async fn store_told(&self, number: RoomNumber, joined: &mut Joined) -> Result<Told, RoomError> {
        let state = std::mem::take(&mut joined.state);
        let ids = state.iter().map(|pdu| pdu.event_id().to_owned()).collect::<Vec<_>>();
        let mut all = std::mem::take(&mut joined.auth_chain);
        all.extend(state);
        self.store_outliers(number, all).await?;
        let needed = needed_keys(&joined.join)?.into_iter();
        let needed = needed.map(|(kind, key)| (kind.to_string(), key)).collect::<Vec<_>>();
        let mut told = Told::default();
        for ids in ids.chunks(PIECE) {
            let (ids, cache) = (ids.to_vec(), self.events().clone());
            let read = self.inner.setup.store.read(move |snapshot| {
                let known = events::find_all(snapshot, &ids)?;
                let numbers = known.values().filter(|known| known.outcome != Outcome::Rejected);
                let numbers = numbers.map(|known| known.number).collect::<Vec<_>>();
                events::load_all(snapshot, &cache, &numbers)
            });
            for event in read.await? {
                told.take(self, &event, &needed);
            }
        }
        Ok(told)
    }

    /// Stores the rows of other servers' members.
    async fn store_members(&self, room: RoomNumber, members: &Members) -> Result<(), RoomError> {
        let remote = members.iter().filter(|(_, member)| !self.is_local(&member.user_id));
        let rows = remote.map(|(user, member)| MemberRow {
            room,
            user,
            membership: member.membership,
            event: member.event,
            position: store::Position(0),
        });
        let rows = rows.collect::<Vec<_>>();
        for piece in rows.chunks(PIECE) {
            let piece = piece.to_vec();
            let work = self.inner.setup.store.write(move |txn| {
                let position = txn.newest_position();
                for row in &piece {
                    members::set(txn, &MemberRow { position, ..row.clone() })?;
                }
                Ok::<_, store::Error>(())
            });
            work.await?;
        }
        Ok(())
    }

    /// The room just before the join.
    async fn first_view(
        &self,
        request: &OwnMembership,
        joined: &Joined,
        (number, told): (RoomNumber, Told),
    ) -> Result<(RoomView, Vec<Arc<Node>>), RoomError> {
        let Told { state, members, pinned, .. } = told;
        let group = self.inner.numbering.next_group().await?;
        let entries = state.iter().map(|(key, number)| (key.0, number.0)).collect();
        let path = vec![Arc::new(Node::root(group.0, entries))];
        if !pinned.contains_key(&CREATE) {
            return Err(RoomError::Peer("the room's state has no create event".to_owned()));
        }
        let claimed = i64::try_from(joined.join.depth()).unwrap_or(i64::MAX);
        let view = RoomView::new(Parts {
            number,
            id: request.room_id.clone(),
            rules: joined.rules,
            revision: 0,
            group,
            state,
            depth: claimed - 1,
            tips: SmallVec::new(),
            pinned,
            members,
        })?;
        Ok((view, path))
    }

    /// The last change: the room is there, and the user is in it.
    async fn make_known(
        &self,
        joined: &Joined,
        (view, path): (RoomView, Vec<Arc<Node>>),
        local: Vec<MemberRow>,
    ) -> Result<(), RoomError> {
        let root = Arc::clone(&path[0]);
        let core = Arc::new(Core::new(Tip::new(Arc::new(view), path), store::Position(0), false));
        let mut tip = self.lock(&core).await?;
        let mut stage = Stage::new(&self.inner, &core, &tip);
        stage.is_new = true;
        stage.groups.push(store::room::groups::NewGroup { parent: None, node: root });
        stage.add_first(&joined.join).await?;
        stage.extras.rows.push(Box::new(move |txn| {
            let position = txn.newest_position();
            for row in &local {
                members::set_if_new(txn, &MemberRow { position, ..row.clone() })?;
            }
            Ok(())
        }));
        let staged = stage
            .finish(self)
            .ok_or_else(|| RoomError::Damaged("a join staged nothing".to_owned()))?;
        self.commit_stage(staged, &mut tip).await?;
        Ok(())
    }
}

impl Told {
    /// Takes an event of the state in.
    fn take(&mut self, rooms: &Rooms, event: &Arc<Event>, needed: &[Pair]) {
        let Some(key) = event.key else { return };
        let pdu = event.pdu();
        self.state.insert(key, event.number());
        if is_pinned(key) {
            self.pinned.insert(key, Arc::clone(&event.body));
        }
        if needed.iter().any(|(event_type, state_key)| pdu.is_state_of(event_type, state_key)) {
            self.needed.push(Arc::clone(pdu));
        }
        let member = keys::key_user(key).zip(member_of(&event.body));
        let Some((user, member)) = member else { return };
        if rooms.is_local(&member.user_id) {
            self.local.push(MemberRow {
                room: event.room,
                user,
                membership: member.membership,
                event: member.event,
                position: store::Position(0),
            });
        }
        self.members.set(user, member, rooms.server_name());
    }
}

/// Whether the state that was told lets the user in.
fn check_join(join: &Pdu, state: &[Arc<Pdu>]) -> Result<(), RoomError> {
    let find = |event_type: &str, state_key: &str| {
        state.iter().find(|pdu| pdu.is_state_of(event_type, state_key)).cloned()
    };
    Ok(check_state(join, find)?)
}

impl Stage<'_> {
    /// Adds the event with which this server enters the room.
    async fn add_first(&mut self, join: &Arc<Pdu>) -> Result<(), RoomError> {
        let number = self.inner.numbering.next_event().await?;
        let body = Arc::new(Body::new(number, Arc::clone(join)));
        let key = self.key_of(join).await?;
        let key = key.ok_or_else(|| RoomError::Damaged("a join has no state key".to_owned()))?;
        let old = self.view.state_event(key);
        let replaces = self.state_body(key).await?;
        if is_indexed(join) {
            let auth = self.stored(join.auth_events().to_vec()).await?;
            let predecessor = old.filter(|old| auth.contains(old));
            self.index(&body, predecessor, auth).await?;
        }
        self.add_group(vec![(key.0, number.0)]).await?;
        let change = KeyChange { key, old, new: Some(Arc::clone(&body)) };
        self.view.apply(&change, &self.inner.loader.server);
        self.view.depth += 1;
        self.view.tips = smallvec::smallvec![Arc::clone(&body)];
        self.events.push(StagedEvent {
            body,
            outcome: Outcome::Accepted,
            key: Some(key),
            group: Some(self.view.group),
            depth: Some(self.view.depth),
            replaces,
            changes: vec![change],
            current: self.view.group,
            redaction: Redaction::None,
            txn: None,
            known: false,
            gaps: Gaps { opened: join.prev_events().to_vec(), wanted: false, closed: false },
        });
        Ok(())
    }

    /// The numbers of those of these events that are stored.
    async fn stored(&self, ids: Vec<ruma::OwnedEventId>) -> Result<Vec<EventNumber>, RoomError> {
        let read = self.inner.setup.store.read(move |snapshot| events::find_all(snapshot, &ids));
        let known: HashMap<ruma::OwnedEventId, events::Known> = read.await?;
        Ok(known.into_values().map(|known| known.number).collect())
    }
}
