//! Room upgrades.
//!
//! Spec: client-server API, "Room Upgrades".

use room::upgrade::UpgradeRoom;
use ruma::api::client::room::upgrade_room;

use crate::{
    create_room::member_profile,
    extract::Call,
    reply::{self, Outcome},
};

/// `POST /rooms/{roomId}/upgrade`.
pub(crate) async fn upgrade(call: Call) -> Outcome {
    let request: upgrade_room::v3::Request = call.ruma()?;
    let (sender, room_id) = (call.user_id()?.to_owned(), request.room_id.clone());
    let upgrade = UpgradeRoom {
        profile: member_profile(&call.state, &sender).await?,
        sender: sender.clone(),
        room_id: request.room_id,
        version: request.new_version,
        additional_creators: request.additional_creators,
    };
    let replacement = call.state.rooms.upgrade(upgrade).await?;
    call.state.account_data.carry_over(&sender, &room_id, &replacement).await?;
    reply::ruma(upgrade_room::v3::Response::new(replacement))
}
