//! What drafts are made of: contents as raw JSON, and the draft of a member event.

use proto::{draft::Draft, visibility::Membership};
use ruma::UserId;
use serde_json::{Map, Value, value::RawValue};

use crate::RoomError;

/// The draft of a member event.
pub(crate) fn member_draft(
    sender: &UserId,
    target: &UserId,
    membership: Membership,
    mut content: Map<String, Value>,
) -> Result<Draft, RoomError> {
    content.insert("membership".to_owned(), membership.as_str().into());
    Ok(Draft {
        sender: sender.to_owned(),
        event_type: "m.room.member".to_owned(),
        state_key: Some(target.to_string()),
        content: raw(&content)?,
        redacts: None,
    })
}

/// A content as raw JSON.
pub(crate) fn raw(content: &impl serde::Serialize) -> Result<Box<RawValue>, RoomError> {
    serde_json::value::to_raw_value(content)
        .map_err(|error| RoomError::BadContent(error.to_string()))
}
