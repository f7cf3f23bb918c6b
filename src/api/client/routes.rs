//! The table of routes: method, path with its older names, authentication, rate limit, body limit,
//! function.
//!
//! Invariant: whatever stands here is served as the specification says; what is not served is not
//! here, so that clients hear `M_UNRECOGNIZED` and can tell.
//!
//! Spec: client-server API; the file that a function lies in is named after the spec's section.

use std::pin::Pin;

use axum::routing::MethodFilter;

use crate::{
    account, account_data, alias, capabilities, create_room, device, directory, discovery,
    extract::Call, fallback, filter, landing, listening::Surface, membership, messages, presence,
    profile, push_rules, rate::Kind, receipt, redact, register, reply::Outcome, send, session,
    shared_secret, state_events, sync_events, tag, third_party, typing, upgrade, user_directory,
    versions, voip,
};

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody; a token is not looked at.
    Open,
    /// Everybody, but a token must be valid.
    Optional,
    /// Whoever has a token, guests too.
    Guest,
    /// The same, even if the token has expired.
    Expired,
    /// Whoever has a token and is no guest.
    User,
}

type Function = dyn Fn(Call) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync;

/// One row of the table.
pub(crate) struct Route {
    pub(crate) filter: MethodFilter,
    pub(crate) access: Access,
    pub(crate) limit: Option<Kind>,
    /// The most bytes of a body; `None` where a body is not looked at.
    pub(crate) body_max: Option<usize>,
    pub(crate) surface: Surface,
    prefixes: &'static [&'static str],
    path: &'static str,
    also: &'static [&'static str],
    function: Box<Function>,
}

/// The greatest body of most requests.
const SMALL: usize = 64 * 1024;
/// The greatest body that can hold an event: 64 KiB of canonical JSON, which may be written with
/// six bytes a character.
const EVENT: usize = 512 * 1024;
/// The greatest body of requests that hold many things.
const LARGE: usize = 2 * 1024 * 1024;

/// The path as it is.
const ROOT: &[&str] = &[""];
/// Endpoints that are as old as r0.
const V3: &[&str] = &["/_matrix/client/v3", "/_matrix/client/r0"];
/// Endpoints that began with v1.
const V1: &[&str] = &["/_matrix/client/v1"];

const GET: MethodFilter = MethodFilter::GET;
const PUT: MethodFilter = MethodFilter::PUT;
const POST: MethodFilter = MethodFilter::POST;
const DELETE: MethodFilter = MethodFilter::DELETE;

/// A row for users who are logged in, with a small body if any, without a rate limit.
fn route<F, A>(
    filter: MethodFilter,
    prefixes: &'static [&'static str],
    path: &'static str,
    function: F,
) -> Route
where
    F: Fn(Call) -> A + Send + Sync + 'static,
    A: Future<Output = Outcome> + Send + 'static,
{
    Route {
        filter,
        access: Access::User,
        limit: None,
        body_max: (filter != GET).then_some(SMALL),
        surface: Surface::Client,
        prefixes,
        path,
        also: &[],
        function: Box::new(move |call| Box::pin(function(call))),
    }
}

impl Route {
    fn open(mut self) -> Self {
        self.access = Access::Open;
        self
    }

    fn optional(mut self) -> Self {
        self.access = Access::Optional;
        self
    }

    fn guests(mut self) -> Self {
        self.access = Access::Guest;
        self
    }

    fn expired(mut self) -> Self {
        self.access = Access::Expired;
        self
    }

    fn limit(mut self, kind: Kind) -> Self {
        self.limit = Some(kind);
        self
    }

    fn body(mut self, max_bytes: usize) -> Self {
        self.body_max = Some(max_bytes);
        self
    }

    fn on(mut self, surface: Surface) -> Self {
        self.surface = surface;
        self
    }

    fn also(mut self, paths: &'static [&'static str]) -> Self {
        self.also = paths;
        self
    }

    /// All its paths.
    pub(crate) fn paths(&self) -> impl Iterator<Item = String> + '_ {
        let prefixed = self.prefixes.iter().map(|prefix| format!("{prefix}{}", self.path));
        prefixed.chain(self.also.iter().map(|path| (*path).to_owned()))
    }

    /// Calls the function.
    pub(crate) async fn run(&self, call: Call) -> Outcome {
        (self.function)(call).await
    }
}

/// The whole table.
pub(crate) fn routes() -> Vec<Route> {
    let mut all = Vec::new();
    all.extend(server());
    all.extend(sessions());
    all.extend(accounts());
    all.extend(user_data());
    all.extend(room_membership());
    all.extend(room_events());
    all.extend(room_directory());
    all
}

/// The server as such.
fn server() -> Vec<Route> {
    vec![
        route(GET, ROOT, "/", landing::page).open(),
        route(GET, ROOT, "/.well-known/matrix/client", discovery::client).open(),
        route(GET, ROOT, "/.well-known/matrix/server", discovery::server)
            .open()
            .on(Surface::Federation),
        route(GET, ROOT, "/.well-known/matrix/support", discovery::support).open(),
        route(GET, ROOT, "/_matrix/client/versions", versions::versions).open(),
        route(GET, V3, "/capabilities", capabilities::capabilities),
        route(GET, V3, "/voip/turnServer", voip::turn_server),
        route(GET, V3, "/thirdparty/protocols", third_party::protocols),
    ]
}

