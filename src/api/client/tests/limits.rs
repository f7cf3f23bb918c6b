//! Rate limits as clients meet them.

use serde_json::json;

use super::world::{Client, PASSWORD, World, each_world};
use crate::{Rate, RateLimits};

const ONE: Rate = Rate { per_second: 0.01, burst: 1 };
const MANY: Rate = Rate { per_second: 1000.0, burst: 1000 };

fn limits() -> RateLimits {
    RateLimits {
        enabled: true,
        message: MANY,
        registration: MANY,
        login_address: MANY,
        login_account: MANY,
        join: MANY,
        invite: MANY,
        room_creation: MANY,
    }
}

#[tokio::test]
async fn messages_are_counted_by_user() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_public().await;
        bob.join(&room).await;
        world.set(|settings| settings.rate_limits = RateLimits { message: ONE, ..limits() });
        alice.say(&room, "one").await;
        let path = format!("rooms/{room}/send/m.room.message/two");
        let reply = alice.put(&path, &json!({ "body": "two" })).await;
        reply.is(429, "M_LIMIT_EXCEEDED");
        assert!(reply.body["retry_after_ms"].as_u64().unwrap() > 90_000);
        let after: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((90..=100).contains(&after), "{after}");
        bob.say(&room, "one").await;
        world.set(|settings| settings.rate_limits.enabled = false);
        alice.say(&room, "two").await;
    })
    .await;
}

/// However a client asks for it, a join is a join and an invitation an invitation.
#[tokio::test]
async fn member_events_are_counted_as_what_they_are() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let (one, two) = (alice.create_public().await, alice.create_public().await);
        world.set(|settings| {
            settings.rate_limits = RateLimits { join: ONE, invite: ONE, ..limits() };
        });
        let put = async |client: &Client, room: &str, user: &str, membership: &str| {
            let path = format!("rooms/{room}/state/m.room.member/{user}");
            client.put(&path, &json!({ "membership": membership })).await
        };
        put(&bob, &one, &bob.user_id, "join").await.ok();
        put(&bob, &two, &bob.user_id, "join").await.is(429, "M_LIMIT_EXCEEDED");
        // Whoever is in the room joins nothing.
        let path = format!("rooms/{one}/state/m.room.member/{}", bob.user_id);
        let nick = json!({ "membership": "join", "displayname": "hat" });
        bob.put(&path, &nick).await.ok();
        put(&alice, &one, "@carol:example.org", "invite").await.ok();
        put(&alice, &one, "@dora:example.org", "invite").await.is(429, "M_LIMIT_EXCEEDED");
    })
    .await;
}

/// A room of one's own is no way to make events without end.
#[tokio::test]
async fn whoever_leaves_or_is_sent_away_is_counted_as_a_message() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        let target = json!({ "user_id": "@bob:example.org" });
        let act = async |act: &str| alice.post(&format!("rooms/{room}/{act}"), &target).await;
        let message = Rate { burst: 2, ..ONE };
        world.set(|settings| settings.rate_limits = RateLimits { message, ..limits() });
        act("ban").await.ok();
        act("unban").await.ok();
        for name in ["ban", "unban", "kick", "leave"] {
            act(name).await.is(429, "M_LIMIT_EXCEEDED");
        }
        act("invite").await.ok();
    })
    .await;
}

#[tokio::test]
async fn a_new_room_invites_no_more_than_anybody_may() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let invite = Rate { burst: 3, ..ONE };
        world.set(|settings| settings.rate_limits = RateLimits { invite, ..limits() });
        let create = async |invited: &[&str], by_state: &[&str]| {
            let member = |user: &&str| {
                json!({
                    "type": "m.room.member", "state_key": user,
                    "content": { "membership": "invite" },
                })
            };
            let state = by_state.iter().map(member).collect::<Vec<_>>();
            let request = json!({ "invite": invited, "initial_state": state });
            alice.post("createRoom", &request).await
        };
        let (b, c) = ("@b:example.org", "@c:example.org");
        let (d, e) = ("@d:example.org", "@e:example.org");
        create(&[b, c], &[d, e]).await.is(400, "M_UNKNOWN");
        create(&[b], &[c]).await.ok();
        create(&[b], &[c]).await.is(429, "M_LIMIT_EXCEEDED");
        create(&[], &[c]).await.ok();
        create(&[], &[]).await.ok();
    })
    .await;
}

