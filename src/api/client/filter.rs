//! Stored filters.
//!
//! Spec: client-server API, "Filtering".

use serde_json::json;

use crate::{
    error::NOT_FOUND,
    extract::Call,
    reply::{self, Outcome},
};

/// `POST /user/{userId}/filter`.
pub(crate) async fn create(call: Call) -> Outcome {
    call.own_user_id()?;
    let content = call.content()?;
    let id = call.state.filters.create(call.requester()?, content).await?;
    reply::json(&json!({ "filter_id": id }))
}

/// `GET /user/{userId}/filter/{filterId}`.
pub(crate) async fn find(call: Call) -> Outcome {
    call.own_user_id()?;
    let (requester, id) = (call.requester()?, call.text("filterId")?);
    let found = call.state.filters.find_json(requester, id).await?;
    let filter = found.ok_or_else(|| NOT_FOUND.with("There is no such filter"))?;
    reply::raw(filter.get().to_owned())
}
