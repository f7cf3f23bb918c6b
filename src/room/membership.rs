//! Changes of membership that clients ask for.
//!
//! Whether a change is allowed the authorization rules say; here stands what clients may not ask
//! for although the rules would let the event pass, and what asks for nothing because it is so
//! already.
//!
//! Spec: client-server API, "Room membership".

use std::sync::Arc;

use proto::visibility::Membership;
use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId, RoomId, UserId};
use serde_json::{Map, Value, value::RawValue};
use store::room::{event::Body, keys, members};

use crate::{
    Room, RoomError, Rooms, Submission, Submitted,
    content::{member_draft, raw},
    join_rules::authorise_join,
    ports::Act,
    queue::{Work, says_the_same},
    stage::Stage,
};

/// The profile fields that stand in member events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberProfile {
    /// `displayname`.
    pub displayname: Option<String>,
    /// `avatar_url`.
    pub avatar_url: Option<String>,
}

/// A request about one's own membership: to join, to leave, to knock.
#[derive(Clone, Debug)]
pub struct OwnMembership {
    /// Who asks.
    pub user: OwnedUserId,
    /// The room.
    pub room_id: OwnedRoomId,
    /// Why.
    pub reason: Option<String>,
    /// The user's profile, for joins and knocks.
    pub profile: MemberProfile,
    /// Servers that may know the room.
    pub via: Vec<OwnedServerName>,
    /// `third_party_signed` of a join by a third-party invite.
    pub third_party_signed: Option<Box<RawValue>>,
}

/// A request about somebody else's membership: to invite, kick, ban, unban.
#[derive(Clone, Debug)]
pub struct OtherMembership {
    /// Who asks.
    pub sender: OwnedUserId,
    /// Whose membership it is.
    pub target: OwnedUserId,
    /// The room.
    pub room_id: OwnedRoomId,
    /// Why.
    pub reason: Option<String>,
    /// The target's profile, for invites.
    pub profile: MemberProfile,
    /// `is_direct`, for invites.
    pub is_direct: bool,
}

/// A change of membership under way.
struct Change<'c> {
    rooms: &'c Rooms,
    sender: &'c UserId,
    target: &'c UserId,
    membership: Membership,
    content: Map<String, Value>,
    /// Which memberships it may start from, and what to say otherwise.
    from: &'static [Membership],
    refusal: RoomError,
    timestamp_ms: u64,
}

const ANY: &[Membership] =
    &[Membership::Join, Membership::Invite, Membership::Knock, Membership::Leave, Membership::Ban];

/// Keys of a member event that mean something, which nobody writes who joins.
const RESERVED: &[&str] = &[
    "membership",
    "displayname",
    "avatar_url",
    "reason",
    "is_direct",
    "third_party_invite",
    "third_party_signed",
    AUTHORISED_VIA,
];

/// The key of a restricted join that names who authorises it.
const AUTHORISED_VIA: &str = "join_authorised_via_users_server";

/// Why somebody may not knock whose membership says more than a knock.
const KNOCK_REFUSAL: &str = "you are joined to, invited to or banned from this room already";

/// The memberships that one can leave.
const PRESENT: &[Membership] = &[Membership::Join, Membership::Invite, Membership::Knock];

impl Work for Change<'_> {
    async fn run(&self, stage: &mut Stage<'_>) -> Result<OwnedEventId, RoomError> {
        let present = self.present(stage).await?;
        let old = present.as_ref().map_or(Membership::Leave, |body| membership_of(body));
        if let Some(body) = &present
            && self.is_so_already(old)
        {
            return Ok(body.event_id().to_owned());
        }
        if !self.from.contains(&old) {
            return Err(self.refusal.clone());
        }
        let mut content = self.content.clone();
        if self.membership == Membership::Join {
            let authorising = authorise_join(self.rooms, &stage.view, self.target).await?;
            if let Some(user) = authorising {
                content.insert(AUTHORISED_VIA.to_owned(), user.to_string().into());
            }
        }
        let draft = member_draft(self.sender, self.target, self.membership, content)?;
        // Who invites or bans once more, in the same words, has nothing new to tell.
        if let Some(same) = present.filter(|body| says_the_same(body, &draft)) {
            return Ok(same.event_id().to_owned());
        }
        let body = stage.add(&draft, self.timestamp_ms).await?;
        Ok(body.event_id().to_owned())
    }
}

