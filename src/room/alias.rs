//! Room aliases of this server.
//!
//! Spec: client-server API, "Room Aliases".

use proto::{draft::Draft, number::RoomNumber, size::MAX_ID_BYTES, visibility::HistoryVisibility};
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedServerName, RoomAliasId, RoomId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};
use store::{
    numbers::CANONICAL_ALIAS,
    room::aliases::{self, AliasRow},
};

use crate::{
    RoomError, RoomView, Rooms, Submission, content::raw, ports::Act, rooms::Inner, stage::Stage,
};

/// How many aliases of a room are listed.
const LIST_MAX: usize = 500;
/// How many aliases one room can have.
const ALIASES_MAX: usize = 1000;
/// How many servers are named for an alias.
const SERVERS_MAX: usize = 20;

impl Rooms {
    /// The room that an alias points at, and servers that know it.
    pub async fn resolve_alias(
        &self,
        alias: &RoomAliasId,
    ) -> Result<Option<(OwnedRoomId, Vec<OwnedServerName>)>, RoomError> {
        let Some(row) = self.inner.find_alias(alias).await? else { return Ok(None) };
        let Some(room) = self.find_by_number(row.room).await? else { return Ok(None) };
        let mut servers = vec![self.server_name().to_owned()];
        for (_, member) in room.view().joined() {
            if servers.len() == SERVERS_MAX {
                break;
            }
            let server = member.user_id.server_name();
            if !servers.iter().any(|known| known == server) {
                servers.push(server.to_owned());
            }
        }
        Ok(Some((room.id().to_owned(), servers)))
    }

    /// Points a new alias at a room. Its members may do so, and administrators of the server.
    pub async fn create_alias(
        &self,
        user: &UserId,
        alias: &RoomAliasId,
        room_id: &RoomId,
        is_admin: bool,
    ) -> Result<(), RoomError> {
        if alias.server_name() != self.server_name() {
            return Err(RoomError::InvalidParam("the alias is of another server".to_owned()));
        }
        check_form(alias)?;
        self.check(user, Act::CreateAlias(alias, room_id))?;
        let room = self.find(room_id).await?.ok_or(RoomError::RoomNotFound)?;
        let number = self.inner.find_user(user).await?.ok_or(RoomError::NotInRoom)?;
        if !is_admin && !room.view().is_joined(number) {
            return Err(RoomError::NotInRoom);
        }
        let (alias, row) = (alias.to_owned(), AliasRow { room: room.number(), creator: number });
        let work = self.inner.setup.store.write(move |txn| {
            if aliases::list(txn, row.room, ALIASES_MAX)?.len() == ALIASES_MAX {
                return Err(RoomError::Limit("the room has too many aliases"));
            }
            if aliases::insert(txn, &alias, row)? { Ok(()) } else { Err(RoomError::AliasTaken) }
        });
        work.await
    }

    /// Removes an alias: its creator may, and whoever may set the room's canonical alias, and
    /// administrators of the server.
    pub async fn delete_alias(
        &self,
        user: &UserId,
        alias: &RoomAliasId,
        is_admin: bool,
    ) -> Result<(), RoomError> {
        let row = self.inner.find_alias(alias).await?.ok_or(RoomError::AliasNotFound)?;
        let number = self.inner.find_user(user).await?;
        if !is_admin && number != Some(row.creator) {
            let room = self.find_by_number(row.room).await?.ok_or(RoomError::AliasNotFound)?;
            let view = room.view();
            let joined = number.is_some_and(|number| view.is_joined(number));
            if !joined || !view.powers().may_send(user, "m.room.canonical_alias", true) {
                return Err(RoomError::Forbidden("you may not delete this alias"));
            }
        }
        let removed = alias.to_owned();
        let work = self.inner.setup.store.write(move |txn| aliases::remove(txn, &removed));
        if !work.await? {
            return Err(RoomError::AliasNotFound);
        }
        if let Err(error) = self.drop_canonical(user, alias, row.room).await {
            // The alias is gone, which was asked for. Not everybody who may remove it may also say
            // so in the room.
            tracing::debug!(MATRIX_USER = %user, %alias, %error, "the canonical alias stays");
        }
        Ok(())
    }

    /// Takes an alias out of the room's canonical ones.
    async fn drop_canonical(
        &self,
        user: &UserId,
        alias: &RoomAliasId,
        room: RoomNumber,
    ) -> Result<(), RoomError> {
        let Some(room) = self.find_by_number(room).await? else { return Ok(()) };
        let view = room.view();
        let Some(present) = view.state_pdu(CANONICAL_ALIAS) else { return Ok(()) };
        let Ok(content) = serde_json::from_str(present.content()) else { return Ok(()) };
        let Some(content) = without_alias(&content, alias) else { return Ok(()) };
        let draft = Draft {
            sender: user.to_owned(),
            event_type: "m.room.canonical_alias".to_owned(),
            state_key: Some(String::new()),
            content: raw(&content)?,
            redacts: None,
        };
        let room_id = room.id().to_owned();
        self.submit(Submission { room_id, draft, timestamp_ms: None, txn: None }).await.map(drop)
    }

    /// The local aliases of a room, for its members and administrators of the server and, where it
    /// is world readable, for everybody.
    pub async fn aliases(
        &self,
        user: &UserId,
        room_id: &RoomId,
        is_admin: bool,
    ) -> Result<Vec<OwnedRoomAliasId>, RoomError> {
        let room = self.known(room_id).await?;
        let number = self.inner.find_user(user).await?;
        if !is_admin && !may_list(&room.view(), number) {
            return Err(RoomError::NotInRoom);
        }
        self.inner.list_aliases(room.number()).await
    }
}

