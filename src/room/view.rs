//! A room as one moment shows it: immutable, shared, read without the database.
//!
//! Invariant: everything here says the same as the state map. A new view is made from the one
//! before by the keys that changed; nothing of the size of the state is copied.

use std::sync::Arc;

use imbl::OrdMap;
use proto::{
    number::{EventNumber, RoomNumber, StateGroup, StateKeyNumber, UserNumber},
    pdu::Pdu,
    power::Powers,
    rules::Rules,
    state::StateMap,
    visibility::{HistoryVisibility, Membership},
};
use ruma::{OwnedRoomId, RoomId, ServerName, UserId};
use smallvec::SmallVec;
use store::{
    numbers::{CREATE, ENCRYPTION, GUEST_ACCESS, HISTORY_VISIBILITY, JOIN_RULES, POWER_LEVELS},
    room::{event::Body, keys},
};

pub use crate::members::Member;
use crate::{RoomError, members::Members};

/// The well-known keys end here; events under them are kept with the view, since they are asked for
/// all the time.
const PINNED_MAX: StateKeyNumber = StateKeyNumber(12);

/// What one key of the state takes in memory, measured: the nodes of a map are about half full.
const KEY_BYTES: usize = 50;
/// What one member takes in memory, with the text of its id.
const MEMBER_BYTES: usize = 200;

/// A committed, immutable picture of a room.
#[derive(Clone)]
pub struct RoomView {
    pub(crate) number: RoomNumber,
    pub(crate) id: OwnedRoomId,
    pub(crate) rules: &'static Rules,
    pub(crate) revision: u64,
    pub(crate) group: StateGroup,
    pub(crate) state: StateMap,
    /// The depth of the deepest timeline row, by our own count.
    pub(crate) depth: i64,
    /// The forward extremities.
    pub(crate) tips: SmallVec<[Arc<Body>; 1]>,
    pinned: OrdMap<StateKeyNumber, Arc<Body>>,
    powers: Arc<Powers>,
    pub(crate) members: Members,
}

/// The room's join rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinRule {
    /// Everybody may join.
    Public,
    /// Whoever is invited. The default, also for unknown values.
    Invite,
    /// As `Invite`; others may ask.
    Knock,
    /// Whoever is invited or fulfils a condition.
    Restricted,
    /// Both of the above.
    KnockRestricted,
    /// Nobody.
    Private,
}

impl JoinRule {
    /// Reads the value of the event's content.
    pub fn parse(value: Option<&str>) -> Self {
        match value {
            Some("public") => Self::Public,
            Some("knock") => Self::Knock,
            Some("restricted") => Self::Restricted,
            Some("knock_restricted") => Self::KnockRestricted,
            Some("private") => Self::Private,
            _ => Self::Invite,
        }
    }

    /// The value as it stands in the event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Invite => "invite",
            Self::Knock => "knock",
            Self::Restricted => "restricted",
            Self::KnockRestricted => "knock_restricted",
            Self::Private => "private",
        }
    }
}

/// What a view is built from when a room is created or loaded.
pub(crate) struct Parts {
    pub(crate) number: RoomNumber,
    pub(crate) id: OwnedRoomId,
    pub(crate) rules: &'static Rules,
    pub(crate) revision: u64,
    pub(crate) group: StateGroup,
    pub(crate) state: StateMap,
    pub(crate) depth: i64,
    pub(crate) tips: SmallVec<[Arc<Body>; 1]>,
    pub(crate) pinned: OrdMap<StateKeyNumber, Arc<Body>>,
    pub(crate) members: Members,
}

/// What stands under a key from now on.
#[derive(Clone, Debug)]
pub(crate) struct KeyChange {
    pub(crate) key: StateKeyNumber,
    pub(crate) old: Option<EventNumber>,
    pub(crate) new: Option<Arc<Body>>,
}

impl KeyChange {
    /// The new event's number.
    pub(crate) fn new_number(&self) -> Option<EventNumber> {
        self.new.as_ref().map(|body| body.number())
    }

