//! What the tests speak in: clients who do things and sync.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use proto::draft::Draft;
use room::{
    PageToken, Rooms, Submission, Submitted, TxnKey, Visible,
    create::CreateRoom,
    membership::{MemberProfile, OtherMembership, OwnMembership},
    query::{Direction, MessagesRequest, Point, Reading},
    testing::setup,
};
use ruma::{
    OwnedEventId, OwnedRoomId, RoomId, UserId, api::client::room::create_room::v3::RoomPreset,
    presence::PresenceState,
};
use serde_json::{Value, json, value::to_raw_value};
use store::{
    Store,
    testing::{ManualClock, SeededRandom, for_each_engine},
};
use user::{
    AccountData, Accounts, Context, Ephemeral, Filters, IgnoredUsers, Passwords, Presence,
    Profiles, Receipts, Requester, Seen, Sessions, Settings, Typing,
    account::{AccountParts, Registration},
    rooms::ServerRooms,
    session::NewSession,
};

use crate::{Error, Parts, StateSection, Sync, SyncRequest, token::SyncToken};

/// A server with users, rooms and sync.
#[derive(Clone)]
pub(super) struct World {
    pub(super) store: Store,
    pub(super) rooms: Rooms,
    pub(super) clock: Arc<ManualClock>,
    pub(super) accounts: Accounts,
    pub(super) sessions: Sessions,
    pub(super) account_data: AccountData,
    pub(super) receipts: Receipts,
    pub(super) parts: Parts,
    pub(super) sync: Sync,
}

/// A client of a user, with the token that it holds.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) world: World,
    pub(super) requester: Requester,
    pub(super) since: Option<String>,
    /// Its filter, null for none.
    pub(super) filter: Value,
    pub(super) state: StateSection,
}

/// Runs a test on a new server on each engine.
pub(super) async fn each_world<T: Future<Output = ()>>(test: impl Fn(World) -> T) {
    for_each_engine(async |store: Store| test(World::open(store, 1).await).await).await;
}

impl World {
    /// A server over a store. Another seed is another run of the process.
    pub(super) async fn open(store: Store, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::default());
        // Events are signed by the same key in each run.
        let mut rooms = setup(store.clone(), "example.org", 1);
        rooms.clock = clock.clone();
        rooms.random = Arc::new(SeededRandom::new(seed));
        let settings = Settings { presence_enabled: true, ..Settings::default() };
        let context = Context {
            store: store.clone(),
            server_name: rooms.server_name.clone(),
            clock: clock.clone(),
            random: rooms.random.clone(),
            settings: Arc::new(ArcSwap::from_pointee(settings)),
        };
        let rooms = Rooms::new(rooms);
        Self::assemble(context, rooms, clock).await
    }

    async fn assemble(context: Context, rooms: Rooms, clock: Arc<ManualClock>) -> Self {
        let access = ServerRooms::new(rooms.clone(), context.store.clone());
        let passwords = Passwords::new(1, context.random.clone());
        let sessions = Sessions::new(context.clone(), passwords.clone());
        let profiles = Profiles::new(context.clone(), access.clone());
        let parts =
            AccountParts { passwords, sessions: sessions.clone(), profiles, rooms: access.clone() };
        let accounts = Accounts::open(context.clone(), parts).await.unwrap();
        let ignored = IgnoredUsers::new(context.clone());
        let account_data = AccountData::new(context.clone(), ignored.clone());
        let ephemeral = Ephemeral::new(&context);
        let parts = Parts {
            store: context.store.clone(),
            rooms: rooms.clone(),
            filters: Filters::new(context.clone()),
            ignored,
            typing: Typing::new(context.clone(), access.clone(), ephemeral.clone()),
            presence: Presence::new(context.clone(), access.clone(), ephemeral.clone()),
            ephemeral,
            clock: clock.clone(),
        };
        let receipts = Receipts::new(context.clone(), access, account_data.clone());
        let sync = Sync::new(parts.clone());
        let store = context.store;
        Self { store, rooms, clock, accounts, sessions, account_data, receipts, parts, sync }
    }

    /// A client of a new user.
    pub(super) async fn register(&self, name: &str) -> Client {
        let login = NewSession { device_id: Some(name.to_uppercase().into()), ..new_session() };
        let registration = Registration {
            username: Some(name.to_owned()),
            login: Some(login),
            ..Registration::default()
        };
        let registered = self.accounts.register(registration).await.unwrap();
        self.client(&registered.session.unwrap().tokens.access_token).await
    }

    /// A client with this access token.
    pub(super) async fn client(&self, token: &str) -> Client {
        let requester = self.sessions.authenticate(token, &Seen::default()).await.unwrap();
        Client {
            world: self.clone(),
            requester,
            since: None,
            filter: Value::Null,
            state: StateSection::Before,
        }
    }

    /// Sync as after a restart: nothing that happened before is in memory.
    pub(super) fn restarted(&self) -> Sync {
        Sync::beginning_at(self.parts.clone(), self.store.position())
    }
}

