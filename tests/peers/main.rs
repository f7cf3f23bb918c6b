//! Several servers with a network that loses, delays, reorders and repeats, and falls apart, and
//! clients of each that follow the room by `/sync` all the time. Once it is healed, the servers
//! agree, and every client knows what they agree on.
//!
//! Spec: server-server API, "PDUs", "Room State Resolution"; client-server API, "Syncing".

mod agree;
mod deeds;
mod follower;
mod play;
mod record;
mod server;
mod told;

use std::sync::Arc;

use futures_util::future::join_all;
use proto::rules::Rules;
use room::testing::network::Network;
use ruma::OwnedRoomId;
use store::{Store, testing::Database};
use sync::StateSection::{self, After, AfterUnstable, Before};

use crate::{
    follower::{Follower, Habits},
    play::Play,
    record::Record,
    server::Server,
};

const SERVERS: usize = 3;
/// The greatest timeline that a client gets.
const ALL: usize = sync::TIMELINE_LIMIT_MAX;
/// A user of each server who stays in the room.
const ADMIN: &str = "admin";
/// A user of each server who joins and leaves, is kicked and banned.
const MEMBER: &str = "user0";

/// The clients of each server.
const HABITS: [Habits; 8] = [
    Habits { pace: 0, ..habits(After, ALL) },
    Habits { pace: 7, ..habits(After, 1) },
    Habits { pace: 4, is_forgetful: true, ..habits(After, 3) },
    Habits { pace: 12, is_cold: true, ..habits(AfterUnstable, 0) },
    Habits { pace: 2, ..habits(Before, ALL) },
    Habits { pace: 9, ..habits(Before, 2) },
    Habits { pace: 5, is_forgetful: true, is_cold: true, ..habits(Before, ALL) },
    Habits { user: MEMBER, stays: false, pace: 3, ..habits(After, 5) },
];

const fn habits(section: StateSection, limit: usize) -> Habits {
    Habits {
        user: ADMIN,
        stays: true,
        section,
        limit,
        pace: 1,
        is_forgetful: false,
        is_cold: false,
    }
}

/// Lets clients follow a play, and has all of them and the servers checked in the end.
async fn play(open: fn() -> Database, rules: &'static Rules, seed: u64) {
    println!("room version {}, seed {seed}", rules.id);
    let databases = (0..SERVERS).map(|_| open()).collect::<Vec<_>>();
    let mut stores: Vec<Store> = Vec::new();
    for database in &databases {
        stores.push(database.open().await);
    }
    let network = Network::new(stores.clone(), seed);
    let mut servers = Vec::new();
    for node in network.nodes() {
        servers.push(Server::open(node, &[ADMIN, MEMBER]).await);
    }
    let mut play = Play::begin(Arc::clone(&network), rules).await;
    let mut followers = followers(&servers, &play.room);
    let clock = play.clock();
    let following = join_all(followers.iter_mut().map(|one| one.follow(clock.clone())));
    let playing = async {
        play.storm().await;
        play.clear_up().await;
    };
    // Whoever still waits when it is over gets no answer, and comes with the old token again.
    tokio::select! {
        () = playing => {}
        _ = following => panic!("nobody stops following"),
    }
    play.check().await;
    check_followers(&servers, &play.room, followers).await;
    for store in stores {
        store.close().await;
    }
}

fn followers(servers: &[Arc<Server>], room: &OwnedRoomId) -> Vec<Follower> {
    let of = |server| HABITS.map(|habits| Follower::early(server, room, habits));
    servers.iter().flat_map(of).collect()
}

async fn check_followers(servers: &[Arc<Server>], room: &OwnedRoomId, mut all: Vec<Follower>) {
    let (mut dropped, mut overtaken) = (0, 0);
    for server in servers {
        let record = Record::read(server, room).await;
        let mut new = Follower::new(server, room, habits(After, ALL));
        let mut new_before = Follower::new(server, room, habits(Before, 1));
        for one in [&mut new, &mut new_before] {
            one.begin().await;
            assert!(one.is_joined());
            assert_eq!(told::check(one, &record).await, 0, "an answer with all state is exact");
        }
        for follower in all.iter_mut().filter(|one| Arc::ptr_eq(&one.server, server)) {
            follower.catch_up().await;
            let differing = told::check(follower, &record).await;
            match follower.habits.section {
                Before => overtaken += differing,
                After | AfterUnstable => dropped += differing,
            }
            assert!(follower.is_joined() || !follower.habits.stays);
            if follower.is_joined() && follower.habits.section != Before {
                told::check_same(&new, follower, &record);
            }
        }
    }
    println!("for want of words states differed {overtaken} times, {dropped} with state_after");
}

/// What is added to the seeds: `PEERS_SEED` asks for other plays than the usual ones.
fn further() -> u64 {
    std::env::var("PEERS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn after_a_storm_all_servers_and_their_clients_know_the_same_on_sqlite() {
    for rules in Rules::all() {
        for seed in 1..=2 {
            play(Database::sqlite, rules, further() + seed).await;
        }
    }
}

#[tokio::test]
async fn after_a_storm_all_servers_and_their_clients_know_the_same_on_postgres() {
    for rules in Rules::all() {
        play(Database::postgres, rules, further() + 3).await;
    }
}
