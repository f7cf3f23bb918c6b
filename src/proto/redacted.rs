//! What remains of an event after redaction.
//!
//! Spec: the "Redactions" of each room version.

use ruma::room_version_rules::RedactionRules;

use crate::{
    json::{Object, Value},
    rules::Rules,
};

/// The canonical text of what remains of an event after redaction, with or without its signatures.
pub(crate) fn write_redacted(
    event: &Object<'_>,
    rules: &Rules,
    with_signatures: bool,
    out: &mut String,
) {
    let event_type = event.get("type").and_then(Value::as_str).unwrap_or_default();
    let is_kept = |key: &str| match key {
        "event_id" | "type" | "room_id" | "sender" | "state_key" | "content" | "hashes"
        | "depth" | "prev_events" | "auth_events" | "origin_server_ts" => true,
        "signatures" => with_signatures,
        "origin" | "membership" | "prev_state" => rules.redaction.keep_origin_membership_prev_state,
        _ => false,
    };
    event.write_members(out, is_kept, |key, value, out| match value {
        Value::Object(content) if key == "content" => {
            write_redacted_content(content, &event_type, &rules.redaction, out);
        }
        _ => value.write(out),
    });
}

/// The canonical text of what remains of the content of an event of this type.
pub(crate) fn write_redacted_content(
    content: &Object<'_>,
    event_type: &str,
    rules: &RedactionRules,
    out: &mut String,
) {
    let is_kept = |key: &str| keeps(event_type, key, rules);
    // Another value than an object has no `signed` that could be kept.
    let passes = |key: &str| {
        is_kept(key)
            && (key != "third_party_invite"
                || event_type != "m.room.member"
                || content.get(key).is_some_and(|invite| invite.as_object().is_some()))
    };
    content.write_members(out, passes, |key, value, out| match value {
        Value::Object(invite) if event_type == "m.room.member" && key == "third_party_invite" => {
            invite.write_members(out, |key| key == "signed", |_, value, out| value.write(out));
        }
        _ => value.write(out),
    });
}

fn keeps(event_type: &str, key: &str, rules: &RedactionRules) -> bool {
    match (event_type, key) {
        ("m.room.member", "membership")
        | ("m.room.create", "creator")
        | ("m.room.join_rules", "join_rule")
        | (
            "m.room.power_levels",
            "ban" | "events" | "events_default" | "kick" | "redact" | "state_default" | "users"
            | "users_default",
        )
        | ("m.room.history_visibility", "history_visibility") => true,
        ("m.room.member", "join_authorised_via_users_server") => {
            rules.keep_room_member_join_authorised_via_users_server
        }
        ("m.room.member", "third_party_invite") => rules.keep_room_member_third_party_invite_signed,
        ("m.room.create", _) => rules.keep_room_create_content,
        ("m.room.join_rules", "allow") => rules.keep_room_join_rules_allow,
        ("m.room.power_levels", "invite") => rules.keep_room_power_levels_invite,
        ("m.room.redaction", "redacts") => rules.keep_room_redaction_redacts,
        ("m.room.aliases", "aliases") => rules.keep_room_aliases_aliases,
        _ => false,
    }
}

#[cfg(test)]
#[path = "redacted_test.rs"]
mod tests;
