//! The counters from which positions and numbers come. They live in memory and are written as one
//! row once a group, so that a number is never given twice and a position is never skipped: a
//! change that fails gives its numbers back.

use proto::number::Position;

use crate::{error::Error, snapshot::Snapshot};

/// What is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// Events.
    Event,
    /// Rooms.
    Room,
    /// Users.
    User,
    /// Servers.
    Server,
    /// Pairs of event type and state key.
    StateKey,
    /// State groups.
    StateGroup,
    /// Rows of any other table that needs a number of its own.
    Item,
}

const SEQUENCES: usize = 7;

/// The first column of the counter row is the batch, the second the position, then the sequences in
/// order.
const LOAD: &str =
    "SELECT batch, position, event, room, user_, server, state_key, state_group, item
    FROM counter WHERE id = 1";

pub(crate) const STORE: &str = "UPDATE counter SET batch = $1, position = $2, event = $3,
    room = $4, user_ = $5, server = $6, state_key = $7, state_group = $8, item = $9 WHERE id = 1";

/// The newest position and numbers that were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Names the newest group, so that a lost answer to its COMMIT can be asked for again.
    pub(crate) batch: i64,
    pub(crate) position: Position,
    newest: [i64; SEQUENCES],
}

impl Counters {
    pub(crate) fn load(snapshot: &mut Snapshot<'_>) -> Result<Self, Error> {
        snapshot.query_one(LOAD, &[], |row| {
            let mut newest = [0; SEQUENCES];
            for (column, number) in newest.iter_mut().enumerate() {
                *number = row.int(column + 2)?;
            }
            Ok(Self { batch: row.int(0)?, position: row.position(1)?, newest })
        })
    }

    pub(crate) fn next_position(&mut self) -> Position {
        self.position.0 += 1;
        self.position
    }

    pub(crate) fn next_number(&mut self, sequence: Sequence) -> i64 {
        let newest = &mut self.newest[sequence as usize];
        *newest += 1;
        *newest
    }

    /// The parameters of `STORE`.
    pub(crate) fn row(&self) -> [i64; SEQUENCES + 2] {
        std::array::from_fn(|column| match column {
            0 => self.batch,
            1 => i64::try_from(self.position.0).unwrap_or(i64::MAX),
            _ => self.newest[column - 2],
        })
    }
}
