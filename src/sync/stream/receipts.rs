//! Receipts (client-server API, "Receipts"): how far the members of a room have read.
//!
//! Invariant: of each user, kind and thread only the newest is told. One event can hold one receipt
//! of a user and kind; where threads bring more, there are more events. Nobody is told of those
//! whom she ignores, or whom her filter does not want as senders.

use std::collections::{BTreeMap, HashMap};

use proto::number::{Position, RoomNumber};
use store::{
    Change,
    user::{
        change::{ReceiptChange, ReceiptKind},
        receipt,
    },
};

use super::{Found, Look, Source};
use crate::json::JsonWriter;

const TYPE: &str = "m.receipt";

/// The receipt events to tell, by room.
pub(crate) type Events = HashMap<RoomNumber, Vec<String>>;

/// What moved since the token in rooms that the client knows.
pub(crate) fn moved(look: &Look, source: &mut Source<'_, '_>) -> Found<Events> {
    let Some(since) = look.since.filter(|_| is_wanted(look)) else { return Ok(Events::new()) };
    if look.news.is_some() {
        return Ok(write(look, &in_memory(look)));
    }
    let joined = look.memberships.iter().filter(|(_, membership)| membership.is_joined());
    let rooms = joined.map(|(room, _)| *room).collect::<Vec<_>>();
    Ok(write(look, &list(look, source, &rooms, since.position)?))
}

/// All that stand in rooms that the client does not know.
pub(crate) fn in_rooms(
    look: &Look,
    source: &mut Source<'_, '_>,
    rooms: &[RoomNumber],
) -> Found<Events> {
    if rooms.is_empty() || !is_wanted(look) {
        return Ok(Events::new());
    }
    Ok(write(look, &list(look, source, rooms, Position(0))?))
}

fn is_wanted(look: &Look) -> bool {
    look.filter.ephemeral.matches_without_url(TYPE)
}

fn list(
    look: &Look,
    source: &mut Source<'_, '_>,
    rooms: &[RoomNumber],
    after: Position,
) -> Found<Vec<ReceiptChange>> {
    let (reader, upto) = (look.requester.user(), look.next.position);
    Ok(receipt::list_changed(source.snapshot()?, reader, rooms, after, upto)?)
}

/// The newest of each user, kind and thread.
fn in_memory(look: &Look) -> Vec<ReceiptChange> {
    let me = look.requester.user();
    let records =
        look.news.iter().flat_map(|news| news.own.iter().chain(news.rooms.values().flatten()));
    let mut newest = HashMap::new();
    for record in records {
        let Change::Receipt(change) = &record.change else { continue };
        if change.kind == ReceiptKind::Public || change.user == me {
            let key = (change.room, change.user, change.kind, change.thread.as_deref());
            newest.insert(key, change);
        }
    }
    newest.into_values().cloned().collect()
}

/// The receipts of one event: by kind and user, since when and in which thread.
type Marks<'r> = BTreeMap<(&'static str, &'r str), (u64, Option<&'r str>)>;

fn write(look: &Look, receipts: &[ReceiptChange]) -> Events {
    let mut rooms: HashMap<RoomNumber, Vec<BTreeMap<&str, Marks<'_>>>> = HashMap::new();
    let heard = |receipt: &&ReceiptChange| {
        !look.ignored.contains(&receipt.user_id)
            && look.filter.ephemeral.matches_sender(&receipt.user_id)
    };
    for receipt in receipts.iter().filter(heard) {
        let layers = rooms.entry(receipt.room).or_default();
        let slot = (receipt.kind.as_str(), receipt.user_id.as_str());
        let event_id = receipt.event_id.as_str();
        let is_taken = |layer: &BTreeMap<&str, Marks<'_>>| {
            layer.get(event_id).is_some_and(|marks| marks.contains_key(&slot))
        };
        let free = layers.iter().position(|layer| !is_taken(layer)).unwrap_or_else(|| {
            layers.push(BTreeMap::new());
            layers.len() - 1
        });
        let marks = layers[free].entry(event_id).or_default();
        marks.insert(slot, (receipt.ts, receipt.thread.as_deref()));
    }
    rooms.into_iter().map(|(room, layers)| (room, layers.iter().map(event).collect())).collect()
}

fn event(layer: &BTreeMap<&str, Marks<'_>>) -> String {
    let mut out = JsonWriter::with_capacity(64 + layer.len() * 128);
    out.object(|event| {
        event.key("type").string(TYPE);
        event.key("content").object(|content| {
            for (event_id, marks) in layer {
                content.key(event_id).object(|kinds| write_marks(kinds, marks));
            }
        });
    });
    out.into_text()
}

fn write_marks(out: &mut JsonWriter, marks: &Marks<'_>) {
    for kind in [ReceiptKind::Public, ReceiptKind::Private] {
        let of_kind = marks.iter().filter(|((found, _), _)| *found == kind.as_str());
        let mut of_kind = of_kind.peekable();
        if of_kind.peek().is_none() {
            continue;
        }
        out.key(kind.as_str()).object(|users| {
            for ((_, user), (ts, thread)) in of_kind {
                users.key(user).object(|receipt| {
                    receipt.key("ts").unsigned(*ts);
                    if let Some(thread) = thread {
                        receipt.key("thread_id").string(thread);
                    }
                });
            }
        });
    }
}
