//! The server as such: versions, discovery, capabilities, what is not there.

use serde_json::json;

use super::world::{World, each_world};
use crate::{Contact, Support, Turn};

#[tokio::test]
async fn what_everybody_may_ask() {
    each_world(async |world: World| {
        let anonymous = world.anonymous();
        let versions = anonymous.get("/_matrix/client/versions").await.ok();
        assert!(versions["versions"].as_array().unwrap().contains(&json!("v1.1")));
        assert!(versions["unstable_features"].is_object());
        let page = anonymous.get("/").await;
        assert_eq!(page.status, 200);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(page.headers["access-control-allow-origin"], "*");
    })
    .await;
}

#[tokio::test]
async fn discovery_says_what_is_configured() {
    each_world(async |world: World| {
        let anonymous = world.anonymous();
        for name in ["client", "server", "support"] {
            let reply = anonymous.get(&format!("/.well-known/matrix/{name}")).await;
            reply.is(404, "M_NOT_FOUND");
        }
        world.set(|settings| {
            settings.public_base_url = Some("https://matrix.example.org/".to_owned());
            settings.delegated_server = Some("matrix.example.org:443".to_owned());
            let contact = Contact {
                role: "m.role.admin".to_owned(),
                matrix_id: None,
                email_address: Some("admin@example.org".to_owned()),
            };
            settings.support = Some(Support { contacts: vec![contact], page: None });
        });
        let client = anonymous.get("/.well-known/matrix/client").await.ok();
        assert_eq!(client["m.homeserver"]["base_url"], "https://matrix.example.org/");
        let server = anonymous.get("/.well-known/matrix/server").await.ok();
        assert_eq!(server, json!({ "m.server": "matrix.example.org:443" }));
        let support = anonymous.get("/.well-known/matrix/support").await.ok();
        assert_eq!(support["contacts"][0]["email_address"], "admin@example.org");
    })
    .await;
}

#[tokio::test]
async fn capabilities_follow_the_settings() {
    each_world(async |world: World| {
        world.anonymous().get("capabilities").await.is(401, "M_MISSING_TOKEN");
        let alice = world.register("alice").await;
        let found = alice.get("capabilities").await.ok();
        let found = &found["capabilities"];
        assert_eq!(found["m.room_versions"]["default"], "12");
        for version in 1..=12 {
            let available = &found["m.room_versions"]["available"];
            assert_eq!(available[version.to_string()], "stable");
        }
        assert_eq!(found["m.change_password"]["enabled"], true);
        assert_eq!(found["m.profile_fields"], json!({ "enabled": true }));
        world.set_user(|settings| {
            settings.profiles.set_displayname = false;
            settings.passwords.enabled = false;
        });
        let found = alice.get("capabilities").await.ok();
        let found = &found["capabilities"];
        assert_eq!(found["m.profile_fields"]["disallowed"], json!(["displayname"]));
        assert_eq!(found["m.set_displayname"]["enabled"], false);
        assert_eq!(found["m.change_password"]["enabled"], false);
    })
    .await;
}

#[tokio::test]
async fn a_turn_server_is_told_where_there_is_one() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        assert_eq!(alice.get("voip/turnServer").await.ok(), json!({}));
        world.set(|settings| {
            settings.turn = Some(Turn {
                uris: vec!["turn:turn.example.org".to_owned()],
                shared_secret: "secret".into(),
                user_lifetime: std::time::Duration::from_hours(1),
            });
        });
        let found = alice.get("voip/turnServer").await.ok();
        assert_eq!(found["ttl"], 3600);
        assert_eq!(found["uris"], json!(["turn:turn.example.org"]));
        assert_eq!(found["username"], "1700003600:@alice:example.org");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_not_faked() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        for path in ["keys/changes", "room_keys/version", "pushers", "/_matrix/media/v3/config"] {
            alice.get(path).await.is(404, "M_UNRECOGNIZED");
        }
        alice.post("keys/upload", &json!({})).await.is(404, "M_UNRECOGNIZED");
        alice.put("login", &json!({})).await.is(405, "M_UNRECOGNIZED");
        alice.get("/_matrix/federation/v1/version").await.is(404, "M_UNRECOGNIZED");
        assert_eq!(alice.get("thirdparty/protocols").await.ok(), json!({}));
        assert_eq!(alice.get("account/3pid").await.ok(), json!({ "threepids": [] }));
    })
    .await;
}