    /// Whose membership changes, to what.
    pub(crate) fn member(&self) -> Option<(UserNumber, Option<Member>)> {
        let user = keys::key_user(self.key)?;
        Some((user, self.new.as_ref().and_then(member_of)))
    }
}

/// A member as a member event describes it.
pub(crate) fn member_of(body: &Arc<Body>) -> Option<Member> {
    let pdu = body.pdu();
    let user = <&UserId>::try_from(pdu.state_key()?).ok()?;
    Some(Member {
        user_id: user.to_owned(),
        membership: pdu.membership().unwrap_or_default(),
        event: body.number(),
    })
}

/// Whether the event under a key is kept with the view.
pub(crate) fn is_pinned(key: StateKeyNumber) -> bool {
    key > StateKeyNumber(0) && key <= PINNED_MAX
}

impl RoomView {
    pub(crate) fn new(parts: Parts) -> Result<Self, RoomError> {
        let no_create = || RoomError::Damaged(format!("room {} has no create event", parts.id));
        let powers = powers_of(&parts.pinned).ok_or_else(no_create)?;
        Ok(Self {
            number: parts.number,
            id: parts.id,
            rules: parts.rules,
            revision: parts.revision,
            group: parts.group,
            state: parts.state,
            depth: parts.depth,
            tips: parts.tips,
            pinned: parts.pinned,
            powers: Arc::new(powers),
            members: parts.members,
        })
    }

    /// Takes a change of the current state in.
    pub(crate) fn apply(&mut self, change: &KeyChange, server: &ServerName) {
        match change.new_number() {
            Some(number) => self.state.insert(change.key, number),
            None => self.state.remove(&change.key),
        };
        if let Some((user, member)) = change.member() {
            match member {
                Some(member) => self.members.set(user, member, server),
                None => self.members.remove(user),
            }
        }
        if is_pinned(change.key) {
            match &change.new {
                Some(body) => self.pinned.insert(change.key, Arc::clone(body)),
                None => self.pinned.remove(&change.key),
            };
            self.read_powers(change.key);
        }
    }

    /// Takes a redaction in, ahead of its commit; says whether the event stands under a well-known
    /// key, so that what is worked out from its content is another.
    pub(crate) fn redact(&mut self, redacted: Body) -> bool {
        let is_it = |(_, body): &(&StateKeyNumber, &Arc<Body>)| body.number() == redacted.number();
        let Some(key) = self.pinned.iter().find(is_it).map(|(key, _)| *key) else { return false };
        self.pinned.insert(key, Arc::new(redacted));
        self.read_powers(key);
        true
    }

    /// Parses the power levels anew, if they can be others with the event under this key.
    fn read_powers(&mut self, key: StateKeyNumber) {
        if matches!(key, CREATE | POWER_LEVELS)
            && let Some(powers) = powers_of(&self.pinned)
        {
            self.powers = Arc::new(powers);
        }
    }

    /// The event under a well-known key.
    pub(crate) fn pinned(&self, key: StateKeyNumber) -> Option<&Arc<Body>> {
        self.pinned.get(&key)
    }

    /// About how many bytes it keeps in memory.
    pub(crate) fn weight(&self) -> usize {
        let pinned = self.pinned.values().map(|body| body.weight()).sum::<usize>();
        4096 + pinned + self.state.len() * KEY_BYTES + self.members.known_count() * MEMBER_BYTES
    }

    /// The room's number in the store.
    pub fn number(&self) -> RoomNumber {
        self.number
    }

