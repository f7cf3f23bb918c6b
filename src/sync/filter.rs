//! Evaluates filters (client-server API, "Filtering"): what a client stored or sent inline is
//! parsed and bounded once, and asked for every event after that. What one event alone decides is
//! `proto::filter`'s.
//!
//! Invariant: an excluded value stays out even where it is also included. `limit` bounds timelines
//! only: to cut state, account data or presence short would lose what no later answer brings again.

use proto::{
    filter::{EventFilter, type_matches},
    pdu::Pdu,
};
use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UInt, UserId,
    api::client::filter::{
        EventFormat, Filter, FilterDefinition, LazyLoadOptions, RoomEventFilter, UrlFilter,
    },
};
use serde_json::{Map, Value, value::RawValue};
use user::Filters;

/// Timeline events of a room when the filter does not say.
pub const TIMELINE_LIMIT_DEFAULT: usize = 10;
/// The most timeline events of a room in one answer, whatever the filter says.
pub const TIMELINE_LIMIT_MAX: usize = 100;

/// Why a filter cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The user has no filter of this id.
    #[error("no filter has this id")]
    Unknown,
    /// It is no JSON, or not of a filter's shape.
    #[error("{0}")]
    Invalid(String),
}

/// A whole filter, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct SyncFilter {
    /// Which rooms are of interest at all.
    pub(crate) rooms: RoomMatcher,
    /// Timeline events.
    pub(crate) timeline: EventMatcher,
    /// How many timeline events of a room are wanted.
    pub(crate) timeline_limit: usize,
    /// State events.
    pub(crate) state: EventMatcher,
    /// Typing and receipts.
    pub(crate) ephemeral: EventMatcher,
    /// Account data of rooms.
    pub(crate) room_account_data: EventMatcher,
    /// Account data of the user.
    pub(crate) account_data: EventMatcher,
    /// Presence of others.
    pub(crate) presence: EventMatcher,
    /// Whether members come only as they are needed.
    pub(crate) lazy: LazyMembers,
    /// Whether rooms that the user left belong in an initial sync.
    pub(crate) include_leave: bool,
    /// Whether counts of unread events are wanted by thread.
    pub(crate) by_thread: bool,
    /// How events look.
    pub(crate) format: Format,
}

/// Whether the members in `state` are only those that the timeline needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LazyMembers {
    /// All of them.
    #[default]
    Off,
    /// Those that the timeline needs and that the client does not have yet.
    New,
    /// Those that the timeline needs, again and again.
    Redundant,
}

/// How events look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Format {
    /// As servers send them to each other.
    pub(crate) federation: bool,
    /// Only these fields, each a path into the event.
    pub(crate) fields: Option<Vec<Vec<String>>>,
}

/// Includes and excludes rooms.
#[derive(Debug, Default)]
pub(crate) struct RoomMatcher {
    included: Option<Vec<OwnedRoomId>>,
    excluded: Vec<OwnedRoomId>,
}

/// Includes and excludes events by type, sender, room and whether their content has a `url`.
#[derive(Debug, Default)]
pub(crate) struct EventMatcher {
    types: Option<Vec<String>>,
    not_types: Vec<String>,
    senders: Option<Vec<OwnedUserId>>,
    not_senders: Vec<OwnedUserId>,
    rooms: RoomMatcher,
    contains_url: Option<bool>,
}

impl SyncFilter {
    /// Parses and compiles a filter, stored or given inline.
    pub(crate) fn parse(json: &str) -> Result<Self, FilterError> {
        let definition =
            Filters::parse(json).map_err(|error| FilterError::Invalid(error.to_string()))?;
        Ok(Self::compile(definition))
    }

    /// Whether no room is kept out of the ephemeral section.
    pub(crate) fn has_ephemeral_of_all_rooms(&self) -> bool {
        self.rooms.is_everything() && self.ephemeral.rooms.is_everything()
    }

    /// Compiles a parsed filter.
    fn compile(definition: FilterDefinition) -> Self {
        let room = definition.room;
        let fields = definition.event_fields.as_deref().map(parse_fields);
        Self {
            rooms: RoomMatcher::new(room.rooms, room.not_rooms),
            timeline_limit: timeline_limit(room.timeline.limit),
            by_thread: room.timeline.unread_thread_notifications,
            timeline: EventMatcher::in_rooms(room.timeline),
            lazy: LazyMembers::new(room.state.lazy_load_options),
            state: EventMatcher::in_rooms(room.state),
            ephemeral: EventMatcher::in_rooms(room.ephemeral),
            room_account_data: EventMatcher::in_rooms(room.account_data),
            account_data: EventMatcher::outside(definition.account_data),
            presence: EventMatcher::outside(definition.presence),
            include_leave: room.include_leave,
            format: Format {
                federation: definition.event_format == EventFormat::Federation,
                fields: fields.filter(|fields| !fields.is_empty()),
            },
        }
    }
}

/// The limit that applies for the one that the filter asks for.
fn timeline_limit(limit: Option<UInt>) -> usize {
    limit.map_or(TIMELINE_LIMIT_DEFAULT, |limit| {
        usize::try_from(u64::from(limit)).unwrap_or(usize::MAX).min(TIMELINE_LIMIT_MAX)
    })
}

/// Parses dot-separated property paths (appendices, "Dot-separated property paths").
fn parse_fields(fields: &[String]) -> Vec<Vec<String>> {
    fields.iter().map(|field| parse_path(field)).collect()
}

