//! One room that is kept ready: its queue and its committed view.

use std::sync::Arc;

use proto::{
    number::{Position, RoomNumber},
    rules::Rules,
};
use ruma::RoomId;

use crate::RoomView;

/// A room. Cheap to clone; holding it keeps the room ready.
#[derive(Clone)]
pub struct Room(pub(crate) Arc<Core>);

pub(crate) struct Core {}

impl Room {
    /// Its number in the store.
    pub fn number(&self) -> RoomNumber {
        todo!()
    }

    /// Its id.
    pub fn id(&self) -> &RoomId {
        todo!()
    }

    /// The rules of its version.
    pub fn rules(&self) -> &'static Rules {
        todo!()
    }

    /// The room as of its newest commit.
    pub fn view(&self) -> Arc<RoomView> {
        todo!()
    }

    /// The position of its newest timeline row or state change.
    pub fn position(&self) -> Position {
        todo!()
    }
}
