//! Stored filters.

use proto::number::UserNumber;

use crate::{Error, Snapshot, WriteTxn, params};

const FIND: &str = "SELECT json FROM filter WHERE user_number = $1 AND number = $2";

const FIND_SAME: &str = "SELECT number FROM filter WHERE user_number = $1 AND hash = $2";

const NEWEST: &str = "SELECT COALESCE(max(number), 0) FROM filter WHERE user_number = $1";

const INSERT: &str = "INSERT INTO filter (user_number, number, hash, json) VALUES ($1, $2, $3, $4)";

/// The JSON of a filter.
pub fn find(
    snapshot: &mut Snapshot<'_>,
    user: UserNumber,
    number: i64,
) -> Result<Option<String>, Error> {
    snapshot.query_optional(FIND, params![user, number], |row| Ok(row.text(0)?.to_owned()))
}

/// The number of the user's filter with this hash.
pub fn find_same(
    snapshot: &mut Snapshot<'_>,
    user: UserNumber,
    hash: &[u8; 32],
) -> Result<Option<i64>, Error> {
    snapshot.query_optional(FIND_SAME, params![user, hash], |row| row.int(0))
}

/// The newest of the user's filters, 0 when there is none; as filters stay, it is also their count.
pub fn newest(snapshot: &mut Snapshot<'_>, user: UserNumber) -> Result<i64, Error> {
    snapshot.query_one(NEWEST, params![user], |row| row.int(0))
}

/// Adds a filter.
pub fn insert(
    txn: &mut WriteTxn<'_>,
    user: UserNumber,
    number: i64,
    hash: &[u8; 32],
    json: &str,
) -> Result<(), Error> {
    txn.execute(INSERT, params![user, number, hash, json])?;
    Ok(())
}
