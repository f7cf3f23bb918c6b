//! Members of rooms as the current states say: one row for each user who ever was anything in a
//! room.

use proto::{
    number::{EventNumber, Position, RoomNumber, UserNumber},
    visibility::Membership,
};
use ruma::{OwnedRoomId, OwnedUserId, UserId};

use crate::{Error, Snapshot, WriteTxn, params};

/// How a user stands to a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    /// The room.
    pub room: RoomNumber,
    /// The user.
    pub user: UserNumber,
    /// The membership.
    pub membership: Membership,
    /// The member event.
    pub event: EventNumber,
    /// The position of the state change that made it current.
    pub position: Position,
}

/// A user's row with what is not written with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// How the user stands to the room.
    pub member: MemberRow,
    /// The room's id.
    pub room_id: OwnedRoomId,
    /// Where the last stay in the room ended; `None` if there was none.
    pub joined_until: Option<Position>,
    /// Whether the user has forgotten the room.
    pub forgotten: bool,
}

const SET: &str = "INSERT INTO member
    (room, user_, membership, event, position, joined_until, forgotten)
    VALUES ($1, $2, $3, $4, $5, NULL, 0)
    ON CONFLICT (room, user_) DO UPDATE SET
        joined_until = CASE WHEN member.membership = 1 AND excluded.membership <> 1
            THEN excluded.position ELSE member.joined_until END,
        membership = excluded.membership,
        event = excluded.event,
        position = excluded.position,
        forgotten = 0";

const SET_IF_NEW: &str = "INSERT INTO member
    (room, user_, membership, event, position, joined_until, forgotten)
    VALUES ($1, $2, $3, $4, $5, NULL, 0) ON CONFLICT (room, user_) DO NOTHING";

const REMOVE: &str = "DELETE FROM member WHERE room = $1 AND user_ = $2";

const FORGET: &str = "UPDATE member SET forgotten = 1
    WHERE room = $1 AND user_ = $2 AND membership IN (4, 5)";

const PRESENT: &str = "SELECT user_, user_name.id, membership, event FROM member
    JOIN user_name ON user_name.number = user_
    WHERE room = $1 AND membership <> 4";

const OF_USER: &str = "SELECT room, membership, event, position, joined_until, forgotten,
        room_name.id
    FROM member JOIN room_name ON room_name.number = room WHERE user_ = $1";

const OF_USER_IN: &str = "SELECT room, membership, event, position, joined_until, forgotten,
        room_name.id
    FROM member JOIN room_name ON room_name.number = room WHERE user_ = $1 AND room = $2";

const SHARING: &str = "SELECT DISTINCT theirs.user_ FROM EACH_INTS($2) AS wanted
    JOIN member theirs ON theirs.user_ = wanted.value
    JOIN member ours ON ours.room = theirs.room AND ours.user_ = $1
    WHERE theirs.membership = 1 AND ours.membership = 1";

/// A membership as it is stored.
pub fn code(membership: Membership) -> i64 {
    match membership {
        Membership::Join => 1,
        Membership::Invite => 2,
        Membership::Knock => 3,
        Membership::Leave => 4,
        Membership::Ban => 5,
    }
}

/// A membership from what is stored.
pub fn from_code(code: i64) -> Result<Membership, Error> {
    match code {
        1 => Ok(Membership::Join),
        2 => Ok(Membership::Invite),
        3 => Ok(Membership::Knock),
        4 => Ok(Membership::Leave),
        5 => Ok(Membership::Ban),
        _ => Err(Error::Corrupt(format!("no membership has the code {code}"))),
    }
}

/// Sets a user's membership; whoever comes back remembers the room again.
pub fn set(txn: &mut WriteTxn<'_>, row: &MemberRow) -> Result<(), Error> {
    let membership = code(row.membership);
    txn.execute(SET, params![row.room, row.user, membership, row.event, row.position])?;
    Ok(())
}

/// Sets a user's membership, unless the user has one.
pub fn set_if_new(txn: &mut WriteTxn<'_>, row: &MemberRow) -> Result<(), Error> {
    let membership = code(row.membership);
    txn.execute(SET_IF_NEW, params![row.room, row.user, membership, row.event, row.position])?;
    Ok(())
}

/// Removes a user whom the current state does not name any more.
pub fn remove(txn: &mut WriteTxn<'_>, room: RoomNumber, user: UserNumber) -> Result<(), Error> {
    txn.execute(REMOVE, params![room, user])?;
    Ok(())
}

/// Has a user forget a room that was left; says whether it was.
pub fn forget(txn: &mut WriteTxn<'_>, room: RoomNumber, user: UserNumber) -> Result<bool, Error> {
    Ok(txn.execute(FORGET, params![room, user])? == 1)
}

/// Everybody in a room who did not just leave it.
pub fn list_present(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
) -> Result<Vec<(UserNumber, OwnedUserId, Membership, EventNumber)>, Error> {
    snapshot.query(PRESENT, params![room], |row| {
        let text = row.text(1)?;
        let user = <&UserId>::try_from(text)
            .map_err(|_| Error::Corrupt(format!("no user id: {text:?}")))?;
        Ok((row.number(0)?, user.to_owned(), from_code(row.int(2)?)?, row.number(3)?))
    })
}

/// A user's rooms, those left and forgotten included.
pub fn list_of_user(snapshot: &mut Snapshot<'_>, user: UserNumber) -> Result<Vec<UserRow>, Error> {
    snapshot.query(OF_USER, params![user], |row| read_user_row(user, row))
}

/// Those of the others who are joined to a room that the user is joined to.
pub fn list_sharing(
    snapshot: &mut Snapshot<'_>,
    user: UserNumber,
    others: &[UserNumber],
) -> Result<Vec<UserNumber>, Error> {
    snapshot.query(SHARING, params![user, others], |row| row.number(0))
}

/// How a user stands to one room, if the room's state ever named the user.
pub fn find(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    user: UserNumber,
) -> Result<Option<UserRow>, Error> {
    snapshot.query_optional(OF_USER_IN, params![user, room], |row| read_user_row(user, row))
}

fn read_user_row(user: UserNumber, row: crate::Row<'_>) -> Result<UserRow, Error> {
    let joined_until = row.int_optional(4)?;
    Ok(UserRow {
        member: MemberRow {
            room: row.number(0)?,
            user,
            membership: from_code(row.int(1)?)?,
            event: row.number(2)?,
            position: row.position(3)?,
        },
        room_id: row.id(6)?,
        joined_until: joined_until.map(|position| Position(position.unsigned_abs())),
        forgotten: row.flag(5)?,
    })
}
