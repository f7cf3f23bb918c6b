//! What of the specification this server serves.
//!
//! Spec: client-server API, "API Versions".

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    extract::Call,
    reply::{self, Outcome},
};

/// The versions whose endpoints clients find here. Clients use what a version brings without asking
/// further, so a version joins the list when all that clients take it for is served: v1.3 needs
/// relations, for example.
const VERSIONS: [&str; 4] = ["r0.6.0", "r0.6.1", "v1.1", "v1.2"];

/// What is served besides, under the names that clients look for.
const FEATURES: [&str; 6] = [
    // Private read receipts.
    "org.matrix.msc2285.stable",
    // Search of the public rooms by type.
    "org.matrix.msc3827.stable",
    // Extended profiles.
    "uk.tcpip.msc4133",
    "uk.tcpip.msc4133.stable",
    // `state_after` in `/sync`.
    "org.matrix.msc4222",
    // Removal of account data.
    "org.matrix.msc3391",
];

/// The answer of `GET /_matrix/client/versions`.
#[derive(Serialize)]
struct Versions {
    versions: [&'static str; VERSIONS.len()],
    unstable_features: BTreeMap<&'static str, bool>,
}

/// `GET /_matrix/client/versions`.
pub(crate) async fn versions(_call: Call) -> Outcome {
    let unstable_features = FEATURES.into_iter().map(|feature| (feature, true)).collect();
    reply::json(&Versions { versions: VERSIONS, unstable_features })
}