fn new_session() -> NewSession {
    NewSession {
        device_id: None,
        initial_device_display_name: None,
        refresh_token: false,
        seen: Seen::default(),
    }
}

impl Client {
    pub(super) fn id(&self) -> &UserId {
        self.requester.user_id()
    }

    /// The same client, with this filter.
    pub(super) fn with_filter(mut self, filter: Value) -> Self {
        self.filter = filter;
        self
    }

    /// A new room that everybody may join.
    pub(super) async fn create(&self) -> OwnedRoomId {
        self.create_with(RoomPreset::PublicChat, |_| ()).await
    }

    /// A new room.
    pub(super) async fn create_with(
        &self,
        preset: RoomPreset,
        change: impl FnOnce(&mut CreateRoom),
    ) -> OwnedRoomId {
        let mut request = CreateRoom {
            creator: self.id().to_owned(),
            profile: MemberProfile::default(),
            version: None,
            public: false,
            preset: Some(preset),
            alias_localpart: None,
            name: None,
            topic: None,
            invite: Vec::new(),
            is_direct: false,
            creation_content: None,
            initial_state: Vec::new(),
            power_level_content_override: None,
        };
        change(&mut request);
        self.world.rooms.create(request).await.unwrap()
    }

    fn own(&self, room: &RoomId) -> OwnMembership {
        OwnMembership {
            user: self.id().to_owned(),
            room_id: room.to_owned(),
            reason: None,
            profile: MemberProfile::default(),
            via: Vec::new(),
            third_party_signed: None,
        }
    }

    fn other(&self, target: &Self, room: &RoomId) -> OtherMembership {
        OtherMembership {
            sender: self.id().to_owned(),
            target: target.id().to_owned(),
            room_id: room.to_owned(),
            reason: None,
            profile: MemberProfile::default(),
            is_direct: false,
        }
    }

    pub(super) async fn join(&self, room: &RoomId) {
        self.world.rooms.join(self.own(room)).await.unwrap();
    }

    pub(super) async fn leave(&self, room: &RoomId) {
        self.world.rooms.leave(self.own(room)).await.unwrap();
    }

    pub(super) async fn knock(&self, room: &RoomId) {
        self.world.rooms.knock(self.own(room)).await.unwrap();
    }

    pub(super) async fn invite(&self, target: &Self, room: &RoomId) {
        self.world.rooms.invite(self.other(target, room)).await.unwrap();
    }

    pub(super) async fn kick(&self, target: &Self, room: &RoomId) {
        self.world.rooms.kick(self.other(target, room)).await.unwrap();
    }

    pub(super) async fn ban(&self, target: &Self, room: &RoomId) {
        self.world.rooms.ban(self.other(target, room)).await.unwrap();
    }

    /// Sends any event.
    pub(super) async fn send(
        &self,
        room: &RoomId,
        (event_type, state_key, content): (&str, Option<&str>, Value),
        txn: Option<TxnKey>,
    ) -> Submitted {
        let draft = Draft {
            sender: self.id().to_owned(),
            event_type: event_type.to_owned(),
            state_key: state_key.map(str::to_owned),
            content: to_raw_value(&content).unwrap(),
            redacts: None,
        };
        let submission = Submission { room_id: room.to_owned(), draft, timestamp_ms: None, txn };
        self.world.rooms.submit(submission).await.unwrap()
    }

    pub(super) async fn say(&self, room: &RoomId, body: &str) -> OwnedEventId {
        let content = json!({"msgtype": "m.text", "body": body});
        self.send(room, ("m.room.message", None, content), None).await.event_id
    }

    pub(super) async fn set_state(
        &self,
        room: &RoomId,
        event_type: &str,
        content: Value,
    ) -> OwnedEventId {
        self.send(room, (event_type, Some(""), content), None).await.event_id
    }

