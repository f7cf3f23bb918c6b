//! Room upgrades.
//!
//! Spec: client-server API, "Room Upgrades".

use std::sync::Arc;

use proto::{draft::Draft, power::Level, rules::Rules, visibility::Membership};
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId};
use serde_json::{Map, Value, json};
use store::{
    numbers::{CANONICAL_ALIAS, CREATE, POWER_LEVELS, TOMBSTONE},
    room::{aliases, directory, event::Event, events, keys},
};

use crate::{
    MemberProfile, Room, RoomError, RoomView, Rooms,
    content::{member_draft, raw},
    create::Plan,
    queue::Work,
    recipe::{Recipe, further_creators, object, state_draft},
    stage::Stage,
    upgrade_powers::Powers,
};

/// The state events with an empty state key that the new room takes over as they are.
const COPIED: [&str; 9] = [
    "m.room.server_acl",
    "m.room.encryption",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.guest_access",
    "m.room.history_visibility",
    "m.room.join_rules",
    "m.room.related_groups",
];

/// What a space names as its children; copied with every state key, unless the content is empty.
const SPACE_CHILD: &str = "m.space.child";

/// How long an upgrade that is asked for again is answered with the room that there is: as long as
/// a client may still try that has not heard the first answer.
pub const REPEATED_MS: u64 = 5 * 60 * 1000;

/// The most bans and children of a space that the new room takes over: each is an event of its own.
pub const COPIED_MAX: usize = 500;

/// A request to replace a room by one of another version.
#[derive(Clone, Debug)]
pub struct UpgradeRoom {
    /// Who asks.
    pub sender: OwnedUserId,
    /// The sender's profile.
    pub profile: MemberProfile,
    /// The room to replace.
    pub room_id: OwnedRoomId,
    /// The version of the new one.
    pub version: RoomVersionId,
    /// Further creators, for versions that can have several.
    pub additional_creators: Vec<OwnedUserId>,
}

/// Closes the old room in favour of the new one, all in one change.
struct Close<'u> {
    request: &'u UpgradeRoom,
    replacement: &'u Room,
    timestamp_ms: u64,
}

impl Work for Close<'_> {
    async fn run(&self, stage: &mut Stage<'_>) -> Result<OwnedEventId, RoomError> {
        let content = json!({
            "body": "This room has been replaced",
            "replacement_room": self.replacement.id(),
        });
        let draft = state_draft(&self.request.sender, "m.room.tombstone", raw(&content)?);
        let body = stage.add(&draft, self.timestamp_ms).await?;
        self.drop_canonical(stage).await?;
        self.restrict(stage).await?;
        self.hand_over(stage);
        Ok(body.event_id().to_owned())
    }
}

