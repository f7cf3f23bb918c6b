//! One's own devices.
//!
//! Spec: client-server API, "Device Management".

use ruma::{
    DeviceId, MilliSecondsSinceUnixEpoch, OwnedDeviceId, UInt,
    api::client::device::{Device as Told, get_device, get_devices, update_device},
};
use serde::Deserialize;
use user::device::Device;

use crate::{
    error::NOT_FOUND,
    extract::{Call, from_object},
    reply::{self, Outcome},
    uia,
};

/// A device as clients see it.
fn tell(device: Device) -> Told {
    let mut told = Told::new(device.device_id);
    told.display_name = device.display_name;
    told.last_seen_ip = device.last_seen_ip;
    let last_seen = device.last_seen_ts.and_then(|ts| UInt::try_from(ts).ok());
    told.last_seen_ts = last_seen.map(MilliSecondsSinceUnixEpoch);
    told
}

/// `GET /devices`.
pub(crate) async fn list(call: Call) -> Outcome {
    let devices = call.state.sessions.list_devices(call.user_id()?).await?;
    reply::ruma(get_devices::v3::Response::new(devices.into_iter().map(tell).collect()))
}

/// `GET /devices/{deviceId}`.
pub(crate) async fn find(call: Call) -> Outcome {
    let device = <&DeviceId>::from(call.text("deviceId")?);
    let found = call.state.sessions.find_device(call.user_id()?, device).await?;
    let found = found.ok_or_else(|| NOT_FOUND.with("There is no such device"))?;
    reply::ruma(get_device::v3::Response::new(tell(found)))
}

/// `PUT /devices/{deviceId}`. Without a name nothing changes.
pub(crate) async fn rename(call: Call) -> Outcome {
    let request: update_device::v3::Request = call.ruma()?;
    let (sessions, user_id) = (&call.state.sessions, call.user_id()?);
    if request.display_name.is_some() {
        sessions.rename_device(user_id, &request.device_id, request.display_name).await?;
    } else if sessions.find_device(user_id, &request.device_id).await?.is_none() {
        return Err(NOT_FOUND.with("There is no such device"));
    }
    reply::empty()
}

/// `DELETE /devices/{deviceId}`.
pub(crate) async fn delete(call: Call) -> Outcome {
    uia::authorize(&call).await?;
    let device = OwnedDeviceId::from(call.text("deviceId")?);
    call.state.sessions.delete_devices(call.user_id()?, vec![device]).await?;
    reply::empty()
}

/// `POST /delete_devices`, without `auth`.
#[derive(Deserialize)]
struct DeleteMany {
    devices: Vec<OwnedDeviceId>,
}

/// `POST /delete_devices`.
pub(crate) async fn delete_many(call: Call) -> Outcome {
    let request: DeleteMany = from_object(uia::authorize(&call).await?)?;
    call.state.sessions.delete_devices(call.user_id()?, request.devices).await?;
    reply::empty()
}
