//! What no client should send, to the built server: every endpoint with one wrong value at a time,
//! wherever a value can stand. Nothing of it may be answered with an error of the server's own, and
//! nothing may make it panic. Which error each gets is tested in `src/api/client/tests`.

use std::cell::Cell;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use tests::harness::{Client, Reply, Server, Setup, TestUser};

use super::{V3, room_of, say, setups, text, web::exchange};

/// Stands where a wrong value shall stand.
const HOLE: &str = "@@";

/// JSON that fits nowhere, most of it.
const VALUES: [&str; 22] = [
    "null",
    "true",
    "-1",
    "1.5",
    "9007199254740992",
    "18446744073709551616",
    "1e400",
    "NaN",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"@\"",
    "\"!x:\\u0000\"",
    "\"-1\"",
    "[]",
    "[null]",
    "[[\"x\"]]",
    "{}",
    "{\"\":{\"\":[]}}",
    "{\"a\":1,\"a\":2}",
    "{\"a\":",
    "",
];

/// Parts of paths and queries that are no identifier, no token, no number.
const SEGMENTS: [&str; 20] = [
    "",
    "%00",
    "%FF%FE",
    "%",
    "%zz",
    "%2F",
    "..",
    "!",
    "@",
    "%23",
    "%24",
    "!x%3A%00",
    "-1",
    "1.5",
    "99999999999999999999",
    "%F0%9F%98%80",
    "%C0%80",
    "s1",
    "null",
    "%7B%22room%22%3A1%7D",
];

/// A request that is right but for what stands in the place of [`HOLE`].
struct Good {
    method: Method,
    path: String,
    body: Option<Value>,
}

/// One line of the table; `ROOM` and the like stand for what there is.
fn row(line: &str, body: Option<Value>) -> (String, Option<Value>) {
    (line.to_owned(), body)
}

/// Requests that read, with a value for each parameter of their queries.
fn reading() -> Vec<(String, Option<Value>)> {
    let lines = [
        "GET /sync?since=s1&filter=0&full_state=true&set_presence=online&timeout=0",
        "GET /rooms/ROOM/messages?dir=b&from=t1&to=t2&limit=1&filter={}",
        "GET /rooms/ROOM/context/EVENT?limit=1&filter={}",
        "GET /rooms/ROOM/members?at=t1&membership=join&not_membership=leave",
        "GET /rooms/ROOM/event/EVENT",
        "GET /rooms/ROOM/state/m.room.create/x?format=event",
        "GET /publicRooms?limit=1&since=x",
        "GET /register/available?username=x",
        "GET /user/USER/filter/0",
        "GET /user/USER/account_data/org.example",
        "GET /user/USER/rooms/ROOM/tags",
        "GET /profile/USER/displayname",
        "GET /presence/USER/status",
        "GET /directory/room/%23x%3Aserver.test",
        "GET /directory/list/room/ROOM",
        "GET /devices/DEVICE",
    ];
    lines.map(|line| row(line, None)).into()
}

/// Requests about users, with a value in each place of their bodies.
fn writing_users() -> Vec<(String, Option<Value>)> {
    let auth = json!({
        "type": "m.login.password", "session": "x", "password": "wrong",
        "identifier": { "type": "m.id.user", "user": "USER" },
    });
    let login = json!({
        "type": "m.login.password", "password": "wrong", "device_id": "D", "refresh_token": true,
        "identifier": { "type": "m.id.user", "user": "USER" }, "initial_device_display_name": "n",
    });
    let register = json!({
        "username": "x", "password": "a long password", "device_id": "D", "inhibit_login": true,
        "auth": { "type": "m.login.none", "session": "x" },
    });
    let part = json!({ "limit": 1, "types": ["a"], "not_senders": ["@a:b"], "rooms": ["ROOM"] });
    let filter = json!({
        "event_fields": ["a.b"], "event_format": "client", "presence": part,
        "room": { "rooms": ["ROOM"], "timeline": part, "state": { "lazy_load_members": true } },
    });
    vec![
        row("POST /login", Some(login)),
        row("POST /register", Some(register)),
        row("POST /refresh", Some(json!({ "refresh_token": "x" }))),
        row("POST /account/password", Some(json!({ "new_password": "x", "auth": auth }))),
        row("POST /delete_devices", Some(json!({ "devices": ["x"], "auth": auth }))),
        row("POST /user/USER/filter", Some(filter)),
        row("POST /user_directory/search", Some(json!({ "search_term": "x", "limit": 1 }))),
        row("PUT /devices/DEVICE", Some(json!({ "display_name": "x" }))),
        row("PUT /profile/USER/displayname", Some(json!({ "displayname": "x" }))),
        row("PUT /profile/USER/avatar_url", Some(json!({ "avatar_url": "mxc://a/b" }))),
        row("PUT /presence/USER/status", Some(json!({ "presence": "online", "status_msg": "x" }))),
        row("PUT /user/USER/account_data/m.direct", Some(json!({ "@a:b": ["ROOM"] }))),
        row(
            "PUT /user/USER/account_data/m.ignored_user_list",
            Some(json!({ "ignored_users": { "@a:b": {} } })),
        ),
        row("PUT /user/USER/rooms/ROOM/tags/u.x", Some(json!({ "order": 0.5 }))),
    ]
}

