//! Who left a room: whoever did types there no more, and shows nobody there how she is.
//!
//! Spec: client-server API, "Typing Notifications", "Presence".

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
    // The store must not keep itself alive through its own listener.
    let listener: Weak<T> = Arc::downgrade(listener);
    store.add_listener(Arc::new(move |records| {
        let Some(listener) = listener.upgrade() else { return };
        for (user, room) in records.iter().filter_map(|record| departure(record)) {
            tell(&listener, user, room);
        }
    }));
}

/// Who left which room by this change, if anybody did.
fn departure(record: &Record) -> Option<(UserNumber, RoomNumber)> {
    let Change::State { room, key, event, .. } = &record.change else { return None };
    let user = key_user(*key)?;
    let membership = event.as_ref().and_then(|event| event.pdu().membership());
    (membership != Some(Membership::Join)).then_some((user, *room))
}