    /// The room's id.
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    /// The rules of the room's version.
    pub fn rules(&self) -> &'static Rules {
        self.rules
    }

    /// How often the room has changed.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The stored group that is the current state.
    pub fn group(&self) -> StateGroup {
        self.group
    }

    /// The current state.
    pub fn state(&self) -> &StateMap {
        &self.state
    }

    /// The number of the current state event under this key.
    pub fn state_event(&self, key: StateKeyNumber) -> Option<EventNumber> {
        self.state.get(&key).copied()
    }

    /// The current state event under a well-known key (`store::numbers::NAME` and its like),
    /// without the database.
    pub fn state_pdu(&self, key: StateKeyNumber) -> Option<&Arc<Pdu>> {
        self.pinned(key).map(|body| body.pdu())
    }

    /// The power levels, parsed once.
    pub fn powers(&self) -> &Arc<Powers> {
        &self.powers
    }

    /// The join rule.
    pub fn join_rule(&self) -> JoinRule {
        JoinRule::parse(self.field(JOIN_RULES, "join_rule").as_deref())
    }

    /// The history visibility.
    pub fn history_visibility(&self) -> HistoryVisibility {
        HistoryVisibility::parse(self.field(HISTORY_VISIBILITY, "history_visibility").as_deref())
    }

    /// Whether guests may join.
    pub fn guests_may_join(&self) -> bool {
        self.field(GUEST_ACCESS, "guest_access").as_deref() == Some("can_join")
    }

    /// Whether the room is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.pinned.contains_key(&ENCRYPTION)
    }

    /// The room's type as its create event says.
    pub fn room_type(&self) -> Option<String> {
        self.field(CREATE, "type")
    }

    /// A text field of the content under a well-known key.
    pub fn field(&self, key: StateKeyNumber, field: &str) -> Option<String> {
        self.state_pdu(key)?.content_field(field)
    }

    /// The redaction of the state event under a well-known key, if there was one.
    pub fn redaction(&self, key: StateKeyNumber) -> Option<EventNumber> {
        self.pinned(key)?.redacted_because().map(|because| because.number())
    }

    /// How many users are joined.
    pub fn joined_count(&self) -> usize {
        self.members.joined_count()
    }

    /// How many users are invited.
    pub fn invited_count(&self) -> usize {
        self.members.invited_count()
    }

    /// How a user stands to the room; `Leave` for those who never were in it.
    pub fn membership(&self, user: UserNumber) -> Membership {
        self.members.membership(user)
    }

    /// Whether a user is joined.
    pub fn is_joined(&self, user: UserNumber) -> bool {
        self.membership(user) == Membership::Join
    }

    /// A member, unless the user left or never was in the room.
    pub fn member(&self, user: UserNumber) -> Option<&Member> {
        self.members.get(user)
    }

    /// The joined users of this server.
    pub fn joined_local(&self) -> impl Iterator<Item = UserNumber> + '_ {
        self.members.joined_local()
    }

    /// Everybody who is joined, by number.
    pub fn joined(&self) -> impl Iterator<Item = (UserNumber, &Member)> + '_ {
        self.members().filter(|(_, member)| member.membership == Membership::Join)
    }

    /// Everybody whom the view knows (all but those who left), by number.
    pub fn members(&self) -> impl Iterator<Item = (UserNumber, &Member)> + '_ {
        self.members.iter()
    }

    /// Up to `most` joined or invited users other than `me`, oldest first: the heroes of a room
    /// without a name.
    pub fn heroes(&self, me: UserNumber, most: usize) -> Vec<(UserNumber, Member)> {
        let is_there =
            |member: &Member| matches!(member.membership, Membership::Join | Membership::Invite);
        self.members()
            .filter(|(user, member)| *user != me && is_there(member))
            .take(most)
            .map(|(user, member)| (user, member.clone()))
            .collect()
    }

    /// The state keys of up to `most` users other than `me` who left or were banned, oldest first:
    /// the heroes where nobody else is there.
    pub fn gone(&self, me: UserNumber, most: usize) -> Vec<StateKeyNumber> {
        let is_gone = |user: UserNumber| {
            user != me && matches!(self.membership(user), Membership::Leave | Membership::Ban)
        };
        // The keys of members are their numbers, negated.
        let keys = self.state.range(..StateKeyNumber(0)).rev().map(|(key, _)| *key);
        keys.filter(|key| keys::key_user(*key).is_some_and(is_gone)).take(most).collect()
    }
}

fn powers_of(pinned: &OrdMap<StateKeyNumber, Arc<Body>>) -> Option<Powers> {
    let create = pinned.get(&CREATE)?;
    let levels = pinned.get(&POWER_LEVELS).map(|body| body.pdu());
    Some(Powers::of(create.pdu(), levels.map(|pdu| &**pdu)))
}
