//! Accounts of local users.
//!
//! Invariant: an account's row stays for ever, so that a deactivated user's name is never given
//! away again.

use proto::number::UserNumber;
use ruma::OwnedUserId;

use crate::{Error, Row, Snapshot, WriteTxn, params};

/// An account as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// The user.
    pub user: UserNumber,
    /// The user's ID.
    pub user_id: OwnedUserId,
    /// The password's hash.
    pub password_hash: Option<String>,
    /// When the account was made.
    pub created_ts: u64,
    /// Whether the user administers the server.
    pub is_admin: bool,
    /// Whether the account is a guest's.
    pub is_guest: bool,
    /// When the account was deactivated.
    pub deactivated_ts: Option<u64>,
    /// Whether the deactivation asked for erasure.
    pub is_erased: bool,
}

/// A new account.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The user.
    pub user: UserNumber,
    /// The password's hash.
    pub password_hash: Option<String>,
    /// When the account was made.
    pub created_ts: u64,
    /// Whether the user administers the server.
    pub is_admin: bool,
    /// Whether the account is a guest's.
    pub is_guest: bool,
}

/// Which accounts to list.
#[derive(Clone, Debug)]
pub struct AccountFilter {
    /// Only accounts after this one.
    pub after: UserNumber,
    /// Deactivated accounts too.
    pub deactivated: bool,
    /// Guests too.
    pub guests: bool,
    /// At most so many.
    pub limit: usize,
}

/// The columns of every query, in the order that `map` reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT a.user_number, u.id, a.password_hash, a.created_ts, a.is_admin, a.is_guest, ",
            "a.deactivated_ts, a.is_erased ",
            "FROM account a JOIN user_name u ON u.number = a.user_number ",
            $rest
        )
    };
}

const FIND: &str = select!("WHERE u.id = $1");

const FIND_BY_NUMBER: &str = select!("WHERE a.user_number = $1");

const LIST: &str = select!(
    "WHERE a.user_number > $1 AND (a.deactivated_ts IS NULL OR $2 = 1)
     AND (a.is_guest = 0 OR $3 = 1) ORDER BY a.user_number LIMIT $4"
);

const INSERT: &str = "INSERT INTO account
    (user_number, password_hash, created_ts, is_admin, is_guest, is_erased, is_leaving)
    VALUES ($1, $2, $3, $4, $5, 0, 0)";

const SET_PASSWORD: &str =
    "UPDATE account SET password_hash = $2 WHERE user_number = $1 AND deactivated_ts IS NULL";

const SET_ADMIN: &str = "UPDATE account SET is_admin = $2 WHERE user_number = $1";

const DEACTIVATE: &str = "UPDATE account SET password_hash = NULL, is_admin = 0, is_leaving = 1,
    deactivated_ts = COALESCE(deactivated_ts, $2),
    is_erased = CASE WHEN $3 = 1 THEN 1 ELSE is_erased END
    WHERE user_number = $1";

const LEFT: &str = "UPDATE account SET is_leaving = 0 WHERE user_number = $1";

const ERASED: &str = "SELECT u.id FROM account a JOIN user_name u ON u.number = a.user_number
    WHERE a.is_erased = 1";

const LEAVING: &str = "SELECT u.id FROM account a JOIN user_name u ON u.number = a.user_number
    WHERE a.is_leaving = 1";

fn map(row: Row<'_>) -> Result<AccountRow, Error> {
    Ok(AccountRow {
        user: row.number(0)?,
        user_id: row.id(1)?,
        password_hash: row.text_optional(2)?.map(str::to_owned),
        created_ts: row.unsigned(3)?,
        is_admin: row.flag(4)?,
        is_guest: row.flag(5)?,
        deactivated_ts: row.int_optional(6)?.and_then(|ts| u64::try_from(ts).ok()),
        is_erased: row.flag(7)?,
    })
}

/// The account of a user ID.
pub fn find(
    snapshot: &mut Snapshot<'_>,
    user_id: &ruma::UserId,
) -> Result<Option<AccountRow>, Error> {
    snapshot.query_optional(FIND, params![user_id], map)
}

/// The account of a user number.
pub fn find_by_number(
    snapshot: &mut Snapshot<'_>,
    user: UserNumber,
) -> Result<Option<AccountRow>, Error> {
    snapshot.query_optional(FIND_BY_NUMBER, params![user], map)
}

/// Accounts in the order of their numbers.
pub fn list(snapshot: &mut Snapshot<'_>, filter: &AccountFilter) -> Result<Vec<AccountRow>, Error> {
    let AccountFilter { after, deactivated, guests, limit } = filter;
    snapshot.query(LIST, params![after, deactivated, guests, limit], map)
}

/// Adds an account; the caller has seen that there is none.
pub fn insert(txn: &mut WriteTxn<'_>, account: &NewAccount) -> Result<(), Error> {
    let NewAccount { user, password_hash, created_ts, is_admin, is_guest } = account;
    txn.execute(INSERT, params![user, password_hash, created_ts, is_admin, is_guest])?;
    Ok(())
}

/// Sets the password's hash; false when the account is not there or deactivated.
pub fn set_password(
    txn: &mut WriteTxn<'_>,
    user: UserNumber,
    hash: Option<&str>,
) -> Result<bool, Error> {
    Ok(txn.execute(SET_PASSWORD, params![user, hash])? > 0)
}

/// Sets the administrator's flag; false when there is no account.
pub fn set_admin(txn: &mut WriteTxn<'_>, user: UserNumber, admin: bool) -> Result<bool, Error> {
    Ok(txn.execute(SET_ADMIN, params![user, admin])? > 0)
}

/// Marks the account as deactivated and on its way out of its rooms. An erasure can be added later
/// and stays.
pub fn deactivate(
    txn: &mut WriteTxn<'_>,
    user: UserNumber,
    now_ms: u64,
    erase: bool,
) -> Result<(), Error> {
    txn.execute(DEACTIVATE, params![user, now_ms, erase])?;
    Ok(())
}

/// Notes that the deactivated user is out of all rooms.
pub fn set_left(txn: &mut WriteTxn<'_>, user: UserNumber) -> Result<(), Error> {
    txn.execute(LEFT, params![user])?;
    Ok(())
}

/// Everybody who was erased.
pub fn list_erased(snapshot: &mut Snapshot<'_>) -> Result<Vec<OwnedUserId>, Error> {
    snapshot.query(ERASED, params![], |row| row.id(0))
}

/// Deactivated users who are still in rooms, after a crash.
pub fn list_leaving(snapshot: &mut Snapshot<'_>) -> Result<Vec<OwnedUserId>, Error> {
    snapshot.query(LEAVING, params![], |row| row.id(0))
}
