//! What a change costs: processor time of this process and of the database server, in groups of 1,
//! 4, 16 and 64, on both engines; and what a read costs. A change is what an event roughly is:
//! eight rows in five tables, 700 bytes of them JSON.
//!
//! `cargo run --release -p homeserver-store --example cost`

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use store::{
    Batch, Change, Conflict, Error, Kind, Sequence, Store, UserNumber, WriteTxn, params,
    testing::Database,
};

const CHANGES: usize = 8000;
const READS: usize = 20_000;
const TABLES: [&str; 5] = [
    "CREATE TABLE cost_event (number BIGINT PRIMARY KEY, id BYTES NOT NULL, json BYTES NOT NULL)",
    "CREATE UNIQUE INDEX cost_event_id ON cost_event (id)",
    "CREATE TABLE cost_timeline (position BIGINT PRIMARY KEY, room BIGINT, event BIGINT)",
    "CREATE TABLE cost_edge (event BIGINT, prev BIGINT, PRIMARY KEY (event, prev)) WITHOUT ROWID",
    "CREATE TABLE cost_tip (room BIGINT, event BIGINT, PRIMARY KEY (room, event)) WITHOUT ROWID",
];

static EVENTS: Batch = Batch {
    table: "cost_event",
    columns: &[("number", Kind::Int), ("id", Kind::Bytes), ("json", Kind::Bytes)],
    key_columns: 1,
    conflict: Conflict::Fail,
};
static TIMELINE: Batch = Batch {
    table: "cost_timeline",
    columns: &[("position", Kind::Int), ("room", Kind::Int), ("event", Kind::Int)],
    key_columns: 1,
    conflict: Conflict::Fail,
};
static EDGES: Batch = Batch {
    table: "cost_edge",
    columns: &[("event", Kind::Int), ("prev", Kind::Int)],
    key_columns: 2,
    conflict: Conflict::Fail,
};
static TIPS: Batch = Batch {
    table: "cost_tip",
    columns: &[("room", Kind::Int), ("event", Kind::Int)],
    key_columns: 2,
    conflict: Conflict::Ignore,
};

fn change(txn: &mut WriteTxn<'_>, json: &str) -> Result<(), Error> {
    let event = txn.next_number(Sequence::Event);
    let id = format!("${event:043}");
    txn.insert(&EVENTS, params![event, id, json])?;
    let position = txn.next_position();
    txn.insert(&TIMELINE, params![position, 1, event])?;
    for back in 1..=5 {
        txn.insert(&EDGES, params![event, event - back])?;
    }
    txn.insert(&TIPS, params![1, event])?;
    txn.record_at(position, Change::Profile { user: UserNumber(1) });
    Ok(())
}

/// Processor time of this process.
fn own_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the kernel tells");
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
            let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
            Duration::from_secs(seconds) + Duration::from_micros(micros)
        })
        .sum()
}

/// Processor time of all processes named `postgres`, in the kernel's ticks of 10 ms.
fn server_time() -> Duration {
    let mut ticks = 0;
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((name, rest)) = stat.rsplit_once(") ") else { continue };
        if !name.ends_with("(postgres") {
            continue;
        }
        let fields: Vec<u64> = rest.split(' ').map(|field| field.parse().unwrap_or(0)).collect();
        ticks += fields[11] + fields[12];
    }
    Duration::from_millis(ticks * 10)
}

struct Meter {
    own: Duration,
    server: Duration,
    begun: Instant,
}

impl Meter {
    fn start() -> Self {
        Self { own: own_time(), server: server_time(), begun: Instant::now() }
    }

    fn tell(&self, what: &str, count: usize) {
        let count = u32::try_from(count).expect("it counts to some thousands");
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(count);
        let own = own_time().saturating_sub(self.own);
        let server = server_time().saturating_sub(self.server);
        println!(
            "{what}: {:.1} µs here, {:.1} µs in the server, {:.1} µs of wall time",
            each(own),
            each(server),
            each(self.begun.elapsed())
        );
    }
}

async fn write_groups(store: &Store, size: usize) -> Result<(), Error> {
    let json = "x".repeat(700);
    for _ in 0..CHANGES / size {
        let mut commits = Vec::with_capacity(size);
        for _ in 0..size {
            let json = json.clone();
            commits.push(store.enqueue(move |txn| change(txn, &json)).await?);
        }
        for commit in commits {
            commit.await?;
        }
    }
    Ok(())
}

async fn measure(store: &Store) -> Result<(), Error> {
    for sql in TABLES {
        store.write(move |txn| txn.execute(sql, &[])).await?;
    }
    write_groups(store, 16).await?;
    for size in [1, 4, 16, 64] {
        let meter = Meter::start();
        write_groups(store, size).await?;
        meter.tell(&format!("a change in groups of about {size}"), CHANGES);
    }
    let sql = "SELECT json FROM cost_event WHERE number = $1";
    let meter = Meter::start();
    for number in 0..READS {
        let number = number % CHANGES + 1;
        store
            .read(move |s| s.query_one(sql, params![number], |row| row.bytes(0).map(<[u8]>::len)))
            .await?;
    }
    meter.tell("a read of one row", READS);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    for database in [Database::sqlite(), Database::postgres()] {
        println!("{}", if database.is_sqlite() { "SQLite" } else { "PostgreSQL" });
        let store = database.open().await;
        measure(&store).await?;
        store.close().await;
    }
    Ok(())
}
