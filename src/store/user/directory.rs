//! The words that users are found by.

use proto::number::UserNumber;
use ruma::OwnedUserId;

use crate::{Error, Snapshot, WriteTxn, params};

const FIND: &str = "SELECT DISTINCT user_number FROM directory_word
    WHERE word >= $1 AND word < $2 ORDER BY user_number LIMIT $3";

const IDS: &str = "SELECT number, id FROM user_name WHERE number IN_INTS($1)";

const INSERT: &str =
    "INSERT INTO directory_word (word, user_number) VALUES ($1, $2) ON CONFLICT DO NOTHING";

const DELETE: &str = "DELETE FROM directory_word WHERE user_number = $1";

/// Users who have a word that begins with `prefix`.
pub fn find_by_prefix(
    snapshot: &mut Snapshot<'_>,
    prefix: &str,
    limit: usize,
) -> Result<Vec<UserNumber>, Error> {
    // No UTF-8 text contains this byte, so the end lies behind every word with the prefix.
    let mut end = prefix.as_bytes().to_vec();
    end.push(0xff);
    snapshot.query(FIND, params![prefix, end, limit], |row| row.number(0))
}

/// The user IDs of many users at once.
pub fn list_ids(
    snapshot: &mut Snapshot<'_>,
    users: &[UserNumber],
) -> Result<Vec<(UserNumber, OwnedUserId)>, Error> {
    snapshot.query(IDS, params![users], |row| Ok((row.number(0)?, row.id(1)?)))
}

/// Replaces the words of a user; none makes her unfindable.
pub fn set_words(txn: &mut WriteTxn<'_>, user: UserNumber, words: &[String]) -> Result<(), Error> {
    txn.execute(DELETE, params![user])?;
    for word in words {
        txn.execute(INSERT, params![word, user])?;
    }
    Ok(())
}
