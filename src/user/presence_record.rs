//! What is kept of each user's presence.
//!
//! Invariant: at most [`MAX_RECORDS`] users; those who have been offline for the longest time make
//! room.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use proto::number::{RoomNumber, UserNumber};
use ruma::{OwnedUserId, UserId, presence::PresenceState};

/// Users whose presence is kept.
const MAX_RECORDS: usize = 50_000;

/// How long a device counts after its last sync.
pub(crate) const SYNC_GRACE_MS: u64 = 30_000;

/// How long a user counts as active after doing something.
pub(crate) const ACTIVE_MS: u64 = 60_000;

/// How long a device stays online without the user doing anything on it.
pub(crate) const IDLE_MS: u64 = 300_000;

/// The presence of one user now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPresence {
    /// Who.
    pub user_id: OwnedUserId,
    /// The state.
    pub state: PresenceState,
    /// The status message.
    pub status_msg: Option<String>,
    /// Milliseconds since she last did something, if she ever did.
    pub last_active_ago_ms: Option<u64>,
    /// Whether she is doing something just now.
    pub currently_active: bool,
    /// The ephemeral counter of the last change.
    pub changed: u64,
    /// The rooms that she was joined to at that change, without those that she left since.
    pub rooms: Arc<[RoomNumber]>,
}

/// All records, also by their last change.
#[derive(Default)]
pub(crate) struct Records {
    users: HashMap<UserNumber, Record>,
    by_change: BTreeMap<u64, UserNumber>,
}

/// What is kept of one user.
pub(crate) struct Record {
    pub(crate) user_id: OwnedUserId,
    pub(crate) status_msg: Option<String>,
    pub(crate) shown: Shown,
    pub(crate) rooms: Arc<[RoomNumber]>,
    devices: Vec<Device>,
    last_active_ms: Option<u64>,
    changed: u64,
}

/// What readers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    state: PresenceState,
    status_msg: Option<String>,
    currently_active: bool,
}

/// What one device asked for.
struct Device {
    number: i64,
    asked: PresenceState,
    syncs: u32,
    last_sync_ms: u64,
    last_active_ms: u64,
}

impl Device {
    fn is_gone(&self, now_ms: u64) -> bool {
        self.syncs == 0 && now_ms >= self.last_sync_ms.saturating_add(SYNC_GRACE_MS)
    }

    fn is_idle(&self, now_ms: u64) -> bool {
        now_ms >= self.last_active_ms.saturating_add(IDLE_MS)
    }

    fn rank(&self, now_ms: u64) -> u8 {
        match self.asked {
            _ if self.is_gone(now_ms) => 0,
            PresenceState::Online if !self.is_idle(now_ms) => 2,
            PresenceState::Online | PresenceState::Unavailable => 1,
            _ => 0,
        }
    }
}

impl Record {
    fn new(user_id: &UserId) -> Self {
        let shown =
            Shown { state: PresenceState::Offline, status_msg: None, currently_active: false };
        Self {
            user_id: user_id.to_owned(),
            status_msg: None,
            shown,
            rooms: Arc::default(),
            devices: Vec::new(),
            last_active_ms: None,
            changed: 0,
        }
    }

    fn device(&mut self, number: i64, now_ms: u64) -> &mut Device {
        let found = self.devices.iter().position(|device| device.number == number);
        let index = found.unwrap_or_else(|| {
            self.devices.push(Device {
                number,
                asked: PresenceState::Offline,
                syncs: 0,
                last_sync_ms: now_ms,
                last_active_ms: now_ms,
            });
            self.devices.len() - 1
        });
        &mut self.devices[index]
    }

    /// A device asks for a state. Coming online is something that the user does.
    pub(crate) fn ask(&mut self, device: i64, state: &PresenceState, now_ms: u64) {
        let device = self.device(device, now_ms);
        let was_gone = device.is_gone(now_ms) || device.asked == PresenceState::Offline;
        let comes_online = *state == PresenceState::Online
            && (was_gone || device.asked == PresenceState::Unavailable);
        device.asked = state.clone();
        device.last_sync_ms = now_ms;
        if comes_online {
            device.last_active_ms = now_ms;
            self.last_active_ms = Some(now_ms);
        }
    }

    /// The user does something on a device, which wakes it up.
    pub(crate) fn act(&mut self, device: i64, now_ms: u64) {
        self.last_active_ms = Some(now_ms);
        let device = self.device(device, now_ms);
        device.last_active_ms = now_ms;
        if device.asked == PresenceState::Unavailable {
            device.asked = PresenceState::Online;
        }
    }

