//! Numbers of state keys, from the caches where they are at hand.

use moka::sync::Cache;
use proto::number::{RoomNumber, StateKeyNumber, UserNumber};
use ruma::{RoomId, UserId};
use store::{Store, numbers::find_well_known, room::keys};

use crate::{RoomError, rooms::Inner};

/// How many pairs are kept ready, besides the well-known ones and members.
const PAIRS_MAX: u64 = 10_000;

/// An event type and a state key.
pub(crate) type Pair = (String, String);

/// Committed numbers of pairs.
pub(crate) struct KeyCache(Cache<Pair, StateKeyNumber>);

impl KeyCache {
    pub(crate) fn new() -> Self {
        Self(Cache::new(PAIRS_MAX))
    }

    fn find(&self, store: &Store, pair: &Pair) -> Option<StateKeyNumber> {
        let (event_type, state_key) = pair;
        if let Some(known) = find_well_known(event_type, state_key) {
            return Some(known);
        }
        match keys::member_user(event_type, state_key) {
            Some(user) => store.numbers().cached_user(user).map(keys::member_key),
            None => self.0.get(pair),
        }
    }
}

impl Inner {
    /// The numbers of pairs; `None` for those that nothing in the store has.
    pub(crate) async fn find_keys(
        &self,
        pairs: &[Pair],
    ) -> Result<Vec<Option<StateKeyNumber>>, RoomError> {
        let store = &self.setup.store;
        let mut found = pairs.iter().map(|pair| self.keys.find(store, pair)).collect::<Vec<_>>();
        let missing = missing(pairs, &found);
        if missing.is_empty() {
            return Ok(found);
        }
        let read = store.read(move |snapshot| {
            let find = |pair: &Pair| keys::find(snapshot, &pair.0, &pair.1);
            missing.iter().map(find).collect::<Result<Vec<_>, store::Error>>()
        });
        let mut read = read.await?.into_iter();
        for (pair, slot) in pairs.iter().zip(&mut found).filter(|(_, slot)| slot.is_none()) {
            *slot = read.next().flatten();
            self.keep(pair, *slot);
        }
        Ok(found)
    }

    /// The numbers of pairs, given now to those that are new.
    pub(crate) async fn intern_keys(
        &self,
        pairs: &[Pair],
    ) -> Result<Vec<StateKeyNumber>, RoomError> {
        let store = &self.setup.store;
        let found = pairs.iter().map(|pair| self.keys.find(store, pair)).collect::<Vec<_>>();
        let missing = missing(pairs, &found);
        if missing.is_empty() {
            return Ok(found.into_iter().flatten().collect());
        }
        let given = store.write(move |txn| {
            let intern = |pair: &Pair| keys::intern(txn, &pair.0, &pair.1);
            missing.iter().map(intern).collect::<Result<Vec<_>, store::Error>>()
        });
        let mut given = given.await?.into_iter();
        let mut numbers = Vec::with_capacity(pairs.len());
        for (pair, slot) in pairs.iter().zip(found) {
            let number = slot.or_else(|| given.next());
            self.keep(pair, number);
            numbers.extend(number);
        }
        Ok(numbers)
    }

    fn keep(&self, pair: &Pair, number: Option<StateKeyNumber>) {
        if let Some(number) = number
            && keys::key_user(number).is_none()
            && find_well_known(&pair.0, &pair.1).is_none()
        {
            self.keys.0.insert(pair.clone(), number);
        }
    }

    /// The number of a user, if the store knows the user.
    pub(crate) async fn find_user(&self, user: &UserId) -> Result<Option<UserNumber>, RoomError> {
        if let Some(number) = self.setup.store.numbers().cached_user(user) {
            return Ok(Some(number));
        }
        let user = user.to_owned();
        let find = self.setup.store.read(move |snapshot| snapshot.find_user(&user));
        Ok(find.await?)
    }

    /// The number of a new room, and numbers for all pairs that it will name.
    pub(crate) async fn intern_room(
        &self,
        room: &RoomId,
        pairs: &[Pair],
    ) -> Result<RoomNumber, RoomError> {
        let (room, named) = (room.to_owned(), pairs.to_vec());
        let work = self.setup.store.write(move |txn| {
            let intern = |pair: &Pair| keys::intern(txn, &pair.0, &pair.1);
            let keys = named.iter().map(intern).collect::<Result<Vec<_>, store::Error>>()?;
            Ok::<_, store::Error>((keys, txn.intern_room(&room)?))
        });
        let (keys, number) = work.await?;
        for (pair, key) in pairs.iter().zip(keys) {
            self.keep(pair, Some(key));
        }
        Ok(number)
    }

    /// The number of a room, if the store knows it.
    pub(crate) async fn find_room_number(
        &self,
        room: &RoomId,
    ) -> Result<Option<RoomNumber>, RoomError> {
        if let Some(number) = self.setup.store.numbers().cached_room(room) {
            return Ok(Some(number));
        }
        let room = room.to_owned();
        Ok(self.setup.store.read(move |snapshot| snapshot.find_room(&room)).await?)
    }
}

fn missing(pairs: &[Pair], found: &[Option<StateKeyNumber>]) -> Vec<Pair> {
    let missing = pairs.iter().zip(found).filter(|(_, slot)| slot.is_none());
    missing.map(|(pair, _)| pair.clone()).collect()
}
