//! The push rules that a user has before she changes any.

use ruma::{UserId, push::Ruleset};
use serde_json::value::RawValue;

/// The content of `m.push_rules` for a user who changed nothing: `{"global": …}`.
pub fn default_push_rules(user_id: &UserId) -> Box<RawValue> {
    let _ = Ruleset::server_default(user_id);
    todo!()
}
