//! The parameters of `GET /_matrix/client/v3/sync`, parsed and bounded.

use std::time::Duration;

use ruma::presence::PresenceState;

/// The longest that a request waits, whatever it asks for: beyond that, proxies give up before we
/// do.
pub const TIMEOUT_MAX: Duration = Duration::from_mins(5);

/// What a client asks for.
#[derive(Clone, Debug, Default)]
pub struct SyncRequest {
    /// The `next_batch` of an earlier answer; none for an initial sync.
    pub since: Option<String>,
    /// `filter` as it stands in the query: the id of a stored filter, or its JSON.
    pub filter: Option<String>,
    /// Whether the full state of all rooms is wanted, even with `since`.
    pub full_state: bool,
    /// What the request makes of the user's presence.
    pub set_presence: PresenceState,
    /// How long to wait for something new; cut to [`TIMEOUT_MAX`].
    pub timeout: Duration,
    /// Which of the two state deltas is wanted, under which name.
    pub state: StateSection,
}

/// Where a room's state delta ends, and the name of its section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateSection {
    /// `state`: between `since` and the start of the timeline.
    #[default]
    Before,
    /// `state_after`: between `since` and the end of the timeline.
    After,
    /// The same under its unstable name, `org.matrix.msc4222.state_after`.
    AfterUnstable,
}

impl StateSection {
    /// The section's name in a room of the response.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Before => "state",
            Self::After => "state_after",
            Self::AfterUnstable => "org.matrix.msc4222.state_after",
        }
    }

    /// Whether the delta reaches to the timeline's end.
    pub(crate) fn is_after(self) -> bool {
        self != Self::Before
    }
}
