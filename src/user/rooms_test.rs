//! What is asked of rooms, answered by the real ones.

use proto::draft::Draft;
use room::{
    RoomError, Setup, Submission, Visible,
    create::CreateRoom,
    membership::OtherMembership,
    query::Reading,
    testing::{rooms, setup},
};
use ruma::{
    api::client::room::create_room::v3::RoomPreset,
    events::receipt::{ReceiptThread, ReceiptType},
};
use serde_json::{Value, json, value::to_raw_value};
use store::testing::for_each_engine;

use super::*;
use crate::{
    AccountData, AccountParts, Accounts, Directory, Passwords, Presence, Profiles, Receipts,
    UserPolicy,
    receipt::NewReceipt,
    testing::{Someone, World},
};

async fn create(rooms: &Rooms, creator: &UserId, preset: RoomPreset) -> OwnedRoomId {
    let request = CreateRoom {
        creator: creator.to_owned(),
        profile: MemberProfile::default(),
        version: None,
        public: false,
        preset: Some(preset),
        alias_localpart: None,
        name: None,
        topic: None,
        invite: Vec::new(),
        is_direct: false,
        creation_content: None,
        initial_state: Vec::new(),
        power_level_content_override: None,
    };
    rooms.create(request).await.unwrap()
}

async fn join(rooms: &Rooms, user: &UserId, room: &RoomId) {
    let request = OwnMembership {
        user: user.to_owned(),
        room_id: room.to_owned(),
        reason: None,
        profile: MemberProfile::default(),
        via: Vec::new(),
        third_party_signed: None,
    };
    rooms.join(request).await.unwrap();
}

async fn say(rooms: &Rooms, user: &UserId, room: &RoomId, content: Value) -> OwnedEventId {
    let draft = Draft {
        sender: user.to_owned(),
        event_type: "m.room.message".to_owned(),
        state_key: None,
        content: to_raw_value(&content).unwrap(),
        redacts: None,
    };
    let room_id = room.to_owned();
    let submission = Submission { room_id, draft, timestamp_ms: None, txn: None };
    rooms.submit(submission).await.unwrap().event_id
}

async fn three(world: &World) -> [Someone; 3] {
    [world.someone("alice").await, world.someone("bob").await, world.someone("carol").await]
}

