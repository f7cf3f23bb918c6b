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
        todo!()
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
    /// Reads the value of a member event's content; `None` for one that is not in the specification.
    pub fn parse(value: &str) -> Option<Self> {
        todo!()
    }

    /// The value as it stands in a member event.
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}

/// What must be known about an event and a reader.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// The visibility in the state before the event.
    pub visibility_before: HistoryVisibility,
    /// The visibility in the state after the event: another one only if the event is an `m.room.history_visibility`.
    pub visibility_after: HistoryVisibility,
    /// The reader's membership before the event.
    pub membership_before: Membership,
    /// The reader's membership after the event: another one only if the event is the reader's own `m.room.member`.
    pub membership_after: Membership,
    /// Whether the reader was joined at the event or joined at any later time.
    pub joined_since: bool,
}

/// Whether the reader may see the event.
pub fn may_see(circumstances: Circumstances) -> bool {
    todo!()
}