/// Checks what a new alias looks like, beyond what makes it an alias at all: that its length is one
/// that other servers accept, and that people can write it down.
pub(crate) fn check_form(alias: &RoomAliasId) -> Result<(), RoomError> {
    let is_long = alias.as_str().len() > MAX_ID_BYTES;
    let localpart = alias.alias();
    if is_long || localpart.is_empty() || localpart.contains(char::is_whitespace) {
        return Err(RoomError::InvalidParam("the alias is not valid".to_owned()));
    }
    Ok(())
}

fn may_list(view: &RoomView, user: Option<proto::number::UserNumber>) -> bool {
    let joined = user.is_some_and(|user| view.is_joined(user));
    joined || view.history_visibility() == HistoryVisibility::WorldReadable
}

impl Inner {
    async fn find_alias(&self, alias: &RoomAliasId) -> Result<Option<AliasRow>, RoomError> {
        let alias = alias.to_owned();
        Ok(self.setup.store.read(move |snapshot| aliases::find(snapshot, &alias)).await?)
    }

    /// The content of a canonical alias event in two: with only the aliases that point at the room,
    /// and with only the others. `None` if none points at it.
    pub(crate) async fn split_aliases(
        &self,
        content: &str,
        room: RoomNumber,
    ) -> Result<Option<SplitAliases>, RoomError> {
        let Ok(named) = serde_json::from_str::<Canonical>(content) else { return Ok(None) };
        let Ok(whole) = serde_json::from_str::<Map<String, Value>>(content) else {
            return Ok(None);
        };
        let (mut own, mut others) = (whole.clone(), whole.clone());
        for alias in named.all() {
            let Ok(parsed) = RoomAliasId::parse(alias) else { return Ok(None) };
            let is_own = self.find_alias(&parsed).await?.is_some_and(|row| row.room == room);
            let side = if is_own { &mut others } else { &mut own };
            if let Some(without) = without_alias(side, &parsed) {
                *side = without;
            }
        }
        Ok((others != whole).then_some(SplitAliases { own, others }))
    }

    async fn list_aliases(&self, room: RoomNumber) -> Result<Vec<OwnedRoomAliasId>, RoomError> {
        let read = self.setup.store.read(move |snapshot| aliases::list(snapshot, room, LIST_MAX));
        Ok(read.await?)
    }
}

/// The content of a canonical alias event, taken apart.
pub(crate) struct SplitAliases {
    /// With only the aliases that point at the room.
    pub(crate) own: Map<String, Value>,
    /// With only those that do not.
    pub(crate) others: Map<String, Value>,
}

/// The content of a canonical alias event without an alias; `None` if it does not name it.
fn without_alias(before: &Map<String, Value>, alias: &RoomAliasId) -> Option<Map<String, Value>> {
    let mut content = before.clone();
    if content.get("alias").and_then(Value::as_str) == Some(alias.as_str()) {
        content.remove("alias");
    }
    if let Some(Value::Array(others)) = content.get_mut("alt_aliases") {
        others.retain(|other| other.as_str() != Some(alias.as_str()));
        if others.is_empty() {
            content.remove("alt_aliases");
        }
    }
    (content != *before).then_some(content)
}

/// What a canonical alias event names.
#[derive(Default, Deserialize)]
struct Canonical {
    alias: Option<String>,
    #[serde(default)]
    alt_aliases: Vec<String>,
}

impl Canonical {
    fn all(&self) -> impl Iterator<Item = &String> {
        self.alias.iter().filter(|alias| !alias.is_empty()).chain(&self.alt_aliases)
    }
}

/// Checks that a canonical alias event that a room begins with names no alias but the room's own:
/// no other one can point at it.
pub(crate) fn check_first_canonical(
    content: &RawValue,
    own: Option<&OwnedRoomAliasId>,
) -> Result<(), RoomError> {
    let named = serde_json::from_str::<Canonical>(content.get())
        .map_err(|error| RoomError::BadContent(error.to_string()))?;
    match named.all().find(|alias| own.is_none_or(|own| own != alias.as_str())) {
        Some(alias) => Err(RoomError::BadAlias(format!("{alias} does not point at this room"))),
        None => Ok(()),
    }
}

/// Checks that every alias that a canonical alias event adds points at the room.
pub(crate) async fn check_canonical(stage: &Stage<'_>, draft: &Draft) -> Result<(), RoomError> {
    let is_canonical =
        draft.state_key.as_deref() == Some("") && draft.event_type == "m.room.canonical_alias";
    if !is_canonical {
        return Ok(());
    }
    let asked = serde_json::from_str::<Canonical>(draft.content.get())
        .map_err(|error| RoomError::BadContent(error.to_string()))?;
    let present = stage.view.state_pdu(CANONICAL_ALIAS);
    let present = present.and_then(|pdu| serde_json::from_str::<Canonical>(pdu.content()).ok());
    let present = present.unwrap_or_default();
    for alias in asked.all().filter(|alias| !present.all().any(|known| known == *alias)) {
        let invalid = |_| RoomError::InvalidParam(format!("{alias} is no room alias"));
        let parsed = RoomAliasId::parse(alias).map_err(invalid)?;
        let row = stage.inner.find_alias(&parsed).await?;
        if row.is_none_or(|row| row.room != stage.view.number) {
            return Err(RoomError::BadAlias(format!("{alias} does not point at this room")));
        }
    }
    Ok(())
}
