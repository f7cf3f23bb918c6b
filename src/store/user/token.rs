//! Access and refresh tokens, by their SHA-256.
//!
//! A refresh gives a new pair that names the refresh token it replaces. The first use of either new
//! token ends the old pair; until then the old refresh token can be used again, which throws the
//! unused pair away.

use proto::number::UserNumber;
use ruma::{OwnedDeviceId, OwnedUserId};

use crate::{Error, Snapshot, WriteTxn, params, user::device::Devices};

/// SHA-256 of a token.
pub type TokenHash = [u8; 32];

/// An access token and whom it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessTokenRow {
    /// The user.
    pub user: UserNumber,
    /// The user's ID.
    pub user_id: OwnedUserId,
    /// The device's number.
    pub device: i64,
    /// The device's ID.
    pub device_id: OwnedDeviceId,
    /// When it expires.
    pub expires_ts: Option<u64>,
    /// The refresh token that ends with its first use.
    pub replaces: Option<TokenHash>,
    /// Whether the user administers the server.
    pub is_admin: bool,
    /// Whether the user is a guest.
    pub is_guest: bool,
}

/// A refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshTokenRow {
    /// The user.
    pub user: UserNumber,
    /// The device's number.
    pub device: i64,
    /// When it expires.
    pub expires_ts: Option<u64>,
    /// The refresh token that ends with its first use.
    pub replaces: Option<TokenHash>,
}

/// A new access token.
#[derive(Clone, Debug)]
pub struct NewAccessToken {
    /// SHA-256 of the token.
    pub hash: TokenHash,
    /// The device's number.
    pub device: i64,
    /// When it expires.
    pub expires_ts: Option<u64>,
    /// The refresh token that comes with it.
    pub refresh: Option<TokenHash>,
    /// The refresh token that it is had for.
    pub replaces: Option<TokenHash>,
}

const FIND_ACCESS: &str = "SELECT d.user_number, u.id, d.number, d.device_id, t.expires_ts,
    t.replaces_hash, a.is_admin, a.is_guest
    FROM access_token t
    JOIN device d ON d.number = t.device
    JOIN account a ON a.user_number = d.user_number
    JOIN user_name u ON u.number = d.user_number
    WHERE t.hash = $1";

const FIND_REFRESH: &str = "SELECT d.user_number, d.number, t.expires_ts, t.replaces_hash
    FROM refresh_token t JOIN device d ON d.number = t.device WHERE t.hash = $1";

const INSERT_ACCESS: &str = "INSERT INTO access_token
    (hash, device, expires_ts, refresh_hash, replaces_hash) VALUES ($1, $2, $3, $4, $5)";

const INSERT_REFRESH: &str =
    "INSERT INTO refresh_token (hash, device, expires_ts, replaces_hash) VALUES ($1, $2, $3, $4)";

const HASHES_OF_DEVICE: &str = "SELECT hash FROM access_token WHERE device = $1";

const HASHES_OF_USER: &str = "SELECT t.hash FROM access_token t
    JOIN device d ON d.number = t.device WHERE d.user_number = $1";

const HASHES_OF_PAIR: &str =
    "SELECT hash FROM access_token WHERE device = $1 AND refresh_hash = $2";

const DELETE_ACCESS_OF_DEVICE: &str = "DELETE FROM access_token WHERE device = $1";

const DELETE_REFRESH_OF_DEVICE: &str = "DELETE FROM refresh_token WHERE device = $1";

macro_rules! of_devices {
    ($statement:literal) => {
        concat!(
            $statement,
            " WHERE device IN (SELECT number FROM device
                WHERE user_number = $1 AND number <= $2 AND number <> $3)"
        )
    };
}

const DELETE_ACCESS_OF_DEVICES: &str =
    concat!(of_devices!("DELETE FROM access_token"), " RETURNING hash");

const DELETE_REFRESH_OF_DEVICES: &str = of_devices!("DELETE FROM refresh_token");

const DELETE_ACCESS_OF_PAIR: &str =
    "DELETE FROM access_token WHERE device = $1 AND refresh_hash = $2";

const DELETE_REFRESH: &str = "DELETE FROM refresh_token WHERE hash = $1";

const REPLACEMENTS: &str =
    "SELECT hash FROM refresh_token WHERE device = $1 AND replaces_hash = $2";

const CONFIRM_ACCESS: &str =
    "UPDATE access_token SET replaces_hash = NULL WHERE device = $1 AND replaces_hash = $2";

const CONFIRM_REFRESH: &str =
    "UPDATE refresh_token SET replaces_hash = NULL WHERE device = $1 AND replaces_hash = $2";

const EXPIRE_OF_DEVICE: &str = "UPDATE access_token SET expires_ts = $2 WHERE device = $1";

fn hash(bytes: &[u8]) -> Result<TokenHash, Error> {
    bytes.try_into().map_err(|_| Error::corrupt("the hash of a token has not 32 bytes"))
}

fn expires(int: Option<i64>) -> Option<u64> {
    int.map(|ts| u64::try_from(ts).unwrap_or(0))
}