#[tokio::test]
async fn memberships_and_events_are_found() {
    for_each_engine(|store| async move {
        let world = World::new(store.clone()).await;
        let [alice, bob, carol] = three(&world).await;
        let rooms = rooms(store.clone());
        let access = ServerRooms::new(rooms.clone(), store);
        let public = create(&rooms, &alice.user_id, RoomPreset::PublicChat).await;
        let private = create(&rooms, &alice.user_id, RoomPreset::PrivateChat).await;
        join(&rooms, &bob.user_id, &public).await;

        let joined = access.joined_rooms(alice.requester.user()).await.unwrap();
        let ids: Vec<_> = joined.iter().map(|(_, id)| id.clone()).collect();
        assert_eq!(ids, [public.clone(), private.clone()]);
        let (public_number, private_number) = (joined[0].0, joined[1].0);
        let bobs = access.joined_rooms(bob.requester.user()).await.unwrap();
        assert_eq!(bobs, [(public_number, public.clone())]);
        for (user, room, expected) in
            [(&bob, &public, Some(public_number)), (&bob, &private, None), (&carol, &public, None)]
        {
            let found = access.find_joined(user.requester.user(), room).await.unwrap();
            assert_eq!(found, expected);
        }
        assert!(access.is_public(public_number).await.unwrap());
        assert!(!access.is_public(private_number).await.unwrap());

        let root = say(&rooms, &alice.user_id, &public, json!({"body": "a"})).await;
        let relation = json!({"rel_type": "m.thread", "event_id": root});
        let content = json!({"body": "b", "m.relates_to": relation});
        let answer = say(&rooms, &bob.user_id, &public, content).await;
        let first = access.find_event(&root).await.unwrap().unwrap();
        let second = access.find_event(&answer).await.unwrap().unwrap();
        assert_eq!((first.room, first.relation), (public_number, None));
        assert_eq!(second.relation, Some(("m.thread".to_owned(), root)));
        assert!(first.order.unwrap() < second.order.unwrap());
        let unknown = ruma::event_id!("$unknown");
        assert_eq!(access.find_event(unknown).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn names_receipts_presence_and_the_directory_work_over_rooms() {
    for_each_engine(|store| async move {
        let world = World::new(store.clone()).await;
        let [alice, bob, carol] = three(&world).await;
        let (rooms, context) = (rooms(store.clone()), world.context.clone());
        let access: Arc<dyn RoomAccess> = ServerRooms::new(rooms.clone(), store);
        let room = create(&rooms, &alice.user_id, RoomPreset::PublicChat).await;
        join(&rooms, &bob.user_id, &room).await;

        let profiles = Profiles::new(context.clone(), Arc::clone(&access));
        let name = json!("Alice A");
        profiles.set_field(&alice.requester, &alice.user_id, "displayname", name).await.unwrap();
        let reading = Reading { user: &bob.user_id, device: None, room_id: &room };
        let member =
            rooms.state_event(reading, "m.room.member", alice.user_id.as_str()).await.unwrap();
        assert!(member.pdu().content().contains(r#""displayname":"Alice A""#));

        let data = AccountData::new(context.clone(), world.ignored.clone());
        let receipts = Receipts::new(context.clone(), Arc::clone(&access), data);
        let event_id = say(&rooms, &alice.user_id, &room, json!({"body": "a"})).await;
        let receipt =
            NewReceipt { kind: ReceiptType::Read, thread: ReceiptThread::Unthreaded, event_id };
        receipts.set(&bob.requester, &room, receipt.clone()).await.unwrap();
        let refused = receipts.set(&carol.requester, &room, receipt).await;
        assert!(matches!(refused, Err(Error::Forbidden(_))));

        let presence = Presence::new(context.clone(), Arc::clone(&access), world.ephemeral.clone());
        let online = ruma::presence::PresenceState::Online;
        presence.set(&alice.requester, online.clone(), None).await.unwrap();
        let found = presence.find(&bob.requester, &alice.user_id).await.unwrap();
        assert_eq!((found.state, found.rooms.len()), (online, 1));
        assert!(presence.find(&carol.requester, &alice.user_id).await.is_err());

        let directory = Directory::new(context, Arc::clone(&access));
        let found = directory.search(&carol.requester, "alice", 10).await.unwrap();
        assert_eq!(found.users[0].display_name.as_deref(), Some("Alice A"));
        let [one, two, three] = [&alice, &bob, &carol].map(|user| user.requester.user());
        let sharing = async |user| {
            let sharing = access.sharing(user, &[one, two, three]).await.unwrap();
            [one, two, three].map(|user| sharing.contains(&user))
        };
        assert_eq!(sharing(one).await, [true, true, false]);
        assert_eq!(sharing(three).await, [false; 3]);
        join(&rooms, &carol.user_id, &room).await;
        assert_eq!(sharing(three).await, [true; 3]);
        access.leave_all(one, &alice.user_id).await.unwrap();
        assert_eq!(sharing(three).await, [false, true, true]);
    })
    .await;
}

#[tokio::test]
async fn who_wants_no_invitations_gets_none() {
    for_each_engine(|store| async move {
        let world = World::new(store.clone()).await;
        let [alice, bob, carol] = three(&world).await;
        let policy = Arc::new(UserPolicy::default());
        let base = setup(store, "example.org", 1);
        let rooms = Rooms::new(Setup { policy: Arc::clone(&policy) as _, ..base });
        policy.bind(world.accounts.clone(), world.ignored.clone());
        let room = create(&rooms, &alice.user_id, RoomPreset::PrivateChat).await;
        let content = to_raw_value(&json!({"default_action": "block"})).unwrap();
        let data_type = "m.invite_permission_config";
        world.account_data.set(&bob.requester, None, data_type, content).await.unwrap();
        let invite = |someone: &Someone| OtherMembership {
            sender: alice.user_id.clone(),
            target: someone.user_id.clone(),
            room_id: room.clone(),
            reason: None,
            profile: MemberProfile::default(),
            is_direct: false,
        };
        rooms.invite(invite(&carol)).await.unwrap();
        let blocked = rooms.invite(invite(&bob)).await;
        assert!(matches!(blocked, Err(RoomError::InviteBlocked)));
        world.account_data.remove(&bob.requester, None, data_type).await.unwrap();
        rooms.invite(invite(&bob)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_erased_user_is_gone_and_read_by_those_who_were_there() {
    for_each_engine(|store| async move {
        let world = World::new(store.clone()).await;
        let [alice, bob, carol] = three(&world).await;
        let policy = Arc::new(UserPolicy::default());
        let base = setup(store.clone(), "example.org", 1);
        let rooms = Rooms::new(Setup { policy: Arc::clone(&policy) as _, ..base });
        let access: Arc<dyn RoomAccess> = ServerRooms::new(rooms.clone(), store.clone());
        let parts = AccountParts {
            passwords: Passwords::new(1, Arc::clone(&world.context.random)),
            sessions: world.sessions.clone(),
            profiles: world.profiles.clone(),
            rooms: Arc::clone(&access),
        };
        let accounts = Accounts::open(world.context.clone(), parts).await.unwrap();
        policy.bind(accounts.clone(), world.ignored.clone());

        let room = create(&rooms, &bob.user_id, RoomPreset::PublicChat).await;
        join(&rooms, &alice.user_id, &room).await;
        let content = json!({"msgtype": "m.text", "body": "a secret"});
        let event = say(&rooms, &alice.user_id, &room, content).await;
        // Her next member event carries the one before as `prev_content`.
        for name in ["a secret", "Alice"] {
            let profile = MemberProfile { displayname: Some(name.to_owned()), avatar_url: None };
            rooms.update_profile(&alice.user_id, &room, profile).await.unwrap();
        }
        let of_bob = Reading { user: &bob.user_id, device: None, room_id: &room };
        let member =
            rooms.state_event(of_bob, "m.room.member", alice.user_id.as_str()).await.unwrap();
        join(&rooms, &carol.user_id, &room).await;
        let read_one = async |user: &Someone, event: &EventId| -> Visible {
            let reading = Reading { user: &user.user_id, device: None, room_id: &room };
            rooms.event(reading, event).await.unwrap()
        };
        let read = async |user| read_one(user, &event).await;
        let read_member = async |user| read_one(user, member.event_id()).await;
        let shows = |visible: &Visible| visible.to_client(0).get().contains("a secret");
        assert!(shows(&read(&bob).await) && shows(&read(&carol).await));
        assert!(shows(&read_member(&bob).await) && shows(&read_member(&carol).await));

        accounts.deactivate(&alice.user_id, true).await.unwrap();
        let user = alice.requester.user();
        assert!(access.joined_rooms(user).await.unwrap().is_empty());
        assert!(shows(&read(&bob).await) && shows(&read_member(&bob).await));
        assert!(!shows(&read_member(&carol).await), "what she replaced goes along");
        let redacted = read(&carol).await;
        assert!(!shows(&redacted));
        assert_eq!(redacted.event.event_id(), event);
    })
    .await;
}
