//! Receipts: one row per room, user, kind and thread.
//!
//! Invariant: a row's event never moves backwards in its room's order.

use std::sync::Arc;

use proto::number::{Position, RoomNumber, UserNumber};

use super::change::{ReceiptChange, ReceiptKind};
use crate::{Error, Row, Snapshot, WriteTxn, log::Change, params};

const SET: &str = "INSERT INTO receipt
    (room_number, user_number, kind, thread, event_id, event_order, ts, position)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (room_number, user_number, kind, thread) DO UPDATE SET
    event_id = excluded.event_id, event_order = excluded.event_order, ts = excluded.ts,
    position = excluded.position";

const FIND_ORDER: &str = "SELECT event_order FROM receipt
    WHERE room_number = $1 AND user_number = $2 AND kind = $3 AND thread = $4";

const FIND: &str = "SELECT event_id FROM receipt
    WHERE room_number = $1 AND user_number = $2 AND kind = $3 AND thread = $4";

/// The rooms are few or many, the receipts in a range of positions mostly few.
const LIST_CHANGED: &str = "SELECT r.room_number, r.user_number, u.id, r.kind, r.thread,
    r.event_id, r.ts
    FROM EACH_INTS($2) AS wanted
    JOIN receipt r ON r.room_number = wanted.value AND r.position > $3 AND r.position <= $4
    JOIN user_name u ON u.number = r.user_number
    WHERE r.kind = 1 OR r.user_number = $1
    ORDER BY r.position";

fn map(row: Row<'_>) -> Result<ReceiptChange, Error> {
    let thread = row.text(4)?;
    Ok(ReceiptChange {
        room: row.number(0)?,
        user: row.number(1)?,
        user_id: row.id(2)?,
        kind: if row.int(3)? == ReceiptKind::Private.number() {
            ReceiptKind::Private
        } else {
            ReceiptKind::Public
        },
        thread: (!thread.is_empty()).then(|| Arc::from(thread)),
        event_id: row.id(5)?,
        ts: row.unsigned(6)?,
    })
}

/// The receipts in these rooms that `reader` may see and that moved after one position, up to and
/// with another one. From position 0 these are all receipts.
pub fn list_changed(
    snapshot: &mut Snapshot<'_>,
    reader: UserNumber,
    rooms: &[RoomNumber],
    after: Position,
    upto: Position,
) -> Result<Vec<ReceiptChange>, Error> {
    snapshot.query(LIST_CHANGED, params![reader, rooms, after, upto], map)
}

/// The event that a receipt stands at.
pub fn find(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    user: UserNumber,
    kind: ReceiptKind,
    thread: Option<&str>,
) -> Result<Option<ruma::OwnedEventId>, Error> {
    let thread = thread.unwrap_or_default();
    snapshot.query_optional(FIND, params![room, user, kind.number(), thread], |row| row.id(0))
}

/// Moves a receipt to an event that stands at `event_order` in its room, and records the change;
/// nothing happens and `None` comes back when it stands there or further already.
pub fn advance(
    txn: &mut WriteTxn<'_>,
    change: &ReceiptChange,
    event_order: i64,
) -> Result<Option<Position>, Error> {
    let thread = change.thread.clone().unwrap_or_default();
    let kind = change.kind.number();
    let present =
        txn.query_optional(FIND_ORDER, params![change.room, change.user, kind, thread], |row| {
            row.int(0)
        })?;
    if present.is_some_and(|present| present >= event_order) {
        return Ok(None);
    }
    let position = txn.next_position();
    let ReceiptChange { room, user, event_id, ts, .. } = change;
    txn.execute(SET, params![room, user, kind, thread, event_id, event_order, ts, position])?;
    txn.record(Change::Receipt(change.clone()));
    Ok(Some(position))
}
