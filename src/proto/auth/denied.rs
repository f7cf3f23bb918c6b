//! Why an event is not allowed: the rule in ruma's words, and which kind of rule it was.

use std::sync::Arc;

use ruma::UserId;

use crate::{pdu::Pdu, power::Powers, visibility::Membership};

/// What kind of rule denied an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedKind {
    /// The event's own content or shape.
    Malformed,
    /// Its auth events are missing, rejected, superfluous or of another room.
    AuthEvents,
    /// There is no create event in the state.
    NoRoom,
    /// The room is not federated and the sender is of another server than the creator.
    NotFederated,
    /// The sender is not joined.
    NotJoined,
    /// The sender, or the one who is to be invited, is banned.
    Banned,
    /// The sender's power does not suffice.
    Power,
    /// The join rule does not let the user in, or does not let them knock.
    JoinRule,
    /// A change of membership that the present membership does not allow.
    Membership,
    /// Any other rule.
    Other,
}

/// Why an event is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Denied {
    /// What kind of rule denied it.
    pub kind: DeniedKind,
    /// The rule in words.
    pub reason: String,
}

impl Denied {
    pub(super) fn malformed(reason: String) -> Denied {
        Denied { kind: DeniedKind::Malformed, reason }
    }
}

/// The state that an event was checked against, as far as the kind of denial needs it.
struct Look<'a, F> {
    pdu: &'a Pdu,
    create: Arc<Pdu>,
    find: &'a F,
}

/// Tells the kind of rule that has denied an event, by looking at the state in the order of the
/// rules. ruma gives only words, which may change; the decision itself is never made here.
pub(super) fn kind<F>(pdu: &Pdu, find: &F) -> DeniedKind
where
    F: Fn(&str, &str) -> Option<Arc<Pdu>>,
{
    let Some(create) = find("m.room.create", "") else { return DeniedKind::NoRoom };
    let federates = create.content_field::<bool>("m.federate").unwrap_or(true);
    if !federates && create.sender().server_name() != pdu.sender().server_name() {
        return DeniedKind::NotFederated;
    }
    let look = Look { pdu, create, find };
    if pdu.type_str() == "m.room.member" {
        return look.kind_of_member();
    }
    match look.membership(pdu.sender()) {
        Membership::Join => {}
        Membership::Ban => return DeniedKind::Banned,
        _ => return DeniedKind::NotJoined,
    }
    let powers = look.powers();
    let needs_invite = pdu.type_str() == "m.room.third_party_invite";
    if needs_invite || !powers.may_send(pdu.sender(), pdu.type_str(), pdu.is_state()) {
        return DeniedKind::Power;
    }
    let of_another = pdu.state_key().is_some_and(|key| key.starts_with('@') && key != pdu.sender());
    match pdu.type_str() {
        _ if of_another => DeniedKind::Other,
        "m.room.power_levels" if is_well_formed(pdu) => DeniedKind::Power,
        "m.room.power_levels" => DeniedKind::Malformed,
        "m.room.redaction" => DeniedKind::Power,
        _ => DeniedKind::Other,
    }
}

impl<F> Look<'_, F>
where
    F: Fn(&str, &str) -> Option<Arc<Pdu>>,
{
    fn membership(&self, user: &UserId) -> Membership {
        let member = (self.find)("m.room.member", user.as_str());
        member.and_then(|member| member.membership()).unwrap_or_default()
    }

    fn powers(&self) -> Powers {
        Powers::of(&self.create, (self.find)("m.room.power_levels", "").as_deref())
    }

    fn kind_of_member(&self) -> DeniedKind {
        let target = self.pdu.state_key().and_then(|key| <&UserId>::try_from(key).ok());
        let (Some(target), Some(membership)) = (target, self.pdu.membership()) else {
            return DeniedKind::Malformed;
        };
        let (sender, is_self) = (self.membership(self.pdu.sender()), target == self.pdu.sender());
        let invites = membership == Membership::Invite;
        if sender == Membership::Ban || (invites && self.membership(target) == Membership::Ban) {
            return DeniedKind::Banned;
        }
        match membership {
            Membership::Join if is_self => DeniedKind::JoinRule,
            Membership::Knock if is_self => match sender {
                Membership::Invite | Membership::Join => DeniedKind::Membership,
                _ => DeniedKind::JoinRule,
            },
            Membership::Leave if is_self => DeniedKind::Membership,
            Membership::Join | Membership::Knock => DeniedKind::Membership,
            _ if self.pdu.content_field::<serde_json::Value>("third_party_invite").is_some() => {
                DeniedKind::Other
            }
            _ if sender != Membership::Join => DeniedKind::NotJoined,
            Membership::Invite if self.membership(target) == Membership::Join => {
                DeniedKind::Membership
            }
            Membership::Invite | Membership::Leave | Membership::Ban => DeniedKind::Power,
        }
    }
}

/// Whether a power levels event has only levels where levels belong, and only users among users.
fn is_well_formed(pdu: &Pdu) -> bool {
    let Ok(content) = pdu.content_as::<serde_json::Map<String, serde_json::Value>>() else {
        return false;
    };
    let strict = pdu.rules().authorization.integer_power_levels;
    let is_level = |value: &serde_json::Value| value.is_i64() || (!strict && value.is_string());
    content.iter().all(|(key, value)| match key.as_str() {
        "users" | "events" | "notifications" => value.as_object().is_some_and(|map| {
            let fits = |name: &str| key != "users" || <&UserId>::try_from(name).is_ok();
            map.iter().all(|(name, level)| fits(name) && is_level(level))
        }),
        "ban" | "kick" | "invite" | "redact" | "users_default" | "events_default"
        | "state_default" => is_level(value),
        _ => true,
    })
}
