//! Events in answers: the shared client format of each, with the reader's own parts, written one
//! after the other.
//!
//! Invariant: an event is never parsed and serialised again on its way out.

use std::sync::Arc;

use room::{Event, Visible, query::Point};
use store::room::event::Reader;
use sync::token::SyncToken;

use crate::error::{ApiError, INVALID_PARAM};

/// About how long an event is, to make room for it.
const EVENT_BYTES: usize = 768;

/// An answer that is put together from pieces of JSON.
pub(crate) struct Writer {
    out: String,
    now_ms: u64,
}

impl Writer {
    /// An answer with about so many events.
    pub(crate) fn new(events: usize, now_ms: u64) -> Self {
        Self { out: String::with_capacity(events * EVENT_BYTES + 128), now_ms }
    }

    /// Begins the next key of the one object that the answer is.
    fn key(&mut self, key: &str) {
        self.out.push(if self.out.is_empty() { '{' } else { ',' });
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
    }

    /// Writes a text that needs no escape: a token of ours.
    pub(crate) fn token(&mut self, key: &str, token: &impl std::fmt::Display) {
        use std::fmt::Write;
        self.key(key);
        // Writing to a string cannot fail.
        let _ = write!(self.out, "\"{token}\"");
    }

    /// Writes a list of events that their reader may see.
    pub(crate) fn visible(&mut self, key: &str, events: &[Visible]) {
        self.key(key);
        self.list(events, Visible::write);
    }

    /// Writes one event that its reader may see.
    pub(crate) fn one(&mut self, key: &str, event: &Visible) {
        self.key(key);
        event.write(self.now_ms, &mut self.out);
    }

    /// Writes a list of state events.
    pub(crate) fn state(&mut self, key: &str, events: &[Arc<Event>]) {
        self.key(key);
        self.bare_state(events);
    }

    /// Writes a list of state events that is the whole answer.
    pub(crate) fn bare_state(&mut self, events: &[Arc<Event>]) {
        self.list(events, |event, now_ms, out| event.write(state_reader(now_ms), out));
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&T, u64, &mut String)) {
        self.out.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            write(item, self.now_ms, &mut self.out);
        }
        self.out.push(']');
    }

    /// Ends an answer that is an object.
    pub(crate) fn end(mut self) -> String {
        self.out.push('}');
        self.out
    }

    /// Ends an answer that is a list.
    pub(crate) fn end_list(self) -> String {
        self.out
    }
}

/// Whoever reads a state event outside a timeline.
pub(crate) fn state_reader(now_ms: u64) -> Reader<'static> {
    Reader { with_room_id: true, now_ms: Some(now_ms), ..Reader::default() }
}

/// A point of a room's history, from a pagination token or a sync token.
pub(crate) fn parse_point(name: &str, text: Option<&str>) -> Result<Option<Point>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if let Ok(token) = text.parse() {
        return Ok(Some(Point::Page(token)));
    }
    match text.parse::<SyncToken>() {
        Ok(token) => Ok(Some(Point::Position(token.position))),
        Err(_) => Err(INVALID_PARAM.with(format!("{name} is not a token of this server"))),
    }
}

#[cfg(test)]
mod tests {
    use proto::number::Position;

    use super::*;

    #[test]
    fn both_kinds_of_token_are_points() {
        assert_eq!(parse_point("from", None).unwrap(), None);
        assert_eq!(parse_point("from", Some("")).unwrap(), None);
        assert!(matches!(parse_point("from", Some("t7_12")).unwrap(), Some(Point::Page(_))));
        let position = parse_point("from", Some("s1_12_a_3")).unwrap();
        assert_eq!(position, Some(Point::Position(Position(12))));
        assert!(parse_point("from", Some("12")).err().unwrap().is(INVALID_PARAM));
    }

    #[test]
    fn an_object_is_written_key_by_key() {
        let mut writer = Writer::new(0, 0);
        writer.token("start", &"t1_2");
        writer.visible("chunk", &[]);
        assert_eq!(writer.end(), r#"{"start":"t1_2","chunk":[]}"#);
    }
}
