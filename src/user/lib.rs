//! Local users: accounts, sessions and devices, user-interactive authentication, profiles, account
//! data, filters, receipts, typing, presence and the user directory. Everything that a user owns
//! apart from rooms.
//!
//! Each concern is one cheap-clone handle, made from a [`Context`] by the daemon. Durable changes
//! go through the store's writer, carry a position and a log record, and swap the in-memory views
//! after their commit; what requests ask for all the time (who is this token, whom does she ignore,
//! has this receipt moved) is answered from bounded caches.

pub mod account;
pub mod account_data;
mod cache;
mod context;
mod deactivate;
mod departure;
pub mod device;
pub mod directory;
mod due;
mod ended;
pub mod ephemeral;
mod error;
pub mod filter;
mod ignored;
pub mod login;
mod login_tokens;
mod logins;
pub mod maintenance;
mod password;
mod policy;
pub mod presence;
mod presence_record;
pub mod profile;
mod push_rules;
pub mod receipt;
mod refresh;
pub mod registration_token;
mod requester;
pub mod rooms;
mod seen;
pub mod session;
mod settings;
pub mod shared_secret;
pub mod tag;
#[cfg(test)]
mod testing;
mod token;
pub mod typing;
pub mod uia;
mod uia_sessions;
mod username;

pub use account::{AccountParts, Accounts};
pub use account_data::AccountData;
pub use context::Context;
pub use directory::Directory;
pub use ephemeral::Ephemeral;
pub use error::{Error, WeakPassword};
pub use filter::Filters;
pub use ignored::IgnoredUsers;
pub use logins::LoginStats;
pub use maintenance::Maintenance;
pub use password::{PasswordError, Passwords, Verdict, hash_argon2};
pub use policy::UserPolicy;
pub use presence::Presence;
pub use profile::Profiles;
pub use push_rules::default_push_rules;
pub use receipt::Receipts;
pub use registration_token::RegistrationTokens;
pub use requester::{Requester, Seen};
pub use rooms::{RoomAccess, ServerRooms};
pub use session::Sessions;
pub use settings::{
    DirectorySettings, PasswordSettings, ProfileSettings, RegistrationSettings, SessionSettings,
    Settings, SettingsHandle,
};
pub use shared_secret::SharedSecret;
pub use typing::Typing;
pub use uia::Uia;
