//! What a new room's first events say: presets, power levels, and what the creator asks for on top.
//!
//! Spec: client-server API, `POST /createRoom`.

use std::collections::HashSet;

use proto::{draft::Draft, rules::Rules, visibility::Membership};
use ruma::{
    OwnedRoomAliasId, OwnedUserId, RoomVersionId, UserId,
    api::client::room::create_room::v3::RoomPreset,
};
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    MemberProfile, RoomError,
    alias::check_first_canonical,
    content::{member_draft, raw},
};

/// The power that a creator has in versions where it is a number.
const CREATOR_POWER: i64 = 100;
/// What a tombstone needs at the least where creators stand above all numbers.
const TOMBSTONE_POWER: i64 = 150;

/// A state event that a new room begins with.
#[derive(Clone, Debug)]
pub struct InitialState {
    /// Its type.
    pub event_type: String,
    /// Its state key.
    pub state_key: String,
    /// Its content.
    pub content: Box<RawValue>,
}

/// What a new room is to be like.
#[derive(Clone, Debug)]
pub struct CreateRoom {
    /// Who creates it.
    pub creator: OwnedUserId,
    /// The creator's profile.
    pub profile: MemberProfile,
    /// Its version; the configured one if `None`.
    pub version: Option<RoomVersionId>,
    /// Whether it is in the public directory.
    pub public: bool,
    /// The preset; by visibility if `None`.
    pub preset: Option<RoomPreset>,
    /// The local part of its alias.
    pub alias_localpart: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Who is invited, with their profiles.
    pub invite: Vec<(OwnedUserId, MemberProfile)>,
    /// Whether the invites say that it is a direct chat.
    pub is_direct: bool,
    /// Further keys of the create event's content.
    pub creation_content: Option<Box<RawValue>>,
    /// State that it begins with.
    pub initial_state: Vec<InitialState>,
    /// Keys that replace those of the preset's power levels.
    pub power_level_content_override: Option<Box<RawValue>>,
}

/// The first events of a room.
pub(crate) struct Recipe {
    /// The create event.
    pub(crate) create: Draft,
    /// Those after it, in order.
    pub(crate) drafts: Vec<Draft>,
}

impl Recipe {
    /// Everybody whom it invites.
    pub(crate) fn invited(&self) -> Vec<OwnedUserId> {
        let members = self.drafts.iter().filter(|draft| {
            draft.event_type == "m.room.member" && membership_of(draft) == Some(Membership::Invite)
        });
        // What is no user is refused by the authorization rules.
        members.filter_map(|draft| UserId::parse(draft.state_key.as_deref()?).ok()).collect()
    }
}

/// The membership that a member event says.
fn membership_of(draft: &Draft) -> Option<Membership> {
    let content = serde_json::from_str::<Map<String, Value>>(draft.content.get()).ok()?;
    Membership::parse(content.get("membership")?.as_str()?)
}

/// What a preset says.
struct Preset {
    join_rule: &'static str,
    guest_access: &'static str,
    /// Whether invitees are as powerful as the creator.
    trusted: bool,
    invite_power: i64,
}

impl Preset {
    fn of(request: &CreateRoom) -> Self {
        let by_visibility =
            if request.public { RoomPreset::PublicChat } else { RoomPreset::PrivateChat };
        match request.preset.as_ref().unwrap_or(&by_visibility) {
            RoomPreset::PublicChat => Self {
                join_rule: "public",
                guest_access: "forbidden",
                trusted: false,
                invite_power: 50,
            },
            preset => Self {
                join_rule: "invite",
                guest_access: "can_join",
                trusted: *preset == RoomPreset::TrustedPrivateChat,
                invite_power: 0,
            },
        }
    }
}

