//! Profiles: display name, avatar, further fields.
//!
//! Spec: client-server API, "Profiles".

use ruma::OwnedUserId;
use serde_json::{Map, Value};

use crate::{
    error::{ApiError, GUEST, MISSING_PARAM, NOT_FOUND},
    extract::Call,
    reply::{self, Outcome},
};

/// The one field that guests may change.
const DISPLAYNAME: &str = "displayname";

/// The profile of the user in the path.
async fn load(call: &Call) -> Result<Map<String, Value>, ApiError> {
    let user_id: OwnedUserId = call.id("userId")?;
    let profile = call.state.profiles.find(&user_id).await?;
    profile.ok_or_else(|| NOT_FOUND.with("There is no such user"))
}

/// `GET /profile/{userId}`.
pub(crate) async fn find(call: Call) -> Outcome {
    reply::json(&load(&call).await?)
}

/// `GET /profile/{userId}/{keyName}`.
pub(crate) async fn find_field(call: Call) -> Outcome {
    let field = call.text("keyName")?;
    let value = load(&call).await?.remove(field);
    let value = value.ok_or_else(|| NOT_FOUND.with("The profile has no such field"))?;
    reply::json(&Map::from_iter([(field.to_owned(), value)]))
}

/// `PUT /profile/{userId}/{keyName}`.
pub(crate) async fn set_field(call: Call) -> Outcome {
    let user_id: OwnedUserId = call.id("userId")?;
    let field = call.text("keyName")?;
    check_guest(&call, field)?;
    let value = call.object()?.remove(field);
    let value = value.ok_or_else(|| MISSING_PARAM.with(format!("missing parameter {field}")))?;
    call.state.profiles.set_field(call.requester()?, &user_id, field, value).await?;
    reply::empty()
}

/// `DELETE /profile/{userId}/{keyName}`.
pub(crate) async fn remove_field(call: Call) -> Outcome {
    let user_id: OwnedUserId = call.id("userId")?;
    let field = call.text("keyName")?;
    check_guest(&call, field)?;
    call.state.profiles.remove_field(call.requester()?, &user_id, field).await?;
    reply::empty()
}

fn check_guest(call: &Call, field: &str) -> Result<(), ApiError> {
    if call.requester()?.is_guest() && field != DISPLAYNAME {
        return Err(GUEST.with("Guests may change their display name only"));
    }
    Ok(())
}
