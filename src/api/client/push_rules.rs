//! Push rules: what they are. Changing them, and counting and sending by them, is not there yet.
//!
//! Spec: client-server API, "Push Rules: API".

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use user::default_push_rules;

use crate::{
    error::ApiError,
    extract::Call,
    reply::{self, Outcome},
};

/// The content of `m.push_rules`.
#[derive(Deserialize, Serialize)]
struct Rules {
    global: Box<RawValue>,
}

fn rules(call: &Call) -> Result<Rules, ApiError> {
    let rules = default_push_rules(call.user_id()?);
    serde_json::from_str(rules.get()).map_err(ApiError::internal)
}

/// `GET /pushrules/`.
pub(crate) async fn all(call: Call) -> Outcome {
    reply::json(&rules(&call)?)
}

/// `GET /pushrules/global/`.
pub(crate) async fn global(call: Call) -> Outcome {
    reply::json(&rules(&call)?.global)
}
