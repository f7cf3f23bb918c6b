//! Stored filters of `/sync` and `/messages`.

use std::sync::Arc;

use ruma::api::client::filter::FilterDefinition;
use serde_json::value::RawValue;

use crate::{Error, Requester};

/// Filters that users stored.
#[derive(Clone)]
pub struct Filters {}

impl Filters {
    /// Stores a filter; the same content gives the same id.
    pub async fn create(
        &self,
        requester: &Requester,
        filter: Box<RawValue>,
    ) -> Result<String, Error> {
        let _ = (requester, filter);
        todo!()
    }

    /// The stored JSON of a filter.
    pub async fn find_json(
        &self,
        requester: &Requester,
        id: &str,
    ) -> Result<Option<Arc<RawValue>>, Error> {
        let _ = (requester, id);
        todo!()
    }

    /// The parsed filter, from a bounded cache.
    pub async fn find(
        &self,
        requester: &Requester,
        id: &str,
    ) -> Result<Option<Arc<FilterDefinition>>, Error> {
        let _ = (requester, id);
        todo!()
    }

    /// Parses and validates a filter given in a request.
    pub fn parse(filter: &str) -> Result<FilterDefinition, Error> {
        let _ = filter;
        todo!()
    }
}
