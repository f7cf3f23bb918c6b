//! What a room of many members costs: joining it through another server, everything that users of
//! ours do in it and read of it, a fork of its history, and loading it anew.
//!
//! `cargo run --release -p homeserver-sync --example large -- 1000 10000 50000`
//!
//! The numbers are those of members; `sqlite` or `postgres` beside them chooses an engine, `11` or
//! `12` a room version. The members are of a thousand other servers, which this program is too.
//! Each row is the mean of one operation; bytes are those that went to files of the database.

mod deeds;
mod fork;
mod meter;
mod place;

use std::{process::Command, sync::Arc};

use proto::rules::Rules;
use room::{Rooms, testing::crowd::Crowd};
use ruma::{RoomId, server_name};
use store::{Settings, Store, testing::Database};

use crate::{
    deeds::{Visitor, own_membership},
    meter::{Meter, resident},
    place::{Place, own},
};

/// The allocator of the server.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The argument that makes this program load a room that another run has made.
const ANEW: &str = "anew";
/// Free memory goes back at once, so that what is resident is in use.
const NO_DECAY: (&str, &str) = ("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0");

#[tokio::main]
async fn main() {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    if let [word, url, room, token] = &arguments[..]
        && word == ANEW
    {
        return load_anew(url, room, token).await;
    }
    let is_named = |name: &str| arguments.iter().any(|argument| argument == name);
    let sizes = arguments.iter().filter_map(|argument| argument.parse::<usize>().ok());
    let sizes = sizes.filter(|size| *size > 100).collect::<Vec<_>>();
    let versions = ["11", "12"].into_iter().filter(|version| is_named(version));
    let versions = versions.collect::<Vec<_>>();
    for version in if versions.is_empty() { &["12"][..] } else { &versions } {
        for members in if sizes.is_empty() { &[1000, 50_000][..] } else { &sizes } {
            for (name, make) in
                [("sqlite", Database::sqlite as fn() -> Database), ("postgres", Database::postgres)]
            {
                if is_named(name) || !is_named("sqlite") && !is_named("postgres") {
                    println!("\n{members} members, room version {version}, {name}");
                    run(&make(), *members, version).await;
                }
            }
        }
    }
}

async fn run(database: &Database, members: usize, version: &str) {
    let rules = Rules::of(version).expect("the version is known");
    let me = own("me");
    let crowd = Arc::new(Crowd::new(rules, members, &me));
    let place = Place::open(database.open().await, Some(crowd.clone()), 1).await;
    let token = place.register("me").await;
    let is_sqlite = database.is_sqlite();
    Meter::heading();
    let mut meter = Meter::new(is_sqlite);
    let request = room::membership::OwnMembership {
        via: vec![server_name!("s1.example").to_owned()],
        ..own_membership(&me, &crowd.room_id)
    };
    meter.run(place.rooms.join(request)).await.expect("the room can be joined");
    meter.tell("join through another server");
    let client = place.client(&token).await;
    let visitor = Visitor { place: &place, client, room: &crowd.room_id, is_sqlite };
    visitor.write().await;
    visitor.read().await;
    fork::run(&visitor, &crowd).await;
    place.store.close().await;
    drop(place);
    let settings = database.settings();
    let program = std::env::current_exe().expect("this program is a file");
    let mut again = Command::new(program);
    again.args([ANEW, &settings.url, crowd.room_id.as_str(), &token]).env(NO_DECAY.0, NO_DECAY.1);
    assert!(again.status().expect("it can be started").success());
}

/// What it takes to have the room again after a restart.
async fn load_anew(url: &str, room: &str, token: &str) {
    let store = Store::open(Settings::new(url)).await.expect("the database opens");
    let place = Place::open(store, None, 2).await;
    let client = place.client(token).await;
    let room = RoomId::parse(room).expect("it is a room id");
    let is_sqlite = url.starts_with("sqlite:");
    let before = resident();
    let mut meter = Meter::new(is_sqlite);
    let kept = meter.run(place.rooms.find(&room)).await.expect("it can be loaded");
    meter.tell("load the room anew");
    let view = kept.as_ref().expect("it is there").view();
    let each = resident().saturating_sub(before) / view.joined_count() as u64;
    let counted = place.rooms.stats().rooms.bytes / view.joined_count() as u64;
    println!("resident bytes a member: {each}; as the cache counts: {counted}");
    let visitor = Visitor { place: &place, client, room: &room, is_sqlite };
    for (name, filter) in
        [("sync, lazy, after restart", deeds::LAZY), ("sync, after restart", "{}")]
    {
        let mut meter = Meter::new(is_sqlite);
        meter.run(visitor.sync(None, Some(filter))).await;
        meter.tell(name);
    }
    let mut meter = Meter::new(is_sqlite);
    meter.run(visitor.messages(false)).await;
    meter.tell("messages, after restart");
    let mut meter = Meter::new(is_sqlite);
    meter.run(visitor.say("here again")).await;
    meter.tell("send, after restart");
    println!("resident after that: {} MB more", (resident().saturating_sub(before)) >> 20);
    place.store.close().await;
}

/// The rules of a room.
pub(crate) async fn rules_of(rooms: &Rooms, room: &RoomId) -> &'static Rules {
    rooms.find(room).await.ok().flatten().expect("the room is there").rules()
}
