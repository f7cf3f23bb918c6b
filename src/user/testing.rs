//! What the tests of this crate share: all handles over one store, rooms as a table, a clock that
//! stands still.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;
use proto::number::{RoomNumber, UserNumber};
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId, server_name};
use store::{
    Store,
    testing::{ManualClock, SeededRandom},
};
use tokio::sync::Notify;

use crate::{
    AccountData, AccountParts, Accounts, Context, Directory, Ephemeral, Error, Filters,
    IgnoredUsers, Passwords, Presence, Profiles, Receipts, RegistrationTokens, Requester,
    RoomAccess, Seen, Sessions, Settings, SettingsHandle, SharedSecret, Typing, Uia,
    account::Registration,
    rooms::{Answer, EventFacts, MemberProfile},
    session::{LoggedIn, NewSession},
};

pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// All handles over one store.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) context: Context,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) settings: SettingsHandle,
    pub(crate) rooms: Arc<FakeRooms>,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    pub(crate) uia: Uia,
    pub(crate) registration_tokens: RegistrationTokens,
    pub(crate) shared_secret: SharedSecret,
    pub(crate) profiles: Profiles,
    pub(crate) account_data: AccountData,
    pub(crate) ignored: IgnoredUsers,
    pub(crate) filters: Filters,
    pub(crate) receipts: Receipts,
    pub(crate) ephemeral: Ephemeral,
    pub(crate) typing: Typing,
    pub(crate) presence: Presence,
    pub(crate) directory: Directory,
}

/// A user with an open session.
pub(crate) struct Someone {
    pub(crate) user_id: OwnedUserId,
    pub(crate) requester: Requester,
    pub(crate) session: LoggedIn,
}

impl World {
    pub(crate) async fn new(store: Store) -> Self {
        let mut settings = Settings::default();
        settings.registration.enabled = true;
        settings.registration.shared_secret = Some("secret".into());
        let settings: SettingsHandle = Arc::new(arc_swap::ArcSwap::from_pointee(settings));
        let clock = Arc::new(ManualClock::new(START_MS));
        let context = Context {
            store,
            server_name: server_name!("example.org").to_owned(),
            clock: Arc::clone(&clock) as _,
            random: Arc::new(SeededRandom::new(1)),
            settings: Arc::clone(&settings),
        };
        Self::over(context, clock, settings, Arc::default()).await
    }

    /// The same world after a restart: nothing in memory but the rooms.
    pub(crate) async fn restarted(&self) -> Self {
        let context = Context { random: Arc::new(SeededRandom::new(2)), ..self.context.clone() };
        let (clock, settings) = (Arc::clone(&self.clock), Arc::clone(&self.settings));
        Self::over(context, clock, settings, Arc::clone(&self.rooms)).await
    }

    async fn over(
        context: Context,
        clock: Arc<ManualClock>,
        settings: SettingsHandle,
        rooms: Arc<FakeRooms>,
    ) -> Self {
        let access: Arc<dyn RoomAccess> = Arc::clone(&rooms) as _;
        let passwords = Passwords::new(2, Arc::clone(&context.random));
        let sessions = Sessions::new(context.clone(), passwords.clone());
        let profiles = Profiles::new(context.clone(), Arc::clone(&access));
        let parts = AccountParts {
            passwords,
            sessions: sessions.clone(),
            profiles: profiles.clone(),
            rooms: Arc::clone(&access),
        };
        let accounts = Accounts::open(context.clone(), parts).await.unwrap();
        let registration_tokens = RegistrationTokens::new(context.clone());
        let ignored = IgnoredUsers::new(context.clone());
        let account_data = AccountData::new(context.clone(), ignored.clone());
        let ephemeral = Ephemeral::new(&context);
        let again = || Arc::clone(&access);
        Self {
            uia: Uia::new(context.clone(), sessions.clone(), registration_tokens.clone()),
            shared_secret: SharedSecret::new(context.clone(), accounts.clone()),
            filters: Filters::new(context.clone()),
            receipts: Receipts::new(context.clone(), again(), account_data.clone()),
            typing: Typing::new(context.clone(), again(), ephemeral.clone()),
            presence: Presence::new(context.clone(), again(), ephemeral.clone()),
            directory: Directory::new(context.clone(), again()),
            context,
            clock,
            settings,
            rooms,
            accounts,
            sessions,
            registration_tokens,
            profiles,
            account_data,
            ignored,
            ephemeral,
        }
    }

