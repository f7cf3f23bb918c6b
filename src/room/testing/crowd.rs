//! A thousand other servers who made a room and came into it: large rooms as another server tells
//! them. They answer a join and write events on branches of the room's history, all with one key.
//!
//! Invariant: what they tell is right by the rules of the room's version.

#![expect(clippy::missing_panics_doc, reason = "a double says by a panic that a test failed")]

use std::sync::Arc;

use proto::{
    auth::auth_keys,
    draft::{Draft, Placement, Reference, Signer},
    pdu::Pdu,
    rules::Rules,
    signing::{SigningKey, VerifyKey},
    verify::VerifyKeys,
};
use ruma::{
    EventId, OwnedRoomId, OwnedServerName, OwnedUserId, RoomId, RoomVersionId, ServerName, UserId,
};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use store::testing::SeededRandom;

use crate::peers::{Answer, JoinAnswer, JoinTemplate, MissingEvents, PeerError, Peers, StateIds};

/// How many servers there are. The members are spread over them.
pub const SERVERS: usize = 1000;
const START_MS: u64 = 1_600_000_000_000;

/// The servers and what they have: the room's state and the end of its history.
pub struct Crowd {
    key: SigningKey,
    /// The rules of the room.
    pub rules: &'static Rules,
    /// The room.
    pub room_id: OwnedRoomId,
    /// The end of its history when it is joined.
    pub branch: Branch,
}

/// A line of a room's history, with the state at its end.
#[derive(Clone)]
pub struct Branch {
    /// Its last event.
    pub last: Arc<Pdu>,
    state: imbl::OrdMap<(String, String), Arc<Pdu>>,
}

/// An event to be written.
pub struct Deed<'d> {
    /// Who writes it.
    pub sender: &'d UserId,
    /// Its type.
    pub event_type: &'d str,
    /// Its state key.
    pub state_key: &'d str,
    /// Its content.
    pub content: Value,
}

/// One of the members.
pub fn member(number: usize) -> OwnedUserId {
    let text = format!("@member{number}:s{}.example", number % SERVERS);
    UserId::parse(text).expect("it is a user id")
}

/// One of those who may change the power levels.
pub fn admin(number: usize) -> OwnedUserId {
    UserId::parse(format!("@admin{number}:s{number}.example")).expect("it is a user id")
}

/// The power levels, with one user's set.
pub fn powers(rules: &Rules, own: &UserId, (user, power): (&UserId, i64)) -> Value {
    let mut users = json!({ admin(1): 100, admin(2): 100, own: 100 });
    if !rules.privileged_creators() {
        users[admin(0).as_str()] = 100.into();
    }
    users[user.as_str()] = power.into();
    json!({ "users": users, "invite": 0, "state_default": 50 })
}

impl Branch {
    /// Goes on behind an event that another server wrote at its end.
    pub fn follow(&mut self, pdu: &Arc<Pdu>) {
        if let Some(state_key) = pdu.state_key() {
            let key = (pdu.type_str().to_owned(), state_key.to_owned());
            self.state.insert(key, Arc::clone(pdu));
        }
        self.last = Arc::clone(pdu);
    }
}

impl Crowd {
    /// A room of so many members, where `own` is as powerful as anybody.
    pub fn new(rules: &'static Rules, members: usize, own: &UserId) -> Self {
        let key = SigningKey::generate(&SeededRandom::new(7));
        let creator = admin(0);
        let create = Draft {
            sender: creator.clone(),
            event_type: "m.room.create".into(),
            state_key: Some(String::new()),
            content: raw(&json!({ "room_version": rules.id })),
            redacts: None,
        };
        let room_id = RoomId::parse("!large:s0.example").expect("it is a room id");
        let placement = Placement {
            room_id: (!rules.room_id_is_create_event()).then_some(room_id),
            origin_server_ts: START_MS,
            depth: 1,
            prev_events: Vec::new(),
            auth_events: Vec::new(),
            event_id_localpart: None,
        };
        let signer = Signer { server: creator.server_name(), key: &key };
        let create = create.complete(&placement, signer, rules).expect("it can be created");
        let create = create.into_own().into_pdu();
        let pair = ("m.room.create".to_owned(), String::new());
        let state = imbl::OrdMap::unit(pair, Arc::clone(&create));
        let branch = Branch { last: Arc::clone(&create), state };
        let mut crowd = Self { key, rules, room_id: create.room_id().to_owned(), branch };
        crowd.fill(members, own);
        crowd
    }

    fn fill(&mut self, members: usize, own: &UserId) {
        let mut branch = self.branch.clone();
        let creator = admin(0);
        self.join(&mut branch, &creator);
        let powers = powers(self.rules, own, (&admin(1), 100));
        let first = [
            ("m.room.power_levels", powers),
            ("m.room.join_rules", json!({ "join_rule": "public" })),
            ("m.room.history_visibility", json!({ "history_visibility": "shared" })),
        ];
        for (event_type, content) in first {
            self.write(&mut branch, &Deed { sender: &creator, event_type, state_key: "", content });
        }
        for user in [admin(1), admin(2)].into_iter().chain((3..members).map(member)) {
            self.join(&mut branch, &user);
        }
        self.branch = branch;
    }

