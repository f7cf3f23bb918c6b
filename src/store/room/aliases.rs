//! Aliases of this server.

use proto::number::{RoomNumber, UserNumber};
use ruma::{OwnedRoomAliasId, RoomAliasId};

use crate::{Error, Snapshot, WriteTxn, params};

/// An alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasRow {
    /// Where it points.
    pub room: RoomNumber,
    /// Who made it.
    pub creator: UserNumber,
}

const INSERT: &str = "INSERT INTO room_alias (id, room, creator) VALUES ($1, $2, $3)
    ON CONFLICT (id) DO NOTHING";

const FIND: &str = "SELECT room, creator FROM room_alias WHERE id = $1";

const REMOVE: &str = "DELETE FROM room_alias WHERE id = $1";

const OF_ROOM: &str = "SELECT id FROM room_alias WHERE room = $1 ORDER BY id LIMIT $2";

const MOVE: &str = "UPDATE room_alias SET room = $2 WHERE room = $1";

/// Adds an alias, unless it is taken; says whether it was free.
pub fn insert(txn: &mut WriteTxn<'_>, alias: &RoomAliasId, row: AliasRow) -> Result<bool, Error> {
    Ok(txn.execute(INSERT, params![alias, row.room, row.creator])? == 1)
}

/// Where an alias points.
pub fn find(snapshot: &mut Snapshot<'_>, alias: &RoomAliasId) -> Result<Option<AliasRow>, Error> {
    snapshot.query_optional(FIND, params![alias], |row| {
        Ok(AliasRow { room: row.number(0)?, creator: row.number(1)? })
    })
}

/// Removes an alias; says whether it was there.
pub fn remove(txn: &mut WriteTxn<'_>, alias: &RoomAliasId) -> Result<bool, Error> {
    Ok(txn.execute(REMOVE, params![alias])? == 1)
}

/// The aliases of a room, at most so many.
pub fn list(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    limit: usize,
) -> Result<Vec<OwnedRoomAliasId>, Error> {
    snapshot.query(OF_ROOM, params![room, limit], |row| row.id(0))
}

/// Points all aliases of one room at another.
pub fn move_all(txn: &mut WriteTxn<'_>, from: RoomNumber, to: RoomNumber) -> Result<(), Error> {
    txn.execute(MOVE, params![from, to])?;
    Ok(())
}