/// "Legacy API": log-in, log-out, registration.
fn sessions() -> Vec<Route> {
    vec![
        route(GET, V3, "/login", session::flows).open(),
        route(POST, V3, "/login", session::login).open().limit(Kind::LoginAddress),
        route(POST, V1, "/login/get_token", session::get_token)
            .also(&["/_matrix/client/unstable/org.matrix.msc3882/login/get_token"]),
        route(POST, V3, "/refresh", session::refresh)
            .open()
            .also(&["/_matrix/client/unstable/org.matrix.msc2918/refresh"]),
        route(POST, V3, "/logout", session::logout).expired(),
        route(POST, V3, "/logout/all", session::logout_all).expired(),
        route(POST, V3, "/register", register::register).open(),
        route(GET, V3, "/register/available", register::available).open().limit(Kind::Message),
        route(GET, V1, "/register/m.login.registration_token/validity", register::token_validity)
            .open()
            .limit(Kind::Registration),
        route(GET, V3, "/auth/{authType}/fallback/web", fallback::show).open(),
        route(POST, V3, "/auth/{authType}/fallback/web", fallback::submit).open(),
        route(GET, ROOT, "/_matrix/static/client/login/", fallback::login)
            .open()
            .also(&["/_matrix/static/client/login"]),
        route(GET, ROOT, "/_synapse/admin/v1/register", shared_secret::nonce)
            .open()
            .on(Surface::Admin),
        route(POST, ROOT, "/_synapse/admin/v1/register", shared_secret::register)
            .open()
            .on(Surface::Admin),
    ]
}

/// "Account management", "Device Management".
fn accounts() -> Vec<Route> {
    vec![
        route(GET, V3, "/account/whoami", account::whoami).guests(),
        route(POST, V3, "/account/password", account::change_password),
        route(POST, V3, "/account/deactivate", account::deactivate),
        route(GET, V3, "/account/3pid", account::third_party_ids),
        route(GET, V3, "/devices", device::list).guests(),
        route(GET, V3, "/devices/{deviceId}", device::find).guests(),
        route(PUT, V3, "/devices/{deviceId}", device::rename).guests(),
        route(DELETE, V3, "/devices/{deviceId}", device::delete),
        route(POST, V3, "/delete_devices", device::delete_many),
    ]
}

/// What a user owns: profile, account data, filters, presence.
fn user_data() -> Vec<Route> {
    const FIELD: &[&str] =
        &["/_matrix/client/unstable/uk.tcpip.msc4133/profile/{userId}/{keyName}"];
    const DATA: &[&str] =
        &["/_matrix/client/unstable/org.matrix.msc3391/user/{userId}/account_data/{type}"];
    const ROOM_DATA: &[&str] = &[concat!(
        "/_matrix/client/unstable/org.matrix.msc3391",
        "/user/{userId}/rooms/{roomId}/account_data/{type}"
    )];
    vec![
        route(GET, V3, "/profile/{userId}", profile::find).open(),
        route(GET, V3, "/profile/{userId}/{keyName}", profile::find_field).open().also(FIELD),
        route(PUT, V3, "/profile/{userId}/{keyName}", profile::set_field)
            .guests()
            .body(EVENT)
            .also(FIELD),
        route(DELETE, V3, "/profile/{userId}/{keyName}", profile::remove_field)
            .guests()
            .also(FIELD),
        route(POST, V3, "/user_directory/search", user_directory::search),
        route(GET, V3, "/user/{userId}/account_data/{type}", account_data::find),
        route(PUT, V3, "/user/{userId}/account_data/{type}", account_data::set).body(LARGE),
        route(DELETE, &[], "/user/{userId}/account_data/{type}", account_data::remove).also(DATA),
        route(GET, V3, "/user/{userId}/rooms/{roomId}/account_data/{type}", account_data::find),
        route(PUT, V3, "/user/{userId}/rooms/{roomId}/account_data/{type}", account_data::set)
            .body(LARGE),
        route(
            DELETE,
            &[],
            "/user/{userId}/rooms/{roomId}/account_data/{type}",
            account_data::remove,
        )
        .also(ROOM_DATA),
        route(GET, V3, "/user/{userId}/rooms/{roomId}/tags", tag::list),
        route(PUT, V3, "/user/{userId}/rooms/{roomId}/tags/{tag}", tag::set),
        route(DELETE, V3, "/user/{userId}/rooms/{roomId}/tags/{tag}", tag::remove),
        route(POST, V3, "/user/{userId}/filter", filter::create).guests(),
        route(GET, V3, "/user/{userId}/filter/{filterId}", filter::find).guests(),
        route(GET, V3, "/pushrules/", push_rules::all).guests(),
        route(GET, V3, "/pushrules", push_rules::all).guests(),
        route(GET, V3, "/pushrules/global/", push_rules::global).guests(),
        route(GET, V3, "/pushrules/global", push_rules::global).guests(),
        route(GET, V3, "/presence/{userId}/status", presence::find),
        route(PUT, V3, "/presence/{userId}/status", presence::set),
        route(GET, V3, "/sync", sync_events::sync).guests(),
    ]
}

