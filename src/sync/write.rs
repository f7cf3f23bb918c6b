//! Writes an answer as bytes (client-server API, `GET /sync`). Events come from their shared form,
//! with the reader's own `unsigned` spliced in; nothing is serialised twice.

use bytes::Bytes;
use room::Event;
use ruma::presence::PresenceState;
use serde_json::Value;
use store::room::event::Reader;
use user::presence::UserPresence;

use crate::{
    answer::{
        AccountDatum, Answer, JoinedRoom, LeftRoom, StrippedRoom, Summary, Timeline, TimelineEvent,
    },
    filter::Format,
    json::JsonWriter,
    request::StateSection,
    token::SyncToken,
};

/// What an event takes, about, in bytes: to get one buffer that fits.
const EVENT_BYTES: usize = 512;
/// What a room takes besides its events.
const ROOM_BYTES: usize = 512;

/// How this client wants its answer.
#[derive(Clone, Copy)]
pub(crate) struct Style<'a> {
    /// How events look.
    pub(crate) format: &'a Format,
    /// Under which name the state goes.
    pub(crate) state: StateSection,
    /// The time now in milliseconds, for `age`.
    pub(crate) now_ms: u64,
}

/// The answer that nothing has happened.
pub(crate) fn nothing(next: SyncToken) -> Bytes {
    let mut out = JsonWriter::with_capacity(128);
    out.object(|answer| ends(answer, next));
    out.finish()
}

/// What every answer has. Keys for encryption are counted even where there are none, since clients
/// wait for the count.
fn ends(answer: &mut JsonWriter, next: SyncToken) {
    answer.key("next_batch").raw_with(|out| {
        use std::fmt::Write as _;
        // Writing to a string cannot fail, and a token needs no escapes.
        let _ = write!(out, "\"{next}\"");
    });
    answer.key("device_one_time_keys_count").object(|_| ());
}

/// The whole answer.
pub(crate) fn write(answer: &Answer, style: Style<'_>) -> Bytes {
    let mut out = JsonWriter::with_capacity(capacity(answer));
    out.object(|whole| {
        ends(whole, answer.next);
        if !answer.account_data.is_empty() {
            account_data(whole, &answer.account_data);
        }
        if !answer.presence.is_empty() {
            whole.key("presence").events(|events| {
                for user in &answer.presence {
                    presence(events, user);
                }
            });
        }
        whole.key("rooms").object(|rooms| {
            section(rooms, "join", &answer.joined, |out, room| joined(out, room, style));
            section(rooms, "invite", &answer.invited, |out, room| {
                stripped(out, "invite_state", room);
            });
            section(rooms, "knock", &answer.knocked, |out, room| {
                stripped(out, "knock_state", room);
            });
            section(rooms, "leave", &answer.left, |out, room| left(out, room, style));
        });
    });
    out.finish()
}

fn capacity(answer: &Answer) -> usize {
    let joined = answer.joined.iter().map(|room| room.state.len() + room.timeline.events.len());
    let left = answer.left.iter().map(|room| room.state.len() + room.timeline.events.len());
    let rooms = answer.joined.len() + answer.left.len() + answer.invited.len();
    joined.chain(left).sum::<usize>() * EVENT_BYTES + (rooms + 1) * ROOM_BYTES
}

fn section<R>(rooms: &mut JsonWriter, name: &str, list: &[R], write: impl Fn(&mut JsonWriter, &R)) {
    if !list.is_empty() {
        rooms.key(name).object(|out| {
            for room in list {
                write(out, room);
            }
        });
    }
}

