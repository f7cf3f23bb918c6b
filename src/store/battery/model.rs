//! Generated groups of changes, compared with a model that knows neither engines nor groups: one
//! change after the other on a map.

use std::collections::BTreeMap;

use proto::number::Position;

use super::{
    group,
    table::{self, FIRST, Item, LAST, NEW, NEXT},
};
use crate::{
    Commit, Error, Store, WriteTxn, params,
    testing::{SeededRandom, for_each_engine},
};

/// Keys are few, so that changes meet.
const KEYS: u64 = 8;

/// What a change does, one after the other.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Inserts a row that must be new.
    New(i64),
    /// Inserts a row unless there is one.
    First(i64),
    /// Inserts or replaces a row.
    Last(i64),
    /// Replaces a row whose position is the expected one.
    Next(i64, u64),
    Update(i64),
    Delete(i64),
    /// Reads everything.
    Read,
    /// Fails.
    Fail,
}

type Model = BTreeMap<i64, (Position, String)>;
/// What each read found, or why the change failed.
type Outcome = Result<Vec<Vec<Item>>, Error>;

/// A change that is likely to find what it expects of the model.
fn generate(random: &SeededRandom, model: &Model) -> Vec<Step> {
    let steps = 1 + random.below(6);
    let mut change: Vec<_> = (0..steps)
        .map(|_| {
            let key = random.below(KEYS).cast_signed();
            match random.below(14) {
                12 | 13 => {
                    let expected = model.get(&key).map_or(0, |(position, _)| position.0);
                    Step::Next(key, expected + u64::from(random.below(8) == 0))
                }
                0 | 1 => Step::New(key),
                2 | 3 => Step::First(key),
                4..=6 => Step::Last(key),
                7 => Step::Update(key),
                8 => Step::Delete(key),
                _ => Step::Read,
            }
        })
        .collect();
    if random.below(5) == 0 {
        change.push(Step::Fail);
    }
    change
}

fn run(txn: &mut WriteTxn<'_>, change: &[Step], name: &str) -> Outcome {
    let mut reads = Vec::new();
    for step in change {
        match *step {
            Step::New(key) => txn.next_position_and_insert(&NEW, key, name)?,
            Step::First(key) => txn.next_position_and_insert(&FIRST, key, name)?,
            Step::Last(key) => txn.next_position_and_insert(&LAST, key, name)?,
            Step::Next(key, expected) => {
                let position = txn.next_position();
                txn.insert(&NEXT, params![key, position, name, expected])?;
            }
            Step::Update(key) => {
                let sql = "UPDATE battery SET text = $2 WHERE number = $1";
                txn.execute(sql, params![key, name]).map(drop)?;
            }
            Step::Delete(key) => {
                let sql = "DELETE FROM battery WHERE number = $1";
                txn.execute(sql, params![key]).map(drop)?;
            }
            Step::Read => reads.push(table::list(txn)?),
            Step::Fail => return Err(Error::corrupt("on purpose")),
        }
    }
    Ok(reads)
}

impl WriteTxn<'_> {
    fn next_position_and_insert(
        &mut self,
        batch: &'static crate::Batch,
        key: i64,
        text: &str,
    ) -> Result<(), Error> {
        let position = self.next_position();
        self.insert(batch, params![key, position, text])
    }
}

/// What the change should do. `None` means that it fails.
fn expect(
    model: &Model,
    head: u64,
    change: &[Step],
    name: &str,
) -> Option<(Model, u64, Vec<Vec<Item>>)> {
    let (mut model, mut head, mut reads) = (model.clone(), head, Vec::new());
    for step in change {
        let name = name.to_owned();
        match *step {
            Step::New(key) | Step::First(key) | Step::Last(key) => {
                head += 1;
                let there = model.contains_key(&key);
                match step {
                    Step::New(_) if there => return None,
                    Step::First(_) if there => {}
                    _ => drop(model.insert(key, (Position(head), name))),
                }
            }
            Step::Next(key, expected) => {
                head += 1;
                let row = model.get_mut(&key).filter(|(position, _)| position.0 == expected)?;
                *row = (Position(head), name);
            }
            Step::Update(key) => {
                if let Some((_, text)) = model.get_mut(&key) {
                    *text = name;
                }
            }
            Step::Delete(key) => drop(model.remove(&key)),
            Step::Read => reads.push(rows(&model)),
            Step::Fail => return None,
        }
    }
    Some((model, head, reads))
}

fn rows(model: &Model) -> Vec<Item> {
    model.iter().map(|(key, (position, text))| (*key, *position, text.clone())).collect()
}

async fn compare(store: Store, seed: u64) {
    table::create(&store).await;
    let random = SeededRandom::new(seed);
    let (mut model, mut head) = (Model::new(), 0);
    for round in 0..12 {
        let (release, waits) = group::hold(&store).await;
        let mut waiting: Vec<(String, Option<_>, Commit<_, Error>)> = Vec::new();
        for place in 0..=random.below(20) {
            let (change, name) = (generate(&random, &model), format!("{round}.{place}"));
            let context = format!("seed {seed}, change {name}: {change:?}");
            let expected = expect(&model, head, &change, &name).map(|(next, position, reads)| {
                (model, head) = (next, position);
                reads
            });
            let commit = store.enqueue(move |txn| run(txn, &change, &name)).await.unwrap();
            waiting.push((context, expected, commit));
        }
        drop(release);
        waits.await.unwrap();
        for (context, expected, commit) in waiting {
            let outcome = commit.await;
            match expected {
                Some(reads) => {
                    let found = outcome.unwrap_or_else(|error| panic!("{context}: {error}"));
                    assert_eq!(found, reads, "{context}");
                }
                None => assert!(
                    matches!(outcome, Err(Error::Exists(_) | Error::Corrupt(_) | Error::Moved)),
                    "{context}: {outcome:?}"
                ),
            }
        }
        assert_eq!(table::items(&store).await, rows(&model), "seed {seed}, round {round}");
        assert_eq!(store.position().0, head, "seed {seed}, round {round}");
    }
}

#[tokio::test]
async fn groups_do_what_changes_one_after_the_other_would() {
    for seed in 0..table::rounds(6).unsigned_abs() {
        for_each_engine(|store| compare(store, seed)).await;
    }
}
