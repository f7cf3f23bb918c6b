//! Who is in a room.

use std::sync::Arc;

use proto::number::{Position, StateGroup};
use ruma::OwnedUserId;
use store::{
    Snapshot,
    room::{changes, event::Event, events, keys::key_user, timeline},
};

use super::{JoinedMember, MembersRequest, PageToken, Point, Reader, Reading};
use crate::{Membership, RoomError, Rooms};

impl Rooms {
    /// The member events.
    pub async fn members(
        &self,
        reading: Reading<'_>,
        request: MembersRequest,
    ) -> Result<Vec<Arc<Event>>, RoomError> {
        let reader = self.insider(reading).await?;
        self.inner.setup.store.read(move |snapshot| list(snapshot, &reader, request)).await
    }

    /// Who is joined; only for those who are joined themselves.
    pub async fn joined_members(
        &self,
        reading: Reading<'_>,
    ) -> Result<Vec<JoinedMember>, RoomError> {
        let reader = self.reader(reading).await?;
        if !reader.is_joined() {
            return Err(RoomError::NotInRoom);
        }
        let view = &reader.view;
        let numbers = view.joined().map(|(_, member)| member.event).collect::<Vec<_>>();
        let read = self
            .inner
            .setup
            .store
            .read(move |snapshot| events::load_all(snapshot, &reader.sight.events, &numbers));
        let joined: Vec<Arc<Event>> = read.await?;
        Ok(joined.iter().filter_map(joined_member).collect())
    }
}

impl MembersRequest {
    /// Whether members with this membership are asked for. Where both are given, one that fits is
    /// enough.
    fn passes(&self, membership: Membership) -> bool {
        let is = self.membership.map(|wanted| membership == wanted);
        let is_not = self.not_membership.map(|unwanted| membership != unwanted);
        match (is, is_not) {
            (None, None) => true,
            (is, is_not) => is == Some(true) || is_not == Some(true),
        }
    }
}

fn joined_member(event: &Arc<Event>) -> Option<JoinedMember> {
    let pdu = event.pdu();
    Some(JoinedMember {
        user_id: OwnedUserId::try_from(pdu.state_key()?).ok()?,
        displayname: pdu.content_field("displayname"),
        avatar_url: pdu.content_field("avatar_url"),
    })
}

fn list(
    snapshot: &mut Snapshot<'_>,
    reader: &Reader,
    request: MembersRequest,
) -> Result<Vec<Arc<Event>>, RoomError> {
    let view = &reader.view;
    let group = match request.at {
        None => reader.group(snapshot)?,
        Some(point) => group_at(snapshot, reader, point)?,
    };
    let passes = |membership: Membership| request.passes(membership);
    let state = reader.sight.groups.map(snapshot, group)?;
    let members = state.iter().filter_map(|(key, number)| Some((key_user(*key)?, *number)));
    // Of the current state the view knows the memberships, so that those not wanted are not even
    // loaded.
    let is_current = group == view.group();
    let members = members.filter(|(user, _)| !is_current || passes(view.membership(*user)));
    let numbers = members.map(|(_, number)| number).collect::<Vec<_>>();
    let mut events = events::load_all(snapshot, &reader.sight.events, &numbers)?;
    events.retain(|event| passes(event.pdu().membership().unwrap_or_default()));
    Ok(events)
}

/// The state changes that a room begins with: its creation and its creator's join.
const BEGINNING: usize = 2;

/// The state at a point, not after the reader left.
fn group_at(
    snapshot: &mut Snapshot<'_>,
    reader: &Reader,
    point: Point,
) -> Result<StateGroup, RoomError> {
    let room = reader.view.number();
    let newest = snapshot.position()?;
    let position = match point {
        Point::Position(position) => position,
        Point::Page(PageToken(place)) => {
            let row = timeline::list_backward(snapshot, room, place, newest, 1)?.pop();
            let position = row.and_then(|row| u64::try_from(row.place.position).ok());
            Position(position.unwrap_or(0))
        }
    };
    // Nobody was in the room before its creator joined, by its second event: a place before that
    // means the room's beginning, as in the timeline of a first sync that has the whole room.
    let first = changes::list_between(snapshot, room, Position(0), newest, BEGINNING)?;
    let first = first.last().map_or(Position(0), |change| change.position);
    let position = position.min(reader.upto(newest)).max(first);
    changes::group_at(snapshot, room, position)?.ok_or(RoomError::NotInRoom)
}
