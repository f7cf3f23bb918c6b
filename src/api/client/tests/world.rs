//! What the tests speak in: a server without a network, and clients who ask it.

use std::{fmt::Write, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode},
};
use bytes::Bytes;
use http::{Connection, Peer};
use http_body_util::BodyExt;
use room::{Rooms, testing::setup};
use serde_json::{Value, json};
use store::{
    Store,
    testing::{ManualClock, SeededRandom, for_each_engine},
};
use sync::Sync;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use user::{
    AccountData, Accounts, Context, Directory, Ephemeral, Filters, IgnoredUsers, Passwords,
    Presence, Profiles, Receipts, RegistrationTokens, Sessions, SharedSecret, Typing, Uia,
    account::AccountParts, rooms::ServerRooms, shared_secret::compute_mac,
};

use crate::{Listening, Parts, RateLimits, Settings, State, router};

pub(super) const V3: &str = "/_matrix/client/v3";
pub(super) const PASSWORD: &str = "wonderland";
const SECRET: &str = "the white rabbit";

/// A server.
#[derive(Clone)]
pub(super) struct World {
    pub(super) state: State,
    pub(super) clock: Arc<ManualClock>,
    pub(super) stopping: CancellationToken,
    router: Router,
}

/// A client with its access token, if it has one.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) world: World,
    pub(super) user_id: String,
    pub(super) device_id: String,
    pub(super) token: Option<String>,
    /// Headers that it sends besides.
    pub(super) headers: Vec<(&'static str, String)>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
    pub(super) text: String,
    question: String,
}

/// Runs a test on a new server on each engine.
pub(super) async fn each_world<T: Future<Output = ()>>(test: impl Fn(World) -> T) {
    for_each_engine(async |store: Store| test(World::open(store).await).await).await;
}

/// What most tests want: open registration and no limits.
fn user_settings() -> user::Settings {
    let mut settings = user::Settings::default();
    settings.registration.enabled = true;
    settings.registration.guests = true;
    settings.registration.availability_check = true;
    settings.registration.shared_secret = Some(SECRET.into());
    settings.sessions.login_token_lifetime_ms = Some(120_000);
    settings.presence_enabled = true;
    settings
}

impl World {
    pub(super) async fn open(store: Store) -> Self {
        let clock = Arc::new(ManualClock::default());
        let mut rooms = setup(store.clone(), "example.org", 1);
        rooms.clock = clock.clone();
        rooms.random = Arc::new(SeededRandom::new(2));
        let context = Context {
            store: store.clone(),
            server_name: rooms.server_name.clone(),
            clock: clock.clone(),
            random: rooms.random.clone(),
            settings: Arc::new(ArcSwap::from_pointee(user_settings())),
        };
        let room_settings = rooms.settings.clone();
        let rooms = Rooms::new(rooms);
        let stopping = CancellationToken::new();
        let state = assemble(&context, rooms, room_settings, stopping.clone()).await;
        let router = router(&state, Listening { x_forwarded: true, ..Listening::CLIENT });
        Self { state, clock, stopping, router }
    }

    /// Changes the settings as a reload would.
    pub(super) fn set(&self, change: impl Fn(&mut Settings)) {
        self.state.settings.rcu(|settings| {
            let mut settings = Settings::clone(settings);
            change(&mut settings);
            settings
        });
    }

    /// Changes the settings of users.
    pub(super) fn set_user(&self, change: impl Fn(&mut user::Settings)) {
        self.state.user_settings.rcu(|settings| {
            let mut settings = user::Settings::clone(settings);
            change(&mut settings);
            settings
        });
    }

    /// A client of nobody.
    pub(super) fn anonymous(&self) -> Client {
        let (world, token) = (self.clone(), None);
        Client {
            world,
            user_id: String::new(),
            device_id: String::new(),
            token,
            headers: Vec::new(),
        }
    }

    /// A client of a new user with the usual password.
    pub(super) async fn register(&self, name: &str) -> Client {
        self.register_as(name, false).await
    }

    /// A client of a new user by the shared secret.
    pub(super) async fn register_as(&self, name: &str, admin: bool) -> Client {
        let anonymous = self.anonymous();
        let path = "/_synapse/admin/v1/register";
        let nonce = anonymous.get(path).await.ok()["nonce"].as_str().unwrap().to_owned();
        let registration = user::shared_secret::SharedSecretRegistration {
            nonce: nonce.clone(),
            username: name.to_owned(),
            displayname: None,
            password: PASSWORD.to_owned(),
            admin,
            user_type: None,
            mac: String::new(),
            login: None,
        };
        let mac = compute_mac(SECRET, &registration);
        let body = json!({
            "nonce": nonce, "username": name, "password": PASSWORD, "admin": admin, "mac": mac,
        });
        anonymous.of(&anonymous.post(path, &body).await.ok())
    }
}

