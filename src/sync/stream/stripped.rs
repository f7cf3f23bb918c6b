//! Rooms that the user is invited to or has knocked on: their stripped state (client-server API,
//! "Stripped state").

use std::sync::Arc;

use proto::{client_event::stripped_state, visibility::Membership as State};
use room::{Event, RoomView};
use store::{
    numbers::{AVATAR, CANONICAL_ALIAS, CREATE, ENCRYPTION, JOIN_RULES, NAME, TOPIC},
    room::keys::member_key,
};

use super::{Found, Look, Source};
use crate::{answer::StrippedRoom, membership::Membership};

/// What the state shows of a room to those who are not in it.
const SHOWN: [proto::number::StateKeyNumber; 7] =
    [CREATE, JOIN_RULES, NAME, TOPIC, AVATAR, CANONICAL_ALIAS, ENCRYPTION];

/// What is told of an invitation or a knock; nothing where an ignored user invites, or where the
/// user wants no invitations.
pub(crate) fn stripped(
    look: &Look,
    source: &mut Source<'_, '_>,
    membership: &Membership,
    view: Option<&RoomView>,
) -> Found<Option<StrippedRoom>> {
    if look.blocks_invites && membership.state == State::Invite {
        return Ok(None);
    }
    let Some(number) = membership.event else { return Ok(None) };
    let event = source.event(number)?;
    let pdu = event.pdu();
    if !look.filter.rooms.matches(pdu.room_id()) || look.ignored.contains(pdu.sender()) {
        return Ok(None);
    }
    let state = view.into_iter().flat_map(|view| {
        SHOWN.iter().filter_map(|key| view.state_pdu(*key)).filter_map(|pdu| stripped_state(pdu))
    });
    let inviter = inviter(source, &event, view)?;
    let inviter = inviter.and_then(|member| stripped_state(member.pdu()));
    let events = state.chain(inviter).chain(stripped_state(pdu)).collect();
    Ok(Some(StrippedRoom { id: pdu.room_id().to_owned(), events }))
}

/// The member event of who invites, by which a client tells the name and the picture of whoever
/// asks; none of who knocks, as that is the event itself.
fn inviter(
    source: &mut Source<'_, '_>,
    event: &Event,
    view: Option<&RoomView>,
) -> Found<Option<Arc<Event>>> {
    let sender = event.pdu().sender();
    let Some(view) = view.filter(|_| event.pdu().state_key() != Some(sender.as_str())) else {
        return Ok(None);
    };
    let user = source.users([sender])?.remove(sender);
    let member = user.and_then(|user| view.state_event(member_key(user)));
    member.map(|number| source.event(number)).transpose()
}
