//! The push rules that a user has before she changes any.
//!
//! Spec: client-server API, "Predefined Rules".

use ruma::{UserId, push::Ruleset};
use serde_json::{json, value::RawValue};

/// The content of `m.push_rules` for a user who changed nothing: `{"global": …}`.
pub fn default_push_rules(user_id: &UserId) -> Box<RawValue> {
    let content = json!({ "global": Ruleset::server_default(user_id) });
    serde_json::value::to_raw_value(&content).unwrap_or_default()
}
