//! Presence (client-server API, "Presence"): of herself and of everybody with whom the user shares
//! a room.
//!
//! Invariant: whoever holds a token of this run hears of each change and of everybody who came into
//! sight; whoever holds another one gets all.

use std::{collections::HashSet, sync::Arc};

use proto::number::RoomNumber;
use room::RoomView;
use ruma::OwnedUserId;
use user::presence::UserPresence;

use super::Look;

/// Who came into sight.
#[derive(Default)]
pub(crate) struct Newcomers {
    /// Rooms that the client did not know.
    pub(crate) rooms: Vec<Arc<RoomView>>,
    /// Those who joined rooms that it knew.
    pub(crate) users: HashSet<OwnedUserId>,
}

/// The presence to tell.
pub(crate) fn presence(look: &Look, newcomers: &Newcomers) -> Vec<UserPresence> {
    let filter = &look.filter.presence;
    if filter.is_nothing() || !filter.matches_type("m.presence") {
        return Vec::new();
    }
    let known = look.since.and_then(|since| since.ephemeral_in(look.next.epoch));
    // Somebody may have come into sight without a change of presence; then all have to be looked
    // at.
    let after = known.filter(|_| newcomers.rooms.is_empty() && newcomers.users.is_empty());
    let mut all = look.inner.parts.presence.changed_since(after.unwrap_or(0));
    all.retain(|user| {
        let is_news = known.is_none_or(|counter| user.changed > counter);
        let tell = newcomers.contains(look, user) || is_news && is_in_sight(look, user);
        tell && !look.ignored.contains(&user.user_id) && filter.matches_sender(&user.user_id)
    });
    all
}

impl Newcomers {
    fn contains(&self, look: &Look, user: &UserPresence) -> bool {
        if self.users.contains(&user.user_id) {
            return true;
        }
        if self.rooms.is_empty() {
            return false;
        }
        // Whoever shares a room has a number, and one that was used lately is at hand.
        let number = look.inner.parts.store.numbers().cached_user(&user.user_id);
        number.is_some_and(|number| self.rooms.iter().any(|room| room.is_joined(number)))
    }
}

fn is_in_sight(look: &Look, user: &UserPresence) -> bool {
    let shares = |room: &RoomNumber| look.is_joined(*room);
    user.user_id == look.requester.user_id() || user.rooms.iter().any(shares)
}
