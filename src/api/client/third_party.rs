//! Third-party networks.
//!
//! Spec: client-server API, "Third-party Networks".

use crate::{
    extract::Call,
    reply::{self, Outcome},
};

/// `GET /thirdparty/protocols`: only application services bring any, and there are none.
pub(crate) async fn protocols(_call: Call) -> Outcome {
    reply::empty()
}