/// Splits at dots; a backslash takes a dot or a backslash literally and stands for itself before
/// anything else.
fn parse_path(field: &str) -> Vec<String> {
    let mut path = vec![String::new()];
    let mut characters = field.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = (character == '\\')
            .then(|| characters.next_if(|next| matches!(next, '.' | '\\')))
            .flatten();
        if character == '.' {
            path.push(String::new());
        } else if let Some(last) = path.last_mut() {
            last.push(escaped.unwrap_or(character));
        }
    }
    path
}

impl LazyMembers {
    fn new(options: LazyLoadOptions) -> Self {
        match options {
            LazyLoadOptions::Disabled => Self::Off,
            LazyLoadOptions::Enabled { include_redundant_members: false } => Self::New,
            LazyLoadOptions::Enabled { include_redundant_members: true } => Self::Redundant,
        }
    }

    /// Whether members come only as they are needed.
    pub(crate) fn is_on(self) -> bool {
        self != Self::Off
    }
}

impl Format {
    /// Whether events are written as they are kept, only with the reader's own `unsigned`.
    pub(crate) fn is_plain(&self) -> bool {
        !self.federation && self.fields.is_none()
    }

    /// The event with only the fields that are wanted.
    pub(crate) fn project(&self, event: &Value) -> Value {
        let Some(fields) = &self.fields else { return event.clone() };
        let mut projected = Value::Object(Map::new());
        for path in fields {
            copy_path(event, &mut projected, path);
        }
        projected
    }
}

/// Copies what stands at `path`, if anything does, making the objects on the way.
fn copy_path(from: &Value, to: &mut Value, path: &[String]) {
    let Some((name, rest)) = path.split_first() else { return };
    let (Some(found), Some(target)) = (from.get(name), to.as_object_mut()) else { return };
    if rest.is_empty() {
        target.insert(name.clone(), found.clone());
        return;
    }
    let present = rest.iter().try_fold(found, |value, name| value.get(name)).is_some();
    if present {
        let child = target.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
        copy_path(found, child, rest);
    }
}

impl RoomMatcher {
    fn new(included: Option<Vec<OwnedRoomId>>, excluded: Vec<OwnedRoomId>) -> Self {
        Self { included, excluded }
    }

    /// Whether every room is wanted.
    fn is_everything(&self) -> bool {
        self.included.is_none() && self.excluded.is_empty()
    }

    /// Whether the room is wanted.
    pub(crate) fn matches(&self, room: &RoomId) -> bool {
        !self.excluded.iter().any(|excluded| excluded == room)
            && self
                .included
                .as_ref()
                .is_none_or(|included| included.iter().any(|included| included == room))
    }
}

impl EventMatcher {
    fn in_rooms(filter: RoomEventFilter) -> Self {
        Self {
            types: filter.types,
            not_types: filter.not_types,
            senders: filter.senders,
            not_senders: filter.not_senders,
            rooms: RoomMatcher::new(filter.rooms, filter.not_rooms),
            contains_url: filter.url_filter.map(|url| url == UrlFilter::EventsWithUrl),
        }
    }

    fn outside(filter: Filter) -> Self {
        Self {
            types: filter.types,
            not_types: filter.not_types,
            senders: filter.senders,
            not_senders: filter.not_senders,
            ..Self::default()
        }
    }

    /// Whether events of this type, whose content has no `url`, can match.
    pub(crate) fn matches_without_url(&self, event_type: &str) -> bool {
        !self.is_nothing() && self.matches_type(event_type) && self.contains_url != Some(true)
    }

    /// Whether account data with this content can match, as far as `contains_url` says.
    pub(crate) fn matches_content(&self, content: &RawValue) -> bool {
        self.contains_url.is_none_or(|wanted| wanted == has_url(content))
    }

    /// Whether no event whatever can match, so that nobody needs to look for any.
    pub(crate) fn is_nothing(&self) -> bool {
        self.types.as_ref().is_some_and(Vec::is_empty)
            || self.senders.as_ref().is_some_and(Vec::is_empty)
            || self.rooms.included.as_ref().is_some_and(Vec::is_empty)
    }

    /// Whether events of this room can match.
    pub(crate) fn matches_room(&self, room: &RoomId) -> bool {
        self.rooms.matches(room)
    }

    /// Whether events of this type can match.
    pub(crate) fn matches_type(&self, event_type: &str) -> bool {
        !self.not_types.iter().any(|pattern| type_matches(pattern, event_type))
            && self
                .types
                .as_ref()
                .is_none_or(|types| types.iter().any(|pattern| type_matches(pattern, event_type)))
    }

    /// Whether events of this sender can match.
    pub(crate) fn matches_sender(&self, sender: &UserId) -> bool {
        !self.not_senders.iter().any(|excluded| excluded == sender)
            && self
                .senders
                .as_ref()
                .is_none_or(|senders| senders.iter().any(|included| included == sender))
    }

    /// Whether a room's event is wanted.
    pub(crate) fn matches(&self, pdu: &Pdu) -> bool {
        let filter = EventFilter {
            types: self.types.as_deref(),
            not_types: &self.not_types,
            senders: self.senders.as_deref(),
            not_senders: &self.not_senders,
            rooms: self.rooms.included.as_deref(),
            not_rooms: &self.rooms.excluded,
            contains_url: self.contains_url,
        };
        filter.passes(pdu)
    }
}

/// Whether a content has a `url` that is a text, as `proto::filter` asks of events.
fn has_url(content: &RawValue) -> bool {
    let content: Map<String, Value> = serde_json::from_str(content.get()).unwrap_or_default();
    content.get("url").is_some_and(Value::is_string)
}

#[cfg(test)]
#[path = "filter_test.rs"]
mod tests;
