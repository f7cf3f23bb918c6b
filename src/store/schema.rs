//! The schema as numbered steps. Each runs in one transaction, once; a database with a newer schema
//! is refused.

use crate::{
    counter::Counters,
    engine::Link,
    error::{Error, OpenError},
    numbers::WELL_KNOWN,
    params,
    pulse::{self, Step},
    shared::Shared,
    snapshot::Snapshot,
};

/// A step from one version of the schema to the next: its texts, in order.
struct Texts(&'static [&'static str]);

/// Step n leads from version n-1 to version n.
const STEPS: &[Texts] = &[Texts(&[
    include_str!("schema/0001_core.sql"),
    include_str!("schema/0001_room.sql"),
    include_str!("schema/0001_user.sql"),
    include_str!("schema/0001_sync.sql"),
])];

const PREPARE: &str = "CREATE TABLE IF NOT EXISTS schema_version (
    id BIGINT PRIMARY KEY,
    version BIGINT NOT NULL
);
INSERT INTO schema_version VALUES (1, 0) ON CONFLICT (id) DO NOTHING;";

const VERSION: &str = "SELECT version FROM schema_version WHERE id = 1";

const INSERT_WELL_KNOWN: &str = "INSERT INTO state_key (number, type, state_key)
    VALUES ($1, $2, BYTES('')) ON CONFLICT (number) DO NOTHING";

/// The newest version of the schema that this program knows.
pub(crate) fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Brings the schema up to date, and gives back the counters as they stand.
pub(crate) fn prepare(link: &mut dyn Link, shared: &Shared) -> Result<Counters, OpenError> {
    link.run_script(PREPARE)?;
    let found = Snapshot::new(link, shared).query_one(VERSION, &[], |row| row.int(0))?;
    let done = usize::try_from(found)
        .map_err(|_| Error::Corrupt(format!("the schema's version is {found}")))?;
    if done > STEPS.len() {
        return Err(OpenError::NewerSchema { found, known: known() });
    }
    for (index, texts) in STEPS.iter().enumerate().skip(done) {
        let version = index + 1;
        let step = |is_done| Step { from: done, version, last: STEPS.len(), is_done };
        pulse::tell_step(step(false));
        link.run_script(&script(version, texts))?;
        pulse::tell_step(step(true));
    }
    insert_well_known(link)?;
    Ok(Counters::load(&mut Snapshot::new(link, shared))?)
}

/// The step as one transaction.
fn script(version: usize, texts: &Texts) -> String {
    let Texts(texts) = texts;
    let texts = texts.join("\n");
    format!("BEGIN;\n{texts}\nUPDATE schema_version SET version = {version} WHERE id = 1;\nCOMMIT;")
}

/// Puts the well-known pairs where they belong; new ones may come with a new program.
fn insert_well_known(link: &mut dyn Link) -> Result<(), Error> {
    for (number, event_type) in (1_i64..).zip(WELL_KNOWN) {
        link.execute(INSERT_WELL_KNOWN, params![number, event_type])?;
    }
    Ok(())
}
