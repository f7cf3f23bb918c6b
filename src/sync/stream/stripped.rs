//! Rooms that the user is invited to or has knocked on: their stripped state (client-server API,
//! "Stripped state").

use proto::client_event::stripped_state;
use room::RoomView;
use store::numbers::{AVATAR, CANONICAL_ALIAS, CREATE, ENCRYPTION, JOIN_RULES, NAME, TOPIC};

use super::{Found, Look, Source};
use crate::{answer::StrippedRoom, membership::Membership};

/// What the state shows of a room to those who are not in it.
const SHOWN: [proto::number::StateKeyNumber; 7] =
    [CREATE, JOIN_RULES, NAME, TOPIC, AVATAR, CANONICAL_ALIAS, ENCRYPTION];

/// What is told of an invitation or a knock; nothing where an ignored user invites.
pub(crate) fn stripped(
    look: &Look,
    source: &mut Source<'_, '_>,
    membership: &Membership,
    view: Option<&RoomView>,
) -> Found<Option<StrippedRoom>> {
    let Some(number) = membership.event else { return Ok(None) };
    let event = source.event(number)?;
    let pdu = event.pdu();
    if !look.filter.rooms.matches(pdu.room_id()) || look.ignored.contains(pdu.sender()) {
        return Ok(None);
    }
    let state = view.into_iter().flat_map(|view| {
        SHOWN.iter().filter_map(|key| view.state_pdu(*key)).filter_map(|pdu| stripped_state(pdu))
    });
    let events = state.chain(stripped_state(pdu)).collect();
    Ok(Some(StrippedRoom { id: pdu.room_id().to_owned(), events }))
}
