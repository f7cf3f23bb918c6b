//! The rules that a room version selects. Nothing else in the server compares room versions.
//!
//! Invariant: every version that [`Rules::of`] knows is complete: creating, joining, checking and
//! resolving all work. Spec: "Room versions", and one page per version.

use std::ops::Deref;

use ruma::{
    RoomVersionId,
    room_version_rules::{
        EventIdFormatVersion, EventsReferenceFormatVersion, RoomIdFormatVersion, RoomVersionRules,
    },
};

use crate::json::Form;

/// Which algorithm resolves forked state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateResolution {
    /// Room version 1: by depth and SHA-1 of the event id.
    V1,
    /// Room versions 2 to 11: reverse topological power ordering and mainline.
    V2,
    /// Room version 12: as [`StateResolution::V2`], from an empty state and with the conflicted
    /// state subgraph.
    V2_1,
}

/// The rules of one room version: ruma's (through [`Deref`]) and what ruma lacks.
#[derive(Debug)]
pub struct Rules {
    /// The version's identifier as it stands in `m.room.create`.
    pub id: &'static str,
    /// Which JSON the version's events are made of.
    pub json: Form,
    /// Which algorithm resolves forked state.
    pub state_resolution: StateResolution,
    /// The rule fields that ruma knows.
    pub ruma: RoomVersionRules,
}

/// The version of rooms that are created without naming one.
pub const DEFAULT_VERSION: &str = "12";

const fn rules(
    id: &'static str,
    json: Form,
    state_resolution: StateResolution,
    ruma: RoomVersionRules,
) -> Rules {
    Rules { id, json, state_resolution, ruma }
}

static ALL: [Rules; 12] = [
    rules("1", Form::Lenient, StateResolution::V1, RoomVersionRules::V1),
    rules("2", Form::Lenient, StateResolution::V2, RoomVersionRules::V2),
    rules("3", Form::Lenient, StateResolution::V2, RoomVersionRules::V3),
    rules("4", Form::Lenient, StateResolution::V2, RoomVersionRules::V4),
    rules("5", Form::Lenient, StateResolution::V2, RoomVersionRules::V5),
    rules("6", Form::Strict, StateResolution::V2, RoomVersionRules::V6),
    rules("7", Form::Strict, StateResolution::V2, RoomVersionRules::V7),
    rules("8", Form::Strict, StateResolution::V2, RoomVersionRules::V8),
    rules("9", Form::Strict, StateResolution::V2, RoomVersionRules::V9),
    rules("10", Form::Strict, StateResolution::V2, RoomVersionRules::V10),
    rules("11", Form::Strict, StateResolution::V2, RoomVersionRules::V11),
    rules("12", Form::Strict, StateResolution::V2_1, RoomVersionRules::V12),
];

impl Rules {
    /// The rules of the version with this identifier, if we know it.
    pub fn of(version: &str) -> Option<&'static Rules> {
        ALL.iter().find(|rules| rules.id == version)
    }

    /// The rules of every version that we know, lowest first.
    pub fn all() -> impl Iterator<Item = &'static Rules> {
        ALL.iter()
    }

    /// The version as ruma's type.
    ///
    /// # Panics
    /// Never: every identifier in the table is a valid one.
    pub fn version(&self) -> RoomVersionId {
        RoomVersionId::try_from(self.id).expect("every identifier in the table is a valid one")
    }

    /// Whether an event carries its own id, chosen by its sender's server (room versions 1 and 2).
    pub fn has_event_id_field(&self) -> bool {
        self.ruma.event_id_format == EventIdFormatVersion::V1
    }

    /// Whether events name others as pairs of id and reference hash (room versions 1 and 2).
    pub fn references_carry_hashes(&self) -> bool {
        self.ruma.events_reference_format == EventsReferenceFormatVersion::V1
    }

    /// Whether the room's id is the create event's id with another sigil (room version 12).
    pub fn room_id_is_create_event(&self) -> bool {
        self.ruma.room_id_format == RoomIdFormatVersion::V2
    }

    /// Whether `redacts` stands in the content instead of the top level (room version 11 and
    /// later).
    pub fn redacts_in_content(&self) -> bool {
        self.ruma.redaction.content_field_redacts
    }

    /// Whether `m.room.create` must name the creator in its content (up to room version 10).
    pub fn creator_in_content(&self) -> bool {
        !self.ruma.authorization.use_room_create_sender
    }

    /// Whether creators stand above all power levels and can be several (room version 12).
    pub fn privileged_creators(&self) -> bool {
        self.ruma.authorization.explicitly_privilege_room_creators
    }

    /// Whether one may knock (room version 7 and later).
    pub fn knocking(&self) -> bool {
        self.ruma.authorization.knocking
    }

    /// Whether the join rule `restricted` is known (room version 8 and later).
    pub fn restricted_joins(&self) -> bool {
        self.ruma.authorization.restricted_join_rule
    }

    /// Whether the join rule `knock_restricted` is known (room version 10 and later).
    pub fn knock_restricted_joins(&self) -> bool {
        self.ruma.authorization.knock_restricted_join_rule
    }
}

impl Deref for Rules {
    type Target = RoomVersionRules;

    fn deref(&self) -> &RoomVersionRules {
        &self.ruma
    }
}

/// The same version is the same rules.
impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rules {}

#[cfg(test)]
#[path = "rules_test.rs"]
mod tests;
