//! The summary of a room (client-server API, `GET /sync`, `RoomSummary`): told when it may have
//! changed.

use proto::number::{Position, StateKeyNumber};
use room::RoomView;
use ruma::{OwnedUserId, UserId};
use store::{
    numbers::{CANONICAL_ALIAS, NAME},
    room::keys::{key_user, member_key},
    sync::moves::Move,
};

use super::{Found, Look, Source, rows};
use crate::answer::Summary;

/// How many members stand for a room without a name.
const HEROES: usize = 5;
/// What names a room.
const NAMES: [StateKeyNumber; 2] = [NAME, CANONICAL_ALIAS];

/// The summary, and the state keys of those whom it names.
pub(crate) fn summary(
    look: &Look,
    source: &mut Source<'_, '_>,
    view: &RoomView,
) -> Found<(Summary, Vec<StateKeyNumber>)> {
    let has_name = view.field(NAME, "name").is_some_and(|name| !name.is_empty())
        || view.field(CANONICAL_ALIAS, "alias").is_some_and(|alias| !alias.is_empty());
    let counts =
        |heroes| Summary { heroes, joined: view.joined_count(), invited: view.invited_count() };
    if has_name {
        return Ok((counts(None), Vec::new()));
    }
    let heroes = view.heroes(look.requester.user(), HEROES);
    if heroes.is_empty() {
        let (ids, keys) = gone(look, source, view)?;
        return Ok((counts(Some(ids)), keys));
    }
    let keys = heroes.iter().map(|(user, _)| member_key(*user)).collect();
    let ids = heroes.iter().map(|(_, member)| (*member.user_id).to_owned()).collect();
    Ok((counts(Some(ids)), keys))
}

/// Those who were there, where nobody else is any more.
fn gone(
    look: &Look,
    source: &mut Source<'_, '_>,
    view: &RoomView,
) -> Found<(Vec<OwnedUserId>, Vec<StateKeyNumber>)> {
    let keys = view.gone(look.requester.user(), HEROES);
    let numbers = keys.iter().filter_map(|key| view.state_event(*key)).collect::<Vec<_>>();
    let events = source.events(&numbers)?;
    let ids = events.iter().filter_map(|event| <&UserId>::try_from(event.pdu().state_key()?).ok());
    Ok((ids.map(ToOwned::to_owned).collect(), keys))
}

/// Whether one of these moves can have changed it.
pub(crate) fn is_moved(moves: &[Move]) -> bool {
    moves.iter().any(|step| key_user(step.key).is_some() || NAMES.contains(&step.key))
}

/// Whether the room lost its name, which is still there but redacted, after a position.
pub(crate) fn is_unnamed(
    source: &mut Source<'_, '_>,
    view: &RoomView,
    since: Position,
) -> Found<bool> {
    for redaction in NAMES.iter().filter_map(|key| view.redaction(*key)) {
        let place = source.event(redaction)?.place;
        if place.is_some_and(|place| rows::position(place) > since) {
            return Ok(true);
        }
    }
    Ok(false)
}