    /// A user joins on a branch.
    pub fn join(&self, branch: &mut Branch, user: &UserId) -> Box<RawValue> {
        let content = json!({
            "membership": "join",
            "displayname": format!("The member {}", user.localpart()),
            "avatar_url": format!("mxc://{}/abcdefghijklmnopqrstuvwx", user.server_name()),
        });
        let deed =
            Deed { sender: user, event_type: "m.room.member", state_key: user.as_str(), content };
        self.write(branch, &deed)
    }

    /// Writes a state event on a branch.
    pub fn write(&self, branch: &mut Branch, deed: &Deed<'_>) -> Box<RawValue> {
        let draft = Draft {
            sender: deed.sender.to_owned(),
            event_type: deed.event_type.into(),
            state_key: Some(deed.state_key.to_owned()),
            content: raw(&deed.content),
            redacts: None,
        };
        let keys = auth_keys(&draft, self.rules).expect("its auth events can be told");
        let auth = keys.into_iter().filter_map(|(event_type, state_key)| {
            branch.state.get(&(event_type.to_string(), state_key))
        });
        let depth = branch.last.depth() + 1;
        let placement = Placement {
            room_id: Some(self.room_id.clone()),
            origin_server_ts: START_MS + depth,
            depth,
            prev_events: vec![Reference::from(&*branch.last)],
            auth_events: auth.map(|pdu| Reference::from(&**pdu)).collect(),
            event_id_localpart: None,
        };
        let signer = Signer { server: deed.sender.server_name(), key: &self.key };
        let signed = draft.complete(&placement, signer, self.rules).expect("it can be signed");
        let pdu = signed.into_own().into_pdu();
        let key = (deed.event_type.to_owned(), deed.state_key.to_owned());
        branch.state.insert(key, Arc::clone(&pdu));
        branch.last = Arc::clone(&pdu);
        json_of(&pdu)
    }

    fn template(&self, user: &UserId) -> JoinTemplate {
        let keys = ["m.room.create", "m.room.power_levels", "m.room.join_rules"];
        let keys = &keys[usize::from(self.rules.room_id_is_create_event())..];
        let auth = keys.iter().map(|event_type| {
            self.branch.state[&((*event_type).to_owned(), String::new())].event_id()
        });
        let event = json!({
            "type": "m.room.member",
            "sender": user,
            "state_key": user,
            "room_id": self.room_id,
            "content": { "membership": "join" },
            "depth": self.branch.last.depth() + 1,
            "origin_server_ts": START_MS,
            "prev_events": [self.branch.last.event_id()],
            "auth_events": auth.collect::<Vec<_>>(),
        });
        JoinTemplate { version: self.rules.version(), event: raw(&event) }
    }
}

fn raw(content: &Value) -> Box<RawValue> {
    to_raw_value(content).expect("a value is JSON")
}

fn json_of(pdu: &Pdu) -> Box<RawValue> {
    RawValue::from_string(pdu.json().to_owned()).expect("an event is JSON")
}

struct OneKey(VerifyKey);

impl VerifyKeys for OneKey {
    fn find(&self, _: &ServerName, _: &str, _: Option<i64>) -> Option<VerifyKey> {
        Some(self.0)
    }
}

fn absent<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(async { Err(PeerError("not here".to_owned())) })
}

impl Peers for Crowd {
    fn keys(
        &self,
        _wanted: Vec<(OwnedServerName, Vec<String>)>,
    ) -> Answer<'_, Box<dyn VerifyKeys + Send + Sync>> {
        let keys: Box<dyn VerifyKeys + Send + Sync> = Box::new(OneKey(self.key.verify_key()));
        Box::pin(async { Ok(keys) })
    }

    fn missing_events<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
        _: MissingEvents,
    ) -> Answer<'a, Vec<Box<RawValue>>> {
        absent()
    }

    fn state_ids<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
        _: &'a EventId,
    ) -> Answer<'a, StateIds> {
        absent()
    }

    fn event<'a>(&'a self, _: &'a ServerName, _: &'a EventId) -> Answer<'a, Option<Box<RawValue>>> {
        absent()
    }

    fn make_join<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
        user: &'a UserId,
        _: Vec<RoomVersionId>,
    ) -> Answer<'a, JoinTemplate> {
        let template = self.template(user);
        Box::pin(async { Ok(template) })
    }

    fn send_join<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
        _: &'a RawValue,
    ) -> Answer<'a, JoinAnswer> {
        let state = self.branch.state.values().map(|pdu| json_of(pdu)).collect::<Vec<_>>();
        Box::pin(async { Ok(JoinAnswer { event: None, auth_chain: Vec::new(), state }) })
    }
}
