//! Rooms: the one door for every event, local or from another server; the state of each room; what
//! may be read of it.
//!
//! Everything starts at [`Rooms`], a cheap-clone handle. [`Rooms::submit`] takes local events,
//! [`Rooms::receive`] those of other servers; both end in the room's queue ([`queue`]), which
//! orders one room's work, and from there in the store's writer. What is committed is seen through
//! a [`RoomView`], an immutable picture that is swapped at each commit.
//!
//! Spec: client-server API, "Rooms"; server-server API, "PDUs", "Room State Resolution".

mod acl;
mod admit;
mod append;
mod content;
mod coverage;
mod draft;
mod error;
mod join_rules;
mod keys;
mod load;
mod members;
mod missing;
mod numbering;
mod outliers;
mod persist;
mod placing;
mod ports;
mod reach;
mod reach_cache;
mod recipe;
mod remote_join;
mod resolve;
mod room;
mod rooms;
mod settings;
mod stage;
mod stats;
mod third_party;
mod tip;
mod txn;
mod upgrade_powers;
mod view;

pub mod alias;
pub mod create;
pub mod directory;
pub mod membership;
pub mod peers;
pub mod query;
pub mod queue;
pub mod receive;
pub mod redact;
pub mod resident;

pub mod testing;
pub mod upgrade;
pub mod users;
pub mod visibility;

pub use error::RoomError;
pub use membership::MemberProfile;
pub use ports::{Act, AllowAll, Policy, PushActions, Rows};
pub use proto::{draft::Draft, visibility::Membership};
pub use query::{PageToken, Visible};
pub use queue::{Submission, Submitted};
pub use room::Room;
pub use rooms::{Rooms, Setup};
pub use settings::{Settings, SettingsHandle};
pub use stats::{EventStats, Stats};
pub use store::room::event::{Event, Outcome, Place};
pub use txn::TxnKey;
pub use users::{UserRoom, UserRooms};
pub use view::{JoinRule, Member, RoomView};

#[cfg(test)]
mod tests;
