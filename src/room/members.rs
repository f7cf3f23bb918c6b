//! The members of a room as a view shows them: everybody whom the current state names, except those
//! who left.

use imbl::{OrdMap, OrdSet};
use proto::{
    number::{EventNumber, UserNumber},
    visibility::Membership,
};
use ruma::{OwnedUserId, ServerName};

/// A member: joined, invited, knocking or banned.
#[derive(Clone, Debug)]
pub struct Member {
    /// The user.
    pub user_id: OwnedUserId,
    /// How the user stands to the room.
    pub membership: Membership,
    /// The member event.
    pub event: EventNumber,
}

/// The members of a room. A clone shares everything.
#[derive(Clone, Default)]
pub(crate) struct Members {
    known: OrdMap<UserNumber, Member>,
    joined_local: OrdSet<UserNumber>,
    joined: usize,
    invited: usize,
}

impl Members {
    /// Sets how a user stands to the room; `Leave` is the same as nothing.
    pub(crate) fn set(&mut self, user: UserNumber, member: Member, server: &ServerName) {
        self.remove(user);
        match member.membership {
            Membership::Leave => return,
            Membership::Join => {
                self.joined += 1;
                if member.user_id.server_name() == server {
                    self.joined_local.insert(user);
                }
            }
            Membership::Invite => self.invited += 1,
            Membership::Knock | Membership::Ban => {}
        }
        self.known.insert(user, member);
    }

    pub(crate) fn remove(&mut self, user: UserNumber) {
        match self.known.remove(&user).map(|member| member.membership) {
            Some(Membership::Join) => {
                self.joined -= 1;
                self.joined_local.remove(&user);
            }
            Some(Membership::Invite) => self.invited -= 1,
            _ => {}
        }
    }

    pub(crate) fn get(&self, user: UserNumber) -> Option<&Member> {
        self.known.get(&user)
    }

    pub(crate) fn membership(&self, user: UserNumber) -> Membership {
        self.get(user).map_or(Membership::Leave, |member| member.membership)
    }

    pub(crate) fn joined_count(&self) -> usize {
        self.joined
    }

    pub(crate) fn invited_count(&self) -> usize {
        self.invited
    }

    pub(crate) fn known_count(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn joined_local(&self) -> impl Iterator<Item = UserNumber> + '_ {
        self.joined_local.iter().copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (UserNumber, &Member)> + '_ {
        self.known.iter().map(|(user, member)| (*user, member))
    }
}