/// "Creating", "Room membership", "Room Upgrades".
fn room_membership() -> Vec<Route> {
    const KNOCK: &[&str] = &["/_matrix/client/unstable/xyz.amorgan.knock/knock/{roomIdOrAlias}"];
    vec![
        route(POST, V3, "/createRoom", create_room::create).limit(Kind::RoomCreation).body(LARGE),
        route(POST, V3, "/join/{roomIdOrAlias}", membership::join_any).limit(Kind::Join).guests(),
        route(POST, V3, "/rooms/{roomId}/join", membership::join).limit(Kind::Join).guests(),
        route(POST, V3, "/knock/{roomIdOrAlias}", membership::knock).limit(Kind::Join).also(KNOCK),
        // Each makes an event, as a message does.
        route(POST, V3, "/rooms/{roomId}/leave", membership::leave).limit(Kind::Message).guests(),
        route(POST, V3, "/rooms/{roomId}/kick", membership::kick).limit(Kind::Message),
        route(POST, V3, "/rooms/{roomId}/ban", membership::ban).limit(Kind::Message),
        route(POST, V3, "/rooms/{roomId}/unban", membership::unban).limit(Kind::Message),
        route(POST, V3, "/rooms/{roomId}/forget", membership::forget).guests(),
        route(POST, V3, "/rooms/{roomId}/invite", membership::invite).limit(Kind::Invite),
        route(GET, V3, "/joined_rooms", membership::joined_rooms).guests(),
        route(GET, V3, "/rooms/{roomId}/members", state_events::members).guests(),
        route(GET, V3, "/rooms/{roomId}/joined_members", state_events::joined_members),
        route(POST, V3, "/rooms/{roomId}/upgrade", upgrade::upgrade).limit(Kind::RoomCreation),
    ]
}

/// "Getting events for a room", "Sending events to a room", "Typing Notifications", "Receipts".
fn room_events() -> Vec<Route> {
    use Kind::Message;
    vec![
        route(PUT, V3, "/rooms/{roomId}/send/{eventType}/{txnId}", send::send)
            .guests()
            .limit(Message)
            .body(EVENT),
        route(PUT, V3, "/rooms/{roomId}/state/{eventType}/{stateKey}", send::state)
            .guests()
            .limit(Message)
            .body(EVENT)
            .also(STATE_WITHOUT_KEY),
        route(PUT, V3, "/rooms/{roomId}/redact/{eventId}/{txnId}", redact::redact).limit(Message),
        route(GET, V3, "/rooms/{roomId}/state", state_events::all).guests(),
        route(GET, V3, "/rooms/{roomId}/state/{eventType}/{stateKey}", state_events::one)
            .guests()
            .also(STATE_WITHOUT_KEY),
        route(GET, V3, "/rooms/{roomId}/messages", messages::messages).guests(),
        route(GET, V3, "/rooms/{roomId}/context/{eventId}", messages::context).guests(),
        route(GET, V3, "/rooms/{roomId}/event/{eventId}", messages::event).guests(),
        route(PUT, V3, "/rooms/{roomId}/typing/{userId}", typing::set),
        route(POST, V3, "/rooms/{roomId}/receipt/{receiptType}/{eventId}", receipt::set),
        route(POST, V3, "/rooms/{roomId}/read_markers", receipt::set_markers),
    ]
}

/// A state key that is empty may be left out, with its slash or without.
const STATE_WITHOUT_KEY: &[&str] = &[
    "/_matrix/client/v3/rooms/{roomId}/state/{eventType}",
    "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/",
    "/_matrix/client/r0/rooms/{roomId}/state/{eventType}",
    "/_matrix/client/r0/rooms/{roomId}/state/{eventType}/",
];

/// "Room Aliases", "Listing rooms".
fn room_directory() -> Vec<Route> {
    const ALIASES: &[&str] =
        &["/_matrix/client/unstable/org.matrix.msc2432/rooms/{roomId}/aliases"];
    vec![
        route(GET, V3, "/directory/room/{roomAlias}", alias::resolve).open(),
        route(PUT, V3, "/directory/room/{roomAlias}", alias::create),
        route(DELETE, V3, "/directory/room/{roomAlias}", alias::remove),
        route(GET, V3, "/rooms/{roomId}/aliases", alias::list).also(ALIASES),
        route(GET, V3, "/directory/list/room/{roomId}", directory::visibility).open(),
        route(PUT, V3, "/directory/list/room/{roomId}", directory::set_visibility),
        route(GET, V3, "/publicRooms", directory::public_rooms).optional(),
        route(POST, V3, "/publicRooms", directory::search).optional(),
    ]
}

#[cfg(test)]
#[path = "routes_test.rs"]
mod tests;