impl Close<'_> {
    /// Keeps the old room from being talked in: raises what sending and inviting need, where the
    /// sender may.
    async fn restrict(&self, stage: &mut Stage<'_>) -> Result<(), RoomError> {
        let Some(levels) = stage.view.state_pdu(POWER_LEVELS) else { return Ok(()) };
        let powers = stage.view.powers();
        if !powers.may_send(&self.request.sender, POWER_LEVELS_TYPE, true) {
            return Ok(());
        }
        let mut content = object(levels.content_raw())?;
        let silent = Powers::silent(&content);
        let mut changed = false;
        for (field, level) in [
            ("events_default", powers.level(Level::EventsDefault)),
            ("invite", powers.level(Level::Invite)),
        ] {
            if level < silent {
                content.insert(field.to_owned(), silent.into());
                changed = true;
            }
        }
        if !changed {
            return Ok(());
        }
        let draft = state_draft(&self.request.sender, POWER_LEVELS_TYPE, raw(&content)?);
        match stage.add(&draft, self.timestamp_ms).await {
            // Nobody sets a level above the own one. The room is replaced all the same.
            Err(RoomError::Denied(denied)) => {
                let room = &self.request.room_id;
                tracing::info!(%room, %denied, "the old room stays open for messages");
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// Takes the aliases that the new room gets out of the old one's canonical ones, where the
    /// sender may.
    async fn drop_canonical(&self, stage: &mut Stage<'_>) -> Result<(), RoomError> {
        let Some(present) = stage.view.state_pdu(CANONICAL_ALIAS) else { return Ok(()) };
        let sender = &self.request.sender;
        if !stage.view.powers().may_send(sender, CANONICAL_ALIAS_TYPE, true) {
            return Ok(());
        }
        let split = stage.inner.split_aliases(present.content(), stage.view.number).await?;
        let Some(split) = split else { return Ok(()) };
        let draft = state_draft(sender, CANONICAL_ALIAS_TYPE, raw(&split.others)?);
        stage.add(&draft, self.timestamp_ms).await.map(drop)
    }

    /// Points the aliases at the new room, and takes the old one out of the directory.
    fn hand_over(&self, stage: &mut Stage<'_>) {
        let (from, to) = (stage.view.number, self.replacement.number());
        if let Some(core) = &stage.core {
            // Under the room's lock: no later change may write its summary again.
            core.set_published(false);
        }
        stage.extras.rows.push(Box::new(move |txn| {
            aliases::move_all(txn, from, to)?;
            directory::remove(txn, from)
        }));
    }
}

const POWER_LEVELS_TYPE: &str = "m.room.power_levels";
const CANONICAL_ALIAS_TYPE: &str = "m.room.canonical_alias";

impl Rooms {
    /// Replaces a room; the answer is the new one.
    ///
    /// First the new room is built; then, in one change, the old one is closed, and its aliases
    /// and its place in the directory go to the new one. If a stop comes between the two, the old
    /// room works as before and can be upgraded again; the room that was built stays, with nobody
    /// but the sender in it.
    pub async fn upgrade(&self, request: UpgradeRoom) -> Result<OwnedRoomId, RoomError> {
        let rules = Rules::of(request.version.as_str())
            .ok_or_else(|| RoomError::UnsupportedVersion(request.version.clone()))?;
        let old = self.known(&request.room_id).await?;
        let replaced_by = |view: &RoomView| view.field(TOMBSTONE, "replacement_room");
        let before = replaced_by(&old.view());
        // Two rooms that are made at the same time would share what is handed over.
        let _upgrading = self.inner.upgrading(&request.room_id).await;
        let view = old.view();
        let number = self.inner.find_user(&request.sender).await?.ok_or(RoomError::NotInRoom)?;
        if !view.is_joined(number) {
            return Err(RoomError::NotInRoom);
        }
        if !view.powers().may_send(&request.sender, "m.room.tombstone", true) {
            return Err(RoomError::Forbidden("you may not upgrade this room"));
        }
        let present = replaced_by(&view);
        if let Some(meanwhile) = present.as_ref().filter(|room| Some(*room) != before.as_ref()) {
            return self.replaced_meanwhile(meanwhile, rules).await;
        }
        if let Some(replacement) = self.replaced_before(&request, &view, rules).await? {
            return Ok(replacement);
        }
        let plan = Plan {
            rules,
            creator: request.sender.clone(),
            alias: None,
            public: old.0.is_published(),
            recipe: self.successor(&request, rules, &view).await?,
        };
        let replacement = self.known(&self.build(&plan).await?).await?;
        let timestamp_ms = self.now_ms();
        let close = Close { request: &request, replacement: &replacement, timestamp_ms };
        if let Err(error) = self.change(&old, &close).await {
            old.0.set_published(plan.public);
            return Err(error);
        }
        Ok(replacement.id().to_owned())
    }

    /// The room that somebody else's request, or an earlier one of the same client, has just put in
    /// the place of the old one, if it is what is asked for.
    async fn replaced_meanwhile(
        &self,
        room_id: &str,
        rules: &Rules,
    ) -> Result<OwnedRoomId, RoomError> {
        let refusal = RoomError::Forbidden("the room has just been upgraded");
        let Ok(room_id) = RoomId::parse(room_id) else { return Err(refusal) };
        match self.find(&room_id).await? {
            Some(room) if room.view().rules().id == rules.id => Ok(room_id),
            _ => Err(refusal),
        }
    }

    /// The room that the very same request, whose answer its client may not have heard, has put in
    /// the place of the old one a short time ago.
    async fn replaced_before(
        &self,
        request: &UpgradeRoom,
        old: &RoomView,
        rules: &Rules,
    ) -> Result<Option<OwnedRoomId>, RoomError> {
        let Some(tombstone) = old.state_pdu(TOMBSTONE) else { return Ok(None) };
        let sent_ms = u64::try_from(tombstone.origin_server_ts()).unwrap_or(0);
        let age_ms = self.now_ms().saturating_sub(sent_ms);
        if *tombstone.sender() != *request.sender || age_ms >= REPEATED_MS {
            return Ok(None);
        }
        let replacement = tombstone.content_field::<OwnedRoomId>("replacement_room");
        let Some(replacement) = replacement else { return Ok(None) };
        let Some(room) = self.find(&replacement).await? else { return Ok(None) };
        let is_same = is_made_by(&room.view(), request, rules)?;
        Ok(is_same.then_some(replacement))
    }

    /// The first events of the new room.
    async fn successor(
        &self,
        request: &UpgradeRoom,
        rules: &'static Rules,
        old: &RoomView,
    ) -> Result<Recipe, RoomError> {
        let create = create_content(request, rules, old)?;
        let sender = &request.sender;
        let mut profile = Map::new();
        request.profile.write(&mut profile);
        let mut drafts = vec![member_draft(sender, sender, Membership::Join, profile)?];
        let levels = match old.state_pdu(POWER_LEVELS) {
            Some(levels) => object(levels.content_raw())?,
            None => Map::new(),
        };
        let powers = Powers::of(&levels, old, (sender, &request.additional_creators), rules);
        drafts.push(state_draft(sender, POWER_LEVELS_TYPE, raw(&powers.initial)?));
        drafts.extend(self.copied_state(request, old).await?);
        drafts.extend(self.canonical_alias(request, old).await?);
        drafts.extend(self.bans(request, old).await?);
        if let Some(lasting) = &powers.lasting {
            drafts.push(state_draft(sender, POWER_LEVELS_TYPE, raw(lasting)?));
        }
        Ok(Recipe { create: state_draft(sender, "m.room.create", raw(&create)?), drafts })
    }

    /// The state that the new room takes over, besides power levels.
    async fn copied_state(
        &self,
        request: &UpgradeRoom,
        old: &RoomView,
    ) -> Result<Vec<Draft>, RoomError> {
        let other = old.state().iter().filter(|(key, _)| keys::key_user(**key).is_none());
        let numbers = other.map(|(_, number)| *number).collect::<Vec<_>>();
        let cache = self.inner.loader.events.clone();
        let read = self
            .inner
            .setup
            .store
            .read(move |snapshot| events::load_all(snapshot, &cache, &numbers));
        let state: Vec<Arc<Event>> = read.await?;
        let copied = state.iter().filter(|event| {
            let pdu = event.pdu();
            let kind = pdu.type_str();
            let fixed = COPIED.contains(&kind) && pdu.state_key() == Some("");
            fixed || (kind == SPACE_CHILD && pdu.content() != "{}")
        });
        let draft = |event: &Arc<Event>| Draft {
            sender: request.sender.clone(),
            event_type: event.pdu().type_str().to_owned(),
            state_key: event.pdu().state_key().map(str::to_owned),
            content: event.pdu().content_raw().to_owned(),
            redacts: None,
        };
        Ok(copied.take(COPIED_MAX).map(draft).collect())
    }

    /// The canonical aliases as far as they point at the old room, and so soon at the new one.
    async fn canonical_alias(
        &self,
        request: &UpgradeRoom,
        old: &RoomView,
    ) -> Result<Option<Draft>, RoomError> {
        let Some(present) = old.state_pdu(CANONICAL_ALIAS) else { return Ok(None) };
        let split = self.inner.split_aliases(present.content(), old.number).await?;
        let sender = &request.sender;
        split
            .map(|split| Ok(state_draft(sender, CANONICAL_ALIAS_TYPE, raw(&split.own)?)))
            .transpose()
    }

    /// Whoever was banned is banned from the new room too, as far as that fits into one change.
    async fn bans(&self, request: &UpgradeRoom, old: &RoomView) -> Result<Vec<Draft>, RoomError> {
        let banned = old.members().filter(|(_, member)| member.membership == Membership::Ban);
        let mut drafts = Vec::new();
        for (_, member) in banned.take(COPIED_MAX) {
            let body = self.inner.body(member.event).await?;
            let mut content = Map::new();
            if let Some(reason) = body.pdu().content_field::<String>("reason") {
                content.insert("reason".to_owned(), reason.into());
            }
            let target = &member.user_id;
            drafts.push(member_draft(&request.sender, target, Membership::Ban, content)?);
        }
        Ok(drafts)
    }
}

/// Whether a room is what this request would make: by whom, of which version, in whose place, with
/// which creators.
fn is_made_by(room: &RoomView, request: &UpgradeRoom, rules: &Rules) -> Result<bool, RoomError> {
    let Some(create) = room.state_pdu(CREATE) else { return Ok(false) };
    let content = object(create.content_raw())?;
    let replaced = content.get("predecessor").and_then(|before| before.get("room_id"));
    let creators = further_creators(&request.sender, request.additional_creators.clone());
    let named = content.get("additional_creators").cloned().unwrap_or_else(|| json!([]));
    Ok(room.rules().id == rules.id
        && *create.sender() == *request.sender
        && replaced.and_then(Value::as_str) == Some(request.room_id.as_str())
        && (!rules.privileged_creators() || named == json!(creators)))
}

fn create_content(
    request: &UpgradeRoom,
    rules: &Rules,
    old: &RoomView,
) -> Result<Map<String, Value>, RoomError> {
    let mut content = match old.state_pdu(CREATE) {
        Some(create) => object(create.content_raw())?,
        None => Map::new(),
    };
    for key in ["creator", "additional_creators", "predecessor"] {
        content.remove(key);
    }
    if rules.creator_in_content() {
        content.insert("creator".to_owned(), request.sender.to_string().into());
    }
    let creators = further_creators(&request.sender, request.additional_creators.clone());
    if rules.privileged_creators() && !creators.is_empty() {
        content.insert("additional_creators".to_owned(), json!(creators));
    }
    content.insert("room_version".to_owned(), rules.id.into());
    let mut predecessor = json!({ "room_id": request.room_id });
    if let Some(last) = old.tips.first() {
        predecessor["event_id"] = last.event_id().as_str().into();
    }
    content.insert("predecessor".to_owned(), predecessor);
    Ok(content)
}
