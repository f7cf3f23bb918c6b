//! Search in the user directory: local users by the words of their names and user IDs.
//!
//! Invariant: nobody is found whom the searcher may not know: she shares a room with them, or they
//! are in a room whose members everybody may know, unless the settings open the directory. Names
//! that a user has in one room only are not searched.
//!
//! Spec: client-server API, "User Directory".

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use proto::number::{RoomNumber, UserNumber};
use ruma::{OwnedUserId, ServerName, UserId};
use store::{
    Snapshot,
    user::{directory as rows, profile},
};

use crate::{Context, Error, Requester, RoomAccess};

/// Users of whom one search looks at the names.
const MAX_CANDIDATES: usize = 2000;

/// Users of whom one search looks at the rooms, beside those who share one with the searcher.
const MAX_CHECKED: usize = 300;

/// The most users in one answer.
const MAX_RESULTS: usize = 50;

/// Words of a search that count.
const MAX_WORDS: usize = 8;

/// The most bytes of a word, whether searched or found.
const MAX_WORD_BYTES: usize = 255;

/// The user directory.
#[derive(Clone)]
pub struct Directory {
    context: Context,
    rooms: Arc<dyn RoomAccess>,
}

/// A found user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundUser {
    /// The user.
    pub user_id: OwnedUserId,
    /// The display name.
    pub display_name: Option<String>,
    /// The avatar.
    pub avatar_url: Option<String>,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct SearchResult {
    /// The best ones first.
    pub users: Vec<FoundUser>,
    /// Whether there are more.
    pub limited: bool,
}

impl Directory {
    /// The directory over a store.
    pub fn new(context: Context, rooms: Arc<dyn RoomAccess>) -> Self {
        Self { context, rooms }
    }

    /// Searches user ids and display names.
    pub async fn search(
        &self,
        requester: &Requester,
        term: &str,
        limit: usize,
    ) -> Result<SearchResult, Error> {
        let settings = self.context.settings();
        let wanted = search_words(term, &self.context.server_name);
        if !settings.directory.enabled || wanted.is_empty() {
            return Ok(SearchResult::default());
        }
        let limit = limit.clamp(1, MAX_RESULTS);
        let words = wanted.clone();
        let read = move |snapshot: &mut Snapshot<'_>| Ok::<_, Error>(candidates(snapshot, &words)?);
        let mut found = self.context.store.read(read).await?;
        found.retain(|candidate| candidate.user != requester.user() && candidate.has_all(&wanted));
        found.sort_by_cached_key(|candidate| candidate.rank(&wanted));
        let sight = if settings.directory.search_all_users {
            None
        } else {
            let users: Vec<_> = found.iter().map(|candidate| candidate.user).collect();
            let sharing = self.rooms.sharing(requester.user(), &users).await?;
            Some(Sight { sharing, public: HashMap::new(), looks: 0 })
        };
        self.pick(found, sight, limit).await
    }

    /// The first `limit` candidates who are in sight.
    async fn pick(
        &self,
        candidates: Vec<Candidate>,
        mut sight: Option<Sight>,
        limit: usize,
    ) -> Result<SearchResult, Error> {
        let mut result = SearchResult::default();
        for candidate in candidates {
            let visible = match &mut sight {
                Some(sight) => sight.reaches(self, candidate.user).await?,
                None => true,
            };
            if !visible {
                continue;
            }
            if result.users.len() >= limit {
                result.limited = true;
                break;
            }
            result.users.push(candidate.found);
        }
        // Of those who were not looked at some may be in sight.
        result.limited |= sight.is_some_and(|sight| sight.looks > MAX_CHECKED);
        Ok(result)
    }
}

/// Whom the searcher may know.
struct Sight {
    /// The candidates with whom she shares a room.
    sharing: HashSet<UserNumber>,
    /// What was learned of other rooms during this search.
    public: HashMap<RoomNumber, bool>,
    /// At how many of the other candidates' rooms a look was due.
    looks: usize,
}

