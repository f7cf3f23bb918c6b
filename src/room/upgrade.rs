//! Room upgrades.
//!
//! Spec: client-server API, "Room Upgrades".

use std::sync::Arc;

use proto::{draft::Draft, power::Level, rules::Rules, visibility::Membership};
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, RoomVersionId, events::TimelineEventType};
use serde_json::{Map, Value, json};
use store::{
    numbers::{CANONICAL_ALIAS, CREATE, POWER_LEVELS},
    room::{aliases, directory, event::Event, events, keys},
};

use crate::{
    MemberProfile, Room, RoomError, RoomView, Rooms, Submission,
    content::{member_draft, raw},
    create::Plan,
    queue::Work,
    recipe::{Recipe, object, state_draft},
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

/// Says in the old room that it has been replaced.
struct Close<'u> {
    request: &'u UpgradeRoom,
    replacement: OwnedRoomId,
    timestamp_ms: u64,
}

impl Work for Close<'_> {
    async fn run(&self, stage: &mut Stage<'_>) -> Result<OwnedEventId, RoomError> {
        let content = json!({
            "body": "This room has been replaced",
            "replacement_room": self.replacement,
        });
        let draft = state_draft(&self.request.sender, "m.room.tombstone", raw(&content)?);
        let body = stage.add(&draft, self.timestamp_ms).await?;
        Ok(body.event_id().to_owned())
    }
}

/// Keeps the old room from being talked in: raises what sending and inviting need, where the sender
/// may.
struct Restrict<'u> {
    request: &'u UpgradeRoom,
    timestamp_ms: u64,
}

impl Work for Restrict<'_> {
    async fn run(&self, stage: &mut Stage<'_>) -> Result<OwnedEventId, RoomError> {
        let tip = stage.view.tips.first().map(|tip| tip.event_id().to_owned());
        let unchanged = tip.ok_or(RoomError::RoomNotFound)?;
        let Some(levels) = stage.view.state_pdu(POWER_LEVELS) else { return Ok(unchanged) };
        let powers = stage.view.powers();
        if !powers.may_send(&self.request.sender, "m.room.power_levels", true) {
            return Ok(unchanged);
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
            return Ok(unchanged);
        }
        let draft = state_draft(&self.request.sender, "m.room.power_levels", raw(&content)?);
        let body = stage.add(&draft, self.timestamp_ms).await?;
        Ok(body.event_id().to_owned())
    }
}

const POWER_LEVELS_TYPE: &str = "m.room.power_levels";

impl Rooms {
    /// Replaces a room; the answer is the new one.
    ///
    /// First the new room is built, with the aliases and the place in the directory moved in the
    /// same change; then the old one is closed. If that is interrupted, the old room still works
    /// and can be upgraded again.
    pub async fn upgrade(&self, request: UpgradeRoom) -> Result<OwnedRoomId, RoomError> {
        let rules = Rules::of(request.version.as_str())
            .ok_or_else(|| RoomError::UnsupportedVersion(request.version.clone()))?;
        let old = self.known(&request.room_id).await?;
        let view = old.view();
        let number = self.inner.find_user(&request.sender).await?.ok_or(RoomError::NotInRoom)?;
        if !view.is_joined(number) {
            return Err(RoomError::NotInRoom);
        }
        if !view.powers().may_send(&request.sender, "m.room.tombstone", true) {
            return Err(RoomError::Forbidden("you may not upgrade this room"));
        }
        let plan = Plan {
            rules,
            creator: request.sender.clone(),
            alias: None,
            public: old.0.is_published(),
            recipe: self.successor(&request, rules, &view).await?,
        };
        let replacement = self.build(&plan).await?;
        self.move_aliases(&request, &old, &replacement).await?;
        let timestamp_ms = self.now_ms();
        let close = Close { request: &request, replacement: replacement.clone(), timestamp_ms };
        self.change(&old, &close).await?;
        if let Err(error) = self.change(&old, &Restrict { request: &request, timestamp_ms }).await {
            // The room is replaced whether or not somebody can still speak in the old one.
            tracing::info!(room = %request.room_id, %error, "the old room stays open for messages");
        }
        Ok(replacement)
    }

    /// Points the old room's aliases at the new one, and sets its canonical alias.
    async fn move_aliases(
        &self,
        request: &UpgradeRoom,
        old: &Room,
        replacement: &OwnedRoomId,
    ) -> Result<(), RoomError> {
        let new = self.known(replacement).await?;
        let (from, to) = (old.number(), new.number());
        let published = old.0.is_published();
        let work = self.inner.setup.store.write(move |txn| {
            aliases::move_all(txn, from, to)?;
            if published {
                directory::remove(txn, from)?;
            }
            Ok::<_, RoomError>(())
        });
        work.await?;
        old.0.set_published(false);
        let Some(alias) = old.view().state_pdu(CANONICAL_ALIAS).cloned() else { return Ok(()) };
        let draft =
            state_draft(&request.sender, "m.room.canonical_alias", alias.content_raw().to_owned());
        let submission =
            Submission { room_id: replacement.clone(), draft, timestamp_ms: None, txn: None };
        match self.submit(submission).await {
            // Those aliases are not ours to move.
            Ok(_) | Err(RoomError::BadAlias(_)) => Ok(()),
            Err(error) => Err(error),
        }
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
            let kind = pdu.event_type().to_string();
            let fixed = COPIED.contains(&kind.as_str()) && pdu.state_key() == Some("");
            fixed || (kind == SPACE_CHILD && pdu.content() != "{}")
        });
        let draft = |event: &Arc<Event>| Draft {
            sender: request.sender.clone(),
            event_type: TimelineEventType::from(event.pdu().event_type().to_string()),
            state_key: event.pdu().state_key().map(str::to_owned),
            content: event.pdu().content_raw().to_owned(),
            redacts: None,
        };
        Ok(copied.take(COPIED_MAX).map(draft).collect())
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
    if rules.privileged_creators() && !request.additional_creators.is_empty() {
        content.insert("additional_creators".to_owned(), json!(request.additional_creators));
    }
    content.insert("room_version".to_owned(), rules.id.into());
    let mut predecessor = json!({ "room_id": request.room_id });
    if let Some(last) = old.tips.first() {
        predecessor["event_id"] = last.event_id().as_str().into();
    }
    content.insert("predecessor".to_owned(), predecessor);
    Ok(content)
}
