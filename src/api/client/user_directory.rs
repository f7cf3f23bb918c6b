//! Search for users.
//!
//! Spec: client-server API, "User Directory".

use ruma::{
    OwnedMxcUri,
    api::client::user_directory::search_users::v3::{Request, Response, User},
};

use crate::{
    extract::Call,
    reply::{self, Outcome},
};

/// The most users of one answer.
const LIMIT_MAX: usize = 50;

/// `POST /user_directory/search`.
pub(crate) async fn search(call: Call) -> Outcome {
    let request: Request = call.ruma()?;
    let limit = usize::try_from(u64::from(request.limit)).unwrap_or(LIMIT_MAX).min(LIMIT_MAX);
    let directory = &call.state.user_directory;
    let found = directory.search(call.requester()?, &request.search_term, limit).await?;
    let results = found.users.into_iter().map(|user| {
        let mut result = User::new(user.user_id);
        result.display_name = user.display_name;
        result.avatar_url = user.avatar_url.map(OwnedMxcUri::from);
        result
    });
    reply::ruma(Response::new(results.collect(), found.limited))
}
