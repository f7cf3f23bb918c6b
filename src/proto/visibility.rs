//! Who may see an event: the decision, given what the state before and after it says.
//!
//! Spec: client-server API, "Room history visibility".

/// The room's `m.room.history_visibility`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryVisibility {
    /// Everybody.
    WorldReadable,
    /// Whoever is joined at any time from the event on. The default, also for unknown values.
    #[default]
    Shared,
    /// Whoever is invited or joined when it is sent.
    Invited,
    /// Whoever is joined when it is sent.
    Joined,
}

impl HistoryVisibility {
    /// Reads the value of the event's content; unknown and absent are the default.
    pub fn parse(value: Option<&str>) -> Self {
        match value {
            Some("world_readable") => HistoryVisibility::WorldReadable,
            Some("invited") => HistoryVisibility::Invited,
            Some("joined") => HistoryVisibility::Joined,
            _ => HistoryVisibility::Shared,
        }
    }
}

/// A user's membership in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Membership {
    /// In the room.
    Join,
    /// Invited.
    Invite,
    /// Asked to be invited.
    Knock,
    /// Not in the room. Also without any membership event.
    #[default]
    Leave,
    /// Banned.
    Ban,
}

impl Membership {
    /// Reads the value of a member event's content; `None` for one that is not in the
    /// specification.
    pub fn parse(value: &str) -> Option<Self> {
        match value {
            "join" => Some(Membership::Join),
            "invite" => Some(Membership::Invite),
            "knock" => Some(Membership::Knock),
            "leave" => Some(Membership::Leave),
            "ban" => Some(Membership::Ban),
            _ => None,
        }
    }

    /// The value as it stands in a member event.
    pub fn as_str(self) -> &'static str {
        match self {
            Membership::Join => "join",
            Membership::Invite => "invite",
            Membership::Knock => "knock",
            Membership::Leave => "leave",
            Membership::Ban => "ban",
        }
    }
}

/// What must be known about an event and a reader.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// The visibility in the state before the event.
    pub visibility_before: HistoryVisibility,
    /// The visibility in the state after the event: another one only if the event is an
    /// `m.room.history_visibility`.
    pub visibility_after: HistoryVisibility,
    /// The reader's membership before the event.
    pub membership_before: Membership,
    /// The reader's membership after the event: another one only if the event is the reader's own
    /// `m.room.member`.
    pub membership_after: Membership,
    /// Whether the reader was joined at the event or joined at any later time.
    pub joined_since: bool,
}

/// Whether the reader may see the event.
pub fn may_see(circumstances: Circumstances) -> bool {
    let Circumstances { visibility_before, visibility_after, membership_before, .. } =
        circumstances;
    let membership_after = circumstances.membership_after;
    let allows = |visibility: HistoryVisibility, membership: Membership| {
        visibility == HistoryVisibility::WorldReadable
            || membership == Membership::Join
            || (visibility == HistoryVisibility::Shared && circumstances.joined_since)
            || (visibility == HistoryVisibility::Invited && membership == Membership::Invite)
    };
    allows(visibility_before, membership_before)
        || allows(visibility_after, membership_before)
        || allows(visibility_before, membership_after)
        || allows(visibility_after, membership_after)
}

#[cfg(test)]
#[path = "visibility_test.rs"]
mod tests;
