//! The events themselves, one row each.

use std::{collections::HashMap, sync::Arc};

use proto::{
    number::{EventNumber, RoomNumber, StateGroup, StateKeyNumber},
    pdu::Pdu,
    rules::Rules,
};
use ruma::{EventId, OwnedEventId};

use super::{
    cache::EventCache,
    event::{Body, Event, Outcome, Place},
};
use crate::{Batch, Conflict, Error, Kind, Row, Snapshot, WriteTxn, params};

static EVENTS: Batch = Batch {
    table: "event",
    columns: &[
        ("number", Kind::Int),
        ("room", Kind::Int),
        ("id", Kind::Bytes),
        ("json", Kind::Bytes),
        ("outcome", Kind::Int),
        ("key_", Kind::Int),
        ("state_group", Kind::Int),
        ("replaces", Kind::Int),
        ("redacted_by", Kind::Int),
        ("depth", Kind::Int),
        ("position", Kind::Int),
    ],
    key_columns: 1,
    conflict: Conflict::Fail,
};

const LOAD: &str =
    "SELECT event.number, event.room, id, json, outcome, key_, event.state_group, replaces,
        redacted_by, event.depth, event.position, version
    FROM event JOIN room ON room.number = event.room WHERE event.number IN_INTS($1)";

/// How many events are loaded by one statement.
const LOAD_MAX: usize = 500;

const FIND_BY_ID: &str = "SELECT number FROM event WHERE id = $1";

const FIND_BY_IDS: &str = "SELECT id, number, outcome, room, state_group FROM event
    WHERE id IN_BYTES($1)";

const REDACT: &str = "UPDATE event SET json = $2, redacted_by = $3 WHERE number = $1";

const PLACE: &str = "UPDATE event
    SET outcome = $2, state_group = $3, replaces = $4, depth = $5, position = $6
    WHERE number = $1";

/// What the store knows about an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The event's number.
    pub number: EventNumber,
    /// Its room.
    pub room: RoomNumber,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether the state around it is known.
    pub has_state: bool,
}

/// Adds an event.
pub fn insert(txn: &mut WriteTxn<'_>, event: &Event) -> Result<(), Error> {
    let pdu = event.pdu();
    let redacted_by = event.body.redacted_because().map(|because| because.number());
    txn.insert(
        &EVENTS,
        params![
            event.number(),
            event.room,
            pdu.event_id(),
            pdu.json(),
            event.outcome.code(),
            event.key,
            event.group,
            event.replaces.as_ref().map(|replaced| replaced.number()),
            redacted_by,
            event.place.map(|place| place.depth),
            event.place.map(|place| place.position),
        ],
    )
}

/// Gives a stored event another outcome, state and place.
pub fn update_place(txn: &mut WriteTxn<'_>, event: &Event) -> Result<(), Error> {
    txn.execute(
        PLACE,
        params![
            event.number(),
            event.outcome.code(),
            event.group,
            event.replaces.as_ref().map(|replaced| replaced.number()),
            event.place.map(|place| place.depth),
            event.place.map(|place| place.position),
        ],
    )?;
    Ok(())
}

/// Replaces an event by its redacted form.
pub fn redact(
    txn: &mut WriteTxn<'_>,
    number: EventNumber,
    redacted: &Pdu,
    by: EventNumber,
) -> Result<(), Error> {
    txn.execute(REDACT, params![number, redacted.json(), by])?;
    Ok(())
}

/// The number of an event, if the store has it.
pub fn find(snapshot: &mut Snapshot<'_>, id: &EventId) -> Result<Option<EventNumber>, Error> {
    snapshot.query_optional(FIND_BY_ID, params![id], |row| row.number(0))
}

/// What the store knows of these event ids; those that it does not have are left out.
pub fn find_all(
    snapshot: &mut Snapshot<'_>,
    ids: &[OwnedEventId],
) -> Result<HashMap<OwnedEventId, Known>, Error> {
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(LOAD_MAX) {
        snapshot.query_each(FIND_BY_IDS, params![ids], |row| {
            let outcome = outcome(row.int(2)?)?;
            let has_state = row.int_optional(4)?.is_some();
            let (number, room) = (row.number(1)?, row.number(3)?);
            let known = Known { number, room, outcome, has_state };
            found.insert(row.id::<OwnedEventId>(0)?, known);
            Ok(())
        })?;
    }
    Ok(found)
}

/// The event with this number, which must be there.
pub fn load(
    snapshot: &mut Snapshot<'_>,
    cache: &EventCache,
    number: EventNumber,
) -> Result<Arc<Event>, Error> {
    if let Some(event) = cache.get(number) {
        return Ok(event);
    }
    let mut events = load_all(snapshot, cache, &[number])?;
    events.pop().ok_or_else(|| Error::Corrupt(format!("event {number} is not there")))
}

/// The event with this id, if the store has it.
pub fn find_by_id(
    snapshot: &mut Snapshot<'_>,
    cache: &EventCache,
    id: &EventId,
) -> Result<Option<Arc<Event>>, Error> {
    match find(snapshot, id)? {
        Some(number) => load(snapshot, cache, number).map(Some),
        None => Ok(None),
    }
}

