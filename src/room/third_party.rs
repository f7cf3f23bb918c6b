//! Joins by a third-party invitation: the identity server's signature turns it into an invitation
//! by the user who made it, which only that user's server can send.
//!
//! Spec: client-server API, "Third-party invites"; server-server API, "Third-party invites".

use proto::visibility::Membership;
use ruma::{OwnedEventId, OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::{Room, RoomError, Rooms, content::member_draft, queue::Work, stage::Stage};

/// What an identity server has signed.
#[derive(Deserialize)]
struct Signed {
    mxid: OwnedUserId,
    token: String,
}

/// Turns a third-party invitation into one of this user, unless the user has one already.
pub(crate) async fn redeem(
    rooms: &Rooms,
    room: &Room,
    user: &UserId,
    signed: &RawValue,
) -> Result<(), RoomError> {
    let bad = |error: serde_json::Error| RoomError::BadContent(error.to_string());
    let parsed = serde_json::from_str::<Signed>(signed.get()).map_err(bad)?;
    if parsed.mxid != user {
        return Err(RoomError::Forbidden("the third-party invitation is for somebody else"));
    }
    let mut signed = serde_json::from_str::<Value>(signed.get()).map_err(bad)?;
    if let Some(object) = signed.as_object_mut() {
        // What the identity server signed has these three keys; the client may send more.
        object.retain(|key, _| matches!(key.as_str(), "mxid" | "token" | "signatures"));
    }
    let redeem = Redeem { rooms, user, token: parsed.token, signed, timestamp_ms: rooms.now_ms() };
    rooms.change(room, &redeem).await?;
    Ok(())
}

struct Redeem<'r> {
    rooms: &'r Rooms,
    user: &'r UserId,
    token: String,
    signed: Value,
    timestamp_ms: u64,
}

impl Work for Redeem<'_> {
    async fn run(&self, stage: &mut Stage<'_>) -> Result<OwnedEventId, RoomError> {
        let pair = ("m.room.third_party_invite".to_owned(), self.token.clone());
        let key = stage.inner.find_keys(&[pair]).await?.pop().flatten();
        let invite = match key {
            Some(key) => stage.state_body(key).await?,
            None => None,
        };
        let invite =
            invite.ok_or(RoomError::Forbidden("there is no such third-party invitation"))?;
        let number = stage.inner.find_user(self.user).await?;
        let membership = number.map_or(Membership::Leave, |number| stage.view.membership(number));
        if matches!(membership, Membership::Invite | Membership::Join) {
            return Ok(invite.event_id().to_owned());
        }
        let sender = invite.pdu().sender().to_owned();
        if !self.rooms.is_local(&sender) {
            return Err(RoomError::Forbidden("only the inviter's server can turn this invitation"));
        }
        let name = invite.pdu().content_field::<String>("display_name").unwrap_or_default();
        let mut content = Map::new();
        content.insert(
            "third_party_invite".to_owned(),
            json!({ "display_name": name, "signed": self.signed }),
        );
        let draft = member_draft(&sender, self.user, Membership::Invite, content)?;
        let body = stage.add(&draft, self.timestamp_ms).await?;
        Ok(body.event_id().to_owned())
    }
}
