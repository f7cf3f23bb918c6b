//! `/sync` over HTTP.
//!
//! Spec: client-server API, "Syncing"; MSC4222 for the unstable name of `use_state_after`.

use std::time::Duration;

use ruma::presence::PresenceState;
use serde::Deserialize;
use serde_json::json;
use sync::{StateSection, SyncRequest};

use crate::{
    error::{ApiError, INVALID_PARAM},
    extract::Call,
    reply::{self, Outcome},
};

/// The query of `/sync`.
#[derive(Deserialize)]
struct SyncQuery {
    since: Option<String>,
    filter: Option<String>,
    #[serde(default)]
    full_state: bool,
    set_presence: Option<String>,
    timeout: Option<u64>,
    #[serde(default)]
    use_state_after: bool,
    #[serde(default, rename = "org.matrix.msc4222.use_state_after")]
    use_state_after_unstable: bool,
}

impl SyncQuery {
    fn into_request(self) -> Result<SyncRequest, ApiError> {
        let state = if self.use_state_after {
            StateSection::After
        } else if self.use_state_after_unstable {
            StateSection::AfterUnstable
        } else {
            StateSection::Before
        };
        Ok(SyncRequest {
            // Some clients send an empty value for none.
            since: self.since.filter(|since| !since.is_empty()),
            filter: self.filter.filter(|filter| !filter.is_empty()),
            full_state: self.full_state,
            set_presence: parse_presence(self.set_presence.as_deref())?,
            timeout: Duration::from_millis(self.timeout.unwrap_or_default()),
            state,
        })
    }
}

fn parse_presence(presence: Option<&str>) -> Result<PresenceState, ApiError> {
    match presence {
        None | Some("online") => Ok(PresenceState::Online),
        Some("offline") => Ok(PresenceState::Offline),
        Some("unavailable") => Ok(PresenceState::Unavailable),
        Some(_) => {
            Err(INVALID_PARAM.with("set_presence is not one of offline, online, unavailable"))
        }
    }
}

/// `GET /sync`.
pub(crate) async fn sync(call: Call) -> Outcome {
    let request = call.query::<SyncQuery>()?.into_request()?;
    let since = request.since.clone();
    let (requester, stopping) = (call.requester()?, &call.state.stopping);
    tokio::select! {
        biased;
        // First, so that a device that is logged out hears nothing more.
        error = call.state.sessions.ended(requester) => Err(error.into()),
        answer = call.state.sync.run(requester, request) => reply::raw(answer?),
        // Whoever waits need not be cut off: she is told that nothing is new, and asks again once
        // the server is back.
        next_batch = stopped(stopping.cancelled(), since) => {
            reply::json(&json!({ "next_batch": next_batch }))
        }
    }
}

/// Ends when the server stops, for those who have a place to go on from.
async fn stopped(stopping: impl Future<Output = ()>, since: Option<String>) -> String {
    match since {
        Some(since) => {
            stopping.await;
            since
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<SyncRequest, ApiError> {
        serde_html_form::from_str::<SyncQuery>(query).unwrap().into_request()
    }

    #[test]
    fn the_query_is_read() {
        let request = parse("since=s1_2_3_4&timeout=30000&full_state=true&filter=7").unwrap();
        assert_eq!(request.since.as_deref(), Some("s1_2_3_4"));
        assert_eq!(request.filter.as_deref(), Some("7"));
        assert_eq!(request.timeout, Duration::from_secs(30));
        assert!(request.full_state);
        assert_eq!(request.state, StateSection::Before);
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let request = parse("access_token=abc").unwrap();
        assert_eq!(request.since, None);
        assert_eq!(request.timeout, Duration::ZERO);
        assert_eq!(request.set_presence, PresenceState::Online);
    }

    #[test]
    fn both_names_of_state_after() {
        let state = |query: &str| parse(query).unwrap().state;
        assert_eq!(state("use_state_after=true"), StateSection::After);
        let unstable = "org.matrix.msc4222.use_state_after=true";
        assert_eq!(state(unstable), StateSection::AfterUnstable);
        assert_eq!(state(&format!("use_state_after=true&{unstable}")), StateSection::After);
    }

    #[test]
    fn unknown_presence_is_refused() {
        assert!(parse("set_presence=dancing").err().unwrap().is(INVALID_PARAM));
    }
}
