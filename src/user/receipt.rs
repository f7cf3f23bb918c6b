//! Receipts: public, private, threaded; the read marker.
//!
//! Invariant: a receipt only moves forward in its room's timeline. One that stands there already
//! costs no database work. One for an event that does not stand in the room's timeline changes
//! nothing and is no error: the specification knows none for it, Synapse answers 200, and clients
//! send such receipts in good faith, for an event that has been purged or that the server lost with
//! a restored backup. What `/read_markers` names besides must not suffer from it.
//!
//! Spec: client-server API, "Receipts" and "Read and unread markers".

use std::sync::Arc;

use moka::sync::Cache;
use proto::number::{RoomNumber, UserNumber};
use ruma::{
    EventId, OwnedEventId, RoomId,
    events::receipt::{ReceiptThread, ReceiptType},
};
use serde_json::{Map, Value, value::to_raw_value};
use store::{
    WriteTxn,
    user::{
        account_data,
        change::{AccountDataChange, ReceiptChange, ReceiptKind},
        receipt as rows,
    },
};

use crate::{AccountData, Context, Error, Requester, RoomAccess, account_data::FULLY_READ};

/// What is known of one receipt takes about so much memory.
const RECEIPT_BYTES: u64 = 256;

/// How many relations are followed to the root of a thread, by the spec.
const MAX_HOPS: usize = 3;

/// How often the read marker is looked at anew when another device has moved it meanwhile. Each
/// time somebody has moved it, and only forwards, so that this is for a crowd of devices.
const MARKER_TRIES: usize = 32;

const IN_THREAD: &str = "m.thread";

/// Receipts and read markers.
#[derive(Clone)]
pub struct Receipts {
    inner: Arc<Inner>,
}

struct Inner {
    context: Context,
    rooms: Arc<dyn RoomAccess>,
    account_data: AccountData,
    /// Where receipts stand after their newest commit.
    standing: Cache<Key, OwnedEventId>,
}

/// Names a receipt: room, user, kind and thread.
type Key = (RoomNumber, UserNumber, ReceiptKind, Option<Arc<str>>);

/// A receipt to set.
#[derive(Clone, Debug)]
pub struct NewReceipt {
    /// Public or private.
    pub kind: ReceiptType,
    /// The thread that was read.
    pub thread: ReceiptThread,
    /// Up to which event.
    pub event_id: OwnedEventId,
}

/// What `/read_markers` sets at once.
#[derive(Clone, Debug, Default)]
pub struct ReadMarkers {
    /// `m.fully_read`.
    pub fully_read: Option<OwnedEventId>,
    /// `m.read`.
    pub read: Option<OwnedEventId>,
    /// `m.read.private`.
    pub private_read: Option<OwnedEventId>,
}

impl Receipts {
    /// Receipts over a store.
    pub fn new(context: Context, rooms: Arc<dyn RoomAccess>, account_data: AccountData) -> Self {
        let standing = Cache::new(context.cache_bytes(4) / RECEIPT_BYTES);
        Self { inner: Arc::new(Inner { context, rooms, account_data, standing }) }
    }

    /// Moves a receipt forward; one that would go back or stay, or whose event is unknown, is
    /// accepted and does nothing.
    pub async fn set(
        &self,
        requester: &Requester,
        room: &RoomId,
        receipt: NewReceipt,
    ) -> Result<(), Error> {
        let NewReceipt { kind, thread, event_id } = receipt;
        let kind = match kind {
            ReceiptType::Read => ReceiptKind::Public,
            ReceiptType::ReadPrivate => ReceiptKind::Private,
            _ => return Err(Error::InvalidParam("unknown type of receipt".to_owned())),
        };
        let room = self.load_joined(requester, room).await?;
        let name: Option<Arc<str>> = thread.as_str().map(Arc::from);
        let key = (room, requester.user(), kind, name);
        if self.inner.standing.get(&key).is_some_and(|standing| standing == event_id) {
            return Ok(());
        }
        match self.find_order(room, &event_id, &thread).await? {
            Some(order) => self.advance(requester, key, event_id, order).await,
            None => Ok(()),
        }
    }

