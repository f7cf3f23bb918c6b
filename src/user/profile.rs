//! Profiles: display name, avatar and extended fields.

use ruma::UserId;
use serde_json::{Map, Value};

use crate::{Error, Requester};

/// Profiles of local users.
#[derive(Clone)]
pub struct Profiles {}

impl Profiles {
    /// The whole profile; `None` when there is no such user here.
    pub async fn find(&self, user_id: &UserId) -> Result<Option<Map<String, Value>>, Error> {
        let _ = user_id;
        todo!()
    }

    /// One field.
    pub async fn find_field(&self, user_id: &UserId, field: &str) -> Result<Option<Value>, Error> {
        let _ = (user_id, field);
        todo!()
    }

    /// Sets a field of a profile, the requester's own unless she administers the server; display name and avatar go
    /// into the member events of her rooms.
    pub async fn set_field(
        &self,
        requester: &Requester,
        user_id: &UserId,
        field: &str,
        value: Value,
    ) -> Result<(), Error> {
        let _ = (requester, user_id, field, value);
        todo!()
    }

    /// Removes a field; one that is not there is no error.
    pub async fn remove_field(
        &self,
        requester: &Requester,
        user_id: &UserId,
        field: &str,
    ) -> Result<(), Error> {
        let _ = (requester, user_id, field);
        todo!()
    }
}
