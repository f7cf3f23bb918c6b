//! Profiles of local users: one row per field, its value as JSON.

use proto::number::UserNumber;

use crate::{Error, Snapshot, WriteTxn, params};

const LIST: &str = "SELECT field, value FROM profile WHERE user_number = $1 ORDER BY field";

const SET: &str = "INSERT INTO profile (user_number, field, value) VALUES ($1, $2, $3)
    ON CONFLICT (user_number, field) DO UPDATE SET value = excluded.value";

const DELETE: &str = "DELETE FROM profile WHERE user_number = $1 AND field = $2";

const DELETE_ALL: &str = "DELETE FROM profile WHERE user_number = $1";

const NAMES: &str = "SELECT p.user_number, u.id, p.field, p.value
    FROM EACH_INTS($1) AS wanted
    JOIN user_name u ON u.number = wanted.value
    JOIN profile p ON p.user_number = wanted.value
    WHERE p.field IN (BYTES('displayname'), BYTES('avatar_url'))";

/// All fields with their JSON.
pub fn list(snapshot: &mut Snapshot<'_>, user: UserNumber) -> Result<Vec<(String, String)>, Error> {
    snapshot
        .query(LIST, params![user], |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())))
}

/// Sets a field to this JSON.
pub fn set(
    txn: &mut WriteTxn<'_>,
    user: UserNumber,
    field: &str,
    value: &str,
) -> Result<(), Error> {
    txn.execute(SET, params![user, field, value])?;
    Ok(())
}

/// Removes a field; false when it was not there.
pub fn delete(txn: &mut WriteTxn<'_>, user: UserNumber, field: &str) -> Result<bool, Error> {
    Ok(txn.execute(DELETE, params![user, field])? > 0)
}

/// Removes the whole profile.
pub fn delete_all(txn: &mut WriteTxn<'_>, user: UserNumber) -> Result<(), Error> {
    txn.execute(DELETE_ALL, params![user])?;
    Ok(())
}

/// Display names and avatars of many users at once: number, user ID, field, its JSON.
pub fn list_names(
    snapshot: &mut Snapshot<'_>,
    users: &[UserNumber],
) -> Result<Vec<(UserNumber, ruma::OwnedUserId, String, String)>, Error> {
    snapshot.query(NAMES, params![users], |row| {
        Ok((row.number(0)?, row.id(1)?, row.text(2)?.to_owned(), row.text(3)?.to_owned()))
    })
}
