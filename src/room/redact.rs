//! Redactions: asked for by clients, applied to stored events, waiting for targets that are not
//! here yet.
//!
//! Spec: client-server API, "Redactions"; the "Handling redactions" of each room version.

use std::sync::Arc;

use proto::{draft::Draft, pdu::Pdu, power::Level, redact::may_apply};
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, UserId};
use serde_json::{Map, Value};
use store::room::{event::Event, events};

use crate::{
    RoomError, RoomView, Rooms, Submission, Submitted, TxnKey,
    content::raw,
    rooms::Inner,
    stage::{Redaction, Stage},
};

/// A client's request to redact an event.
#[derive(Clone, Debug)]
pub struct RedactRequest {
    /// Who asks.
    pub sender: OwnedUserId,
    /// Whether that is an administrator of this server, who may redact what its users sent.
    pub is_admin: bool,
    /// The room.
    pub room_id: OwnedRoomId,
    /// The event to redact.
    pub event_id: OwnedEventId,
    /// The redaction's content: `reason` and whatever else the client says.
    pub content: Map<String, Value>,
    /// The client's idempotency key.
    pub txn: Option<TxnKey>,
}

impl Rooms {
    /// Redacts an event: one's own, or any with the power to do so.
    pub async fn redact(&self, request: RedactRequest) -> Result<Submitted, RoomError> {
        let room = self.known(&request.room_id).await?;
        let target = self.inner.find_event(&request.event_id).await?;
        let target = target.filter(|target| target.room == room.number());
        let view = room.view();
        if let Err(error) = self.may_ask(&view, &request, target.as_deref()).await {
            return match request.txn.map(|txn| txn.stage(&request.room_id).hash) {
                Some(hash) => self.sent_before(hash, error).await,
                None => Err(error),
            };
        }
        let mut content = request.content;
        if content.remove("redacts").is_some_and(|other| other != request.event_id.as_str()) {
            let reason = "`redacts` names another event than the one to redact";
            return Err(RoomError::InvalidParam(reason.to_owned()));
        }
        let draft = Draft {
            sender: request.sender,
            event_type: "m.room.redaction".to_owned(),
            state_key: None,
            content: raw(&content)?,
            redacts: Some(request.event_id),
        };
        let (room_id, txn) = (request.room_id, request.txn);
        self.submit(Submission { room_id, draft, timestamp_ms: None, txn }).await
    }

    /// Whether a client may ask for a redaction. The authorization rules let everybody send them
    /// from room version 3 on, and leave it to each server whether they apply; sending one that
    /// does not is refused. Everywhere they apply to events of the sender's own server.
    async fn may_ask(
        &self,
        view: &RoomView,
        request: &RedactRequest,
        target: Option<&Event>,
    ) -> Result<(), RoomError> {
        if target.is_some_and(|target| LASTING.contains(&target.pdu().type_str())) {
            return Err(RoomError::Forbidden("events of this type are not redacted"));
        }
        let may_redact = |author: &UserId| {
            *author == *request.sender || request.is_admin && self.is_local(author)
        };
        if view.powers().reaches(&request.sender, Level::Redact) {
            return Ok(());
        }
        match target {
            // Whoever may redact everything may redact what is not here yet, too.
            None => {
                let sender = self.inner.find_user(&request.sender).await?;
                let joined = sender.is_some_and(|sender| view.is_joined(sender));
                Err(if joined { RoomError::EventNotFound } else { RoomError::NotInRoom })
            }
            Some(target) if may_redact(target.pdu().sender()) => Ok(()),
            Some(_) => Err(RoomError::Forbidden("you may not redact this event")),
        }
    }
}

/// Events that keep so little when redacted that the room would not be the same: its type and
/// whether other servers may join; which servers are kept out.
const LASTING: [&str; 2] = ["m.room.create", "m.room.server_acl"];

/// What a redaction that is being staged does to its target.
pub(crate) async fn stage(stage: &Stage<'_>, pdu: &Pdu) -> Result<Redaction, RoomError> {
    let Some(target_id) = pdu.redacts() else { return Ok(Redaction::None) };
    match stage.inner.find_event(target_id).await? {
        None => Ok(Redaction::Waits(target_id.to_owned())),
        Some(target) if target.room != stage.view.number || target.body.is_redacted() => {
            Ok(Redaction::None)
        }
        Some(target) if may_apply(pdu, target.pdu(), stage.view.powers()) => {
            Ok(Redaction::Of(target.number(), Arc::new(target.pdu().redacted())))
        }
        Some(_) => Ok(Redaction::None),
    }
}

impl Inner {
    /// The event with this id, if the store has it.
    pub(crate) async fn find_event(
        &self,
        event_id: &EventId,
    ) -> Result<Option<Arc<Event>>, RoomError> {
        let (cache, event_id) = (self.loader.events.clone(), event_id.to_owned());
        let read =
            self.setup.store.read(move |snapshot| events::find_by_id(snapshot, &cache, &event_id));
        Ok(read.await?)
    }
}
