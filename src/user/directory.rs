//! Search in the user directory.

use ruma::OwnedUserId;

use crate::{Error, Requester};

/// The user directory.
#[derive(Clone)]
pub struct Directory {}

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
    /// Searches user ids and display names.
    pub async fn search(
        &self,
        requester: &Requester,
        term: &str,
        limit: usize,
    ) -> Result<SearchResult, Error> {
        let _ = (requester, term, limit);
        todo!()
    }
}