/// Requests about rooms, with a value in each place of their bodies.
fn writing_rooms() -> Vec<(String, Option<Value>)> {
    let levels = json!({
        "users": { "USER": 100 }, "users_default": 0, "events": { "a": 50 }, "state_default": 50,
        "invite": 0, "notifications": { "room": 50 },
    });
    let create = json!({
        "preset": "public_chat", "visibility": "private", "name": "n", "invite": ["@a:server.test"],
        "room_version": "11", "creation_content": { "m.federate": true, "type": "x" },
        "initial_state": [{ "type": "a", "state_key": "", "content": {} }],
        "power_level_content_override": levels,
    });
    let relation = json!({ "rel_type": "m.thread", "event_id": "EVENT", "key": "x" });
    let message = json!({ "body": "x", "m.relates_to": relation, "m.mentions": { "room": true } });
    let target = json!({ "user_id": "@nobody:server.test", "reason": "x" });
    let search = json!({
        "limit": 1, "since": "x",
        "filter": { "generic_search_term": "x", "room_types": ["x"] },
    });
    let member = json!({ "membership": "ban", "displayname": "x", "third_party_invite": {} });
    let rule = json!({ "join_rule": "public", "allow": [{ "type": "x", "room_id": "ROOM" }] });
    let third_party = json!({ "sender": "@a:b", "mxid": "@a:b", "token": "t", "signatures": {} });
    vec![
        row("POST /createRoom", Some(create)),
        row("POST /join/ROOM", Some(json!({ "reason": "x", "third_party_signed": third_party }))),
        row("POST /knock/ROOM", Some(json!({ "reason": "x" }))),
        row("POST /rooms/ROOM/invite", Some(target.clone())),
        row("POST /rooms/ROOM/kick", Some(target.clone())),
        row("POST /rooms/ROOM/unban", Some(target)),
        row("POST /rooms/!x:server.test/upgrade", Some(json!({ "new_version": "12" }))),
        row("PUT /rooms/ROOM/send/m.room.message/TXN", Some(message)),
        row("PUT /rooms/ROOM/redact/EVENT/TXN", Some(json!({ "reason": "x" }))),
        row("PUT /rooms/ROOM/typing/USER", Some(json!({ "typing": true, "timeout": 1 }))),
        row("POST /rooms/ROOM/receipt/m.read/EVENT", Some(json!({ "thread_id": "main" }))),
        row("POST /rooms/ROOM/read_markers", Some(json!({ "m.read": "EVENT" }))),
        row("PUT /rooms/ROOM/state/m.room.member/@nobody:server.test", Some(member)),
        row("PUT /rooms/ROOM/state/m.room.canonical_alias", Some(json!({ "alt_aliases": ["x"] }))),
        row("PUT /rooms/ROOM/state/m.room.join_rules", Some(rule)),
        row("PUT /rooms/ROOM/state/m.room.power_levels", Some(levels)),
        row("PUT /directory/room/%23x%3Aserver.test", Some(json!({ "room_id": "ROOM" }))),
        row("PUT /directory/list/room/ROOM", Some(json!({ "visibility": "private" }))),
        row("POST /publicRooms", Some(search)),
    ]
}