    async fn advance(
        &self,
        requester: &Requester,
        key: Key,
        event_id: OwnedEventId,
        order: i64,
    ) -> Result<(), Error> {
        let (room, user, kind, thread) = key.clone();
        let ts = self.inner.context.now_ms();
        let user_id = requester.user_id().to_owned();
        let change =
            ReceiptChange { room, user, user_id, kind, thread, event_id: event_id.clone(), ts };
        let inner = Arc::clone(&self.inner);
        let work = move |txn: &mut WriteTxn<'_>| {
            if rows::advance(txn, &change, order)?.is_some() {
                let (inner, key, event_id) = (Arc::clone(&inner), key.clone(), event_id.clone());
                txn.on_commit(Box::new(move || inner.standing.insert(key, event_id)));
            }
            Ok(())
        };
        self.inner.context.store.write(work).await
    }

    /// The number of a room that the requester is in.
    async fn load_joined(&self, requester: &Requester, room: &RoomId) -> Result<RoomNumber, Error> {
        let joined = self.inner.rooms.find_joined(requester.user(), room).await?;
        joined.ok_or(Error::Forbidden("you are not in this room"))
    }

    /// Where the event stands in the room, if it does, once it is clear that it belongs to the
    /// thread.
    async fn find_order(
        &self,
        room: RoomNumber,
        event: &EventId,
        thread: &ReceiptThread,
    ) -> Result<Option<i64>, Error> {
        let facts = self.inner.rooms.find_event(event).await?;
        let Some(facts) = facts.filter(|facts| facts.room == room) else { return Ok(None) };
        let Some(order) = facts.order else { return Ok(None) };
        match thread {
            ReceiptThread::Unthreaded => {}
            ReceiptThread::Main | ReceiptThread::Thread(_) => {
                let (start, reached) = self.find_root(event, facts.relation).await?;
                if !is_in_thread(event, thread, start.as_deref(), &reached) {
                    let reason = format!("event {event} is not in this thread");
                    return Err(Error::InvalidParam(reason));
                }
            }
            _ => return Err(Error::InvalidParam("unknown thread".to_owned())),
        }
        Ok(Some(order))
    }

    /// The root of the thread that an event is in, if it is in one, and the events on the way.
    async fn find_root(
        &self,
        event: &EventId,
        relation: Option<(String, OwnedEventId)>,
    ) -> Result<(Option<OwnedEventId>, Vec<OwnedEventId>), Error> {
        let (mut relation, mut reached) = (relation, vec![event.to_owned()]);
        for _ in 0..=MAX_HOPS {
            match relation {
                Some((kind, target)) if kind == IN_THREAD => return Ok((Some(target), reached)),
                Some((_, target)) => {
                    let facts = self.inner.rooms.find_event(&target).await?;
                    reached.push(target);
                    relation = facts.and_then(|facts| facts.relation);
                }
                None => break,
            }
        }
        Ok((None, reached))
    }

    /// Sets the marker `m.fully_read`, which is room account data. It only moves forward, too.
    pub async fn set_fully_read(
        &self,
        requester: &Requester,
        room: &RoomId,
        event: &EventId,
    ) -> Result<(), Error> {
        let number = self.load_joined(requester, room).await?;
        let unthreaded = ReceiptThread::Unthreaded;
        let Some(order) = self.find_order(number, event, &unthreaded).await? else {
            return Ok(());
        };
        let content =
            to_raw_value(&Map::from_iter([("event_id".to_owned(), event.as_str().into())]))
                .map_err(|error| Error::BadJson(error.to_string()))?;
        let change = AccountDataChange {
            user: requester.user(),
            room: Some(number),
            data_type: FULLY_READ.into(),
            content: Some(content.into()),
        };
        for _ in 0..MARKER_TRIES {
            let present = self.inner.account_data.find(requester, Some(room), FULLY_READ).await?;
            let present = present.and_then(|content| marker(content.get()));
            if let Some(standing) = &present
                && let Some(facts) = self.inner.rooms.find_event(standing).await?
                && facts.order.is_some_and(|standing| standing >= order)
            {
                return Ok(());
            }
            if self.move_marker(change.clone(), present).await? {
                return Ok(());
            }
        }
        Err(Error::LimitExceeded("the read marker is being moved by too many at once"))
    }

    /// Sets the marker if it still stands where it was seen; says whether it did.
    async fn move_marker(
        &self,
        change: AccountDataChange,
        seen: Option<OwnedEventId>,
    ) -> Result<bool, Error> {
        let work = move |txn: &mut WriteTxn<'_>| {
            let present = account_data::find(txn, change.user, change.room, FULLY_READ)?;
            let is_there = present.and_then(|content| marker(content.get())) == seen;
            if is_there {
                account_data::set(txn, &change)?;
            }
            Ok::<_, Error>(is_there)
        };
        self.inner.context.store.write(work).await
    }

    /// Sets what `/read_markers` names.
    pub async fn set_markers(
        &self,
        requester: &Requester,
        room: &RoomId,
        markers: ReadMarkers,
    ) -> Result<(), Error> {
        let ReadMarkers { fully_read, read, private_read } = markers;
        let public = read.map(|event_id| (ReceiptType::Read, event_id));
        let private = private_read.map(|event_id| (ReceiptType::ReadPrivate, event_id));
        for (kind, event_id) in public.into_iter().chain(private) {
            let thread = ReceiptThread::Unthreaded;
            self.set(requester, room, NewReceipt { kind, thread, event_id }).await?;
        }
        if let Some(event) = fully_read {
            self.set_fully_read(requester, room, &event).await?;
        }
        Ok(())
    }
}

/// A thread's root, and what relates to it otherwise, is in the main timeline; a receipt of the
/// thread may name the root, too, as clients do for a thread without answers.
fn is_in_thread(
    event: &EventId,
    thread: &ReceiptThread,
    root: Option<&EventId>,
    reached: &[OwnedEventId],
) -> bool {
    match thread {
        ReceiptThread::Main => root.is_none(),
        ReceiptThread::Thread(wanted) => {
            root == Some(wanted) || event == wanted || root.is_none() && reached.contains(wanted)
        }
        _ => true,
    }
}

/// The event that a stored marker names.
fn marker(content: &str) -> Option<OwnedEventId> {
    let content: Map<String, Value> = serde_json::from_str(content).ok()?;
    EventId::parse(content.get("event_id")?.as_str()?).ok()
}

#[cfg(test)]
#[path = "receipt_test.rs"]
mod receipt_test;
