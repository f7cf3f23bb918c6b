//! Whom a change concerns.
//!
//! Invariant: every kind of change is named here; one that nobody's `/sync` shows concerns nobody.

use proto::number::UserNumber;
use smallvec::smallvec;
use store::{Change, Record, RoomNumber, room::keys::key_user, user::change::ReceiptKind};

use crate::{
    membership::Membership,
    recent::{Topic, Topics},
};

/// Whom a change concerns.
pub(crate) struct Concern {
    /// Under which topics it is found.
    pub(crate) topics: Topics,
    /// Whose membership it moves, if it does.
    pub(crate) member: Option<(UserNumber, RoomNumber, Membership)>,
}

fn one(topic: Topic) -> Concern {
    Concern { topics: smallvec![topic], member: None }
}

/// Whom this change concerns.
pub(crate) fn concern(record: &Record) -> Concern {
    match &record.change {
        Change::Timeline { room, .. } => one(Topic::Room(*room)),
        Change::State { room, key, new, event, .. } => {
            let Some(user) = key_user(*key) else {
                return one(Topic::Room(*room));
            };
            let state = event.as_ref().and_then(|event| event.pdu().membership());
            let state = state.unwrap_or_default();
            let membership = Membership { state, position: record.position, event: *new };
            Concern {
                topics: smallvec![Topic::Room(*room), Topic::User(user)],
                member: Some((user, *room, membership)),
            }
        }
        Change::AccountData(change) => one(Topic::User(change.user)),
        Change::Receipt(change) => one(match change.kind {
            ReceiptKind::Public => Topic::Room(change.room),
            ReceiptKind::Private => Topic::User(change.user),
        }),
        // A profile shows itself in member events. Kinds that no stream here shows wake nobody.
        _ => Concern { topics: Topics::new(), member: None },
    }
}
