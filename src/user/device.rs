//! Devices of a user: list, rename, delete.
//!
//! Invariant: a device's tokens end in the same change as the device.
//!
//! Spec: client-server API, "Device Management".

use proto::number::UserNumber;
use ruma::{DeviceId, OwnedDeviceId, UserId};
use store::{
    Snapshot, WriteTxn,
    user::{
        device::{self as rows, DeviceRow, Devices},
        token,
    },
};

use crate::{Error, Sessions, session::MAX_DEVICE_NAME};

/// Devices that are looked for in one change: a request can name thousands, and everybody else
/// waits for a change.
const DELETED_AT_ONCE: usize = 100;

/// Devices that one change ends which ends all of a user: a few statements, however many they are.
const ENDED_AT_ONCE: usize = 1000;

/// The number of no device.
const NONE: i64 = 0;

/// A device as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The device.
    pub device_id: OwnedDeviceId,
    /// Its name.
    pub display_name: Option<String>,
    /// The address that it was last seen at.
    pub last_seen_ip: Option<String>,
    /// When it was last seen, in milliseconds since the epoch.
    pub last_seen_ts: Option<u64>,
    /// Its `User-Agent` when last seen.
    pub last_seen_user_agent: Option<String>,
}

impl Sessions {
    /// All devices of the user.
    pub async fn list_devices(&self, user_id: &UserId) -> Result<Vec<Device>, Error> {
        let user = self.inner.context.load_user(user_id).await?;
        let rows = self
            .inner
            .context
            .store
            .read(move |snapshot| Ok::<_, Error>(rows::list(snapshot, user)?))
            .await?;
        Ok(rows.into_iter().map(|row| self.with_pending(row)).collect())
    }

    /// One device.
    pub async fn find_device(
        &self,
        user_id: &UserId,
        device: &DeviceId,
    ) -> Result<Option<Device>, Error> {
        let user = self.inner.context.load_user(user_id).await?;
        let device = device.to_owned();
        let row = self
            .inner
            .context
            .store
            .read(move |snapshot| Ok::<_, Error>(rows::find(snapshot, user, &device)?))
            .await?;
        Ok(row.map(|row| self.with_pending(row)))
    }

    /// The device as it is, with what is not written yet.
    fn with_pending(&self, row: DeviceRow) -> Device {
        let mut device = Device {
            device_id: row.device_id,
            display_name: row.display_name,
            last_seen_ip: row.last_seen_ip,
            last_seen_ts: row.last_seen_ts,
            last_seen_user_agent: row.last_seen_agent,
        };
        if let Some(seen) = self.inner.seen.pending(row.number) {
            device.last_seen_ip = seen.ip;
            device.last_seen_ts = Some(seen.ts);
            device.last_seen_user_agent = seen.agent;
        }
        device
    }

    /// Renames a device; `NotFound` when there is none.
    pub async fn rename_device(
        &self,
        user_id: &UserId,
        device: &DeviceId,
        display_name: Option<String>,
    ) -> Result<(), Error> {
        if display_name.as_ref().is_some_and(|name| name.chars().count() > MAX_DEVICE_NAME) {
            return Err(Error::InvalidParam("the name of the device is too long".to_owned()));
        }
        let user = self.inner.context.load_user(user_id).await?;
        let device = device.to_owned();
        let work = move |txn: &mut WriteTxn<'_>| {
            // A name that is not given stays as it is.
            let found = match &display_name {
                Some(name) => rows::rename(txn, user, &device, Some(name))?,
                None => rows::find(txn, user, &device)?.is_some(),
            };
            if found { Ok(()) } else { Err(Error::NotFound("no such device")) }
        };
        self.inner.context.store.write(work).await
    }

    /// Deletes devices and ends their sessions; unknown ones are skipped.
    pub async fn delete_devices(
        &self,
        user_id: &UserId,
        devices: Vec<OwnedDeviceId>,
    ) -> Result<(), Error> {
        let user = self.inner.context.load_user(user_id).await?;
        for some in devices.chunks(DELETED_AT_ONCE) {
            let (sessions, some) = (self.clone(), some.to_vec());
            let work = move |txn: &mut WriteTxn<'_>| {
                for device in &some {
                    if let Some(row) = rows::find(txn, user, device)? {
                        sessions.delete_one(txn, row.number)?;
                    }
                }
                Ok::<_, Error>(())
            };
            self.inner.context.store.write(work).await?;
        }
        Ok(())
    }

    /// Deletes the oldest devices, but never one, until a single change can delete the rest with
    /// [`Self::delete_all`]. What ends them all begins with this; if it gets no further, the user
    /// has to ask again and can, as her own session is still there.
    pub(crate) async fn thin_out(
        &self,
        user: UserNumber,
        keep: Option<&DeviceId>,
    ) -> Result<(), Error> {
        let store = &self.inner.context.store;
        let list = move |snapshot: &mut Snapshot<'_>| Ok::<_, Error>(rows::list(snapshot, user)?);
        let devices = store.read(list).await?;
        let but = number_of(&devices, keep);
        let mut others = devices.iter().map(|row| row.number).filter(|number| *number != but);
        // The newest stay; without as many there is nothing to do.
        let surplus = others.clone().count().saturating_sub(ENDED_AT_ONCE);
        let bounds = (0..surplus).step_by(ENDED_AT_ONCE).map(|from| {
            let length = (surplus - from).min(ENDED_AT_ONCE);
            others.nth(length - 1).unwrap_or_default()
        });
        for upto in bounds.collect::<Vec<_>>() {
            let sessions = self.clone();
            let some = Devices { upto, but };
            store.write(move |txn| sessions.delete_some(txn, user, some)).await?;
        }
        Ok(())
    }

    /// Deletes all devices of a user but one.
    pub(crate) fn delete_all(
        &self,
        txn: &mut WriteTxn<'_>,
        user: UserNumber,
        keep: Option<&DeviceId>,
    ) -> Result<(), Error> {
        let kept = keep.map(|device| rows::find(txn, user, device)).transpose()?.flatten();
        let but = kept.map_or(NONE, |row| row.number);
        self.delete_some(txn, user, Devices { upto: i64::MAX, but })
    }

    fn delete_some(
        &self,
        txn: &mut WriteTxn<'_>,
        user: UserNumber,
        devices: Devices,
    ) -> Result<(), Error> {
        let ended = token::delete_of_devices(txn, user, devices)?;
        let devices = rows::delete_some(txn, user, devices)?;
        self.end_on_commit(txn, devices, ended);
        Ok(())
    }

    fn delete_one(&self, txn: &mut WriteTxn<'_>, device: i64) -> Result<(), Error> {
        let ended = token::delete_of_device(txn, device)?;
        rows::delete(txn, device)?;
        self.end_on_commit(txn, vec![device], ended);
        Ok(())
    }
}

fn number_of(devices: &[DeviceRow], device: Option<&DeviceId>) -> i64 {
    let found = devices.iter().find(|row| Some(&*row.device_id) == device);
    found.map_or(NONE, |row| row.number)
}
