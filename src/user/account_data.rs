//! Account data, global and per room, and its removal (MSC3391).
//!
//! Invariant: each change has a position and a record, even where the content stays the same, since
//! clients wait for the echo of what they set.
//!
//! Spec: client-server API, "Client Config".

use std::{collections::HashSet, sync::Arc};

use proto::number::RoomNumber;
use ruma::{OwnedUserId, RoomId};
use serde_json::{Map, Value, value::RawValue};
use store::{
    Snapshot, WriteTxn,
    user::{account_data as rows, change::AccountDataChange},
};

use crate::{Context, Error, IgnoredUsers, Requester, push_rules::default_push_rules};

/// The most bytes of one content.
const MAX_CONTENT_BYTES: usize = 1 << 20;

/// The most bytes of all that a user has: a first `/sync` carries it at once.
const MAX_USER_BYTES: u64 = 16 << 20;

/// The most bytes of a type.
const MAX_TYPE_BYTES: usize = 255;

/// The read marker, which `/read_markers` sets.
pub(crate) const FULLY_READ: &str = "m.fully_read";

/// The push rules, which `/pushrules` sets.
pub(crate) const PUSH_RULES: &str = "m.push_rules";

/// Account data of local users.
#[derive(Clone)]
pub struct AccountData {
    pub(crate) context: Context,
    ignored: IgnoredUsers,
}

impl AccountData {
    /// Account data over a store; changes of the ignore list reach `ignored`.
    pub fn new(context: Context, ignored: IgnoredUsers) -> Self {
        Self { context, ignored }
    }

    /// The content of one type, global without a room. Push rules are there for everybody.
    pub async fn find(
        &self,
        requester: &Requester,
        room: Option<&RoomId>,
        event_type: &str,
    ) -> Result<Option<Arc<RawValue>>, Error> {
        let user = requester.user();
        let (room_id, data_type) = (room.map(ToOwned::to_owned), event_type.to_owned());
        let read = move |snapshot: &mut Snapshot<'_>| {
            let room = match &room_id {
                None => None,
                Some(room_id) => match snapshot.find_room(room_id)? {
                    Some(room) => Some(room),
                    None => return Ok(None),
                },
            };
            Ok::<_, Error>(rows::find(snapshot, user, room, &data_type)?)
        };
        let found = self.context.store.read(read).await?;
        if found.is_none() && room.is_none() && event_type == PUSH_RULES {
            return Ok(Some(default_push_rules(requester.user_id()).into()));
        }
        Ok(found)
    }

    /// Whom the requester ignores.
    pub async fn ignored_users(
        &self,
        requester: &Requester,
    ) -> Result<Arc<HashSet<OwnedUserId>>, Error> {
        self.ignored.of(requester.user()).await
    }

    /// Sets the content; types with an endpoint of their own (`m.fully_read`, `m.push_rules`) are
    /// refused.
    pub async fn set(
        &self,
        requester: &Requester,
        room: Option<&RoomId>,
        event_type: &str,
        content: Box<RawValue>,
    ) -> Result<(), Error> {
        check_type(event_type)?;
        check_content(&content)?;
        self.write(requester, room, event_type, Some(content.into())).await
    }

    /// Removes a type (MSC3391): other devices see it with the empty content.
    pub async fn remove(
        &self,
        requester: &Requester,
        room: Option<&RoomId>,
        event_type: &str,
    ) -> Result<(), Error> {
        check_type(event_type)?;
        self.write(requester, room, event_type, None).await
    }

    async fn write(
        &self,
        requester: &Requester,
        room_id: Option<&RoomId>,
        data_type: &str,
        content: Option<Arc<RawValue>>,
    ) -> Result<(), Error> {
        let room = match room_id {
            None => None,
            Some(room_id) => Some(self.load_room(room_id).await?),
        };
        let data_type = Arc::from(data_type);
        let change = AccountDataChange { user: requester.user(), room, data_type, content };
        let data = self.clone();
        let work = move |txn: &mut WriteTxn<'_>| {
            check_total(txn, &change)?;
            data.write_change(txn, &change)
        };
        self.context.store.write(work).await
    }

    /// Writes a change and tells whoever keeps something of it in memory.
    pub(crate) fn write_change(
        &self,
        txn: &mut WriteTxn<'_>,
        change: &AccountDataChange,
    ) -> Result<(), Error> {
        if change.content.is_none()
            && rows::find(txn, change.user, change.room, &change.data_type)?.is_none()
        {
            return Ok(());
        }
        rows::set(txn, change)?;
        self.ignored.update_on_commit(txn, change);
        Ok(())
    }

    /// The number of a room that this server knows.
    pub(crate) async fn load_room(&self, room_id: &RoomId) -> Result<RoomNumber, Error> {
        if let Some(room) = self.context.store.numbers().cached_room(room_id) {
            return Ok(room);
        }
        let room_id = room_id.to_owned();
        let read = move |snapshot: &mut Snapshot<'_>| Ok::<_, Error>(snapshot.find_room(&room_id)?);
        self.context.store.read(read).await?.ok_or(Error::NotFound("no such room"))
    }
}

/// Checks that all that the user has stays within its bounds.
pub(crate) fn check_total(
    snapshot: &mut Snapshot<'_>,
    change: &AccountDataChange,
) -> Result<(), Error> {
    let Some(content) = &change.content else { return Ok(()) };
    let length = u64::try_from(content.get().len()).unwrap_or(u64::MAX);
    if rows::bytes_besides(snapshot, change)?.saturating_add(length) > MAX_USER_BYTES {
        return Err(Error::TooLarge("your account data is too large altogether"));
    }
    Ok(())
}

fn check_type(event_type: &str) -> Result<(), Error> {
    if matches!(event_type, FULLY_READ | PUSH_RULES) {
        return Err(Error::ManagedAccountData);
    }
    if event_type.is_empty() || event_type.len() > MAX_TYPE_BYTES {
        return Err(Error::InvalidParam("the type has no fitting length".to_owned()));
    }
    Ok(())
}

fn check_content(content: &RawValue) -> Result<(), Error> {
    if content.get().len() > MAX_CONTENT_BYTES {
        return Err(Error::TooLarge("the account data is too large"));
    }
    // Read as a whole, since half a character or a number beyond all bounds hides within a text
    // that looks like JSON, and would stand in every answer that carries it.
    match serde_json::from_str::<Map<String, Value>>(content.get()) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::BadJson(format!("the content is no object: {error}"))),
    }
}

#[cfg(test)]
#[path = "account_data_test.rs"]
mod account_data_test;