impl Change<'_> {
    /// The target's member event in the working state.
    async fn present(&self, stage: &Stage<'_>) -> Result<Option<Arc<Body>>, RoomError> {
        match stage.inner.find_user(self.target).await? {
            Some(user) => stage.state_body(keys::member_key(user)).await,
            None => Ok(None),
        }
    }

    /// Joining when joined, leaving when gone: nothing is to be done.
    fn is_so_already(&self, old: Membership) -> bool {
        self.sender == self.target
            && self.membership == old
            && matches!(old, Membership::Join | Membership::Leave)
    }
}

/// The membership that a member event says.
pub(crate) fn membership_of(body: &Body) -> Membership {
    body.pdu().membership().unwrap_or_default()
}

impl MemberProfile {
    /// Puts the fields into a member event's content.
    pub(crate) fn write(&self, content: &mut Map<String, Value>) {
        if let Some(displayname) = &self.displayname {
            content.insert("displayname".to_owned(), displayname.as_str().into());
        }
        if let Some(avatar_url) = &self.avatar_url {
            content.insert("avatar_url".to_owned(), avatar_url.as_str().into());
        }
    }
}

fn content(profile: Option<&MemberProfile>, reason: Option<String>) -> Map<String, Value> {
    let mut content = Map::new();
    if let Some(profile) = profile {
        profile.write(&mut content);
    }
    if let Some(reason) = reason {
        content.insert("reason".to_owned(), reason.into());
    }
    content
}

/// Whether another server may be in the room.
fn has_others(room: Option<&Room>, request: &OwnMembership) -> bool {
    let Some(room) = room else { return true };
    !request.via.is_empty() || room.view().joined().next().is_some()
}

impl Rooms {
    /// Joins a room. For a user who is joined already nothing happens.
    pub async fn join(&self, request: OwnMembership) -> Result<Submitted, RoomError> {
        self.join_with(request, Map::new()).await
    }

    /// Joins a room with further keys in the member event, as far as nothing here means anything by
    /// them.
    pub async fn join_with(
        &self,
        request: OwnMembership,
        mut further: Map<String, Value>,
    ) -> Result<Submitted, RoomError> {
        further.retain(|key, _| !RESERVED.contains(&key.as_str()));
        self.check(&request.user, Act::Join(&request.room_id))?;
        let room = self.find(&request.room_id).await?;
        let here = room.filter(|room| room.view().joined_local().next().is_some());
        let Some(room) = here else { return self.join_elsewhere(request, further).await };
        if let Some(signed) = &request.third_party_signed {
            crate::third_party::redeem(self, &room, &request.user, signed).await?;
        }
        self.join_here(&room, request, further).await
    }

    /// Joins a room whose state is here.
    async fn join_here(
        &self,
        room: &Room,
        request: OwnMembership,
        mut further: Map<String, Value>,
    ) -> Result<Submitted, RoomError> {
        further.extend(content(Some(&request.profile), request.reason));
        let change = Change {
            rooms: self,
            sender: &request.user,
            target: &request.user,
            membership: Membership::Join,
            content: further,
            from: ANY,
            refusal: RoomError::Forbidden("you may not join this room"),
            timestamp_ms: self.now_ms(),
        };
        self.change_membership(room, change).await
    }

    /// Joins a room that no user of this server is in: through other servers, or, if there are
    /// none, on the state that is here since the last one left.
    async fn join_elsewhere(
        &self,
        request: OwnMembership,
        further: Map<String, Value>,
    ) -> Result<Submitted, RoomError> {
        let room = self.find(&request.room_id).await?;
        if self.inner.setup.peers.is_some() && has_others(room.as_ref(), &request) {
            return self.join_remote(&request, room.as_ref()).await;
        }
        let room = room.ok_or(RoomError::RoomNotFound)?;
        self.join_here(&room, request, further).await
    }

