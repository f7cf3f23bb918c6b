//! Profiles: display name, avatar and extended fields.
//!
//! Invariant: a profile in memory is that of the newest commit. Display name and avatar are carried
//! into the member events of the user's rooms after the commit; a room that refuses keeps the old
//! ones.
//!
//! Spec: client-server API, "Profiles".

use std::sync::Arc;

use proto::number::UserNumber;
use room::RoomError;
use ruma::{OwnedUserId, RoomId, UserId};
use serde_json::{Map, Value};
use store::{
    WriteTxn,
    log::Change,
    user::{account, directory, profile as rows},
};

use crate::{
    Context, Error, Requester, RoomAccess, cache::Cache, directory::words, rooms::MemberProfile,
};

/// The most bytes of a whole profile as JSON, by the spec.
const MAX_PROFILE_BYTES: usize = 65_536;

/// The most bytes of a field's name, by the spec.
const MAX_KEY_BYTES: usize = 255;

/// The most characters of a display name, as in Synapse.
const MAX_DISPLAYNAME: usize = 256;

/// The most characters of an avatar's URL, as in Synapse.
const MAX_AVATAR_URL: usize = 1000;

/// How often a profile is carried into a room that changes all the time; whoever changes it carries
/// it, too.
const CARRIED_MAX: usize = 5;

const DISPLAYNAME: &str = "displayname";
const AVATAR_URL: &str = "avatar_url";
const TIME_ZONE: &str = "m.tz";

/// Field names with their values.
type Profile = Map<String, Value>;

/// Profiles of local users.
#[derive(Clone)]
pub struct Profiles {
    inner: Arc<Inner>,
}

struct Inner {
    context: Context,
    rooms: Arc<dyn RoomAccess>,
    cache: Cache<UserNumber, Arc<Profile>>,
}

/// A change of one field.
#[derive(Clone)]
struct FieldChange {
    user: UserNumber,
    user_id: OwnedUserId,
    field: String,
    /// None removes it.
    value: Option<Value>,
    /// Whether the field may only be set while it is empty.
    only_once: bool,
}

impl Profiles {
    /// Profiles over a store, carried into the member events of these rooms.
    pub fn new(context: Context, rooms: Arc<dyn RoomAccess>) -> Self {
        let cache = Cache::new(context.cache_bytes(4), |_, profile: &Arc<Profile>| weight(profile));
        Self { inner: Arc::new(Inner { context, rooms, cache }) }
    }

    /// The whole profile; `None` when there is no such user here.
    pub async fn find(&self, user_id: &UserId) -> Result<Option<Map<String, Value>>, Error> {
        Ok(self.load(user_id).await?.map(Arc::unwrap_or_clone))
    }

    /// One field.
    pub async fn find_field(&self, user_id: &UserId, field: &str) -> Result<Option<Value>, Error> {
        Ok(self.load(user_id).await?.and_then(|profile| profile.get(field).cloned()))
    }

    /// The fields that stand in member events, for joins and invitations; empty for users of other
    /// servers.
    pub async fn member_profile(&self, user_id: &UserId) -> Result<MemberProfile, Error> {
        let profile = self.load(user_id).await?.unwrap_or_default();
        let text = |field| profile.get(field).and_then(Value::as_str).map(str::to_owned);
        Ok(MemberProfile { displayname: text(DISPLAYNAME), avatar_url: text(AVATAR_URL) })
    }

    async fn load(&self, user_id: &UserId) -> Result<Option<Arc<Profile>>, Error> {
        let Inner { context, cache, .. } = &*self.inner;
        if !context.is_local(user_id) {
            return Ok(None);
        }
        let Some(user) = context.find_user(user_id).await? else { return Ok(None) };
        if let Some(profile) = cache.get(&user) {
            return Ok(Some(profile));
        }
        let ticket = cache.ticket();
        let fields = context
            .store
            .read(move |snapshot| {
                // Whoever was erased has no profile any more, not even an empty one.
                let account = account::find_by_number(snapshot, user)?;
                let exists = account.is_some_and(|account| !account.is_erased);
                let fields = rows::list(snapshot, user)?;
                Ok::<_, Error>(exists.then_some(fields))
            })
            .await?;
        let Some(fields) = fields else { return Ok(None) };
        let profile = Arc::new(parse(fields));
        cache.fill(ticket, user, Arc::clone(&profile));
        Ok(Some(profile))
    }

