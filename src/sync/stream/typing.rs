//! Typing (client-server API, "Typing Notifications"): who is typing in the rooms that changed.
//!
//! Invariant: whoever holds a token of this run hears of each change; whoever holds another one
//! gets all rooms as they are, also those where nobody is typing any more, since the client may
//! still show somebody. Of the typists only those are told whom the filter wants as senders and
//! whom the reader does not ignore.

use std::collections::HashMap;

use proto::number::RoomNumber;
use ruma::OwnedUserId;

use super::Look;
use crate::json::JsonWriter;

const TYPE: &str = "m.typing";

/// The typing events to tell, by room.
pub(crate) fn typing(look: &Look) -> HashMap<RoomNumber, String> {
    if !look.filter.ephemeral.matches_without_url(TYPE) {
        return HashMap::new();
    }
    let typing = &look.inner.parts.typing;
    let joined = |room: &RoomNumber| look.is_joined(*room);
    let known = look.since.and_then(|since| since.ephemeral_in(look.next.epoch));
    if let Some(counter) = known {
        let changed = typing.changed_since(counter).into_iter();
        return changed
            .filter(|room| joined(&room.room))
            .map(|room| (room.room, event(&room.users, look)))
            .collect();
    }
    let present = |room: &RoomNumber| {
        let users = typing.in_room(*room).map(|room| room.users);
        let nobody = users.as_ref().is_none_or(|users| users.is_empty());
        let is_due = !nobody || look.since.is_some();
        is_due.then(|| (*room, event(users.as_deref().unwrap_or_default(), look)))
    };
    look.memberships.keys().filter(|room| joined(room)).filter_map(present).collect()
}

/// The event of a room that the client does not know yet, if anybody is typing there.
pub(crate) fn typing_in(look: &Look, room: RoomNumber) -> Option<String> {
    if !look.filter.ephemeral.matches_without_url(TYPE) {
        return None;
    }
    let users = look.inner.parts.typing.in_room(room)?.users;
    (!users.is_empty()).then(|| event(&users, look))
}

fn event(users: &[OwnedUserId], look: &Look) -> String {
    let mut out = JsonWriter::with_capacity(64 + users.len() * 32);
    out.object(|event| {
        event.key("type").string(TYPE);
        event.key("content").object(|content| {
            content.key("user_ids").array(|array| {
                let heard = |user: &&OwnedUserId| {
                    !look.ignored.contains(*user) && look.filter.ephemeral.matches_sender(user)
                };
                let heard = users.iter().filter(heard);
                heard.for_each(|user| array.string(user.as_str()));
            });
        });
    });
    out.into_text()
}