    /// The request that it makes next.
    pub(super) fn request(&self) -> SyncRequest {
        SyncRequest {
            since: self.since.clone(),
            filter: (!self.filter.is_null()).then(|| self.filter.to_string()),
            state: self.state,
            set_presence: PresenceState::Offline,
            ..SyncRequest::default()
        }
    }

    /// Asks once, without taking the answer's token.
    pub(super) async fn ask(&self, request: SyncRequest) -> Result<Value, Error> {
        let bytes = self.world.sync.run(&self.requester, request).await?;
        Ok(serde_json::from_slice(&bytes).unwrap())
    }

    /// Asks from memory and as after a restart, which has to give the same, without taking the
    /// answer's token.
    pub(super) async fn peek(&self) -> Value {
        let answer = self.ask(self.request()).await.unwrap();
        let restarted = self.world.restarted();
        let bytes = restarted.run(&self.requester, self.request()).await.unwrap();
        let again = serde_json::from_slice::<Value>(&bytes).unwrap();
        assert_eq!(answer, again, "memory and database differ");
        answer
    }

    /// Asks and takes the answer's token.
    pub(super) async fn sync(&mut self) -> Value {
        let answer = self.peek().await;
        self.since = Some(answer["next_batch"].as_str().unwrap().to_owned());
        answer
    }

    /// Asks only from memory, as lazy loading has to, and takes the answer's token.
    pub(super) async fn sync_once(&mut self) -> Value {
        let answer = self.ask(self.request()).await.unwrap();
        self.since = Some(answer["next_batch"].as_str().unwrap().to_owned());
        answer
    }

    /// Waits for something, at most so long, and takes the answer's token.
    pub(super) async fn wait(&mut self, timeout: Duration) -> Value {
        let request = SyncRequest { timeout, ..self.request() };
        let answer = self.ask(request).await.unwrap();
        self.since = Some(answer["next_batch"].as_str().unwrap().to_owned());
        answer
    }
}

/// A page back between two tokens: the events, newest first, and where to go on.
pub(super) async fn page(
    client: &Client,
    room: &RoomId,
    (from, to): (&str, Option<&str>),
) -> (Vec<Value>, Option<String>) {
    let request = MessagesRequest {
        direction: Direction::Backward,
        from: Some(point(from)),
        to: to.map(point),
        limit: 50,
        wanted: None,
        lazy_load_members: false,
    };
    let reading = Reading { user: client.id(), device: None, room_id: room };
    let page = client.world.rooms.messages(reading, request).await.unwrap();
    let event = |event: &Visible| serde_json::from_str(event.to_client(0).get()).unwrap();
    (page.events.iter().map(event).collect(), page.end.map(|end| end.to_string()))
}

fn point(text: &str) -> Point {
    match text.parse::<PageToken>() {
        Ok(page) => Point::Page(page),
        Err(_) => Point::Position(text.parse::<SyncToken>().unwrap().position),
    }
}

/// A joined room of an answer.
pub(super) fn joined<'a>(answer: &'a Value, room: &RoomId) -> &'a Value {
    &answer["rooms"]["join"][room.as_str()]
}

/// A left room of an answer.
pub(super) fn left<'a>(answer: &'a Value, room: &RoomId) -> &'a Value {
    &answer["rooms"]["leave"][room.as_str()]
}

/// What happened in a timeline or state, in short: the body of messages, `type|state key` of state.
pub(super) fn shorts(section: &Value) -> Vec<String> {
    let Some(events) = section["events"].as_array() else { return Vec::new() };
    let short = |event: &Value| match event["state_key"].as_str() {
        Some(key) => {
            let kind = event["type"].as_str().unwrap().trim_start_matches("m.room.");
            let key = key.trim_start_matches('@').trim_end_matches(":example.org");
            match event["content"]["membership"].as_str() {
                Some(membership) => format!("{membership} {key}"),
                None => format!("{kind}|{key}"),
            }
        }
        None => event["content"]["body"].as_str().unwrap_or("?").to_owned(),
    };
    events.iter().map(short).collect()
}

/// What happened in a room's timeline.
pub(super) fn timeline(room: &Value) -> Vec<String> {
    shorts(&room["timeline"])
}

/// What a room's state section says, in alphabetical order.
pub(super) fn state(room: &Value) -> Vec<String> {
    let mut state = shorts(&room["state"]);
    state.sort();
    state
}