/// Whom an access token stands for.
pub fn find_access(
    snapshot: &mut Snapshot<'_>,
    token: &TokenHash,
) -> Result<Option<AccessTokenRow>, Error> {
    snapshot.query_optional(FIND_ACCESS, params![token], |row| {
        Ok(AccessTokenRow {
            user: row.number(0)?,
            user_id: row.id(1)?,
            device: row.int(2)?,
            device_id: row.text(3)?.into(),
            expires_ts: expires(row.int_optional(4)?),
            replaces: row.bytes_optional(5)?.map(hash).transpose()?,
            is_admin: row.flag(6)?,
            is_guest: row.flag(7)?,
        })
    })
}

/// A refresh token.
pub fn find_refresh(
    snapshot: &mut Snapshot<'_>,
    token: &TokenHash,
) -> Result<Option<RefreshTokenRow>, Error> {
    snapshot.query_optional(FIND_REFRESH, params![token], |row| {
        Ok(RefreshTokenRow {
            user: row.number(0)?,
            device: row.int(1)?,
            expires_ts: expires(row.int_optional(2)?),
            replaces: row.bytes_optional(3)?.map(hash).transpose()?,
        })
    })
}

/// Adds an access token.
pub fn insert_access(txn: &mut WriteTxn<'_>, token: &NewAccessToken) -> Result<(), Error> {
    let NewAccessToken { hash, device, expires_ts, refresh, replaces } = token;
    txn.execute(INSERT_ACCESS, params![hash, device, expires_ts, refresh, replaces])?;
    Ok(())
}

/// Adds a refresh token.
pub fn insert_refresh(
    txn: &mut WriteTxn<'_>,
    token: &TokenHash,
    device: i64,
    expires_ts: Option<u64>,
    replaces: Option<TokenHash>,
) -> Result<(), Error> {
    txn.execute(INSERT_REFRESH, params![token, device, expires_ts, replaces])?;
    Ok(())
}

/// The access tokens of all devices of a user.
pub fn list_of_user(
    snapshot: &mut Snapshot<'_>,
    user: UserNumber,
) -> Result<Vec<TokenHash>, Error> {
    snapshot.query(HASHES_OF_USER, params![user], |row| hash(row.bytes(0)?))
}

/// Removes all tokens of a device; gives the access tokens among them.
pub fn delete_of_device(txn: &mut WriteTxn<'_>, device: i64) -> Result<Vec<TokenHash>, Error> {
    let hashes = txn.query(HASHES_OF_DEVICE, params![device], |row| hash(row.bytes(0)?))?;
    txn.execute(DELETE_ACCESS_OF_DEVICE, params![device])?;
    txn.execute(DELETE_REFRESH_OF_DEVICE, params![device])?;
    Ok(hashes)
}

/// Removes all tokens of some devices of a user; gives the access tokens among them.
pub fn delete_of_devices(
    txn: &mut WriteTxn<'_>,
    user: UserNumber,
    devices: Devices,
) -> Result<Vec<TokenHash>, Error> {
    let Devices { upto, but } = devices;
    let ended =
        txn.query(DELETE_ACCESS_OF_DEVICES, params![user, upto, but], |row| hash(row.bytes(0)?))?;
    txn.execute(DELETE_REFRESH_OF_DEVICES, params![user, upto, but])?;
    Ok(ended)
}

/// Lets the access tokens of a device expire; gives them.
pub fn expire_of_device(
    txn: &mut WriteTxn<'_>,
    device: i64,
    expires_ts: u64,
) -> Result<Vec<TokenHash>, Error> {
    let hashes = txn.query(HASHES_OF_DEVICE, params![device], |row| hash(row.bytes(0)?))?;
    txn.execute(EXPIRE_OF_DEVICE, params![device, expires_ts])?;
    txn.execute(DELETE_REFRESH_OF_DEVICE, params![device])?;
    Ok(hashes)
}

/// Removes a refresh token and the access tokens that came with it; gives the latter.
fn delete_pair(
    txn: &mut WriteTxn<'_>,
    device: i64,
    refresh: &TokenHash,
) -> Result<Vec<TokenHash>, Error> {
    let hashes = txn.query(HASHES_OF_PAIR, params![device, refresh], |row| hash(row.bytes(0)?))?;
    txn.execute(DELETE_ACCESS_OF_PAIR, params![device, refresh])?;
    txn.execute(DELETE_REFRESH, params![refresh])?;
    Ok(hashes)
}

/// Ends the pair of a refresh token that was replaced, because what replaced it is in use; gives
/// the access tokens that ended.
pub fn confirm(
    txn: &mut WriteTxn<'_>,
    device: i64,
    replaced: &TokenHash,
) -> Result<Vec<TokenHash>, Error> {
    let ended = delete_pair(txn, device, replaced)?;
    txn.execute(CONFIRM_ACCESS, params![device, replaced])?;
    txn.execute(CONFIRM_REFRESH, params![device, replaced])?;
    Ok(ended)
}

/// Removes the pairs that were had for this refresh token and never used; gives their access
/// tokens.
pub fn delete_unused_replacements(
    txn: &mut WriteTxn<'_>,
    device: i64,
    refresh: &TokenHash,
) -> Result<Vec<TokenHash>, Error> {
    let unused = txn.query(REPLACEMENTS, params![device, refresh], |row| hash(row.bytes(0)?))?;
    let mut ended = Vec::new();
    for token in &unused {
        ended.extend(delete_pair(txn, device, token)?);
    }
    Ok(ended)
}