    /// Sets a field of a profile, the requester's own unless she administers the server; display
    /// name and avatar go into the member events of her rooms.
    pub async fn set_field(
        &self,
        requester: &Requester,
        user_id: &UserId,
        field: &str,
        value: Value,
    ) -> Result<(), Error> {
        check_key(field)?;
        let value = check_value(field, value)?;
        self.change(requester, user_id, field, value).await
    }

    /// Removes a field; one that is not there is no error.
    pub async fn remove_field(
        &self,
        requester: &Requester,
        user_id: &UserId,
        field: &str,
    ) -> Result<(), Error> {
        check_key(field)?;
        self.change(requester, user_id, field, None).await
    }

    async fn change(
        &self,
        requester: &Requester,
        user_id: &UserId,
        field: &str,
        value: Option<Value>,
    ) -> Result<(), Error> {
        if requester.user_id() != user_id && !requester.is_admin() {
            return Err(Error::Forbidden("this is somebody else's profile"));
        }
        let settings = self.inner.context.settings();
        let may_change = match field {
            DISPLAYNAME => settings.profiles.set_displayname,
            AVATAR_URL => settings.profiles.set_avatar_url,
            _ => true,
        };
        let user = self.inner.context.load_user(user_id).await?;
        let only_once = !may_change && !requester.is_admin();
        let (user_id, field) = (user_id.to_owned(), field.to_owned());
        let change = FieldChange { user, user_id: user_id.clone(), field, value, only_once };
        let propagates = matches!(change.field.as_str(), DISPLAYNAME | AVATAR_URL);
        let profiles = self.clone();
        let work = move |txn: &mut WriteTxn<'_>| profiles.write(txn, &change);
        if self.inner.context.store.write(work).await? && propagates {
            // In a task of its own, so that a client that hangs up does not leave some rooms
            // behind.
            let profiles = self.clone();
            let task = tokio::spawn(async move { profiles.propagate(user, &user_id).await });
            task.await.map_err(|_| Error::Abandoned)??;
        }
        Ok(())
    }

    /// Writes the change; says whether anything changed.
    fn write(&self, txn: &mut WriteTxn<'_>, change: &FieldChange) -> Result<bool, Error> {
        let FieldChange { user, user_id, field, value, only_once } = change;
        if account::find_by_number(txn, *user)?.is_none() {
            return Err(Error::UnknownUser(user_id.clone()));
        }
        let mut profile = parse(rows::list(txn, *user)?);
        let old = profile.get(field);
        if old == value.as_ref() {
            return Ok(false);
        }
        if *only_once && old.is_some() {
            return Err(Error::Forbidden("this server does not let you change that field"));
        }
        if let Some(value) = value {
            rows::set(txn, *user, field, &value.to_string())?;
            profile.insert(field.clone(), value.clone());
            if serde_json::to_vec(&profile).is_ok_and(|json| json.len() > MAX_PROFILE_BYTES) {
                return Err(Error::ProfileTooLarge);
            }
        } else {
            rows::delete(txn, *user, field)?;
            profile.remove(field);
        }
        if field == DISPLAYNAME {
            let name = profile.get(DISPLAYNAME).and_then(Value::as_str).unwrap_or_default();
            directory::set_words(txn, *user, &words(user_id, name))?;
        }
        txn.next_position();
        txn.record(Change::Profile { user: *user });
        let (inner, user) = (Arc::clone(&self.inner), *user);
        txn.on_commit(Box::new(move || inner.cache.set(user, Arc::new(profile))));
        Ok(true)
    }

    /// Drops a profile from the cache when the change is committed.
    pub(crate) fn forget_on_commit(&self, txn: &mut WriteTxn<'_>, user: UserNumber) {
        let inner = Arc::clone(&self.inner);
        txn.on_commit(Box::new(move || inner.cache.forget(&user)));
    }