/// Bodies with [`HOLE`] in the place of each value, of the whole too.
fn holes(body: &Value) -> Vec<Value> {
    let mut all = vec![HOLE.into()];
    let members: Vec<_> = match body {
        Value::Object(object) => object.keys().map(|key| format!("/{key}")).collect(),
        Value::Array(list) => (0..list.len()).map(|index| format!("/{index}")).collect(),
        _ => Vec::new(),
    };
    for pointer in members {
        let Some(inner) = body.pointer(&pointer) else { continue };
        for hole in holes(inner) {
            let mut outer = body.clone();
            if let Some(place) = outer.pointer_mut(&pointer) {
                *place = hole;
            }
            all.push(outer);
        }
    }
    all
}

/// The paths that a wrong segment or a wrong value in the query makes of one.
fn wrong_paths(path: &str) -> Vec<String> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut all = Vec::new();
    for wrong in SEGMENTS {
        let segments: Vec<_> = path.split('/').collect();
        // What comes before is the prefix and the name of the endpoint.
        for place in 5..segments.len() {
            let mut segments = segments.clone();
            segments[place] = wrong;
            all.push(format!("{}?{query}", segments.join("/")));
        }
        let pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
        for (place, pair) in pairs.iter().enumerate() {
            let wrong = format!("{}={wrong}", pair.split('=').next().unwrap_or_default());
            let mut pairs = pairs.clone();
            pairs[place] = &wrong;
            // Twice, too, which no parameter may be.
            all.extend([format!("{path}?{}", pairs.join("&")), format!("{path}?{query}&{wrong}")]);
        }
    }
    all
}

/// A client that counts what it sends.
struct Asker {
    client: Client,
    sent: Cell<usize>,
}

impl Asker {
    fn new(client: Client) -> Self {
        Self { client, sent: Cell::new(0) }
    }

    /// Sends one; every answer is the client's fault or none.
    async fn try_one(&self, method: &Method, path: &str, body: Option<String>) {
        // With a transaction id of its own a message is looked at and no repetition.
        self.sent.set(self.sent.get() + 1);
        let path = &path.replace("TXN", &format!("t{}", self.sent.get()));
        let bytes = body.clone().map(Bytes::from);
        let sent = self.client.try_send(method.clone(), path, bytes).await;
        let reply = sent.unwrap_or_else(|error| panic!("{method} {path} {body:?}: {}", error.0));
        let status = reply.status;
        assert!(!status.is_server_error(), "{method} {path} {body:?}: {status} {}", reply.text());
        if status.is_client_error() && *method != Method::HEAD {
            let is_error = reply.body["errcode"].is_string() || reply.body["flows"].is_array();
            assert!(is_error, "{method} {path} {body:?}: {status} {}", reply.text());
        }
    }

    /// Sends one with everything that can be wrong about it.
    async fn try_all(&self, good: &Good) {
        let Good { method, path, body } = good;
        let right = body.as_ref().map(Value::to_string);
        for wrong in wrong_paths(path) {
            self.try_one(method, &wrong, right.clone()).await;
        }
        for other in [Method::HEAD, Method::OPTIONS, Method::PATCH] {
            self.try_one(&other, path, None).await;
        }
        for holed in body.iter().flat_map(holes) {
            for value in VALUES {
                let body = holed.to_string().replace(&format!("\"{HOLE}\""), value);
                self.try_one(method, path, Some(body)).await;
            }
        }
    }
}

/// The rows of the table with what there is on this server.
async fn table(user: &TestUser) -> Vec<Good> {
    let room = room_of(user, &[]).await;
    let event = say(user, &room, "first").await.replace('$', "%24");
    let fill = |text: &str| {
        text.replace("ROOM", &room)
            .replace("EVENT", &event)
            .replace("USER", &user.user_id)
            .replace("DEVICE", &user.device_id)
    };
    let rows = [reading(), writing_users(), writing_rooms()].into_iter().flatten();
    let mut all = Vec::new();
    for (line, body) in rows {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let body = body.map(|body| fill(&body.to_string()).replace("%24", "$"));
        all.push(Good {
            method: method.parse().expect("a method"),
            path: fill(&format!("{V3}{path}")),
            body: body.map(|body| serde_json::from_str(&body).expect("JSON")),
        });
    }
    all
}

