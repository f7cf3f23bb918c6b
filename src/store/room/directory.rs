//! The public directory: the published rooms, with a summary of each that is kept as the room
//! changes.

use proto::number::RoomNumber;
use ruma::OwnedRoomId;

use crate::{Error, Snapshot, WriteTxn, params};

/// A published room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedRow {
    /// The room.
    pub room: RoomNumber,
    /// The room's id.
    pub room_id: OwnedRoomId,
    /// How many are joined.
    pub joined: i64,
    /// The summary, as layer `room` writes it.
    pub summary: Vec<u8>,
}

/// A place in the directory's order: most members first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryPlace {
    /// How many are joined.
    pub joined: i64,
    /// The room.
    pub room: RoomNumber,
}

const SET: &str = "INSERT INTO published_room (room, joined, summary) VALUES ($1, $2, $3)
    ON CONFLICT (room) DO UPDATE SET joined = excluded.joined, summary = excluded.summary";

const REMOVE: &str = "DELETE FROM published_room WHERE room = $1";

const FIND: &str = "SELECT 1 FROM published_room WHERE room = $1";

const COUNT: &str = "SELECT count(*) FROM published_room";

const AFTER: &str = "SELECT room, joined, summary, room_name.id FROM published_room
    JOIN room_name ON room_name.number = room
    WHERE (joined, room) < ($1, $2) ORDER BY joined DESC, room DESC LIMIT $3";

const BEFORE: &str = "SELECT room, joined, summary, room_name.id FROM published_room
    JOIN room_name ON room_name.number = room
    WHERE (joined, room) > ($1, $2) ORDER BY joined, room LIMIT $3";

/// Publishes a room, or replaces its summary.
pub fn set(
    txn: &mut WriteTxn<'_>,
    room: RoomNumber,
    joined: i64,
    summary: &[u8],
) -> Result<(), Error> {
    txn.execute(SET, params![room, joined, summary])?;
    Ok(())
}

/// Takes a room out of the directory.
pub fn remove(txn: &mut WriteTxn<'_>, room: RoomNumber) -> Result<(), Error> {
    txn.execute(REMOVE, params![room])?;
    Ok(())
}

/// Whether a room is published.
pub fn contains(snapshot: &mut Snapshot<'_>, room: RoomNumber) -> Result<bool, Error> {
    Ok(snapshot.query_optional(FIND, params![room], |row| row.int(0))?.is_some())
}

/// How many rooms are published.
pub fn count(snapshot: &mut Snapshot<'_>) -> Result<u64, Error> {
    snapshot.query_one(COUNT, &[], |row| row.unsigned(0))
}

/// The rooms after a place, at most so many.
pub fn list_after(
    snapshot: &mut Snapshot<'_>,
    place: DirectoryPlace,
    limit: usize,
) -> Result<Vec<PublishedRow>, Error> {
    snapshot.query(AFTER, params![place.joined, place.room, limit], read)
}

/// The rooms before a place, the nearest first, at most so many.
pub fn list_before(
    snapshot: &mut Snapshot<'_>,
    place: DirectoryPlace,
    limit: usize,
) -> Result<Vec<PublishedRow>, Error> {
    snapshot.query(BEFORE, params![place.joined, place.room, limit], read)
}

fn read(row: crate::Row<'_>) -> Result<PublishedRow, Error> {
    Ok(PublishedRow {
        room: row.number(0)?,
        joined: row.int(1)?,
        summary: row.bytes(2)?.to_vec(),
        room_id: row.id(3)?,
    })
}
