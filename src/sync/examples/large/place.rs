//! Our server: everything that rooms and `/sync` need, over a store.

use std::sync::Arc;

use arc_swap::ArcSwap;
use room::{Rooms, peers::Peers, testing::setup};
use ruma::UserId;
use store::{
    Store,
    testing::{ManualClock, SeededRandom},
};
use sync::{Parts, Sync};
use user::{
    AccountData, Accounts, Context, Ephemeral, Filters, IgnoredUsers, Passwords, Presence,
    Profiles, Requester, Seen, Sessions, Settings, Typing,
    account::{AccountParts, Registration},
    rooms::ServerRooms,
    session::NewSession,
};

/// The server.
pub(crate) struct Place {
    pub(crate) store: Store,
    pub(crate) rooms: Rooms,
    pub(crate) sync: Sync,
    accounts: Accounts,
    sessions: Sessions,
}

impl Place {
    pub(crate) async fn open(store: Store, peers: Option<Arc<dyn Peers>>, seed: u64) -> Self {
        let mut setup = setup(store.clone(), "example.org", 1);
        setup.random = Arc::new(SeededRandom::new(seed));
        setup.peers = peers;
        let context = Context {
            store: store.clone(),
            server_name: setup.server_name.clone(),
            clock: setup.clock.clone(),
            random: setup.random.clone(),
            settings: Arc::new(ArcSwap::from_pointee(Settings::default())),
        };
        let rooms = Rooms::new(setup);
        let access = ServerRooms::new(rooms.clone(), store.clone());
        let passwords = Passwords::new(1, context.random.clone());
        let sessions = Sessions::new(context.clone(), passwords.clone());
        let profiles = Profiles::new(context.clone(), access.clone());
        let parts =
            AccountParts { passwords, sessions: sessions.clone(), profiles, rooms: access.clone() };
        let accounts = Accounts::open(context.clone(), parts).await.expect("accounts can be read");
        let ignored = IgnoredUsers::new(context.clone());
        let ephemeral = Ephemeral::new(&context);
        let _ = AccountData::new(context.clone(), ignored.clone());
        let sync = Sync::new(Parts {
            store: store.clone(),
            rooms: rooms.clone(),
            filters: Filters::new(context.clone()),
            ignored,
            typing: Typing::new(context.clone(), access.clone(), ephemeral.clone()),
            presence: Presence::new(context, access, ephemeral.clone()),
            ephemeral,
            clock: Arc::new(ManualClock::default()),
        });
        Self { store, rooms, sync, accounts, sessions }
    }

    /// A new user's access token.
    pub(crate) async fn register(&self, name: &str) -> String {
        let registration = Registration {
            username: Some(name.to_owned()),
            login: Some(NewSession::default()),
            ..Registration::default()
        };
        let registered = self.accounts.register(registration).await.expect("the name is free");
        registered.session.expect("a session was asked for").tokens.access_token
    }

    /// The client with this token.
    pub(crate) async fn client(&self, token: &str) -> Requester {
        let seen = Seen::default();
        self.sessions.authenticate(token, &seen).await.expect("the token is good")
    }
}

/// A user of ours.
pub(crate) fn own(name: &str) -> ruma::OwnedUserId {
    UserId::parse(format!("@{name}:example.org")).expect("it is a user id")
}