/// The first events of a room that a client asks for.
pub(crate) fn recipe(
    request: &CreateRoom,
    rules: &'static Rules,
    alias: Option<&OwnedRoomAliasId>,
    federate: bool,
) -> Result<Recipe, RoomError> {
    let preset = Preset::of(request);
    let create = create_content(request, rules, preset.trusted, federate)?;
    let mut first = Drafts { creator: &request.creator, request, list: Vec::new() };
    let mut profile = Map::new();
    request.profile.write(&mut profile);
    first.list.push(member_draft(&request.creator, &request.creator, Membership::Join, profile)?);
    first.power_levels(rules, &preset)?;
    if let Some(alias) = alias {
        first.add("m.room.canonical_alias", &json!({ "alias": alias }))?;
    }
    first.add_default("m.room.join_rules", &json!({ "join_rule": preset.join_rule }))?;
    first.add_default("m.room.history_visibility", &json!({ "history_visibility": "shared" }))?;
    first.add_default("m.room.guest_access", &json!({ "guest_access": preset.guest_access }))?;
    first.initial_state(alias)?;
    if let Some(name) = &request.name {
        first.add("m.room.name", &json!({ "name": name }))?;
    }
    if let Some(topic) = &request.topic {
        // The extensible form beside the plain one, as clients that know it expect.
        let text = json!([{ "body": topic, "mimetype": "text/plain" }]);
        first.add("m.room.topic", &json!({ "topic": topic, "m.topic": { "m.text": text } }))?;
    }
    first.invites()?;
    let drafts = first.list;
    Ok(Recipe { create: state_draft(&request.creator, "m.room.create", raw(&create)?), drafts })
}

/// A state event with the empty state key.
pub(crate) fn state_draft(sender: &UserId, event_type: &str, content: Box<RawValue>) -> Draft {
    Draft {
        sender: sender.to_owned(),
        event_type: event_type.to_owned(),
        state_key: Some(String::new()),
        content,
        redacts: None,
    }
}

fn create_content(
    request: &CreateRoom,
    rules: &Rules,
    trusted: bool,
    federate: bool,
) -> Result<Map<String, Value>, RoomError> {
    let mut content = match &request.creation_content {
        Some(content) => object(content)?,
        None => Map::new(),
    };
    content.remove("creator");
    if rules.creator_in_content() {
        content.insert("creator".to_owned(), request.creator.to_string().into());
    }
    content.insert("room_version".to_owned(), rules.id.into());
    if !federate && !content.contains_key("m.federate") {
        content.insert("m.federate".to_owned(), false.into());
    }
    if rules.privileged_creators() {
        let creators = additional_creators(request, &content, trusted)?;
        if creators.is_empty() {
            content.remove("additional_creators");
        } else {
            content.insert("additional_creators".to_owned(), json!(creators));
        }
    }
    Ok(content)
}

/// Those that the client names, and with the trusted preset those whom it invites.
fn additional_creators(
    request: &CreateRoom,
    content: &Map<String, Value>,
    trusted: bool,
) -> Result<Vec<OwnedUserId>, RoomError> {
    let named = content.get("additional_creators").cloned().unwrap_or_else(|| json!([]));
    let mut creators = serde_json::from_value::<Vec<OwnedUserId>>(named).map_err(|_| {
        RoomError::InvalidParam("`additional_creators` is not a list of user ids".to_owned())
    })?;
    if trusted {
        creators.extend(request.invite.iter().map(|(user, _)| user.clone()));
    }
    Ok(further_creators(&request.creator, creators))
}

/// Creators besides the one who sends the create event, each once.
pub(crate) fn further_creators(
    creator: &UserId,
    mut creators: Vec<OwnedUserId>,
) -> Vec<OwnedUserId> {
    let mut seen = HashSet::new();
    creators.retain(|user| user != creator && seen.insert(user.clone()));
    creators
}

struct Drafts<'r> {
    creator: &'r UserId,
    request: &'r CreateRoom,
    list: Vec<Draft>,
}

