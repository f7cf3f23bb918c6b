//! The numbers of state keys. That of an `m.room.member` event is its user's number, negated: so
//! members need no rows of their own, and a state map tells members from everything else without
//! asking.

use proto::number::{StateKeyNumber, UserNumber};
use ruma::UserId;

use crate::{
    Error, Snapshot, WriteTxn,
    numbers::{Numbers, Promise, StateKey},
};

/// The type of member events.
pub const MEMBER: &str = "m.room.member";

/// The key of a user's member event.
pub fn member_key(user: UserNumber) -> StateKeyNumber {
    StateKeyNumber(-user.0)
}

/// The user whose member event stands under a key, if it is such a key.
pub fn key_user(key: StateKeyNumber) -> Option<UserNumber> {
    (key.0 < 0).then(|| UserNumber(-key.0))
}

/// The number of a pair, if the store knows it.
pub fn find(
    snapshot: &mut Snapshot<'_>,
    event_type: &str,
    state_key: &str,
) -> Result<Option<StateKeyNumber>, Error> {
    match member_user(event_type, state_key) {
        Some(user) => Ok(snapshot.find_user(user)?.map(member_key)),
        None => snapshot.find_state_key(event_type, state_key),
    }
}

/// The number of a pair, if it is at hand.
pub fn cached(numbers: &Numbers, event_type: &str, state_key: &str) -> Option<StateKeyNumber> {
    match member_user(event_type, state_key) {
        Some(user) => numbers.cached_user(user).map(member_key),
        None => numbers.cached_state_key(event_type, state_key),
    }
}

/// The number that is promised to a pair, with the promise.
pub fn find_promise(
    numbers: &Numbers,
    event_type: &str,
    state_key: &str,
) -> Option<(StateKeyNumber, Promise)> {
    if let Some(user) = member_user(event_type, state_key) {
        let promise = numbers.find_user_promise(user)?;
        return Some((member_key(UserNumber(promise.number())), promise));
    }
    let promise = numbers.find_state_key_promise(event_type, state_key)?;
    Some((StateKeyNumber(promise.number()), promise))
}

/// Promises a number to a pair that the store did not know a moment ago: a number of a user or of a
/// state key, as [`member_user`] tells. Without a promise the pair has got its number meanwhile.
pub fn promise(
    numbers: &Numbers,
    (event_type, state_key): (&str, &str),
    number: i64,
) -> (StateKeyNumber, Option<Promise>) {
    if let Some(user) = member_user(event_type, state_key) {
        return match numbers.promise_user(user, UserNumber(number)) {
            Ok(promise) => (member_key(UserNumber(promise.number())), Some(promise)),
            Err(known) => (member_key(known), None),
        };
    }
    match numbers.promise_state_key((event_type, state_key), StateKeyNumber(number)) {
        Ok(promise) => (StateKeyNumber(promise.number()), Some(promise)),
        Err(known) => (known, None),
    }
}

/// The number of a pair, given now if it is new.
pub fn intern(
    txn: &mut WriteTxn<'_>,
    event_type: &str,
    state_key: &str,
) -> Result<StateKeyNumber, Error> {
    match member_user(event_type, state_key) {
        Some(user) => Ok(member_key(txn.intern_user(user)?)),
        None => txn.intern_state_key(event_type, state_key),
    }
}

/// The pair with a number, which must be there.
pub fn load(snapshot: &mut Snapshot<'_>, key: StateKeyNumber) -> Result<StateKey, Error> {
    match key_user(key) {
        Some(user) => {
            let user = snapshot.load_user(user)?;
            Ok(StateKey { event_type: MEMBER.into(), state_key: user.as_str().into() })
        }
        None => snapshot.load_state_key(key),
    }
}

/// The user whose membership a pair is about. A member event whose state key is no user id is
/// denied by the authorization rules, so that it does not matter that it counts as any other key.
pub fn member_user<'a>(event_type: &str, state_key: &'a str) -> Option<&'a UserId> {
    if event_type == MEMBER { <&UserId>::try_from(state_key).ok() } else { None }
}
