//! The rows of rooms: version, current state, forward extremities. One row that changes with every
//! event.

use proto::number::{EventNumber, Position, RoomNumber, StateGroup};

use super::levels;
use crate::{Batch, Conflict, Error, Kind, Snapshot, WriteTxn, params};

/// A room's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRow {
    /// The room.
    pub number: RoomNumber,
    /// Its version.
    pub version: String,
    /// How often it has changed.
    pub revision: u64,
    /// Its current state.
    pub group: StateGroup,
    /// The depth of its deepest timeline row, by our own count.
    pub depth: i64,
    /// Its forward extremities.
    pub tips: Vec<EventNumber>,
    /// The position of its newest timeline row or state change.
    pub position: Position,
}

static NEW: Batch = Batch {
    table: "room",
    columns: &[
        ("number", Kind::Int),
        ("version", Kind::Bytes),
        ("revision", Kind::Int),
        ("state_group", Kind::Int),
        ("depth", Kind::Int),
        ("tips", Kind::Bytes),
        ("position", Kind::Int),
    ],
    key_columns: 1,
    conflict: Conflict::Fail,
};

/// Rows that count only if the revision is the one that the change was made from.
static NEXT: Batch = Batch {
    table: "room",
    columns: &[
        ("number", Kind::Int),
        ("revision", Kind::Int),
        ("state_group", Kind::Int),
        ("depth", Kind::Int),
        ("tips", Kind::Bytes),
        ("position", Kind::Int),
        ("from_revision", Kind::Int),
    ],
    key_columns: 1,
    conflict: Conflict::Advance,
};

const INSERT_STUB: &str = "INSERT INTO room
    (number, version, revision, state_group, depth, tips, position)
    VALUES ($1, $2, 0, 0, 0, BYTES(''), 0) ON CONFLICT (number) DO NOTHING";

const LOAD: &str = "SELECT version, revision, state_group, depth, tips, position
    FROM room WHERE number = $1 AND state_group <> 0";

/// Adds a room.
pub fn insert(txn: &mut WriteTxn<'_>, row: &RoomRow) -> Result<(), Error> {
    let tips = levels::encode_list(row.tips.iter().map(|tip| tip.0));
    txn.insert(
        &NEW,
        params![row.number, row.version, row.revision, row.group, row.depth, tips, row.position],
    )
}

/// Notes the version of a room that is not known yet, so that its events can be stored. [`update`]
/// from revision 0 makes it known.
pub fn insert_stub(txn: &mut WriteTxn<'_>, number: RoomNumber, version: &str) -> Result<(), Error> {
    txn.execute(INSERT_STUB, params![number, version])?;
    Ok(())
}

/// Replaces a room's row. The change fails with [`Error::Moved`], perhaps only after the work has
/// returned, if its revision is not the one any more that the change was made from.
pub fn update(txn: &mut WriteTxn<'_>, row: &RoomRow, from_revision: u64) -> Result<(), Error> {
    let tips = levels::encode_list(row.tips.iter().map(|tip| tip.0));
    txn.insert(
        &NEXT,
        params![row.number, row.revision, row.group, row.depth, tips, row.position, from_revision],
    )
}

/// A room's row, if this server is or was in the room.
pub fn find(snapshot: &mut Snapshot<'_>, number: RoomNumber) -> Result<Option<RoomRow>, Error> {
    snapshot.query_optional(LOAD, params![number], |row| {
        let tips = levels::decode_list(row.bytes(4)?)?;
        Ok(RoomRow {
            number,
            version: row.text(0)?.to_owned(),
            revision: row.unsigned(1)?,
            group: row.number(2)?,
            depth: row.int(3)?,
            tips: tips.into_iter().map(EventNumber).collect(),
            position: row.position(5)?,
        })
    })
}
