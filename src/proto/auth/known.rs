//! Events as the checks look at them: with what became of them when they came.

use std::sync::Arc;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, UserId, events::TimelineEventType,
    state_res::Event,
};
use serde_json::value::RawValue;

use crate::pdu::Pdu;

/// An event that the checks are given to look at.
#[derive(Clone, Debug)]
pub struct Known {
    /// The event.
    pub pdu: Arc<Pdu>,
    /// Whether it was rejected when it came.
    pub rejected: bool,
}

impl Event for Known {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        Event::event_id(&*self.pdu)
    }

    fn room_id(&self) -> Option<&RoomId> {
        Event::room_id(&*self.pdu)
    }

    fn sender(&self) -> &UserId {
        self.pdu.sender()
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        Event::origin_server_ts(&*self.pdu)
    }

    fn event_type(&self) -> &TimelineEventType {
        self.pdu.event_type()
    }

    fn content(&self) -> &RawValue {
        Event::content(&*self.pdu)
    }

    fn state_key(&self) -> Option<&str> {
        self.pdu.state_key()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Event::prev_events(&*self.pdu)
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Event::auth_events(&*self.pdu)
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        Event::redacts(&*self.pdu)
    }

    fn rejected(&self) -> bool {
        self.rejected
    }
}