fn joined(out: &mut JsonWriter, room: &JoinedRoom, style: Style<'_>) {
    out.key(room.id.as_str()).object(|out| {
        out.key("summary").object(|out| {
            if let Some(changed) = &room.summary {
                summary(out, changed);
            }
        });
        timeline(out, &room.timeline, style);
        state(out, &room.state, style);
        out.key("ephemeral").events(|events| {
            for event in &room.ephemeral {
                events.raw(event);
            }
        });
        account_data(out, &room.account_data);
        out.key("unread_notifications").object(|counts| {
            counts.key("highlight_count").unsigned(0);
            counts.key("notification_count").unsigned(0);
        });
        if room.by_thread {
            out.key("unread_thread_notifications").object(|_| ());
        }
    });
}

fn left(out: &mut JsonWriter, room: &LeftRoom, style: Style<'_>) {
    out.key(room.id.as_str()).object(|out| {
        timeline(out, &room.timeline, style);
        state(out, &room.state, style);
        account_data(out, &room.account_data);
    });
}

fn stripped(out: &mut JsonWriter, name: &str, room: &StrippedRoom) {
    out.key(room.id.as_str()).object(|out| {
        out.key(name).events(|events| {
            for event in &room.events {
                events.raw(event);
            }
        });
    });
}

fn summary(out: &mut JsonWriter, summary: &Summary) {
    if let Some(heroes) = &summary.heroes {
        out.key("m.heroes").array(|array| {
            for hero in heroes {
                array.string(hero.as_str());
            }
        });
    }
    out.key("m.joined_member_count").unsigned(as_u64(summary.joined));
    out.key("m.invited_member_count").unsigned(as_u64(summary.invited));
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn timeline(out: &mut JsonWriter, timeline: &Timeline, style: Style<'_>) {
    out.key("timeline").object(|out| {
        out.key("events").array(|events| {
            for event in &timeline.events {
                timeline_event(events, event, style);
            }
        });
        out.key("limited").boolean(timeline.limited);
        out.key("prev_batch").string(&timeline.prev_batch);
    });
}

fn state(out: &mut JsonWriter, state: &[std::sync::Arc<Event>], style: Style<'_>) {
    out.key(style.state.name()).events(|events| {
        for event in state {
            let reader = Reader { now_ms: Some(style.now_ms), ..Reader::default() };
            write_event(events, event, reader, style.format);
        }
    });
}

fn timeline_event(out: &mut JsonWriter, shown: &TimelineEvent, style: Style<'_>) {
    let reader = Reader {
        with_room_id: false,
        now_ms: Some(style.now_ms),
        transaction_id: shown.transaction_id.as_deref(),
        membership: shown.membership.map(room::Membership::as_str),
    };
    write_event(out, &shown.event, reader, style.format);
}

fn write_event(out: &mut JsonWriter, event: &Event, reader: Reader<'_>, format: &Format) {
    if format.is_plain() {
        return out.raw_with(|out| event.write(reader, out));
    }
    let pdu = event.pdu();
    if format.fields.is_none() {
        return out.raw(pdu.json());
    }
    let text = if format.federation {
        pdu.json().to_owned()
    } else {
        event.to_client(reader).get().to_owned()
    };
    // What was serialised by us parses again.
    let whole = serde_json::from_str::<Value>(&text).unwrap_or_default();
    out.raw(&format.project(&whole).to_string());
}

fn account_data(out: &mut JsonWriter, data: &[AccountDatum]) {
    out.key("account_data").events(|events| {
        for datum in data {
            events.object(|event| {
                event.key("type").string(&datum.kind);
                event.key("content").raw(datum.content.get());
            });
        }
    });
}

fn presence(out: &mut JsonWriter, user: &UserPresence) {
    out.object(|event| {
        event.key("type").string("m.presence");
        event.key("sender").string(user.user_id.as_str());
        event.key("content").object(|content| {
            content.key("presence").string(user.state.as_str());
            if let Some(ago) = user.last_active_ago_ms {
                content.key("last_active_ago").unsigned(ago);
            }
            if user.state != PresenceState::Offline {
                content.key("currently_active").boolean(user.currently_active);
            }
            if let Some(message) = &user.status_msg {
                content.key("status_msg").string(message);
            }
        });
    });
}
