//! Stored filters of `/sync` and `/messages`.
//!
//! Invariant: a filter never changes, so that what is cached stays true for ever; the same filter
//! has the same id.
//!
//! Spec: client-server API, "Filtering".

use std::{fmt::Display, sync::Arc};

use moka::sync::Cache;
use proto::number::UserNumber;
use ring::digest::{SHA256, digest};
use ruma::api::client::filter::{EventFormat, FilterDefinition};
use serde_json::{Value, value::RawValue};
use store::{Snapshot, WriteTxn, user::filter as rows};

use crate::{Context, Error, Requester};

/// What a filter takes in memory besides what its JSON is long.
const FILTER_BYTES: usize = 128;

/// The most bytes of a filter.
const MAX_FILTER_BYTES: usize = 65_536;

/// The most fields that `event_fields` can name.
const MAX_EVENT_FIELDS: usize = 100;

/// The most filters of one user. Clients store one or two for each kind of view.
const MAX_FILTERS: i64 = 10_000;

/// Filters that users stored.
#[derive(Clone)]
pub struct Filters {
    context: Context,
    cache: Cache<(UserNumber, i64), Arc<RawValue>>,
}

impl Filters {
    /// Filters over a store.
    pub fn new(context: Context) -> Self {
        let weigh = |_: &(UserNumber, i64), json: &Arc<RawValue>| {
            u32::try_from(FILTER_BYTES + json.get().len()).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder().max_capacity(context.cache_bytes(8)).weigher(weigh).build();
        Self { context, cache }
    }

    /// Stores a filter; the same content gives the same id.
    pub async fn create(
        &self,
        requester: &Requester,
        filter: Box<RawValue>,
    ) -> Result<String, Error> {
        Self::parse(filter.get())?;
        // Keys in order, so that the order in which a client writes them makes no other filter.
        let value: Value = serde_json::from_str(filter.get())
            .map_err(|error| Error::BadJson(error.to_string()))?;
        let json = value.to_string();
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, json.as_bytes()).as_ref());
        let user = requester.user();
        let work = move |txn: &mut WriteTxn<'_>| {
            if let Some(number) = rows::find_same(txn, user, &hash)? {
                return Ok(number);
            }
            let number = rows::newest(txn, user)? + 1;
            if number > MAX_FILTERS {
                return Err(Error::Limit("you have stored too many filters"));
            }
            rows::insert(txn, user, number, &hash, &json)?;
            Ok(number)
        };
        Ok(self.context.store.write(work).await?.to_string())
    }

    /// The stored JSON of a filter, from memory for whoever asked lately: clients name theirs in
    /// every `/sync`.
    pub async fn find_json(
        &self,
        requester: &Requester,
        id: &str,
    ) -> Result<Option<Arc<RawValue>>, Error> {
        let Ok(number) = id.parse::<i64>() else { return Ok(None) };
        let key = (requester.user(), number);
        if let Some(cached) = self.cache.get(&key) {
            return Ok(Some(cached));
        }
        let Some(json) = self.read(key.0, number).await? else { return Ok(None) };
        let json = RawValue::from_string(json).map_err(|_| Error::NotFound("no such filter"))?;
        let json = Arc::<RawValue>::from(json);
        self.cache.insert(key, Arc::clone(&json));
        Ok(Some(json))
    }

    async fn read(&self, user: UserNumber, number: i64) -> Result<Option<String>, Error> {
        let read = move |snapshot: &mut Snapshot<'_>| Ok(rows::find(snapshot, user, number)?);
        self.context.store.read(read).await
    }

    /// Parses and validates a filter, whether it is to be stored or to be used at once: what is
    /// stored can be used.
    pub fn parse(filter: &str) -> Result<FilterDefinition, Error> {
        if filter.len() > MAX_FILTER_BYTES {
            return Err(Error::TooLarge("the filter is too large"));
        }
        let invalid = |reason: &dyn Display| Error::BadJson(format!("no valid filter: {reason}"));
        let definition: FilterDefinition =
            serde_json::from_str(filter).map_err(|error| invalid(&error))?;
        if !matches!(definition.event_format, EventFormat::Client | EventFormat::Federation) {
            return Err(invalid(&"event_format is neither client nor federation"));
        }
        if definition.event_fields.as_ref().is_some_and(|fields| fields.len() > MAX_EVENT_FIELDS) {
            return Err(invalid(&"event_fields names too many fields"));
        }
        Ok(definition)
    }
}

#[cfg(test)]
#[path = "filter_test.rs"]
mod filter_test;