#[tokio::test]
async fn failed_log_ins_are_counted_by_account() {
    each_world(async |world: World| {
        world.register("alice").await;
        world.set(|settings| settings.rate_limits = RateLimits { login_account: ONE, ..limits() });
        let anonymous = world.anonymous();
        let login = async |user: &str, password: &str| {
            let identifier = json!({ "type": "m.id.user", "user": user });
            let body = json!({
                "type": "m.login.password", "identifier": identifier, "password": password,
            });
            anonymous.post("login", &body).await
        };
        login("alice", PASSWORD).await.ok();
        login("alice", PASSWORD).await.ok();
        login("alice", "wrong").await.is(403, "M_FORBIDDEN");
        login("alice", PASSWORD).await.is(429, "M_LIMIT_EXCEEDED");
        login("@alice:example.org", PASSWORD).await.is(429, "M_LIMIT_EXCEEDED");
        login("bob", "wrong").await.is(403, "M_FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn guesses_at_once_are_as_many_as_one_after_another() {
    each_world(async |world: World| {
        world.register("alice").await;
        world.set(|settings| {
            settings.rate_limits = RateLimits { login_account: ONE, ..limits() };
        });
        let login = async |password: &str, from: usize| {
            let client =
                world.anonymous().with_header("X-Forwarded-For", &format!("192.0.2.{from}"));
            let body = json!({
                "type": "m.login.password",
                "identifier": { "type": "m.id.user", "user": "alice" },
                "password": password,
            });
            client.post("login", &body).await.status
        };
        let right = futures_util::future::join_all((0..5).map(|from| login(PASSWORD, from)));
        assert_eq!(right.await, [200; 5]);
        let wrong = futures_util::future::join_all((0..5).map(|from| login("wrong", from)));
        let mut wrong = wrong.await;
        wrong.sort_unstable();
        assert_eq!(wrong, [403, 429, 429, 429, 429]);
    })
    .await;
}

#[tokio::test]
async fn registrations_are_counted_by_address() {
    each_world(async |world: World| {
        world.set(|settings| settings.rate_limits = RateLimits { registration: ONE, ..limits() });
        let here = world.anonymous().with_header("X-Forwarded-For", "192.0.2.1");
        let there = world.anonymous().with_header("X-Forwarded-For", "192.0.2.2");
        let request = |name: &str| {
            json!({
                "username": name, "password": PASSWORD, "auth": { "type": "m.login.dummy" },
            })
        };
        // Asking for the flows costs nothing.
        for _ in 0..3 {
            assert_eq!(here.post("register", &json!({})).await.status, 401);
        }
        here.post("register", &request("a")).await.ok();
        here.post("register", &request("b")).await.is(429, "M_LIMIT_EXCEEDED");
        there.post("register", &request("c")).await.ok();
    })
    .await;
}

#[tokio::test]
async fn proofs_are_counted_and_questions_are_not() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        world.set(|settings| settings.rate_limits = RateLimits { login_account: ONE, ..limits() });
        for _ in 0..3 {
            assert_eq!(alice.delete("devices/NONE").await.status, 401);
        }
        let proof = |password: &str| {
            let auth = json!({ "type": "m.login.password", "password": password });
            json!({ "auth": auth, "devices": [] })
        };
        alice.post("delete_devices", &proof("wrong")).await.is(401, "M_FORBIDDEN");
        alice.post("delete_devices", &proof(PASSWORD)).await.is(429, "M_LIMIT_EXCEEDED");
        bob.post("delete_devices", &proof(PASSWORD)).await.ok();
    })
    .await;
}

#[tokio::test]
async fn guesses_of_registration_tokens_are_counted_by_address() {
    each_world(async |world: World| {
        world.set_user(|settings| settings.registration.requires_token = true);
        let token = world.state.registration_tokens.create(None, None, None).await.unwrap().token;
        world.set(|settings| settings.rate_limits = RateLimits { registration: ONE, ..limits() });
        let here = world.anonymous().with_header("X-Forwarded-For", "192.0.2.1");
        let there = world.anonymous().with_header("X-Forwarded-For", "192.0.2.2");
        let request = |token: &str| {
            let auth = json!({ "type": "m.login.registration_token", "token": token });
            json!({ "username": "alice", "password": PASSWORD, "auth": auth })
        };
        here.post("register", &request("guess")).await.is(401, "M_UNAUTHORIZED");
        // Neither a wrong one nor the right one is looked at.
        for token in ["guess", &token] {
            here.post("register", &request(token)).await.is(429, "M_LIMIT_EXCEEDED");
        }
        there.post("register", &request(&token)).await.ok();
    })
    .await;
}
