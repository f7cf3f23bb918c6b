//! A fork of the room's history: two lines of events that do not know of each other, each with two
//! changes of the power levels and fifty of members, and the event that brings them together.

use room::{
    Outcome,
    testing::crowd::{Branch, Crowd, Deed, admin, member, powers},
};
use ruma::{UserId, server_name};
use serde_json::{json, value::RawValue};

use crate::{deeds::Visitor, meter::Meter};

/// How many members change on each side.
const MEMBERS: usize = 50;

pub(crate) async fn run(visitor: &Visitor<'_>, crowd: &Crowd) {
    let mut here = crowd.branch.clone();
    here.follow(&visitor.powers().await);
    let last = visitor.say("the last that both sides know").await;
    here.follow(&visitor.event(&last).await);
    let mut there = here.clone();
    let one = side(visitor, crowd, &mut here, (1, 1000));
    let other = side(visitor, crowd, &mut there, (2, 2000));
    for (name, events) in [("receive, no fork", one), ("receive, beside a fork", other)] {
        let mut meter = Meter::new(visitor.is_sqlite);
        for event in &events {
            receive(visitor, crowd, event, &mut meter).await;
        }
        meter.tell(name);
    }
    let mut meter = Meter::new(visitor.is_sqlite);
    let far = crowd.join(&mut here, &member(1_000_001));
    receive(visitor, crowd, &far, &mut meter).await;
    meter.tell("receive, once more on one side");
    let mut meter = Meter::new(visitor.is_sqlite);
    let last = meter.run(visitor.say("together again")).await;
    meter.tell("send, joins a fork");
    here.follow(&visitor.powers().await);
    here.follow(&visitor.event(&last).await);
    answer_joins(visitor, crowd, &mut here).await;
}

/// Users of other servers join through ours, which tells them the whole state.
async fn answer_joins(visitor: &Visitor<'_>, crowd: &Crowd, branch: &mut Branch) {
    let mut meter = Meter::new(visitor.is_sqlite);
    for number in [1_001_001, 1_001_002] {
        let user = member(number);
        let join = crowd.join(branch, &user);
        let rooms = &visitor.place.rooms;
        let answer = meter.run(rooms.accept_join(user.server_name(), &crowd.room_id, &join)).await;
        let state = answer.expect("the room is open").state.len();
        assert!(state > MEMBERS, "{state} events");
    }
    meter.tell("let another server join");
}

async fn receive(visitor: &Visitor<'_>, crowd: &Crowd, event: &RawValue, meter: &mut Meter) {
    let rooms = &visitor.place.rooms;
    let origin = server_name!("s1.example");
    let received = meter.run(rooms.receive(origin, &crowd.room_id, event)).await;
    let outcome = received.expect("it is taken").outcome;
    assert!(matches!(outcome, Outcome::Accepted | Outcome::SoftFailed), "{outcome:?}");
}

/// One side: its admin changes the power levels, bans and lets come.
fn side(
    visitor: &Visitor<'_>,
    crowd: &Crowd,
    branch: &mut Branch,
    (number, first): (usize, usize),
) -> Vec<Box<RawValue>> {
    let admin = admin(number);
    let me = visitor.client.user_id();
    let mut events = Vec::new();
    for half in 0..2 {
        let power = i64::try_from(10 * number + half).unwrap_or(0);
        let content = powers(crowd.rules, me, (&member(4), power));
        let event_type = "m.room.power_levels";
        let deed = Deed { sender: &admin, event_type, state_key: "", content };
        events.push(crowd.write(branch, &deed));
        for place in 0..MEMBERS / 2 {
            // Some are banned by both, some by one, and others come.
            let target = member(200 + 10 * (number - 1) + place);
            let newcomer = member(1_000_000 + first + 100 * half + place);
            let is_ban = half == 0;
            events.push(if is_ban {
                ban(crowd, branch, (&admin, &target))
            } else {
                crowd.join(branch, &newcomer)
            });
        }
    }
    events
}

fn ban(crowd: &Crowd, branch: &mut Branch, (admin, target): (&UserId, &UserId)) -> Box<RawValue> {
    let content = json!({ "membership": "ban" });
    let deed =
        Deed { sender: admin, event_type: "m.room.member", state_key: target.as_str(), content };
    crowd.write(branch, &deed)
}
