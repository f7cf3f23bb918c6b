//! Devices of local users.

use proto::number::UserNumber;
use ruma::{DeviceId, OwnedDeviceId};

use crate::{Error, Row, Sequence, Snapshot, WriteTxn, params};

/// A device as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// Its number.
    pub number: i64,
    /// Its ID, unique for its user.
    pub device_id: OwnedDeviceId,
    /// Its name.
    pub display_name: Option<String>,
    /// When it was last seen.
    pub last_seen_ts: Option<u64>,
    /// The address that it was last seen at.
    pub last_seen_ip: Option<String>,
    /// Its `User-Agent` then.
    pub last_seen_agent: Option<String>,
}

/// When and where a device was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastSeen {
    /// When.
    pub ts: u64,
    /// The address.
    pub ip: Option<String>,
    /// The `User-Agent`.
    pub agent: Option<String>,
}

/// Some devices of one user: the oldest up to a number, but one.
#[derive(Clone, Copy, Debug)]
pub struct Devices {
    /// The number of the newest of them.
    pub upto: i64,
    /// The number of one that is not meant; none has a number below one.
    pub but: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT number, device_id, display_name, last_seen_ts, last_seen_ip, last_seen_agent ",
            "FROM device ",
            $rest
        )
    };
}

const LIST: &str = select!("WHERE user_number = $1 ORDER BY number");

const FIND: &str = select!("WHERE user_number = $1 AND device_id = $2");

const INSERT: &str = "INSERT INTO device (number, user_number, device_id, display_name, created_ts)
    VALUES ($1, $2, $3, $4, $5)";

const RENAME: &str =
    "UPDATE device SET display_name = $3 WHERE user_number = $1 AND device_id = $2";

const DELETE: &str = "DELETE FROM device WHERE number = $1";

const DELETE_SOME: &str = "DELETE FROM device
    WHERE user_number = $1 AND number <= $2 AND number <> $3 RETURNING number";

const SEEN: &str = "UPDATE device SET last_seen_ts = $2, last_seen_ip = $3, last_seen_agent = $4
    WHERE number = $1";

fn map(row: Row<'_>) -> Result<DeviceRow, Error> {
    let text = |column| Ok::<_, Error>(row.text_optional(column)?.map(str::to_owned));
    Ok(DeviceRow {
        number: row.int(0)?,
        device_id: row.text(1)?.into(),
        display_name: text(2)?,
        last_seen_ts: row.int_optional(3)?.and_then(|ts| u64::try_from(ts).ok()),
        last_seen_ip: text(4)?,
        last_seen_agent: text(5)?,
    })
}

/// All devices of a user, oldest first.
pub fn list(snapshot: &mut Snapshot<'_>, user: UserNumber) -> Result<Vec<DeviceRow>, Error> {
    snapshot.query(LIST, params![user], map)
}

/// One device.
pub fn find(
    snapshot: &mut Snapshot<'_>,
    user: UserNumber,
    device: &DeviceId,
) -> Result<Option<DeviceRow>, Error> {
    snapshot.query_optional(FIND, params![user, device], map)
}

/// Adds a device, which the caller has seen not to be there; gives its number.
pub fn insert(
    txn: &mut WriteTxn<'_>,
    user: UserNumber,
    device: &DeviceId,
    display_name: Option<&str>,
    now_ms: u64,
) -> Result<i64, Error> {
    let number = txn.next_number(Sequence::Item);
    txn.execute(INSERT, params![number, user, device, display_name, now_ms])?;
    Ok(number)
}

/// Renames a device; false when there is none.
pub fn rename(
    txn: &mut WriteTxn<'_>,
    user: UserNumber,
    device: &DeviceId,
    display_name: Option<&str>,
) -> Result<bool, Error> {
    Ok(txn.execute(RENAME, params![user, device, display_name])? > 0)
}

/// Removes a device by its number. Its tokens are for the caller to remove.
pub fn delete(txn: &mut WriteTxn<'_>, number: i64) -> Result<(), Error> {
    txn.execute(DELETE, params![number])?;
    Ok(())
}

/// Removes some devices of a user; gives their numbers. Their tokens are for the caller to remove,
/// before.
pub fn delete_some(
    txn: &mut WriteTxn<'_>,
    user: UserNumber,
    devices: Devices,
) -> Result<Vec<i64>, Error> {
    let Devices { upto, but } = devices;
    txn.query(DELETE_SOME, params![user, upto, but], |row| row.int(0))
}

/// Notes when and where a device was seen; a device that is gone by now is skipped.
pub fn set_seen(txn: &mut WriteTxn<'_>, number: i64, seen: &LastSeen) -> Result<(), Error> {
    txn.execute(SEEN, params![number, seen.ts, seen.ip, seen.agent])?;
    Ok(())
}
