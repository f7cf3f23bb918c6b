//! What users may do here.
//!
//! Spec: client-server API, "Capabilities negotiation".

use proto::rules::Rules;
use serde_json::{Map, Value, json};

use crate::{
    extract::Call,
    reply::{self, Outcome},
};

/// `GET /capabilities`.
pub(crate) async fn capabilities(call: Call) -> Outcome {
    let user = call.state.user_settings.load();
    let room = call.state.room_settings.load();
    let enabled = |enabled: bool| json!({ "enabled": enabled });
    let profiles = &user.profiles;
    let fixed =
        [("displayname", profiles.set_displayname), ("avatar_url", profiles.set_avatar_url)];
    let fixed: Vec<&str> =
        fixed.into_iter().filter(|(_, may)| !may).map(|(field, _)| field).collect();
    let mut profile_fields = enabled(true);
    if !fixed.is_empty() {
        profile_fields["disallowed"] = json!(fixed);
    }
    reply::json(&json!({ "capabilities": {
        "m.change_password": enabled(user.passwords.enabled),
        "m.set_displayname": enabled(profiles.set_displayname),
        "m.set_avatar_url": enabled(profiles.set_avatar_url),
        "m.profile_fields": profile_fields,
        "m.3pid_changes": enabled(false),
        "m.get_login_token": enabled(user.sessions.login_token_lifetime_ms.is_some()),
        "m.forget_forced_upon_leave": enabled(false),
        "m.room_versions": {
            "default": room.default_version.as_str(),
            "available": available_versions(),
        },
    } }))
}

/// Every room version that can be created and joined; all of them are stable.
fn available_versions() -> Map<String, Value> {
    Rules::all().map(|rules| (rules.id.to_owned(), "stable".into())).collect()
}
