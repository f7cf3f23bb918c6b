//! A server of the network as its clients see it: users with sessions, and `/sync` with a notifier
//! of its own.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use room::{Rooms, testing::network::Node};
use serde_json::Value;
use store::{
    Store,
    testing::{ManualClock, SeededRandom},
};
use sync::{Parts, Sync, SyncRequest};
use user::{
    Accounts, Context, Ephemeral, Filters, IgnoredUsers, Passwords, Presence, Profiles, Requester,
    Seen, Sessions, Settings, Typing,
    account::{AccountParts, Registration},
    rooms::ServerRooms,
    session::NewSession,
};

/// A server with some local users.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) rooms: Rooms,
    pub(crate) store: Store,
    /// The sync token of somebody who knows everything that was before the room.
    pub(crate) start: String,
    parts: Parts,
    sync: Sync,
    requesters: BTreeMap<String, Requester>,
}

impl Server {
    /// Registers users at a server of the network.
    pub(crate) async fn open(node: &Node, users: &[&str]) -> Arc<Self> {
        let settings = Settings { presence_enabled: false, ..Settings::default() };
        let context = Context {
            store: node.store.clone(),
            server_name: node.name.clone(),
            clock: Arc::new(ManualClock::default()),
            random: Arc::new(SeededRandom::new(1)),
            settings: Arc::new(ArcSwap::from_pointee(settings)),
        };
        let access = ServerRooms::new(node.rooms.clone(), context.store.clone());
        let passwords = Passwords::new(1, context.random.clone());
        let sessions = Sessions::new(context.clone(), passwords.clone());
        let profiles = Profiles::new(context.clone(), access.clone());
        let ephemeral = Ephemeral::new(&context);
        let parts = Parts {
            store: context.store.clone(),
            rooms: node.rooms.clone(),
            filters: Filters::new(context.clone()),
            ignored: IgnoredUsers::new(context.clone()),
            typing: Typing::new(context.clone(), access.clone(), ephemeral.clone()),
            presence: Presence::new(context.clone(), access.clone(), ephemeral.clone()),
            ephemeral,
            clock: context.clock.clone(),
        };
        let accounts =
            AccountParts { passwords, sessions: sessions.clone(), profiles, rooms: access };
        let accounts = Accounts::open(context.clone(), accounts).await.unwrap();
        let mut requesters = BTreeMap::new();
        for name in users {
            let requester = register(&accounts, &sessions, name).await;
            requesters.insert((*name).to_owned(), requester);
        }
        let sync = Sync::new(parts.clone());
        Arc::new(Self {
            name: node.name.to_string(),
            rooms: node.rooms.clone(),
            store: context.store,
            start: sync.now().to_string(),
            sync,
            parts,
            requesters,
        })
    }

    /// A user who has a session here.
    pub(crate) fn requester(&self, user: &str) -> &Requester {
        &self.requesters[user]
    }

    /// Answers `/sync`. A server that has just started has nothing in memory and has to ask its
    /// database.
    pub(crate) async fn sync(
        &self,
        requester: &Requester,
        request: SyncRequest,
        is_just_started: bool,
    ) -> Value {
        let bytes = if is_just_started {
            let sync = Sync::beginning_at(self.parts.clone(), self.store.position());
            sync.run(requester, request).await
        } else {
            self.sync.run(requester, request).await
        };
        serde_json::from_slice(&bytes.unwrap()).unwrap()
    }
}

async fn register(accounts: &Accounts, sessions: &Sessions, name: &str) -> Requester {
    let registration = Registration {
        username: Some(name.to_owned()),
        login: Some(NewSession::default()),
        ..Registration::default()
    };
    let registered = accounts.register(registration).await.unwrap();
    let token = registered.session.unwrap().tokens.access_token;
    sessions.authenticate(&token, &Seen::default()).await.unwrap()
}