impl Sight {
    async fn reaches(&mut self, directory: &Directory, user: UserNumber) -> Result<bool, Error> {
        if self.sharing.contains(&user) {
            return Ok(true);
        }
        self.looks += 1;
        if self.looks > MAX_CHECKED {
            return Ok(false);
        }
        for (room, _) in directory.rooms.joined_rooms(user).await? {
            let public = match self.public.get(&room) {
                Some(public) => *public,
                None => directory.rooms.is_public(room).await?,
            };
            self.public.insert(room, public);
            if public {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Somebody who has the rarest word of a search.
struct Candidate {
    user: UserNumber,
    found: FoundUser,
    words: Vec<String>,
}

impl Candidate {
    fn has_all(&self, wanted: &[String]) -> bool {
        let has = |prefix: &String| self.words.iter().any(|word| word.starts_with(prefix.as_str()));
        wanted.iter().all(has)
    }

    /// Whole words first, then shorter names, then by user ID.
    fn rank(&self, wanted: &[String]) -> (usize, usize, OwnedUserId) {
        let partial = wanted.iter().filter(|word| !self.words.contains(word)).count();
        let length = self.found.display_name.as_ref().map_or(usize::MAX, String::len);
        (partial, length, self.found.user_id.clone())
    }
}

/// Everybody with the longest of the words, which mostly is the rarest.
fn candidates(
    snapshot: &mut Snapshot<'_>,
    wanted: &[String],
) -> Result<Vec<Candidate>, store::Error> {
    let longest = wanted.iter().max_by_key(|word| word.len()).map_or("", String::as_str);
    let users = rows::find_by_prefix(snapshot, longest, MAX_CANDIDATES)?;
    let mut found: HashMap<UserNumber, FoundUser> = HashMap::with_capacity(users.len());
    for (user, user_id) in rows::list_ids(snapshot, &users)? {
        found.insert(user, FoundUser { user_id, display_name: None, avatar_url: None });
    }
    for (user, _, field, json) in profile::list_names(snapshot, &users)? {
        if let Some(found) = found.get_mut(&user) {
            let text = serde_json::from_str(&json).ok();
            let slot = if field == "displayname" {
                &mut found.display_name
            } else {
                &mut found.avatar_url
            };
            *slot = text;
        }
    }
    let candidate = |(user, found): (UserNumber, FoundUser)| {
        let words = words(&found.user_id, found.display_name.as_deref().unwrap_or_default());
        Candidate { user, found, words }
    };
    Ok(found.into_iter().map(candidate).collect())
}

/// The words that a user is found by: those of her name and of her localpart, and her whole user
/// ID.
pub(crate) fn words(user_id: &UserId, displayname: &str) -> Vec<String> {
    let mut words: Vec<String> = split(displayname).chain(split(user_id.localpart())).collect();
    words.push(user_id.as_str().to_lowercase());
    words.sort_unstable();
    words.dedup();
    words
}

/// The words that a search asks for; a user ID, or how one begins, is one word, also without its
/// sigil where it shows itself by the server's name.
fn search_words(term: &str, server_name: &ServerName) -> Vec<String> {
    let mut words = Vec::new();
    for part in term.split_whitespace() {
        let part = part.to_lowercase();
        let server = part.split_once(':').map_or("", |(_, server)| server);
        if part.starts_with('@') && part.len() > 1 {
            words.push(cut(&part));
        } else if !server.is_empty() && server_name.as_str().to_lowercase().starts_with(server) {
            words.push(cut(&format!("@{part}")));
        } else {
            words.extend(split(&part));
        }
    }
    words.truncate(MAX_WORDS);
    words
}

fn split(text: &str) -> impl Iterator<Item = String> + '_ {
    let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    parts.map(|part| cut(&part.to_lowercase()))
}

fn cut(word: &str) -> String {
    word[..word.floor_char_boundary(MAX_WORD_BYTES)].to_owned()
}

#[cfg(test)]
#[path = "directory_test.rs"]
mod directory_test;
