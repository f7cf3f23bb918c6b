//! Reading the timeline of a room.
//!
//! Spec: client-server API, "Getting events for a room", "Ignoring Users".

use std::{collections::HashSet, sync::Arc};

use axum::http::Uri;
use proto::{filter::EventFilter, pdu::Pdu};
use room::{
    Visible,
    query::{ContextRequest, Direction, MessagesRequest, Wanted},
};
use ruma::{
    OwnedEventId, OwnedRoomId, OwnedUserId, UInt,
    api::client::{
        context::get_context,
        filter::{LazyLoadOptions, RoomEventFilter, UrlFilter},
        message::get_message_events,
    },
};

use crate::{
    error::{ApiError, NOT_FOUND},
    events::{Writer, parse_point},
    extract::Call,
    reply::{self, Outcome},
    state_events::reading,
};

/// The users whom a reader ignores.
type Ignored = Arc<HashSet<OwnedUserId>>;

/// `GET /rooms/{roomId}/messages`.
pub(crate) async fn messages(mut call: Call) -> Outcome {
    if let Some(uri) = with_direction(&call.parts.uri) {
        call.parts.uri = uri;
    }
    let query: get_message_events::v3::Request = call.ruma()?;
    let lazy_load_members = is_lazy(&query.filter);
    let ignored = ignored(&call).await?;
    let request = MessagesRequest {
        direction: match query.dir {
            ruma::api::Direction::Backward => Direction::Backward,
            ruma::api::Direction::Forward => Direction::Forward,
        },
        from: parse_point("from", query.from.as_deref())?,
        to: parse_point("to", query.to.as_deref())?,
        // Both the query and its filter may say how many.
        limit: limit(query.limit).min(query.filter.limit.map_or(usize::MAX, limit)),
        wanted: wanted(query.filter, ignored),
        lazy_load_members,
    };
    let room_id = query.room_id;
    let page = call.state.rooms.messages(reading(&call, &room_id)?, request).await?;
    let events = page.events.len() + page.state.len();
    let mut writer = Writer::new(events, call.state.now_ms());
    // What was given comes back as it was given: it has been read as a token, of either kind.
    match query.from.filter(|from| !from.is_empty()) {
        Some(from) => writer.token("start", &from),
        None => writer.token("start", &page.start),
    }
    if let Some(end) = &page.end {
        writer.token("end", end);
    }
    writer.visible("chunk", &page.events);
    if lazy_load_members {
        writer.state("state", &page.state);
    }
    reply::raw(writer.end())
}

/// The address with the direction that Synapse takes where none is given, though the specification
/// asks for one.
fn with_direction(uri: &Uri) -> Option<Uri> {
    let query = uri.query().unwrap_or_default();
    if query.split('&').any(|pair| pair.starts_with("dir=")) {
        return None;
    }
    let separator = if query.is_empty() { "" } else { "&" };
    format!("{}?{query}{separator}dir=f", uri.path()).parse().ok()
}

fn limit(limit: UInt) -> usize {
    usize::try_from(u64::from(limit)).unwrap_or(usize::MAX)
}

fn is_lazy(filter: &RoomEventFilter) -> bool {
    matches!(filter.lazy_load_options, LazyLoadOptions::Enabled { .. })
}

/// Whom the reader ignores.
async fn ignored(call: &Call) -> Result<Ignored, ApiError> {
    Ok(call.state.account_data.ignored_users(call.requester()?).await?)
}

/// Whether the reader hears of an event. What ignored users send is not shown, but for state, which
/// everybody has to know.
fn is_heard(ignored: &Ignored, pdu: &Pdu) -> bool {
    pdu.is_state() || !ignored.contains(pdu.sender())
}

/// An event that the reader does not hear of is none to her.
fn check_heard(ignored: &Ignored, event: &Visible) -> Result<(), ApiError> {
    if is_heard(ignored, event.event.pdu()) {
        return Ok(());
    }
    Err(NOT_FOUND.with("The event is of a user whom you ignore"))
}

/// The question whether an event passes the filter and is heard; none where every event is.
fn wanted(filter: RoomEventFilter, ignored: Ignored) -> Option<Wanted> {
    let looks = !ignored.is_empty()
        || filter.types.is_some()
        || filter.senders.is_some()
        || filter.rooms.is_some()
        || filter.url_filter.is_some()
        || !filter.not_types.is_empty()
        || !filter.not_senders.is_empty()
        || !filter.not_rooms.is_empty();
    looks
        .then(|| -> Wanted { Arc::new(move |pdu| is_heard(&ignored, pdu) && passes(&filter, pdu)) })
}

fn passes(filter: &RoomEventFilter, pdu: &Pdu) -> bool {
    let url = filter.url_filter.as_ref();
    EventFilter {
        types: filter.types.as_deref(),
        not_types: &filter.not_types,
        senders: filter.senders.as_deref(),
        not_senders: &filter.not_senders,
        rooms: filter.rooms.as_deref(),
        not_rooms: &filter.not_rooms,
        contains_url: url.map(|url| *url == UrlFilter::EventsWithUrl),
    }
    .passes(pdu)
}

/// `GET /rooms/{roomId}/context/{eventId}`.
pub(crate) async fn context(call: Call) -> Outcome {
    let query: get_context::v3::Request = call.ruma()?;
    let ignored = ignored(&call).await?;
    let request = ContextRequest {
        event_id: &query.event_id,
        limit: limit(query.limit),
        lazy_load_members: is_lazy(&query.filter),
        wanted: wanted(query.filter, Arc::clone(&ignored)),
    };
    let room_id = query.room_id;
    let context = call.state.rooms.context(reading(&call, &room_id)?, request).await?;
    check_heard(&ignored, &context.event)?;
    let events = context.before.len() + context.after.len() + context.state.len() + 1;
    let mut writer = Writer::new(events, call.state.now_ms());
    writer.token("start", &context.start);
    writer.token("end", &context.end);
    writer.one("event", &context.event);
    writer.visible("events_before", &context.before);
    writer.visible("events_after", &context.after);
    writer.state("state", &context.state);
    reply::raw(writer.end())
}

/// `GET /rooms/{roomId}/event/{eventId}`.
pub(crate) async fn event(call: Call) -> Outcome {
    let room_id: OwnedRoomId = call.id("roomId")?;
    let event_id: OwnedEventId = call.id("eventId")?;
    let event = call.state.rooms.event(reading(&call, &room_id)?, &event_id).await?;
    check_heard(&ignored(&call).await?, &event)?;
    let mut body = String::new();
    event.write(call.state.now_ms(), &mut body);
    reply::raw(body)
}
