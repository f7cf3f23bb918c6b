//! Account data, global and per room.
//!
//! Invariant: every row's position is that of its last change; a removal is a change and leaves a
//! row without content.

use std::sync::Arc;

use proto::number::{Position, RoomNumber, UserNumber};
use serde_json::value::RawValue;

use super::change::AccountDataChange;
use crate::{Error, Row, Snapshot, WriteTxn, log::Change, params};

/// One entry with the place of its last change.
#[derive(Clone, Debug)]
pub struct AccountDataRow {
    /// The room, none where it is global.
    pub room: Option<RoomNumber>,
    /// The event type.
    pub data_type: Arc<str>,
    /// The content; none after a removal.
    pub content: Option<Arc<RawValue>>,
    /// Where it changed last.
    pub position: Position,
}

const FIND: &str = "SELECT content FROM account_data
    WHERE user_number = $1 AND room_number = $2 AND data_type = $3 AND content IS NOT NULL";

const LIST: &str = "SELECT room_number, data_type, content, position FROM account_data
    WHERE user_number = $1 AND content IS NOT NULL AND position <= $2 ORDER BY position";

const LIST_CHANGED: &str = "SELECT room_number, data_type, content, position FROM account_data
    WHERE user_number = $1 AND position > $2 AND position <= $3 ORDER BY position";

const LIST_ROOM: &str = "SELECT room_number, data_type, content, position FROM account_data
    WHERE user_number = $1 AND room_number = $2 AND content IS NOT NULL AND position <= $3
    ORDER BY position";

const SET: &str = "INSERT INTO account_data
    (user_number, room_number, data_type, content, position) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (user_number, room_number, data_type)
    DO UPDATE SET content = excluded.content, position = excluded.position";

/// Removed entries count, too, since their rows stay.
const BYTES_BESIDES: &str = "SELECT COALESCE(SUM(
        COALESCE(LENGTH(content), 0) + LENGTH(data_type) + $4), 0)
    FROM account_data
    WHERE user_number = $1 AND NOT (room_number = $2 AND data_type = $3)";

/// What an entry counts besides its type and its content, in bytes.
const ENTRY_BYTES: i64 = 64;

const DELETE_ALL: &str = "DELETE FROM account_data WHERE user_number = $1";

/// The number that stands for "no room" in the table.
fn room_column(room: Option<RoomNumber>) -> i64 {
    room.map_or(0, |room| room.0)
}

fn raw(json: &str) -> Result<Arc<RawValue>, Error> {
    RawValue::from_string(json.to_owned())
        .map(Arc::from)
        .map_err(|error| Error::corrupt(format!("account data is no JSON: {error}")))
}

fn map(row: Row<'_>) -> Result<AccountDataRow, Error> {
    let room = row.int(0)?;
    Ok(AccountDataRow {
        room: (room != 0).then_some(RoomNumber(room)),
        data_type: row.text(1)?.into(),
        content: row.text_optional(2)?.map(raw).transpose()?,
        position: row.position(3)?,
    })
}

/// How many bytes a user's entries take besides the one that a change is about.
pub fn bytes_besides(
    snapshot: &mut Snapshot<'_>,
    change: &AccountDataChange,
) -> Result<u64, Error> {
    let AccountDataChange { user, room, data_type, .. } = change;
    let room = room_column(*room);
    let sum = snapshot.query_optional(
        BYTES_BESIDES,
        params![*user, room, data_type, ENTRY_BYTES],
        |row| row.unsigned(0),
    )?;
    Ok(sum.unwrap_or(0))
}

/// The content of one type.
pub fn find(
    snapshot: &mut Snapshot<'_>,
    user: UserNumber,
    room: Option<RoomNumber>,
    data_type: &str,
) -> Result<Option<Arc<RawValue>>, Error> {
    snapshot
        .query_optional(FIND, params![user, room_column(room), data_type], |row| raw(row.text(0)?))
}

/// Everything that a user has, global and in rooms, up to a position; for an initial sync.
pub fn list(
    snapshot: &mut Snapshot<'_>,
    user: UserNumber,
    upto: Position,
) -> Result<Vec<AccountDataRow>, Error> {
    snapshot.query(LIST, params![user, upto], map)
}

/// What changed after one position, up to and with another one, removals too.
pub fn list_changed(
    snapshot: &mut Snapshot<'_>,
    user: UserNumber,
    after: Position,
    upto: Position,
) -> Result<Vec<AccountDataRow>, Error> {
    snapshot.query(LIST_CHANGED, params![user, after, upto], map)
}

/// Everything that a user has in one room, up to a position; for a room that is new to the client.
pub fn list_in_room(
    snapshot: &mut Snapshot<'_>,
    user: UserNumber,
    room: RoomNumber,
    upto: Position,
) -> Result<Vec<AccountDataRow>, Error> {
    snapshot.query(LIST_ROOM, params![user, room, upto], map)
}

/// Sets the content, or removes it, at a new position, and records the change.
pub fn set(txn: &mut WriteTxn<'_>, change: &AccountDataChange) -> Result<Position, Error> {
    let position = txn.next_position();
    let AccountDataChange { user, room, data_type, content } = change;
    let json = content.as_deref().map(RawValue::get);
    txn.execute(SET, params![user, room_column(*room), data_type, json, position])?;
    txn.record(Change::AccountData(change.clone()));
    Ok(position)
}

/// Removes everything without a trace, for a deactivated user whom nobody syncs as any more.
pub fn delete_all(txn: &mut WriteTxn<'_>, user: UserNumber) -> Result<(), Error> {
    txn.execute(DELETE_ALL, params![user])?;
    Ok(())
}
