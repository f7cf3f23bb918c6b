//! Who left a room: whoever did types there no more, and shows nobody there how she is. And who
//! comes into one who should not.
//!
//! Spec: client-server API, "Typing Notifications", "Presence", "Account deactivation".

use std::sync::{Arc, Weak};

use proto::{
    number::{RoomNumber, UserNumber},
    visibility::Membership,
};
use store::{Change, Record, Store, room::keys::key_user};

/// Has `tell` hear of everybody who leaves a room, for as long as `listener` is there. Called once
/// the change can be read; must not block.
pub(crate) fn hear_departures<T: Send + Sync + 'static>(
    store: &Store,
    listener: &Arc<T>,
    tell: fn(&Arc<T>, UserNumber, RoomNumber),
) {
    hear(store, listener, move |listener, user, room, membership| {
        if membership != Some(Membership::Join) {
            tell(listener, user, room);
        }
    });
}

/// The same for everybody who joins a room or knocks.
pub(crate) fn hear_arrivals<T: Send + Sync + 'static>(
    store: &Store,
    listener: &Arc<T>,
    tell: impl Fn(&Arc<T>, UserNumber) + Send + Sync + 'static,
) {
    hear(store, listener, move |listener, user, _, membership| {
        if matches!(membership, Some(Membership::Join | Membership::Knock)) {
            tell(listener, user);
        }
    });
}

/// Has `tell` hear of every change of a membership: whose, where, and what it is now.
fn hear<T: Send + Sync + 'static>(
    store: &Store,
    listener: &Arc<T>,
    tell: impl Fn(&Arc<T>, UserNumber, RoomNumber, Option<Membership>) + Send + Sync + 'static,
) {
    // The store must not keep itself alive through its own listener.
    let listener: Weak<T> = Arc::downgrade(listener);
    store.add_listener(Arc::new(move |records| {
        let Some(listener) = listener.upgrade() else { return };
        for (user, room, membership) in records.iter().filter_map(|record| change(record)) {
            tell(&listener, user, room, membership);
        }
    }));
}

fn change(record: &Record) -> Option<(UserNumber, RoomNumber, Option<Membership>)> {
    let Change::State { room, key, event, .. } = &record.change else { return None };
    let user = key_user(*key)?;
    Some((user, *room, event.as_ref().and_then(|event| event.pdu().membership())))
}
