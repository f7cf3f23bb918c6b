//! Creating rooms: one atomic change of the store, however many events it takes.
//!
//! Spec: client-server API, `POST /createRoom`.

use std::sync::{Arc, atomic::Ordering};

use imbl::OrdMap;
use proto::{
    clock::random_string, draft::Placement, number::RoomNumber, pdu::Pdu, rules::Rules,
    state::StateMap,
};
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId, UserId};
use smallvec::smallvec;
use store::{
    numbers::{CREATE, Promise},
    room::{event::Body, levels::Node},
};

use crate::{
    RoomError, RoomView, Rooms,
    alias::check_form,
    members::Members,
    persist::WriteError,
    ports::Act,
    queue::ATTEMPTS_MAX,
    recipe::{Recipe, recipe},
    room::Core,
    stage::{NewRoom, Stage},
    tip::Tip,
    view::Parts,
};

pub use crate::recipe::{CreateRoom, InitialState};

/// The most users that are invited when a room is created.
pub const INVITES_MAX: usize = 200;
/// The most state events that a room is created with.
pub const INITIAL_STATE_MAX: usize = 200;
const TOO_MANY: RoomError = RoomError::Limit("too many invitations or state events at once");
/// The random characters of a room id that is not computed from the create event.
const ROOM_ID_LENGTH: usize = 18;

impl Rooms {
    /// Creates a room.
    pub async fn create(&self, request: CreateRoom) -> Result<OwnedRoomId, RoomError> {
        let settings = self.inner.setup.settings.load_full();
        let version = request.version.as_ref().unwrap_or(&settings.default_version);
        let rules = Rules::of(version.as_str())
            .ok_or_else(|| RoomError::UnsupportedVersion(version.clone()))?;
        self.check(&request.creator, Act::Create(version))?;
        if request.invite.len() > INVITES_MAX || request.initial_state.len() > INITIAL_STATE_MAX {
            return Err(TOO_MANY);
        }
        if request.public && !settings.publishing {
            return Err(RoomError::Forbidden("rooms cannot be published on this server"));
        }
        let alias = self.new_alias(&request).await?;
        let recipe = recipe(&request, rules, alias.as_ref(), settings.federate_by_default)?;
        self.check_invites(&request.creator, &recipe).await?;
        let plan = Plan { rules, creator: request.creator, alias, public: request.public, recipe };
        self.build(&plan).await
    }

    /// Checks whom the new room invites, be it by `invite` or by member events among the state that
    /// it begins with.
    async fn check_invites(&self, creator: &UserId, recipe: &Recipe) -> Result<(), RoomError> {
        // The room has no id yet: what counts is who invites whom.
        let nowhere = <&RoomId>::try_from("!new").map_err(|_| RoomError::RoomNotFound)?;
        let invited = recipe.invited();
        if invited.len() > INVITES_MAX {
            return Err(TOO_MANY);
        }
        for user in &invited {
            if user == creator {
                return Err(RoomError::Forbidden("you cannot invite yourself"));
            }
            self.check_invite(creator, user, nowhere).await?;
        }
        Ok(())
    }

    /// The alias that the room gets, if it is free.
    async fn new_alias(&self, request: &CreateRoom) -> Result<Option<OwnedRoomAliasId>, RoomError> {
        let Some(localpart) = &request.alias_localpart else { return Ok(None) };
        let text = format!("#{localpart}:{}", self.server_name());
        let invalid = |_| RoomError::InvalidParam("the alias is not valid".to_owned());
        let alias = RoomAliasId::parse(&text).map_err(invalid)?;
        if localpart.contains(':') {
            return Err(RoomError::InvalidParam("the alias is not valid".to_owned()));
        }
        check_form(&alias)?;
        let nowhere = <&RoomId>::try_from("!new").map_err(|_| RoomError::RoomNotFound)?;
        self.check(&request.creator, Act::CreateAlias(&alias, nowhere))?;
        if self.resolve_alias(&alias).await?.is_some() {
            return Err(RoomError::AliasTaken);
        }
        Ok(Some(alias))
    }

