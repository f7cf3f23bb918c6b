//! Puts the parts together. This file alone knows everybody.

use std::sync::Arc;

use client_api::State;
use config::Config;
use http::{BrokerDial, Dial, SystemDial};
use proto::signing::SigningKey;
use room::{Policy, Rooms};
use store::Store;
use sync::Sync;
use tokio_util::sync::CancellationToken;
use user::{
    AccountData, Accounts, Context, Directory, Ephemeral, Filters, IgnoredUsers, Maintenance,
    Passwords, Presence, Profiles, Receipts, RegistrationTokens, RoomAccess, Sessions,
    SharedSecret, Typing, Uia, UserPolicy, account::AccountParts, rooms::ServerRooms,
};

use crate::{
    failure::Failure,
    settings::Handles,
    system::{SystemClock, SystemRandom, processors},
};

/// What the server runs on.
pub(crate) struct Wired {
    /// The client-server API.
    pub(crate) state: State,
    /// Accounts, for the admin socket.
    pub(crate) accounts: Accounts,
    /// Registration tokens, for the same.
    pub(crate) registration_tokens: RegistrationTokens,
    /// Sessions, whose last-seen times are written at the end.
    pub(crate) sessions: Sessions,
    /// The clockwork.
    pub(crate) maintenance: Maintenance,
    /// The way out.
    pub(crate) dial: Arc<dyn Dial>,
}

/// Makes every handle and hands each what it needs. `stopping` ends long polls.
pub(crate) async fn wire(
    config: &Config,
    handles: &Handles,
    store: Store,
    signing_key: SigningKey,
    stopping: CancellationToken,
) -> Result<Wired, Failure> {
    let server_name = config.fixed.identity.server_name.clone();
    let context = Context {
        store: store.clone(),
        server_name: server_name.clone(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        settings: Arc::clone(&handles.user),
    };
    let clock = Arc::clone(&context.clock);
    let policy = Arc::new(UserPolicy::default());
    let rooms = rooms(&context, handles, signing_key, Arc::clone(&policy) as _);
    let users = Users::new(&context, ServerRooms::new(rooms.clone(), store.clone())).await?;
    policy.bind(users.accounts.clone(), users.ignored.clone());
    let sync = Sync::new(sync::Parts {
        store,
        rooms: rooms.clone(),
        filters: users.filters.clone(),
        ignored: users.ignored.clone(),
        typing: users.typing.clone(),
        presence: users.presence.clone(),
        ephemeral: users.ephemeral.clone(),
        clock: Arc::clone(&clock),
    });
    let maintenance = Maintenance::new(
        context.clone(),
        users.sessions.clone(),
        users.typing.clone(),
        users.presence.clone(),
    );
    let (accounts, sessions) = (users.accounts.clone(), users.sessions.clone());
    let registration_tokens = RegistrationTokens::new(context.clone());
    let state = State::new(client_api::Parts {
        server_name,
        settings: Arc::clone(&handles.client),
        user_settings: Arc::clone(&handles.user),
        room_settings: Arc::clone(&handles.room),
        clock,
        rooms,
        uia: Uia::new(context.clone(), users.sessions.clone(), registration_tokens.clone()),
        registration_tokens: registration_tokens.clone(),
        shared_secret: SharedSecret::new(context, users.accounts.clone()),
        accounts: users.accounts,
        sessions: users.sessions,
        profiles: users.profiles,
        account_data: users.account_data,
        filters: users.filters,
        receipts: users.receipts,
        typing: users.typing,
        presence: users.presence,
        user_directory: users.directory,
        sync,
        stopping,
    });
    let dial = dial(config, handles);
    Ok(Wired { state, accounts, registration_tokens, sessions, maintenance, dial })
}

/// The one way out, for whatever connects to somewhere: the broker, where there is one, else this
/// process's own network.
fn dial(config: &Config, handles: &Handles) -> Arc<dyn Dial> {
    let settings = Arc::clone(&handles.dial);
    match &config.fixed.broker {
        Some(path) => Arc::new(BrokerDial::new(path, settings)),
        None => Arc::new(SystemDial::new(settings, Arc::clone(&handles.resolver))),
    }
}

fn rooms(
    context: &Context,
    handles: &Handles,
    signing_key: SigningKey,
    policy: Arc<dyn Policy>,
) -> Rooms {
    Rooms::new(room::Setup {
        store: context.store.clone(),
        server_name: context.server_name.clone(),
        signing_key: Arc::new(signing_key),
        clock: Arc::clone(&context.clock),
        random: Arc::clone(&context.random),
        settings: Arc::clone(&handles.room),
        policy,
        peers: None,
        push: None,
    })
}

/// The handles about users.
struct Users {
    accounts: Accounts,
    sessions: Sessions,
    profiles: Profiles,
    account_data: AccountData,
    ignored: IgnoredUsers,
    filters: Filters,
    receipts: Receipts,
    ephemeral: Ephemeral,
    typing: Typing,
    presence: Presence,
    directory: Directory,
}

impl Users {
    async fn new(context: &Context, rooms: Arc<dyn RoomAccess>) -> Result<Self, Failure> {
        // Half the processors: a burst of log-ins must leave room for everything else.
        let passwords = Passwords::new(processors() / 2, Arc::clone(&context.random));
        let sessions = Sessions::new(context.clone(), passwords.clone());
        let profiles = Profiles::new(context.clone(), Arc::clone(&rooms));
        let parts = AccountParts {
            passwords,
            sessions: sessions.clone(),
            profiles: profiles.clone(),
            rooms: Arc::clone(&rooms),
        };
        let accounts = Accounts::open(context.clone(), parts).await;
        let accounts =
            accounts.map_err(|error| Failure::new(format!("cannot read the users: {error}")))?;
        let ignored = IgnoredUsers::new(context.clone());
        let account_data = AccountData::new(context.clone(), ignored.clone());
        let ephemeral = Ephemeral::new(context);
        let in_rooms = || (context.clone(), Arc::clone(&rooms));
        let ((typing, typing_rooms), (presence, presence_rooms)) = (in_rooms(), in_rooms());
        Ok(Self {
            accounts,
            sessions,
            profiles,
            receipts: Receipts::new(context.clone(), Arc::clone(&rooms), account_data.clone()),
            account_data,
            ignored,
            filters: Filters::new(context.clone()),
            typing: Typing::new(typing, typing_rooms, ephemeral.clone()),
            presence: Presence::new(presence, presence_rooms, ephemeral.clone()),
            ephemeral,
            directory: Directory::new(context.clone(), rooms),
        })
    }
}
