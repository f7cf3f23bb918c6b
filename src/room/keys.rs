//! Numbers of state keys, from the caches where they are at hand, and promised to what is new.
//!
//! A change that names something new is built with a number that is promised, and gives it as it is
//! committed: a new key costs no commit of its own.

use proto::number::{RoomNumber, StateKeyNumber, UserNumber};
use ruma::{RoomId, UserId};
use store::{Sequence, numbers::Promise, room::keys};

use crate::{RoomError, rooms::Inner};

/// An event type and a state key.
pub(crate) type Pair = (String, String);

/// The number of a key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) number: StateKeyNumber,
    /// That of a new one, which the change must keep.
    pub(crate) promise: Option<Promise>,
}

impl Inner {
    /// The number of a pair, if it is at hand: a committed one, or one that a change in flight
    /// gives.
    fn key_at_hand(&self, (event_type, state_key): &Pair) -> Option<Key> {
        let numbers = self.setup.store.numbers();
        if let Some(number) = keys::cached(numbers, event_type, state_key) {
            return Some(Key { number, promise: None });
        }
        let (number, promise) = keys::find_promise(numbers, event_type, state_key)?;
        Some(Key { number, promise: Some(promise) })
    }

    /// Whether the store surely does not have a pair.
    fn is_new(&self, (event_type, state_key): &Pair) -> bool {
        let numbers = self.setup.store.numbers();
        keys::member_user(event_type, state_key).is_none()
            && numbers.is_new_state_key(event_type, state_key)
    }

    /// The keys of pairs; `None` for those that neither the store nor a change in flight has.
    async fn lookup(&self, pairs: &[Pair]) -> Result<Vec<Option<Key>>, RoomError> {
        let mut found = pairs.iter().map(|pair| self.key_at_hand(pair)).collect::<Vec<_>>();
        // After the look at the promises: one that was kept since is no new name any more.
        let is_asked = |pair: &Pair, slot: &Option<Key>| slot.is_none() && !self.is_new(pair);
        let asked = pairs.iter().zip(&found).map(|(pair, slot)| is_asked(pair, slot));
        let asked = asked.collect::<Vec<_>>();
        let missing = pairs.iter().zip(&asked).filter(|(_, asked)| **asked);
        let missing = missing.map(|(pair, _)| pair.clone()).collect::<Vec<_>>();
        if missing.is_empty() {
            return Ok(found);
        }
        let read = self.setup.store.read(move |snapshot| {
            let find = |pair: &Pair| keys::find(snapshot, &pair.0, &pair.1);
            missing.iter().map(find).collect::<Result<Vec<_>, store::Error>>()
        });
        let mut read = read.await?.into_iter();
        let slots = found.iter_mut().zip(asked).filter(|(_, asked)| *asked);
        for (slot, _) in slots {
            *slot = read.next().flatten().map(|number| Key { number, promise: None });
        }
        Ok(found)
    }

    /// The numbers of pairs; `None` for those that neither the store nor a change in flight has.
    pub(crate) async fn find_keys(
        &self,
        pairs: &[Pair],
    ) -> Result<Vec<Option<StateKeyNumber>>, RoomError> {
        let found = self.lookup(pairs).await?;
        Ok(found.into_iter().map(|slot| slot.map(|key| key.number)).collect())
    }

    /// The keys of pairs; those that are new get promises, which whoever names them must keep.
    pub(crate) async fn promise_keys(&self, pairs: &[Pair]) -> Result<Vec<Key>, RoomError> {
        let found = self.lookup(pairs).await?;
        let mut keys = Vec::with_capacity(pairs.len());
        for ((event_type, state_key), slot) in pairs.iter().zip(found) {
            if let Some(key) = slot {
                keys.push(key);
                continue;
            }
            let is_member = keys::member_user(event_type, state_key).is_some();
            let sequence = if is_member { Sequence::User } else { Sequence::StateKey };
            let number = self.numbering.next_name(sequence).await?;
            let numbers = self.setup.store.numbers();
            let (number, promise) = keys::promise(numbers, (event_type, state_key), number);
            keys.push(Key { number, promise });
        }
        Ok(keys)
    }

    /// Numbers of pairs, given by a commit of their own: for what is stored in pieces.
    pub(crate) async fn intern_keys(
        &self,
        pairs: &[Pair],
    ) -> Result<Vec<StateKeyNumber>, RoomError> {
        let numbers = self.setup.store.numbers();
        let cached = pairs.iter().map(|(event_type, key)| keys::cached(numbers, event_type, key));
        if let Some(all) = cached.collect() {
            return Ok(all);
        }
        let pairs = pairs.to_vec();
        let given = self.setup.store.write(move |txn| {
            let intern = |pair: &Pair| keys::intern(txn, &pair.0, &pair.1);
            pairs.iter().map(intern).collect::<Result<Vec<_>, store::Error>>()
        });
        Ok(given.await?)
    }

    /// The number of a user, if the store or a change in flight knows the user.
    pub(crate) async fn find_user(&self, user: &UserId) -> Result<Option<UserNumber>, RoomError> {
        let numbers = self.setup.store.numbers();
        if let Some(number) = numbers.cached_user(user) {
            return Ok(Some(number));
        }
        if let Some(promise) = numbers.find_user_promise(user) {
            return Ok(Some(UserNumber(promise.number())));
        }
        let user = user.to_owned();
        let find = self.setup.store.read(move |snapshot| snapshot.find_user(&user));
        Ok(find.await?)
    }

    /// The number of a room, given now if it is new.
    pub(crate) async fn intern_room(&self, room: &RoomId) -> Result<RoomNumber, RoomError> {
        let room = room.to_owned();
        Ok(self.setup.store.write(move |txn| txn.intern_room(&room)).await?)
    }

    /// A number for a room that this server is about to create, with the promise that the change
    /// must keep.
    pub(crate) async fn promise_room(
        &self,
        room: &RoomId,
    ) -> Result<(RoomNumber, Promise), RoomError> {
        let number = RoomNumber(self.numbering.next_name(Sequence::Room).await?);
        let promise = self.setup.store.numbers().promise_room(room, number);
        let promise = promise.map_err(|_| RoomError::Busy)?;
        Ok((RoomNumber(promise.number()), promise))
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