    /// Knocks on a room.
    pub async fn knock(&self, request: OwnMembership) -> Result<Submitted, RoomError> {
        self.check(&request.user, Act::Join(&request.room_id))?;
        let Some(room) = self.find(&request.room_id).await? else {
            return Err(RoomError::RoomNotFound);
        };
        let content = content(Some(&request.profile), request.reason);
        let change = Change {
            rooms: self,
            sender: &request.user,
            target: &request.user,
            membership: Membership::Knock,
            content,
            from: &[Membership::Leave, Membership::Knock],
            refusal: RoomError::Forbidden(KNOCK_REFUSAL),
            timestamp_ms: self.now_ms(),
        };
        self.change_membership(&room, change).await
    }

    /// Leaves a room, refuses an invitation or takes back a knock.
    pub async fn leave(&self, request: OwnMembership) -> Result<Submitted, RoomError> {
        let Some(room) = self.find(&request.room_id).await? else {
            return Err(RoomError::RoomNotFound);
        };
        let change = Change {
            rooms: self,
            sender: &request.user,
            target: &request.user,
            membership: Membership::Leave,
            content: content(None, request.reason),
            from: PRESENT,
            refusal: RoomError::Forbidden("you are not in this room"),
            timestamp_ms: self.now_ms(),
        };
        self.change_membership(&room, change).await
    }

    /// Invites a user.
    pub async fn invite(&self, request: OtherMembership) -> Result<Submitted, RoomError> {
        self.check_invite(&request.sender, &request.target, &request.room_id).await?;
        let mut content = content(Some(&request.profile), request.reason.clone());
        if request.is_direct {
            content.insert("is_direct".to_owned(), true.into());
        }
        let from = &[Membership::Invite, Membership::Knock, Membership::Leave];
        let refusal = RoomError::Forbidden("the user is in the room already, or banned from it");
        self.change_other(&request, Membership::Invite, (from, refusal), content).await
    }

    /// Kicks a user: also takes back an invitation or refuses a knock.
    pub async fn kick(&self, request: OtherMembership) -> Result<Submitted, RoomError> {
        let content = content(None, request.reason.clone());
        let from = (PRESENT, RoomError::Forbidden("the user is not in the room"));
        self.change_other(&request, Membership::Leave, from, content).await
    }

    /// Bans a user.
    pub async fn ban(&self, request: OtherMembership) -> Result<Submitted, RoomError> {
        let content = content(None, request.reason.clone());
        let from = (ANY, RoomError::Forbidden("you may not ban this user"));
        self.change_other(&request, Membership::Ban, from, content).await
    }

    /// Unbans a user.
    pub async fn unban(&self, request: OtherMembership) -> Result<Submitted, RoomError> {
        let content = content(None, request.reason.clone());
        let from = (&[Membership::Ban][..], RoomError::BadState("the user is not banned"));
        self.change_other(&request, Membership::Leave, from, content).await
    }

    /// Forgets a room that the user has left.
    pub async fn forget(&self, user: &UserId, room_id: &RoomId) -> Result<(), RoomError> {
        let room = self.inner.find_room_number(room_id).await?.ok_or(RoomError::RoomNotFound)?;
        let user = self.inner.find_user(user).await?.ok_or(RoomError::RoomNotFound)?;
        let rooms = self.memberships(user).await?;
        let entry = rooms.get(&room).ok_or(RoomError::RoomNotFound)?;
        if PRESENT.contains(&entry.membership) {
            return Err(RoomError::StillInRoom);
        }
        let inner = Arc::clone(&self.inner);
        let work = self.inner.setup.store.write(move |txn| {
            let forgotten = members::forget(txn, room, user)?;
            let inner = Arc::clone(&inner);
            txn.on_commit(Box::new(move || inner.users.forget(user, room)));
            Ok::<_, RoomError>(forgotten)
        });
        if work.await? { Ok(()) } else { Err(RoomError::StillInRoom) }
    }

    /// Puts a new member event with these profile fields into a room that the user is joined to.
    pub async fn update_profile(
        &self,
        user: &UserId,
        room_id: &RoomId,
        profile: MemberProfile,
    ) -> Result<(), RoomError> {
        let room = self.known(room_id).await?;
        let number = self.inner.find_user(user).await?.ok_or(RoomError::NotInRoom)?;
        if !room.view().is_joined(number) {
            return Err(RoomError::NotInRoom);
        }
        let draft = member_draft(user, user, Membership::Join, content(Some(&profile), None))?;
        let (room_id, timestamp_ms, txn) = (room_id.to_owned(), None, None);
        self.submit(Submission { room_id, draft, timestamp_ms, txn }).await?;
        Ok(())
    }

