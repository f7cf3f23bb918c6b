//! Typing (client-server API, "Typing Notifications"): who is typing in the rooms that changed.
//!
//! Invariant: whoever holds a token of this run hears of each change. Whoever holds another one
//! gets all rooms as they are, also those where nobody is typing any more, since the client may
//! still show somebody, unless its token says that it shows nobody. Of the typists only those are
//! told whom the filter wants as senders and whom the reader does not ignore.

use std::{collections::HashMap, sync::Arc};

use proto::number::RoomNumber;
use ruma::OwnedUserId;
use user::typing::TypingRoom;

use super::Look;
use crate::{json::JsonWriter, token::TypingShown};

const TYPE: &str = "m.typing";

/// What is told of the rooms that the client knows.
pub(crate) struct Told {
    /// The events, by room.
    pub(crate) events: HashMap<RoomNumber, String>,
    /// Whom the client shows after that.
    pub(crate) shown: TypingShown,
}

/// The typing to tell.
pub(crate) fn typing(look: &Look) -> Told {
    let before = shown_before(look);
    if !look.filter.ephemeral.matches_without_url(TYPE) {
        let shown = after_partly_told(before, false);
        return Told { events: HashMap::new(), shown };
    }
    let typing = &look.inner.parts.typing;
    let joined = |room| look.is_joined(room);
    // Before the changes are read: who stops after this is among them.
    let was_busy = before == TypingShown::Followed && !typing.busy(joined).is_empty();
    let known = look.since.and_then(|since| since.ephemeral_in(look.next.epoch));
    let changed = known.and_then(|counter| typing.changed_since(counter));
    let is_followed = before == TypingShown::Followed || changed.is_none();
    let rooms = match changed {
        Some(changed) => changed.into_iter().filter(|room| joined(room.room)).collect(),
        None if before == TypingShown::Nobody => typing.busy(joined),
        None => all(look),
    };
    let is_told = rooms.iter().any(|room| !room.users.is_empty());
    let shown = if before == TypingShown::Nobody || !look.filter.has_ephemeral_of_all_rooms() {
        after_partly_told(before, is_told)
    } else if !is_followed {
        TypingShown::Unknown
    } else if is_told || was_busy {
        TypingShown::Followed
    } else {
        TypingShown::Nobody
    };
    let events = rooms.into_iter().map(|room| (room.room, event(&room.users, look))).collect();
    Told { events, shown }
}

/// The event of a room that the client does not know yet, or not any more: if anybody is typing
/// there, or if the client may show somebody from an earlier stay.
pub(crate) fn typing_in(look: &Look, room: RoomNumber, shown: &mut TypingShown) -> Option<String> {
    if !look.filter.ephemeral.matches_without_url(TYPE) {
        return None;
    }
    let found = look.inner.parts.typing.in_room(room);
    let was_shown =
        look.since.is_some() && (found.is_some() || shown_before(look) != TypingShown::Nobody);
    let users = found.map(|room| room.users).unwrap_or_default();
    if !users.is_empty() && *shown == TypingShown::Nobody {
        *shown = TypingShown::Followed;
    }
    (!users.is_empty() || was_shown).then(|| event(&users, look))
}

/// Whom the client shows before it gets the answer. Whoever asks for everything begins anew.
fn shown_before(look: &Look) -> TypingShown {
    look.since.map_or(TypingShown::Nobody, |since| since.typing)
}

/// Whom a client shows who was told of some rooms only, perhaps that somebody types there. Whom it
/// shows in the others is known only if that was nobody.
fn after_partly_told(before: TypingShown, is_told: bool) -> TypingShown {
    match before {
        TypingShown::Nobody if is_told => TypingShown::Followed,
        TypingShown::Nobody => TypingShown::Nobody,
        TypingShown::Followed | TypingShown::Unknown => TypingShown::Unknown,
    }
}

/// All rooms that the user is joined to.
fn all(look: &Look) -> Vec<TypingRoom> {
    let typing = &look.inner.parts.typing;
    let joined = look.memberships.keys().copied().filter(|room| look.is_joined(*room));
    let quiet = |room| TypingRoom { room, changed: 0, users: Arc::default() };
    joined.map(|room| typing.in_room(room).unwrap_or_else(|| quiet(room))).collect()
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
