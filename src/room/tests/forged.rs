//! Events that a server makes up which keeps to no rule: none gets in by a trick, and none costs
//! more than it says.

use std::{sync::atomic::Ordering, time::Duration};

use proto::rules::Rules;
use serde_json::{Value, json};
use store::{Store, testing::for_each_engine};

use crate::{
    Membership, Outcome,
    tests::forger::{ALICE, BOB, EVE, Forger, another_room, join, user_id},
};

/// Runs a test with rooms of these versions on each engine.
async fn each<T: Future<Output = ()>>(versions: &[&str], test: impl Fn(Forger) -> T) {
    for_each_engine(async |store: Store| {
        for (version, seed) in versions.iter().zip(1..) {
            println!("room version {version}");
            let rules = Rules::of(version).unwrap();
            test(Forger::new(store.clone(), rules, seed).await).await;
        }
    })
    .await;
}

/// The versions whose events have the ids that their servers give them.
const NAMED: [&str; 2] = ["1", "2"];
const SOME: [&str; 3] = ["2", "10", "12"];

fn message(body: &str) -> Value {
    json!({ "msgtype": "m.text", "body": body })
}

#[tokio::test]
async fn an_invite_in_another_servers_name_is_dropped() {
    let all = Rules::all().map(|rules| rules.id).collect::<Vec<_>>();
    each(&all, async |forger| {
        let invite = |third: Value| json!({ "membership": "invite", "third_party_invite": third });
        for third in [json!(null), json!(0), json!([])] {
            let mut forged = forger.event((ALICE, "m.room.member", Some(EVE), join())).await;
            forged["content"] = invite(third);
            forger.dropped(&forger.sign(&forged)).await;
        }
        // Redacted, since its content is not what was hashed, it would be an ordinary invite.
        let mut event = forger.event((ALICE, "m.room.member", Some(EVE), join())).await;
        event["content"] = invite(json!({ "signed": { "mxid": EVE, "token": "t" } }));
        event["hashes"] = json!({ "sha256": "aGFzaA" });
        let outcome = forger.send(&forger.sign_only(&event)).await.map(|done| done.outcome);
        assert!(matches!(outcome, Err(_) | Ok(Outcome::Rejected)));
        let room = &forger.room;
        assert_eq!(forger.world.membership(&user_id(EVE), room).await, Membership::Leave);
    })
    .await;
}

#[tokio::test]
async fn events_that_name_themselves_or_each_other_are_nothing_to_wait_for() {
    each(&NAMED, async |forger| {
        let own = |event: &Value| {
            forger.reference(event["event_id"].as_str().unwrap().try_into().unwrap())
        };
        let mut event = forger.event((BOB, "m.room.message", None, message("I"))).await;
        let itself = own(&event);
        event["prev_events"].as_array_mut().unwrap().push(itself);
        let mut other = forger.event((BOB, "m.room.member", Some(BOB), join())).await;
        let mut third = forger.event((BOB, "m.room.member", Some(BOB), join())).await;
        let (to_other, to_third) = (own(&other), own(&third));
        for (one, named) in [(&mut other, to_third), (&mut third, to_other)] {
            one["auth_events"].as_array_mut().unwrap().push(named.clone());
            one["prev_events"] = json!([named]);
        }
        for event in [&event, &other, &third] {
            let id = forger.give(&forger.sign(event));
            forger.tell(&id, forger.state().await);
        }
        let before = forger.state().await;
        for event in [event, other, third] {
            let json = forger.sign(&event);
            let sent = tokio::time::timeout(Duration::from_secs(30), forger.send(&json));
            let sent = sent.await.expect("it is dealt with");
            println!("{:?}", sent.map(|sent| sent.outcome));
        }
        assert_eq!(forger.state().await, before);
        forger.world.say(&user_id(ALICE), &forger.room, "still here").await;
    })
    .await;
}

#[tokio::test]
async fn an_outlier_does_not_come_back_as_another_event() {
    each(&NAMED, async |forger| {
        let levels = json!({ "users": { BOB: 100 } });
        let forged = forger.event((BOB, "m.room.power_levels", Some(""), levels)).await;
        let outlier = forger.parse(&forger.sign(&forged));
        let number = forger.found().await.number();
        forger.world.rooms.store_outliers(number, vec![outlier.clone()]).await.unwrap();
        let name = json!({ "membership": "join", "displayname": "B" });
        let mut event = forger.event((BOB, "m.room.member", Some(BOB), name)).await;
        event["event_id"] = forged["event_id"].clone();
        let before = forger.state().await;
        assert!(forger.dropped(&forger.sign(&event)).await.contains("another event"));
        assert_eq!(forger.state().await, before);
        // The event itself may come.
        let sent = forger.send(outlier.json()).await.unwrap();
        assert_eq!(sent.outcome, Outcome::Rejected);
    })
    .await;
}