    /// Checks whether a user may invite another one here, and whether that one wants it.
    pub(crate) async fn check_invite(
        &self,
        sender: &UserId,
        target: &UserId,
        room_id: &RoomId,
    ) -> Result<(), RoomError> {
        self.check(sender, Act::Invite(room_id, target))?;
        let blocks =
            self.is_local(target) && self.inner.setup.policy.blocks_invites(target).await?;
        if blocks { Err(RoomError::InviteBlocked) } else { Ok(()) }
    }

    pub(crate) fn check(&self, user: &UserId, act: Act<'_>) -> Result<(), RoomError> {
        self.inner.setup.policy.check(user, act).map_err(RoomError::Forbidden)
    }

    async fn change_other(
        &self,
        request: &OtherMembership,
        membership: Membership,
        (from, refusal): (&'static [Membership], RoomError),
        content: Map<String, Value>,
    ) -> Result<Submitted, RoomError> {
        let room = self.known(&request.room_id).await?;
        let change = Change {
            rooms: self,
            sender: &request.sender,
            target: &request.target,
            membership,
            content,
            from,
            refusal,
            timestamp_ms: self.now_ms(),
        };
        self.change_membership(&room, change).await
    }

    async fn change_membership(
        &self,
        room: &Room,
        change: Change<'_>,
    ) -> Result<Submitted, RoomError> {
        if !self.is_local(change.sender) {
            return Err(RoomError::Forbidden("the sender is not a user of this server"));
        }
        self.change(room, &change).await
    }

    /// A member event that came as a state event: the same rules as for the endpoints, with the
    /// client's own content.
    pub(crate) async fn submit_member(
        &self,
        submission: Submission,
    ) -> Result<Submitted, RoomError> {
        let room = self.known(&submission.room_id).await?;
        let timestamp_ms = submission.timestamp_ms.unwrap_or_else(|| self.now_ms());
        self.change(&room, &SubmitMember { rooms: self, submission: &submission, timestamp_ms })
            .await
    }
}

/// A member event as a client wrote it.
struct SubmitMember<'s> {
    rooms: &'s Rooms,
    submission: &'s Submission,
    timestamp_ms: u64,
}

impl Work for SubmitMember<'_> {
    async fn run(&self, stage: &mut Stage<'_>) -> Result<OwnedEventId, RoomError> {
        let mut draft = self.submission.draft.clone();
        if let Some(same) = stage.find_same(&draft).await? {
            return Ok(same);
        }
        let mut content = serde_json::from_str::<Map<String, Value>>(draft.content.get())
            .map_err(|error| RoomError::BadContent(error.to_string()))?;
        let membership = content.get("membership").and_then(Value::as_str);
        let membership = membership.and_then(Membership::parse).ok_or_else(|| {
            RoomError::BadContent("a member event needs a known `membership`".to_owned())
        })?;
        // Only the server may say who authorises a join: it would have to sign for a user of
        // another one, and everybody else would drop the event.
        if content.remove(AUTHORISED_VIA).is_some() {
            draft.content = raw(&content)?;
        }
        let room_id = &self.submission.room_id;
        let target = draft.state_key.as_deref().and_then(|key| <&UserId>::try_from(key).ok());
        match (membership, target) {
            (Membership::Join, Some(user)) if *user == *draft.sender => {
                self.rooms.check(user, Act::Join(room_id))?;
                if let Some(authorising) = authorise_join(self.rooms, &stage.view, user).await? {
                    let authorising = authorising.to_string();
                    content.insert(AUTHORISED_VIA.to_owned(), authorising.into());
                    draft.content = raw(&content)?;
                }
            }
            (Membership::Invite, Some(user)) => {
                self.rooms.check_invite(&draft.sender, user, room_id).await?;
            }
            _ => {}
        }
        let body = stage.add(&draft, self.timestamp_ms).await?;
        let txn = self.submission.txn.as_ref().map(|key| key.stage(room_id));
        stage.set_txn(txn);
        Ok(body.event_id().to_owned())
    }
}