    /// Changes the settings as a reload does.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = Settings::clone(&self.settings.load());
        change(&mut settings);
        self.settings.store(Arc::new(settings));
    }

    /// Registers somebody without a password, which is quicker.
    pub(crate) async fn someone(&self, name: &str) -> Someone {
        self.register(name, None).await
    }

    pub(crate) async fn register(&self, name: &str, password: Option<&str>) -> Someone {
        let registration = Registration {
            username: Some(name.to_owned()),
            password: password.map(str::to_owned),
            login: Some(NewSession::default()),
            ..Registration::default()
        };
        let registered = self.accounts.register(registration).await.unwrap();
        let session = registered.session.unwrap();
        let requester = self.authenticate(&session.tokens.access_token).await.unwrap();
        Someone { user_id: registered.user_id, requester, session }
    }

    pub(crate) async fn authenticate(&self, token: &str) -> Result<Requester, Error> {
        self.sessions.authenticate(token, &Seen::default()).await
    }

    /// A room with a number in the store.
    pub(crate) async fn room(&self, room_id: &RoomId) -> RoomNumber {
        let wanted = room_id.to_owned();
        let work = move |txn: &mut store::WriteTxn<'_>| txn.intern_room(&wanted);
        let number = self.context.store.write(work).await.unwrap();
        self.rooms.0.lock().ids.insert(number, room_id.to_owned());
        number
    }
}

/// Rooms as a table.
#[derive(Default)]
pub(crate) struct FakeRooms(pub(crate) Mutex<Tables>);

#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) ids: BTreeMap<RoomNumber, OwnedRoomId>,
    pub(crate) joined: BTreeSet<(UserNumber, RoomNumber)>,
    pub(crate) public: BTreeSet<RoomNumber>,
    pub(crate) events: HashMap<OwnedEventId, EventFacts>,
    pub(crate) profiles: Vec<(OwnedUserId, OwnedRoomId, MemberProfile)>,
    pub(crate) refuse_leaving: bool,
    /// The next member event takes until this is rung.
    pub(crate) slow_member: Option<Arc<Notify>>,
}

impl FakeRooms {
    pub(crate) fn join(&self, user: &Requester, room: RoomNumber) {
        self.0.lock().joined.insert((user.user(), room));
    }

    pub(crate) fn event(&self, id: &EventId, room: RoomNumber, order: i64) {
        let facts = EventFacts { room, order: Some(order), relation: None };
        self.0.lock().events.insert(id.to_owned(), facts);
    }

    pub(crate) fn relate(&self, id: &EventId, kind: &str, target: &EventId) {
        let mut tables = self.0.lock();
        let facts = tables.events.get_mut(id).unwrap();
        facts.relation = Some((kind.to_owned(), target.to_owned()));
    }
}

impl RoomAccess for FakeRooms {
    fn joined_rooms(&self, user: UserNumber) -> Answer<'_, Vec<(RoomNumber, OwnedRoomId)>> {
        let tables = self.0.lock();
        let joined = tables.joined.iter().filter(|(member, _)| *member == user);
        let rooms = joined.map(|(_, room)| (*room, tables.ids[room].clone())).collect();
        Box::pin(async move { Ok(rooms) })
    }

    fn find_joined<'a>(
        &'a self,
        user: UserNumber,
        room: &'a RoomId,
    ) -> Answer<'a, Option<RoomNumber>> {
        let tables = self.0.lock();
        let number = tables.ids.iter().find(|(_, id)| *id == room).map(|(number, _)| *number);
        let joined = number.filter(|number| tables.joined.contains(&(user, *number)));
        Box::pin(async move { Ok(joined) })
    }

    fn sharing<'a>(
        &'a self,
        user: UserNumber,
        others: &'a [UserNumber],
    ) -> Answer<'a, HashSet<UserNumber>> {
        let tables = self.0.lock();
        let is_in = |user, room| tables.joined.contains(&(user, room));
        let shares = |other: &UserNumber| {
            tables.ids.keys().any(|room| is_in(user, *room) && is_in(*other, *room))
        };
        let found = others.iter().copied().filter(|other| shares(other)).collect();
        Box::pin(async move { Ok(found) })
    }

    fn is_public(&self, room: RoomNumber) -> Answer<'_, bool> {
        let public = self.0.lock().public.contains(&room);
        Box::pin(async move { Ok(public) })
    }

    fn find_event<'a>(&'a self, event: &'a EventId) -> Answer<'a, Option<EventFacts>> {
        let facts = self.0.lock().events.get(event).cloned();
        Box::pin(async move { Ok(facts) })
    }

    fn update_member_profile<'a>(
        &'a self,
        user: &'a UserId,
        room: &'a RoomId,
        profile: MemberProfile,
    ) -> Answer<'a, ()> {
        let slow = self.0.lock().slow_member.take();
        Box::pin(async move {
            if let Some(bell) = slow {
                bell.notified().await;
            }
            self.0.lock().profiles.push((user.to_owned(), room.to_owned(), profile));
            Ok(())
        })
    }

    fn leave_all<'a>(&'a self, user: UserNumber, _user_id: &'a UserId) -> Answer<'a, ()> {
        let mut tables = self.0.lock();
        if tables.refuse_leaving {
            return Box::pin(async { Err(Error::Abandoned) });
        }
        tables.joined.retain(|(member, _)| *member != user);
        Box::pin(async { Ok(()) })
    }
}