#[tokio::test]
async fn an_event_of_one_room_says_nothing_in_another() {
    each(&NAMED, async |forger| {
        let other = another_room(&forger.world, forger.rules).await;
        let here = forger.event((BOB, "m.room.message", None, message("here"))).await;
        forger.must(here.clone()).await;
        let bobs = forger.event_in(&other, (BOB, "m.room.member", Some(BOB), join())).await;
        forger.send_to(&other, &forger.sign(&bobs)).await.unwrap();
        let mut there = forger.event_in(&other, (BOB, "m.room.message", None, message("t"))).await;
        there["event_id"] = here["event_id"].clone();
        let sent = forger.send_to(&other, &forger.sign(&there)).await;
        assert!(sent.is_err(), "{sent:?}");
        // Nor does it allow anything there.
        let mut lured = forger.event((BOB, "m.room.message", None, message("lured"))).await;
        let foreign = forger.reference(bobs["event_id"].as_str().unwrap().try_into().unwrap());
        let names_bob = |auth: &Value| auth[0].as_str().unwrap().contains("forged");
        lured["auth_events"].as_array_mut().unwrap().retain(|auth| !names_bob(auth));
        lured["auth_events"].as_array_mut().unwrap().push(foreign);
        let sent = forger.send(&forger.sign(&lured)).await.unwrap();
        assert_eq!(sent.outcome, Outcome::Rejected);
    })
    .await;
}

#[tokio::test]
async fn what_comes_after_nothing_is_dropped() {
    each(&SOME, async |forger| {
        let before = forger.state().await;
        let mut event = forger.event((BOB, "m.room.message", None, message("first"))).await;
        event["prev_events"] = json!([]);
        assert!(forger.dropped(&forger.sign(&event)).await.contains("no previous event"));
        let mut create = event;
        create["content"] = json!({ "room_version": forger.rules.id, "creator": BOB });
        (create["type"], create["state_key"]) = ("m.room.create".into(), "".into());
        create["auth_events"] = json!([]);
        forger.dropped(&forger.sign(&create)).await;
        create.as_object_mut().unwrap().remove("room_id");
        forger.dropped(&forger.sign(&create)).await;
        assert_eq!(forger.state().await, before);
    })
    .await;
}

/// The state that another server tells is made of what this one would accept, whatever it says.
#[tokio::test]
async fn rejected_events_are_no_part_of_a_state_that_is_told() {
    each(&SOME, async |forger| {
        let levels = json!({ "users": { BOB: 100 } });
        let levels = forger.event((BOB, "m.room.power_levels", Some(""), levels)).await;
        let levels = forger.give(&forger.sign(&levels));
        let mut state = forger.state().await;
        let room = forger.found().await;
        let old =
            room.view().state_pdu(store::numbers::POWER_LEVELS).unwrap().event_id().to_owned();
        state.retain(|id| *id != old);
        state.push(levels);
        // By the rejected levels, and by no other, Bob may do this.
        let unseen = forger.event((BOB, "m.room.message", None, message("unseen"))).await;
        let unseen = forger.give(&forger.sign(&unseen));
        forger.tell(&unseen, state);
        let mut topic =
            forger.event((BOB, "m.room.topic", Some(""), json!({ "topic": "t" }))).await;
        topic["prev_events"] = json!([forger.reference(&unseen)]);
        let names_levels = |auth: &Value| auth.to_string().contains(old.as_str());
        topic["auth_events"].as_array_mut().unwrap().retain(|auth| !names_levels(auth));
        let before = forger.state().await;
        let sent = forger.send(&forger.sign(&topic)).await.unwrap();
        assert_eq!(sent.outcome, Outcome::Rejected);
        assert_eq!(forger.state().await, before);
        // What the event is stored with is not the told state either.
        let event = forger.world.rooms.inner.find_event(&sent.event_id).await.unwrap().unwrap();
        let (groups, group) = (forger.world.rooms.groups().clone(), event.group.unwrap());
        let read =
            forger.world.rooms.inner.setup.store.read(move |snapshot| groups.map(snapshot, group));
        let told: proto::state::StateMap = read.await.unwrap();
        assert!(told.get(&store::numbers::POWER_LEVELS).is_none());
    })
    .await;
}

/// A gap that nobody can fill costs each later event one question, not the state there again.
#[tokio::test]
async fn a_gap_that_stays_is_not_asked_for_again_and_again() {
    each(&["11"], async |forger| {
        let unseen = forger.event((BOB, "m.room.message", None, message("unseen"))).await;
        let mut far = unseen.clone();
        far["prev_events"] = json!(["$nobody-has-it"]);
        let unseen = forger.give(&forger.sign(&far));
        forger.tell(&unseen, forger.state().await);
        let mut event = forger.event((BOB, "m.room.message", None, message("seen"))).await;
        event["prev_events"] = json!([unseen]);
        forger.must(event).await;
        for _ in 0..3 {
            let before = forger.answers.asked.load(Ordering::Relaxed);
            let event = forger.event((BOB, "m.room.message", None, message("later"))).await;
            forger.must(event).await;
            assert_eq!(forger.answers.asked.load(Ordering::Relaxed) - before, 1);
        }
    })
    .await;
}
