//! Tags of rooms: the account data `m.tag` by its own endpoints.
//!
//! Invariant: a tag is changed within one store change, so that two devices that set different tags
//! keep both.
//!
//! Spec: client-server API, "Room Tagging".

use std::sync::Arc;

use proto::number::{RoomNumber, UserNumber};
use ruma::{RoomId, UserId};
use serde_json::{Map, Value, value::to_raw_value};
use store::{
    Snapshot, WriteTxn,
    user::{account_data as rows, change::AccountDataChange},
};

use crate::{AccountData, Error, Requester, account_data::check_total};

const TAG: &str = "m.tag";
const DIRECT: &str = "m.direct";

/// The most bytes of a tag's name.
const MAX_TAG_BYTES: usize = 255;

/// The most tags of one room.
const MAX_TAGS: usize = 100;

impl AccountData {
    /// The tags of a room: name to its content.
    pub async fn list_tags(
        &self,
        requester: &Requester,
        room: &RoomId,
    ) -> Result<Map<String, Value>, Error> {
        let content = self.find(requester, Some(room), TAG).await?;
        let content = content.and_then(|content| serde_json::from_str(content.get()).ok());
        Ok(tags_of(content.unwrap_or_default()))
    }

    /// Adds or replaces a tag.
    pub async fn set_tag(
        &self,
        requester: &Requester,
        room: &RoomId,
        tag: &str,
        content: Map<String, Value>,
    ) -> Result<(), Error> {
        if tag.is_empty() || tag.len() > MAX_TAG_BYTES {
            return Err(Error::InvalidParam("the tag has no fitting length".to_owned()));
        }
        let tag = tag.to_owned();
        self.change_tags(requester, room, move |tags| {
            tags.insert(tag.clone(), Value::Object(content.clone()));
            if tags.len() > MAX_TAGS {
                return Err(Error::Limit("the room has too many tags"));
            }
            Ok(true)
        })
        .await
    }

    /// Removes a tag; one that is not there is no error.
    pub async fn remove_tag(
        &self,
        requester: &Requester,
        room: &RoomId,
        tag: &str,
    ) -> Result<(), Error> {
        let tag = tag.to_owned();
        self.change_tags(requester, room, move |tags| Ok(tags.remove(&tag).is_some())).await
    }

    /// Changes the tags; `change` says whether there is anything to write.
    async fn change_tags(
        &self,
        requester: &Requester,
        room: &RoomId,
        change: impl Fn(&mut Map<String, Value>) -> Result<bool, Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (data, user) = (self.clone(), requester.user());
        let room = self.load_room(room).await?;
        let work = move |txn: &mut WriteTxn<'_>| {
            let mut content = read(txn, user, Some(room), TAG)?;
            let mut tags = tags_of(content.clone());
            if change(&mut tags)? {
                content.insert("tags".to_owned(), Value::Object(tags));
                let change = as_change(user, Some(room), (TAG, content))?;
                check_total(txn, &change)?;
                data.write_change(txn, &change)?;
            }
            Ok(())
        };
        self.context.store.write(work).await
    }

    /// Copies what a user noted about a room to the one that replaces it: its tags, and that it is
    /// a direct chat. About an old room that this server does not know nothing can be noted.
    pub async fn carry_over(
        &self,
        user_id: &UserId,
        old: &RoomId,
        new: &RoomId,
    ) -> Result<(), Error> {
        let user = self.context.load_user(user_id).await?;
        let old_room = match self.load_room(old).await {
            Err(Error::NotFound(_)) => return Ok(()),
            found => found?,
        };
        let new_room = self.load_room(new).await?;
        let (data, old, new) = (self.clone(), old.to_string(), new.to_string());
        let work = move |txn: &mut WriteTxn<'_>| {
            let tags = read(txn, user, Some(old_room), TAG)?;
            if !tags.is_empty() && read(txn, user, Some(new_room), TAG)?.is_empty() {
                data.write_object(txn, user, Some(new_room), (TAG, tags))?;
            }
            let mut direct = read(txn, user, None, DIRECT)?;
            if add_direct(&mut direct, &old, &new) {
                data.write_object(txn, user, None, (DIRECT, direct))?;
            }
            Ok(())
        };
        self.context.store.write(work).await
    }

    fn write_object(
        &self,
        txn: &mut WriteTxn<'_>,
        user: UserNumber,
        room: Option<RoomNumber>,
        named: (&str, Map<String, Value>),
    ) -> Result<(), Error> {
        self.write_change(txn, &as_change(user, room, named)?)
    }
}

/// A type with its content as a change.
fn as_change(
    user: UserNumber,
    room: Option<RoomNumber>,
    (data_type, content): (&str, Map<String, Value>),
) -> Result<AccountDataChange, Error> {
    let content = to_raw_value(&content).map_err(|error| Error::BadJson(error.to_string()))?;
    let (data_type, content) = (Arc::from(data_type), Some(Arc::from(content)));
    Ok(AccountDataChange { user, room, data_type, content })
}

/// The content as an object; what is no object counts as empty.
fn read(
    snapshot: &mut Snapshot<'_>,
    user: UserNumber,
    room: Option<RoomNumber>,
    data_type: &str,
) -> Result<Map<String, Value>, Error> {
    let content = rows::find(snapshot, user, room, data_type)?;
    Ok(content.and_then(|content| serde_json::from_str(content.get()).ok()).unwrap_or_default())
}

fn tags_of(mut content: Map<String, Value>) -> Map<String, Value> {
    match content.remove("tags") {
        Some(Value::Object(tags)) => tags,
        _ => Map::new(),
    }
}

/// Adds the new room wherever the old one is a direct chat; says whether it did.
fn add_direct(direct: &mut Map<String, Value>, old: &str, new: &str) -> bool {
    let mut added = false;
    for rooms in direct.values_mut().filter_map(Value::as_array_mut) {
        let has = |id: &str| rooms.iter().any(|room| room.as_str() == Some(id));
        if has(old) && !has(new) {
            rooms.push(new.into());
            added = true;
        }
    }
    added
}