/// The events with these numbers, in the order asked for; all of them must be there.
pub fn load_all(
    snapshot: &mut Snapshot<'_>,
    cache: &EventCache,
    numbers: &[EventNumber],
) -> Result<Vec<Arc<Event>>, Error> {
    let found = find_numbers(snapshot, cache, numbers)?;
    let find = |number: &EventNumber| {
        found
            .get(number)
            .cloned()
            .ok_or_else(|| Error::Corrupt(format!("event {number} is not there")))
    };
    numbers.iter().map(find).collect()
}

/// Those of the events with these numbers that are there, in the order asked for.
pub fn find_loaded(
    snapshot: &mut Snapshot<'_>,
    cache: &EventCache,
    numbers: &[EventNumber],
) -> Result<Vec<Arc<Event>>, Error> {
    let found = find_numbers(snapshot, cache, numbers)?;
    Ok(numbers.iter().filter_map(|number| found.get(number).cloned()).collect())
}

fn find_numbers(
    snapshot: &mut Snapshot<'_>,
    cache: &EventCache,
    numbers: &[EventNumber],
) -> Result<HashMap<EventNumber, Arc<Event>>, Error> {
    let mut found = HashMap::with_capacity(numbers.len());
    let mut missing = Vec::new();
    for number in numbers {
        match cache.get(*number) {
            Some(event) => {
                found.insert(*number, event);
            }
            None => missing.push(*number),
        }
    }
    for numbers in missing.chunks(LOAD_MAX) {
        for event in load_rows(snapshot, cache, numbers)? {
            found.insert(event.number(), event);
        }
    }
    Ok(found)
}

/// A row before the events that it names are there too.
struct Raw {
    event: Event,
    redacted_by: Option<EventNumber>,
    replaces: Option<EventNumber>,
}

fn load_rows(
    snapshot: &mut Snapshot<'_>,
    cache: &EventCache,
    numbers: &[EventNumber],
) -> Result<Vec<Arc<Event>>, Error> {
    let rows = snapshot.query(LOAD, params![numbers], read_row)?;
    let named = rows.iter().flat_map(|raw| [raw.redacted_by, raw.replaces]).flatten();
    let bodies = load_bodies(snapshot, cache, &named.collect::<Vec<_>>())?;
    let complete = |raw: Raw| {
        let mut event = raw.event;
        event.replaces = raw.replaces.and_then(|replaced| bodies.get(&replaced).cloned());
        if let Some(by) = raw.redacted_by {
            let because = bodies.get(&by).cloned();
            let pdu = Arc::clone(event.pdu());
            event.body = Arc::new(Body::new_redacted(event.number(), pdu, because));
        }
        cache.insert_loaded(event)
    };
    Ok(rows.into_iter().map(complete).collect())
}

/// The bodies of events that others name, without what those name in turn.
fn load_bodies(
    snapshot: &mut Snapshot<'_>,
    cache: &EventCache,
    numbers: &[EventNumber],
) -> Result<HashMap<EventNumber, Arc<Body>>, Error> {
    let mut bodies = HashMap::with_capacity(numbers.len());
    let mut missing = Vec::new();
    for number in numbers {
        match cache.body(*number) {
            Some(body) => {
                bodies.insert(*number, body);
            }
            None => missing.push(*number),
        }
    }
    for numbers in missing.chunks(LOAD_MAX) {
        for raw in snapshot.query(LOAD, params![numbers], read_row)? {
            let number = raw.event.number();
            let body = match raw.redacted_by {
                Some(_) => {
                    let pdu = Arc::clone(raw.event.pdu());
                    Arc::new(Body::new_redacted(number, pdu, None))
                }
                None => cache.know_loaded(raw.event.body),
            };
            bodies.insert(number, body);
        }
    }
    Ok(bodies)
}

fn read_row(row: Row<'_>) -> Result<Raw, Error> {
    let number = row.number::<EventNumber>(0)?;
    let version = row.text(11)?;
    let rules = Rules::of(version)
        .ok_or_else(|| Error::Corrupt(format!("unknown room version {version:?}")))?;
    let json = row.text(3)?;
    let pdu = Pdu::load(json, row.id::<OwnedEventId>(2)?, rules)
        .map_err(|error| Error::Corrupt(format!("event {number} does not parse: {error}")))?;
    let place = match (row.int_optional(9)?, row.int_optional(10)?) {
        (Some(depth), Some(position)) => Some(Place { depth, position }),
        _ => None,
    };
    let event = Event {
        room: row.number::<RoomNumber>(1)?,
        outcome: outcome(row.int(4)?)?,
        key: row.number_optional::<StateKeyNumber>(5)?,
        group: row.number_optional::<StateGroup>(6)?,
        place,
        replaces: None,
        body: Arc::new(Body::new(number, Arc::new(pdu))),
    };
    Ok(Raw { event, replaces: row.number_optional(7)?, redacted_by: row.number_optional(8)? })
}

fn outcome(code: i64) -> Result<Outcome, Error> {
    Outcome::from_code(code)
        .ok_or_else(|| Error::Corrupt(format!("no outcome has the code {code}")))
}
