//! Registration tokens.

use crate::{Error, Row, Snapshot, WriteTxn, params};

/// A registration token as stored; registrations under way are counted in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationTokenRow {
    /// The token.
    pub token: String,
    /// How many registrations it is good for.
    pub uses_allowed: Option<u64>,
    /// How many there were.
    pub completed: u64,
    /// Until when it is valid.
    pub expiry_ts: Option<u64>,
}

const LIST: &str =
    "SELECT token, uses_allowed, completed, expiry_ts FROM registration_token ORDER BY token";

const FIND: &str = "SELECT token, uses_allowed, completed, expiry_ts
    FROM registration_token WHERE token = $1";

const INSERT: &str = "INSERT INTO registration_token (token, uses_allowed, completed, expiry_ts)
    VALUES ($1, $2, 0, $3) ON CONFLICT (token) DO NOTHING";

const UPDATE: &str =
    "UPDATE registration_token SET uses_allowed = $2, expiry_ts = $3 WHERE token = $1";

const USE: &str = "UPDATE registration_token SET completed = completed + 1
    WHERE token = $1 AND (uses_allowed IS NULL OR completed < uses_allowed)
    AND (expiry_ts IS NULL OR expiry_ts > $2)";

const DELETE: &str = "DELETE FROM registration_token WHERE token = $1";

fn map(row: Row<'_>) -> Result<RegistrationTokenRow, Error> {
    let optional = |column| {
        Ok::<_, Error>(row.int_optional(column)?.map(|int| u64::try_from(int).unwrap_or(0)))
    };
    Ok(RegistrationTokenRow {
        token: row.text(0)?.to_owned(),
        uses_allowed: optional(1)?,
        completed: row.unsigned(2)?,
        expiry_ts: optional(3)?,
    })
}

/// All tokens.
pub fn list(snapshot: &mut Snapshot<'_>) -> Result<Vec<RegistrationTokenRow>, Error> {
    snapshot.query(LIST, params![], map)
}

/// One token.
pub fn find(
    snapshot: &mut Snapshot<'_>,
    token: &str,
) -> Result<Option<RegistrationTokenRow>, Error> {
    snapshot.query_optional(FIND, params![token], map)
}

/// Adds a token; false when it is there already.
pub fn insert(
    txn: &mut WriteTxn<'_>,
    token: &str,
    uses_allowed: Option<u64>,
    expiry_ts: Option<u64>,
) -> Result<bool, Error> {
    Ok(txn.execute(INSERT, params![token, uses_allowed, expiry_ts])? > 0)
}

/// Sets limit and expiry; false when there is no such token.
pub fn update(
    txn: &mut WriteTxn<'_>,
    token: &str,
    uses_allowed: Option<u64>,
    expiry_ts: Option<u64>,
) -> Result<bool, Error> {
    Ok(txn.execute(UPDATE, params![token, uses_allowed, expiry_ts])? > 0)
}

/// Counts a registration; false when the token is not good for another one.
pub fn use_once(txn: &mut WriteTxn<'_>, token: &str, now_ms: u64) -> Result<bool, Error> {
    Ok(txn.execute(USE, params![token, now_ms])? > 0)
}

/// Removes a token; false when there was none.
pub fn delete(txn: &mut WriteTxn<'_>, token: &str) -> Result<bool, Error> {
    Ok(txn.execute(DELETE, params![token])? > 0)
}
