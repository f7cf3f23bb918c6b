//! Tests of a session on a server of their own.

use std::{sync::mpsc, thread, time::Duration};

use tokio::runtime::Builder;
use tokio_postgres::NoTls;

use super::*;
use crate::testing::Cluster;

const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn an_answer_is_heard_behind_a_long_one_that_nobody_waits_for() {
    let cluster = Cluster::start();
    let url = cluster.create_database();
    let (done, heard) = mpsc::sync_channel(3);
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let connecting = tokio_postgres::connect(&url, NoTls);
        let (client, connection) = runtime.block_on(connecting).unwrap();
        runtime.spawn(connection);
        let mut session = Session::new(runtime, client);
        session.send("SELECT repeat('x', 1000) FROM generate_series(1, 5000)");
        done.send(session.prepare("SELECT 1").map(drop)).unwrap();
        session.send("SELECT repeat('x', 1000) FROM generate_series(1, 5000)");
        done.send(session.run_script("SELECT 1")).unwrap();
        // What has failed before is the reason.
        session.send("BEGIN");
        session.send("SELECT 1 / 0");
        done.send(session.prepare("SELECT 2").map(drop)).unwrap();
    });
    let next = || heard.recv_timeout(PATIENCE).expect("an answer");
    next().unwrap();
    next().unwrap();
    assert!(matches!(next(), Err(Error::Moved)), "a division by zero says so");
}
