//! Devices of a user: list, rename, delete.

use ruma::{DeviceId, OwnedDeviceId, UserId};

use crate::{Error, Sessions};

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
        let _ = user_id;
        todo!()
    }

    /// One device.
    pub async fn find_device(
        &self,
        user_id: &UserId,
        device: &DeviceId,
    ) -> Result<Option<Device>, Error> {
        let _ = (user_id, device);
        todo!()
    }

    /// Renames a device; `NotFound` when there is none.
    pub async fn rename_device(
        &self,
        user_id: &UserId,
        device: &DeviceId,
        display_name: Option<String>,
    ) -> Result<(), Error> {
        let _ = (user_id, device, display_name);
        todo!()
    }

    /// Deletes devices and ends their sessions; unknown ones are skipped.
    pub async fn delete_devices(
        &self,
        user_id: &UserId,
        devices: Vec<OwnedDeviceId>,
    ) -> Result<(), Error> {
        let _ = (user_id, devices);
        todo!()
    }
}
