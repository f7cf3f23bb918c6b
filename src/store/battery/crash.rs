//! The process is killed while it writes: whatever it had acknowledged is there.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::table;
use crate::{
    Settings, Store,
    testing::{Database, SeededRandom, for_each_database},
};

/// Tells the child which database to write to.
const URL: &str = "STORE_BATTERY_URL";
/// Tells the child what its first number is.
const FIRST_NUMBER: &str = "STORE_BATTERY_FIRST_NUMBER";
/// Tells the child how many writers there are.
const WRITERS: &str = "STORE_BATTERY_WRITERS";
/// How many changes each writer makes before the child ends.
const TURNS: &str = "STORE_BATTERY_TURNS";

/// Writes and says what was acknowledged: what other tests run as a process of its own. Among the
/// other tests it makes a few changes to a database of its own.
#[test]
fn child() {
    // One of its own only if it needs it: a process that is killed cleans nothing up.
    let given = std::env::var(URL).ok();
    let own = given.is_none().then(Database::sqlite);
    let url = given.or_else(|| own.as_ref().map(|own| own.settings().url)).unwrap();
    let number =
        |name| std::env::var(name).map_or(2, |number: String| number.parse::<i64>().unwrap());
    let (first, writers, turns) = (number(FIRST_NUMBER), number(WRITERS), number(TURNS));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(Settings::new(url)).await.unwrap();
        table::create(&store).await;
        let writers: Vec<_> = (0..writers)
            .map(|writer| {
                let store = store.clone();
                tokio::spawn(async move {
                    for turn in 0..turns {
                        let number = first + writer * 1_000_000 + turn;
                        store.write(move |txn| table::insert(txn, number, "x")).await.unwrap();
                        // One system call, so that a line is whole or not there.
                        let line = format!("acked {number}\n");
                        std::io::stdout().write_all(line.as_bytes()).unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert!(!table::numbers(&store).await.is_empty());
        store.close().await;
    });
}

/// The command that runs the child.
pub(super) fn command(url: &str, first: i64, writers: i64, turns: i64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "battery::crash::child", "--nocapture"]);
    command.env(URL, url).env(FIRST_NUMBER, first.to_string());
    command.env(WRITERS, writers.to_string()).env(TURNS, turns.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// The numbers that a child said were acknowledged.
pub(super) fn acknowledged(child: &mut Child) -> Vec<i64> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let numbers = lines
        .map_while(Result::ok)
        .filter_map(|line| line.split_once("acked ").and_then(|(_, number)| number.parse().ok()));
    numbers.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_has_lost_nothing_that_it_acknowledged() {
    let kills = table::rounds(12);
    for_each_database(|database| async move {
        let random = SeededRandom::new(5);
        let mut expected = Vec::new();
        let url = database.settings().url;
        for kill in 0..kills {
            let mut child = command(&url, kill * 10_000_000, 6, i64::MAX).spawn().unwrap();
            let id = child.id();
            let reading = tokio::task::spawn_blocking(move || {
                let numbers = acknowledged(&mut child);
                child.wait().unwrap();
                numbers
            });
            tokio::time::sleep(Duration::from_millis(100 + random.below(400))).await;
            let process = nix::unistd::Pid::from_raw(id.cast_signed());
            nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL).unwrap();
            expected.extend(reading.await.unwrap());
        }
        assert!(expected.len() > 100, "only {} changes were acknowledged", expected.len());
        let store = database.open().await;
        let there = table::numbers(&store).await;
        for number in &expected {
            assert!(there.binary_search(number).is_ok(), "{number} was acknowledged and is gone");
        }
        // What was on its way when the process died may be there; six changes at a time were.
        assert!(there.len() <= expected.len() + usize::try_from(6 * kills).unwrap());
        table::assert_no_gaps(&store).await;
        store.close().await;
    })
    .await;
}