async fn assemble(
    context: &Context,
    rooms: Rooms,
    room_settings: room::SettingsHandle,
    stopping: CancellationToken,
) -> State {
    let store = context.store.clone();
    let access = ServerRooms::new(rooms.clone(), store.clone());
    let passwords = Passwords::new(2, context.random.clone());
    let sessions = Sessions::new(context.clone(), passwords.clone());
    let profiles = Profiles::new(context.clone(), access.clone());
    let parts = AccountParts {
        passwords,
        sessions: sessions.clone(),
        profiles: profiles.clone(),
        rooms: access.clone(),
    };
    let accounts = Accounts::open(context.clone(), parts).await.unwrap();
    let ignored = IgnoredUsers::new(context.clone());
    let account_data = AccountData::new(context.clone(), ignored.clone());
    let ephemeral = Ephemeral::new(context);
    let filters = Filters::new(context.clone());
    let typing = Typing::new(context.clone(), access.clone(), ephemeral.clone());
    let presence = Presence::new(context.clone(), access.clone(), ephemeral.clone());
    let sync = Sync::new(sync::Parts {
        store,
        rooms: rooms.clone(),
        filters: filters.clone(),
        ignored,
        typing: typing.clone(),
        presence: presence.clone(),
        ephemeral,
        clock: context.clock.clone(),
    });
    let registration_tokens = RegistrationTokens::new(context.clone());
    let rate_limits = RateLimits { enabled: false, ..RateLimits::default() };
    let settings = Settings { rate_limits, ..Settings::default() };
    State::new(Parts {
        server_name: context.server_name.clone(),
        settings: Arc::new(ArcSwap::from_pointee(settings)),
        user_settings: context.settings.clone(),
        room_settings,
        clock: context.clock.clone(),
        rooms,
        uia: Uia::new(context.clone(), sessions.clone(), registration_tokens.clone()),
        registration_tokens,
        shared_secret: SharedSecret::new(context.clone(), accounts.clone()),
        receipts: Receipts::new(context.clone(), access.clone(), account_data.clone()),
        user_directory: Directory::new(context.clone(), access),
        accounts,
        sessions,
        profiles,
        account_data,
        filters,
        typing,
        presence,
        sync,
        stopping,
    })
}

impl Client {
    /// A client of the user that an answer to a log-in names.
    pub(super) fn of(&self, session: &Value) -> Self {
        let text = |key: &str| session[key].as_str().unwrap_or_default().to_owned();
        Self {
            user_id: text("user_id"),
            device_id: text("device_id"),
            token: Some(text("access_token")),
            ..self.clone()
        }
    }

    /// The same with one more header.
    pub(super) fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name, value.to_owned()));
        client
    }

    /// Asks. A path without a slash at its beginning is one of v3.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Bytes) -> Reply {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("{V3}/{path}") };
        let mut request = Request::builder().method(&method).uri(&path);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let peer = Peer::Tcp(SocketAddr::from(([127, 0, 0, 1], 4000)));
        let request = request.extension(Connection { peer, tls: false, listener: 0 });
        let request = request.body(Body::from(body)).unwrap();
        let response = self.world.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            question: format!("{method} {path}"),
        }
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Reply {
        self.ask(method, path, Bytes::from(body.to_string())).await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PUT, path, body).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, path, body).await
    }

    pub(super) async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path, Bytes::new()).await
    }

    /// A new room, from the whole request.
    pub(super) async fn create_room(&self, request: &Value) -> String {
        text(&self.post("createRoom", request).await.ok()["room_id"])
    }

    /// A new room that everybody may join.
    pub(super) async fn create_public(&self) -> String {
        self.create_room(&json!({ "preset": "public_chat" })).await
    }

    pub(super) async fn join(&self, room: &str) {
        self.post(&format!("rooms/{room}/join"), &json!({})).await.ok();
    }

    /// Says something; the event's id.
    pub(super) async fn say(&self, room: &str, txn: &str) -> String {
        let content = json!({ "msgtype": "m.text", "body": txn });
        let path = format!("rooms/{room}/send/m.room.message/{txn}");
        text(&self.put(&path, &content).await.ok()["event_id"])
    }

    /// The bodies of a room's messages, newest first.
    pub(super) async fn read(&self, room: &str) -> Vec<String> {
        let filter = escape(r#"{"types":["m.room.message"]}"#);
        let page = self.get(&format!("rooms/{room}/messages?dir=b&filter={filter}")).await.ok();
        let bodies = page["chunk"].as_array().unwrap().iter();
        bodies.map(|event| text(&event["content"]["body"])).collect()
    }
}

impl Reply {
    /// The body of an answer that must be a success.
    #[track_caller]
    pub(super) fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}: {}", self.question, self.body);
        self.body
    }

    /// Asserts that it is this error.
    #[track_caller]
    pub(super) fn is(&self, status: u16, code: &str) {
        let found = (self.status.as_u16(), self.body["errcode"].as_str());
        assert_eq!(found, (status, Some(code)), "{}: {}", self.question, self.body);
        assert_eq!(self.headers["access-control-allow-origin"], "*");
        assert_eq!(self.headers["content-type"], "application/json");
    }
}

/// A text in an answer.
#[track_caller]
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// Escapes a part of a path or a value of a query.
pub(super) fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").unwrap();
        }
        escaped
    })
}