#[tokio::test]
async fn nothing_that_clients_send_is_the_servers_fault() {
    for setup in setups() {
        let server = Server::start(setup).await;
        let user = server.register_user("alice").await;
        let asker = Asker::new(server.client().with_token(&user.access_token));
        let strangers = [server.client(), server.client().with_token("wrong")].map(Asker::new);
        for good in table(&user).await {
            for asker in &strangers {
                let body = good.body.as_ref().map(Value::to_string);
                asker.try_one(&good.method, &good.path, body).await;
            }
            asker.try_all(&good).await;
        }
        user.get(&format!("{V3}/account/whoami")).await.ok();
        assert!(!server.log().contains("panic"), "{}", server.log());
        assert!(!server.log().contains(" ERROR "), "{}", server.log());
    }
}

#[tokio::test]
async fn deep_long_and_broken_requests_are_refused() {
    let server = Server::start(Setup::default()).await;
    let user = server.register_user("alice").await;
    let room = room_of(&user, &[]).await;
    let send = format!("{V3}/rooms/{room}/send/org.example/deep");
    for (open, close) in [("{\"a\":", "}"), ("[", "]")] {
        for depth in [200, 20_000] {
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let body = format!("{{\"a\":{deep}}}");
            let put = user.try_send(Method::PUT, &send, Some(body.into())).await;
            assert!(put.expect("an answer").status.is_client_error(), "{open} {depth}");
        }
    }
    let whoami = format!("{V3}/account/whoami");
    for (request, status) in [
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(200_000)), 431),
        (format!("GET {whoami}\0 HTTP/1.1\r\nHost: a\r\n\r\n"), 400),
        (format!("GET {whoami} HTTP/1.1\r\nHost: a\r\nBroken\r\n\r\n"), 400),
        (format!("POST {V3}/login HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"), 400),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n{}\r\n", "x", "A: b\r\n".repeat(200)), 431),
        (
            format!(
                "POST {V3}/login HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
                 Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n"
            ),
            400,
        ),
    ] {
        let answer = exchange(server.address(), &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
    }
    // Just over the limit it depends on the pieces that it comes in whether its end is seen.
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000));
    let answer = exchange(server.address(), &long).await;
    assert!(["414", "431"].contains(&&answer[9..12]), "{answer}");
    user.get(&whoami).await.ok();
    assert!(!server.log().contains("panic"), "{}", server.log());
}

/// The answers to one request that is sent several times at once.
async fn at_once(client: &Client, method: Method, path: &str, body: &Value) -> Vec<Reply> {
    let asked = (0..12).map(|_| {
        // Each on a connection of its own.
        let (client, method) = (client.clone(), method.clone());
        async move { client.send(method, path, Some(body)).await }
    });
    futures_util::future::join_all(asked).await
}

#[tokio::test]
async fn what_is_sent_twice_at_once_happens_once() {
    for setup in setups() {
        let fragment = "[registration]\nenabled = true\nwithout_verification = true\n".to_owned();
        let server = Server::start(Setup { fragment, ..setup }).await;
        let user = server.register_user("alice").await;
        let room = room_of(&user, &[]).await;
        let one_of = |replies: &[Reply], code: &str| {
            let refused = replies.iter().filter(|reply| !reply.status.is_success());
            let refused = refused.map(|reply| reply.assert_error(400, code)).count();
            assert_eq!(refused, replies.len() - 1);
        };
        let body = json!({
            "username": "bob", "password": "a long password", "auth": { "type": "m.login.dummy" },
        });
        let path = format!("{V3}/register");
        one_of(&at_once(&server.client(), Method::POST, &path, &body).await, "M_USER_IN_USE");

        let body = json!({ "room_alias_name": "wanted" });
        let path = format!("{V3}/createRoom");
        one_of(&at_once(&user, Method::POST, &path, &body).await, "M_ROOM_IN_USE");
        // Those who came too late have left no room behind.
        let joined = user.get(&format!("{V3}/joined_rooms")).await.ok();
        assert_eq!(joined["joined_rooms"].as_array().map(Vec::len), Some(2));

        let path = format!("{V3}/rooms/{room}/send/m.room.message/same");
        let replies = at_once(&user, Method::PUT, &path, &json!({ "body": "x" })).await;
        let mut events: Vec<_> = replies.into_iter().map(|it| text(&it.ok()["event_id"])).collect();
        events.dedup();
        assert_eq!(events.len(), 1);
        let other = user.put(&path, &json!({ "body": "y" })).await.ok();
        assert_eq!(text(&other["event_id"]), events[0]);
        assert!(!server.log().contains("panic"), "{}", server.log());
    }
}