    /// Builds a room as planned, in one change. If something that it names has got another number
    /// than was promised, it is built anew.
    pub(crate) async fn build(&self, plan: &Plan) -> Result<OwnedRoomId, RoomError> {
        for _ in 0..ATTEMPTS_MAX {
            match self.try_build(plan).await {
                Ok(room_id) => return Ok(room_id),
                Err(WriteError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RoomError::Busy)
    }

    async fn try_build(&self, plan: &Plan) -> Result<OwnedRoomId, WriteError> {
        let timestamp_ms = self.creation_time(plan.rules);
        let create = self.sign_create(plan, timestamp_ms)?;
        let room_id = create.room_id().to_owned();
        let (number, promises) = self.promise_plan(plan, &room_id).await?;
        let body = Arc::new(Body::new(self.inner.numbering.next_event().await?, create));
        let tip = self.first_tip(plan, number, &body).await?;
        let core = Arc::new(Core::new(tip, store::Position(0), false));
        core.set_published(plan.public);
        let mut tip = self.lock(&core).await?;
        let mut stage = Stage::new_room(&self.inner, &core, &tip, NewRoom { create: body });
        stage.promises = promises;
        for draft in &plan.recipe.drafts {
            stage.add(draft, timestamp_ms).await.map_err(in_initial_state)?;
        }
        stage.extras.alias = plan.alias.clone().map(|alias| (alias, plan.creator.clone()));
        self.commit_stage(stage_of(stage, self)?, &mut tip).await?;
        drop(tip);
        Ok(room_id)
    }

    /// When a room is created. Where its id is computed from the create event, no two rooms are
    /// created in the same millisecond: those that one user asks for with the same words would be
    /// one.
    fn creation_time(&self, rules: &Rules) -> u64 {
        let now = self.now_ms();
        if !rules.room_id_is_create_event() {
            return now;
        }
        let last = &self.inner.last_creation_ms;
        let later = |last: u64| Some(now.max(last + 1));
        let before = last.try_update(Ordering::AcqRel, Ordering::Acquire, later).unwrap_or(now);
        now.max(before + 1)
    }

    fn sign_create(&self, plan: &Plan, timestamp_ms: u64) -> Result<Arc<Pdu>, RoomError> {
        let rules = plan.rules;
        let room_id = if rules.room_id_is_create_event() {
            None
        } else {
            let localpart = random_string(&*self.inner.setup.random, ROOM_ID_LENGTH);
            let text = format!("!{localpart}:{}", self.server_name());
            Some(RoomId::parse(text).map_err(|error| RoomError::Damaged(error.to_string()))?)
        };
        let placement = Placement {
            room_id,
            origin_server_ts: timestamp_ms,
            depth: 1,
            prev_events: Vec::new(),
            auth_events: Vec::new(),
            event_id_localpart: self.inner.event_id_localpart(rules),
        };
        let signed = self.inner.sign(&plan.recipe.create, &placement, rules)?;
        let authorized = signed.into_own().authorize_own(|_, _| None);
        let pdu =
            authorized.map_err(|rejected| RoomError::BadContent(rejected.denied.to_string()))?;
        Ok(pdu.into_pdu())
    }

    /// The room's number, and the promises of all numbers that are new: looked for at once.
    async fn promise_plan(
        &self,
        plan: &Plan,
        room_id: &RoomId,
    ) -> Result<(RoomNumber, Vec<Promise>), RoomError> {
        let (number, room) = self.inner.promise_room(room_id).await?;
        let drafts = plan.recipe.drafts.iter();
        let pairs =
            drafts.filter_map(|draft| Some((draft.event_type.clone(), draft.state_key.clone()?)));
        let keys = self.inner.promise_keys(&pairs.collect::<Vec<_>>()).await?;
        let promises = std::iter::once(room).chain(keys.into_iter().filter_map(|key| key.promise));
        Ok((number, promises.collect()))
    }

    /// The room with nothing but its create event.
    async fn first_tip(
        &self,
        plan: &Plan,
        number: RoomNumber,
        create: &Arc<Body>,
    ) -> Result<Tip, RoomError> {
        let group = self.inner.numbering.next_group().await?;
        let entry = (CREATE.0, create.number().0);
        let path = vec![Arc::new(Node::root(group.0, vec![entry]))];
        let view = RoomView::new(Parts {
            number,
            id: create.pdu().room_id().to_owned(),
            rules: plan.rules,
            revision: 0,
            group,
            state: StateMap::unit(CREATE, create.number()),
            depth: 1,
            tips: smallvec![Arc::clone(create)],
            pinned: OrdMap::unit(CREATE, Arc::clone(create)),
            members: Members::default(),
        })?;
        Ok(Tip::new(Arc::new(view), path))
    }
}

fn stage_of(stage: Stage<'_>, rooms: &Rooms) -> Result<crate::queue::Staged, RoomError> {
    stage.finish(rooms).ok_or_else(|| RoomError::Damaged("a new room has no events".to_owned()))
}

/// A rule that denies one of a new room's first events says that what was asked for contradicts
/// itself.
fn in_initial_state(error: RoomError) -> RoomError {
    match error {
        RoomError::Denied(denied) => RoomError::InvalidRoomState(denied.to_string()),
        other => other,
    }
}

/// A room that is about to be built.
pub(crate) struct Plan {
    pub(crate) rules: &'static Rules,
    pub(crate) creator: OwnedUserId,
    pub(crate) alias: Option<OwnedRoomAliasId>,
    pub(crate) public: bool,
    pub(crate) recipe: Recipe,
}
