//! The summary of a room (client-server API, `GET /sync`, `RoomSummary`): told when it may have
//! changed.

use proto::number::StateKeyNumber;
use room::RoomView;
use store::{
    numbers::{CANONICAL_ALIAS, NAME},
    room::keys::{key_user, member_key},
    sync::moves::Move,
};

use super::Look;
use crate::answer::Summary;

/// How many members stand for a room without a name.
const HEROES: usize = 5;

/// The summary, and the state keys of those whom it names.
pub(crate) fn summary(look: &Look, view: &RoomView) -> (Summary, Vec<StateKeyNumber>) {
    let has_name = view.field(NAME, "name").is_some_and(|name| !name.is_empty())
        || view.field(CANONICAL_ALIAS, "alias").is_some_and(|alias| !alias.is_empty());
    let counts =
        |heroes| Summary { heroes, joined: view.joined_count(), invited: view.invited_count() };
    if has_name {
        return (counts(None), Vec::new());
    }
    let heroes = view.heroes(look.requester.user(), HEROES);
    let keys = heroes.iter().map(|(user, _)| member_key(*user)).collect();
    let ids = heroes.iter().map(|(_, member)| (*member.user_id).to_owned()).collect();
    (counts(Some(ids)), keys)
}

/// Whether one of these moves can have changed it.
pub(crate) fn is_moved(moves: &[Move]) -> bool {
    moves
        .iter()
        .any(|step| key_user(step.key).is_some() || step.key == NAME || step.key == CANONICAL_ALIAS)
}