impl Drafts<'_> {
    fn add(&mut self, event_type: &str, content: &Value) -> Result<(), RoomError> {
        self.list.push(state_draft(self.creator, event_type, raw(content)?));
        Ok(())
    }

    /// Adds an event of the preset, unless the initial state has one of its own.
    fn add_default(&mut self, event_type: &str, content: &Value) -> Result<(), RoomError> {
        if self.has_initial(event_type) { Ok(()) } else { self.add(event_type, content) }
    }

    fn has_initial(&self, event_type: &str) -> bool {
        let is =
            |state: &InitialState| state.event_type == event_type && state.state_key.is_empty();
        self.request.initial_state.iter().any(is)
    }

    /// The power levels: those of the initial state, else the preset's with what overrides them.
    fn power_levels(&mut self, rules: &Rules, preset: &Preset) -> Result<(), RoomError> {
        let initial =
            self.request.initial_state.iter().find(|state| {
                state.event_type == "m.room.power_levels" && state.state_key.is_empty()
            });
        let mut content = match initial {
            Some(initial) => object(&initial.content)?,
            None => default_power_levels(self.request, rules, preset),
        };
        if let Some(overriding) = &self.request.power_level_content_override {
            content.extend(object(overriding)?);
        }
        self.add("m.room.power_levels", &content.into())
    }

    fn initial_state(&mut self, alias: Option<&OwnedRoomAliasId>) -> Result<(), RoomError> {
        for state in &self.request.initial_state {
            let is_replaced = match state.event_type.as_str() {
                // No room begins twice; what its creation is to say has a parameter of its own.
                "m.room.create" => {
                    let reason = "the initial state cannot hold an m.room.create";
                    return Err(RoomError::InvalidRoomState(reason.to_owned()));
                }
                _ if !state.state_key.is_empty() => false,
                // It stands at the beginning of the room already.
                "m.room.power_levels" => true,
                "m.room.name" => self.request.name.is_some(),
                "m.room.topic" => self.request.topic.is_some(),
                "m.room.canonical_alias" => {
                    check_first_canonical(&state.content, alias)?;
                    false
                }
                _ => false,
            };
            if is_replaced {
                continue;
            }
            self.list.push(Draft {
                sender: self.creator.to_owned(),
                event_type: state.event_type.clone(),
                state_key: Some(state.state_key.clone()),
                content: state.content.clone(),
                redacts: None,
            });
        }
        Ok(())
    }

    /// One invitation for each user, however often she is named.
    fn invites(&mut self) -> Result<(), RoomError> {
        let mut seen = HashSet::new();
        for (user, profile) in self.request.invite.iter().filter(|(user, _)| seen.insert(user)) {
            let mut content = Map::new();
            profile.write(&mut content);
            if self.request.is_direct {
                content.insert("is_direct".to_owned(), true.into());
            }
            let draft = member_draft(self.creator, user, Membership::Invite, content)?;
            self.list.push(draft);
        }
        Ok(())
    }
}

/// What a tombstone needs where creators stand above all numbers: more than other state does, also
/// where the client says what that is.
fn tombstone_power(request: &CreateRoom) -> i64 {
    let overriding = request.power_level_content_override.as_deref();
    let overriding = overriding.and_then(|content| object(content).ok()).unwrap_or_default();
    let other = overriding.get("state_default").and_then(Value::as_i64).unwrap_or(0);
    TOMBSTONE_POWER.max(other.saturating_add(1))
}

fn default_power_levels(
    request: &CreateRoom,
    rules: &Rules,
    preset: &Preset,
) -> Map<String, Value> {
    let mut users = Map::new();
    let mut tombstone = CREATOR_POWER;
    if rules.privileged_creators() {
        tombstone = tombstone_power(request);
    } else {
        users.insert(request.creator.to_string(), CREATOR_POWER.into());
        if preset.trusted {
            let invited = request.invite.iter();
            users.extend(invited.map(|(user, _)| (user.to_string(), CREATOR_POWER.into())));
        }
    }
    let content = json!({
        "users": users,
        "users_default": 0,
        "events": {
            "m.room.name": 50,
            "m.room.power_levels": 100,
            "m.room.history_visibility": 100,
            "m.room.canonical_alias": 50,
            "m.room.avatar": 50,
            "m.room.tombstone": tombstone,
            "m.room.server_acl": 100,
            "m.room.encryption": 100,
        },
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "kick": 50,
        "redact": 50,
        "invite": preset.invite_power,
    });
    match content {
        Value::Object(content) => content,
        _ => Map::new(),
    }
}

/// The keys of a JSON object.
pub(crate) fn object(content: &RawValue) -> Result<Map<String, Value>, RoomError> {
    serde_json::from_str(content.get()).map_err(|error| RoomError::BadContent(error.to_string()))
}
