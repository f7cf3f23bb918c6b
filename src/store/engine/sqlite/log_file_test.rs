//! The log stays short though views overlap without a break.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Instant,
};

use super::*;
use crate::{
    engine::{Engine as _, Mode, sqlite::SqliteEngine},
    settings::Settings,
};

const BYTES_MAX: u64 = 16 << 20;

#[test]
fn the_log_begins_anew_though_somebody_always_reads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let settings = Settings::new(format!("sqlite://{}", path.display()));
    let engine =
        SqliteEngine { log_bytes: BYTES_MAX, ..SqliteEngine::new(path.clone(), &settings) };
    let mut writer = engine.open_writer().unwrap();
    writer.run_script("CREATE TABLE t (number BIGINT PRIMARY KEY, text BYTES)").unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut readers = [engine.open_reader().unwrap(), engine.open_reader().unwrap()];
            // Each view ends only once the next one has begun.
            for turn in 0_usize.. {
                let reader = &mut readers[turn % 2];
                reader.begin_read(Instant::now() + Duration::from_mins(1)).unwrap();
                reader.query("SELECT MAX(number) FROM t", &[], &mut |_| Ok(())).unwrap();
                if turn > 0 {
                    readers[(turn + 1) % 2].end_read();
                }
                if done.load(Relaxed) {
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(5));
            }
        });
        let mut longest = 0;
        for number in 0..120_i64 {
            writer.begin_group(Mode::Alone).unwrap();
            writer.begin_change().unwrap();
            let text = vec![b'x'; 1 << 19];
            let row = [crate::Value::Int(number), crate::Value::Bytes(&text)];
            writer.execute("INSERT INTO t (number, text) VALUES ($1, $2)", &row).unwrap();
            writer.keep_change().unwrap();
            writer.commit_group("SELECT 1 FROM t WHERE number = $1", &[number]).unwrap();
            let log = directory.path().join("db-wal");
            longest = longest.max(fs::metadata(log).unwrap().len());
        }
        done.store(true, Relaxed);
        assert!(longest < BYTES_MAX + BYTES_MAX / 2, "{longest} bytes");
    });
}
