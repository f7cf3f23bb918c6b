//! Whom one may invite: this server's policy, and what those say who are to be invited.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use ruma::{UserId, api::client::room::create_room::v3::RoomPreset};
use serde_json::{json, value::to_raw_value};
use store::{Store, testing::for_each_engine};

use super::world::{World, room_of, user};
use crate::{
    Act, MemberProfile, Policy, RoomError, Rooms, Setup,
    create::{CreateRoom, INVITES_MAX, InitialState},
    testing,
};

const MEMBER: &str = "m.room.member";

/// Nobody may invite bob, and carol wants no invitations.
struct Guarded;

impl Policy for Guarded {
    fn check(&self, _user: &UserId, act: Act<'_>) -> Result<(), &'static str> {
        match act {
            Act::Invite(_, target) if *target == user("bob") => Err("not him"),
            _ => Ok(()),
        }
    }

    fn blocks_invites<'a>(
        &'a self,
        target: &'a UserId,
    ) -> BoxFuture<'a, Result<bool, store::Error>> {
        Box::pin(async move { Ok(target.localpart() == "carol") })
    }
}

fn guarded(store: Store) -> World {
    let base = testing::setup(store, "example.org", 1);
    World { rooms: Rooms::new(Setup { policy: Arc::new(Guarded), ..base }) }
}

/// A room of alice's that invites these, and these by its first state.
fn inviting(invited: &[&str], by_state: &[&str]) -> CreateRoom {
    let state = |name: &&str| InitialState {
        event_type: MEMBER.to_owned(),
        state_key: user(name).to_string(),
        content: to_raw_value(&json!({ "membership": "invite" })).unwrap(),
    };
    CreateRoom {
        invite: invited.iter().map(|name| (user(name), MemberProfile::default())).collect(),
        initial_state: by_state.iter().map(state).collect(),
        ..room_of(&user("alice"), RoomPreset::PrivateChat)
    }
}

#[tokio::test]
async fn whoever_is_not_to_be_invited_is_not_by_any_way() {
    for_each_engine(|store| async move {
        let world = guarded(store);
        let alice = user("alice");
        let create = |invited, by_state| world.rooms.create(inviting(invited, by_state));
        let room = create(&["dora", "dora"], &["eve"]).await.unwrap();
        let page = world.page(&alice, &room, None).await.unwrap();
        let members = page.events.iter().filter(|seen| seen.event.pdu().type_str() == MEMBER);
        assert_eq!(members.count(), 3, "alice, dora and eve, each once");
        let by_event = async |name: &str| {
            let content = json!({ "membership": "invite" });
            let target = user(name);
            world.submit(&alice, &room, (MEMBER, Some(target.as_str()), content)).await
        };
        assert!(matches!(create(&["bob"], &[]).await, Err(RoomError::Forbidden(_))));
        assert!(matches!(create(&[], &["bob"]).await, Err(RoomError::Forbidden(_))));
        let invited = world.invite(&alice, &user("bob"), &room).await;
        assert!(matches!(invited, Err(RoomError::Forbidden(_))));
        assert!(matches!(by_event("bob").await, Err(RoomError::Forbidden(_))));
        assert!(matches!(create(&["carol"], &[]).await, Err(RoomError::InviteBlocked)));
        assert!(matches!(create(&[], &["carol"]).await, Err(RoomError::InviteBlocked)));
        let invited = world.invite(&alice, &user("carol"), &room).await;
        assert!(matches!(invited, Err(RoomError::InviteBlocked)));
        assert!(matches!(by_event("carol").await, Err(RoomError::InviteBlocked)));
        by_event("frank").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_room_invites_only_so_many_in_whatever_way() {
    for_each_engine(|store| async move {
        let world = guarded(store);
        let names = (0..=INVITES_MAX).map(|number| format!("guest{number}")).collect::<Vec<_>>();
        let names = names.iter().map(String::as_str).collect::<Vec<_>>();
        let (some, others) = names.split_at(names.len() / 2);
        let created = world.rooms.create(inviting(some, others)).await;
        assert!(matches!(created, Err(RoomError::Limit(_))));
        world.rooms.create(inviting(some, &others[1..])).await.unwrap();
    })
    .await;
}