    /// Carries the profile as it is now into the member events of all rooms.
    async fn propagate(&self, user: UserNumber, user_id: &UserId) -> Result<(), Error> {
        for (_, room_id) in self.inner.rooms.joined_rooms(user).await? {
            self.carry_into(user_id, &room_id).await?;
        }
        Ok(())
    }

    /// The same for one room. Whoever changes another field meanwhile may be there first, and what
    /// was read before that would take her change back: so it is looked at again.
    async fn carry_into(&self, user_id: &UserId, room_id: &RoomId) -> Result<(), Error> {
        let mut profile = self.member_profile(user_id).await?;
        for _ in 0..CARRIED_MAX {
            let carried = profile.clone();
            match self.inner.rooms.update_member_profile(user_id, room_id, carried).await {
                Ok(()) => {}
                // Whoever left meanwhile has nothing to change there.
                Err(Error::Room(RoomError::NotInRoom)) => break,
                // The room's own rules say so, which is its members' business.
                Err(Error::Room(error @ (RoomError::Denied(_) | RoomError::Forbidden(_)))) => {
                    tracing::debug!(%user_id, %room_id, %error, "a room refused the new profile");
                    break;
                }
                Err(error) => {
                    tracing::warn!(
                        MATRIX_USER = %user_id, MATRIX_ROOM = %room_id, %error,
                        "a room did not take the new profile"
                    );
                    break;
                }
            }
            let now = self.member_profile(user_id).await?;
            if now == profile {
                break;
            }
            profile = now;
        }
        Ok(())
    }
}

fn parse(fields: Vec<(String, String)>) -> Map<String, Value> {
    let value = |json: String| serde_json::from_str(&json).unwrap_or(Value::Null);
    fields.into_iter().map(|(field, json)| (field, value(json))).collect()
}

/// About what a profile takes in memory.
fn weight(profile: &Profile) -> usize {
    let json = |value: &Value| value.as_str().map_or_else(|| value.to_string().len(), str::len);
    profile.iter().map(|(field, value)| 96 + field.len() + 2 * json(value)).sum()
}

/// Field names are the three of the spec or namespaced identifiers.
fn check_key(field: &str) -> Result<(), Error> {
    if field.len() > MAX_KEY_BYTES {
        return Err(Error::KeyTooLarge);
    }
    if matches!(field, DISPLAYNAME | AVATAR_URL | TIME_ZONE) {
        return Ok(());
    }
    let allowed =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    let starts_well = field.starts_with(|c: char| c.is_ascii_lowercase());
    if starts_well && field.contains('.') && field.chars().all(allowed) {
        Ok(())
    } else {
        Err(Error::InvalidParam("the profile field is no namespaced identifier".to_owned()))
    }
}

/// The value as it is stored; an empty name or avatar is none.
fn check_value(field: &str, value: Value) -> Result<Option<Value>, Error> {
    match field {
        DISPLAYNAME | AVATAR_URL => {
            let text = match &value {
                Value::Null => return Ok(None),
                // Space around a name is a slip of the hand, as in Synapse.
                Value::String(text) => text.trim(),
                _ => return Err(Error::BadJson(format!("{field} is not a string"))),
            };
            if field == DISPLAYNAME {
                check_displayname(text)?;
            } else {
                check_avatar(text)?;
            }
            Ok(Some(text).filter(|text| !text.is_empty()).map(Value::from))
        }
        TIME_ZONE if !value.is_string() => {
            Err(Error::InvalidParam("m.tz is not a string".to_owned()))
        }
        _ => Ok(Some(value)),
    }
}

pub(crate) fn check_displayname(name: &str) -> Result<(), Error> {
    if name.chars().count() > MAX_DISPLAYNAME {
        return Err(Error::InvalidParam("the display name is too long".to_owned()));
    }
    Ok(())
}

/// Whether it is an `mxc://` URI is not looked at, as in Synapse: bridges put other addresses
/// there.
fn check_avatar(url: &str) -> Result<(), Error> {
    if url.chars().count() > MAX_AVATAR_URL {
        return Err(Error::InvalidParam("the avatar's address is too long".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
#[path = "profile_test.rs"]
mod profile_test;