    pub(crate) fn begin_sync(&mut self, device: i64) {
        if let Some(device) = self.devices.iter_mut().find(|known| known.number == device) {
            device.syncs += 1;
        }
    }

    pub(crate) fn end_sync(&mut self, device: i64, now_ms: u64) {
        if let Some(device) = self.devices.iter_mut().find(|known| known.number == device) {
            device.syncs = device.syncs.saturating_sub(1);
            device.last_sync_ms = now_ms;
        }
    }

    /// Forgets devices that do not count any more.
    pub(crate) fn drop_gone(&mut self, now_ms: u64) {
        self.devices.retain(|device| !device.is_gone(now_ms));
    }

    /// What is to be seen at this time.
    pub(crate) fn visible(&self, now_ms: u64) -> Shown {
        let rank = self.devices.iter().map(|device| device.rank(now_ms)).max().unwrap_or(0);
        let state = match rank {
            2 => PresenceState::Online,
            1 => PresenceState::Unavailable,
            _ => PresenceState::Offline,
        };
        let active = self.last_active_ms.is_some_and(|at| now_ms < at.saturating_add(ACTIVE_MS));
        Shown {
            currently_active: state == PresenceState::Online && active,
            status_msg: self.status_msg.clone(),
            state,
        }
    }

    /// When time alone changes what is to be seen.
    pub(crate) fn next_due_ms(&self, now_ms: u64) -> Option<u64> {
        let of_devices = self.devices.iter().flat_map(|device| {
            let gone = (device.syncs == 0).then_some(device.last_sync_ms + SYNC_GRACE_MS);
            let online = device.asked == PresenceState::Online;
            let idle = online.then_some(device.last_active_ms + IDLE_MS);
            [gone, idle]
        });
        let active = self.last_active_ms.map(|at| at + ACTIVE_MS);
        let known = of_devices.chain([active]).flatten();
        // What is over already has been seen to.
        known.filter(|time_ms| *time_ms > now_ms).min()
    }

    fn presence(&self, now_ms: u64) -> UserPresence {
        UserPresence {
            user_id: self.user_id.clone(),
            state: self.shown.state.clone(),
            status_msg: self.shown.status_msg.clone(),
            last_active_ago_ms: self.last_active_ms.map(|at| now_ms.saturating_sub(at)),
            currently_active: self.shown.currently_active,
            changed: self.changed,
            rooms: Arc::clone(&self.rooms),
        }
    }
}

impl Records {
    pub(crate) fn get_mut(&mut self, user: UserNumber) -> Option<&mut Record> {
        self.users.get_mut(&user)
    }

    pub(crate) fn get_or_insert(&mut self, user: UserNumber, user_id: &UserId) -> &mut Record {
        if self.users.len() >= MAX_RECORDS && !self.users.contains_key(&user) {
            self.make_room();
        }
        self.users.entry(user).or_insert_with(|| Record::new(user_id))
    }

    /// The presence of somebody whom readers were told of.
    pub(crate) fn find(&self, user: UserNumber, now_ms: u64) -> Option<UserPresence> {
        self.users.get(&user).map(|record| record.presence(now_ms))
    }

    pub(crate) fn changed_since(&self, counter: u64, now_ms: u64) -> Vec<UserPresence> {
        let changed = self.by_change.range(counter.saturating_add(1)..);
        changed.filter_map(|(_, user)| self.find(*user, now_ms)).collect()
    }

    /// Notes the change of a record.
    pub(crate) fn set_changed(&mut self, user: UserNumber, counter: u64) {
        if let Some(record) = self.users.get_mut(&user) {
            let before = std::mem::replace(&mut record.changed, counter);
            self.by_change.remove(&before);
            self.by_change.insert(counter, user);
        }
    }

    /// Hides a user from those who are in a room that she left.
    pub(crate) fn leave(&mut self, user: UserNumber, room: RoomNumber) {
        if let Some(record) = self.users.get_mut(&user)
            && record.rooms.contains(&room)
        {
            record.rooms = record.rooms.iter().copied().filter(|other| *other != room).collect();
        }
    }

    fn make_room(&mut self) {
        let offline = |user: &UserNumber| {
            self.users.get(user).is_some_and(|record| record.devices.is_empty())
        };
        let oldest = self.by_change.iter().find(|(_, user)| offline(user));
        if let Some((changed, user)) = oldest.map(|(changed, user)| (*changed, *user)) {
            self.by_change.remove(&changed);
            self.users.remove(&user);
        }
    }
}
