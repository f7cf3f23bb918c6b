//! `check-connection`: tries to connect to somewhere by the very way that the server goes.

use axum::{
    Router, body::Bytes, extract::State, http::StatusCode, response::Response, routing::post,
};
use http::{Attempt, Candidate, Fate, Target};

use super::{
    Admin, Refusal, parse,
    protocol::{CHECK_CONNECTION, CheckConnection, CheckedAddress, CheckedConnection},
    reply,
};
use crate::tls_probe::{self, Probed};

pub(super) fn routes() -> Router<Admin> {
    Router::new().route(CHECK_CONNECTION, post(check))
}

async fn check(State(admin): State<Admin>, body: Bytes) -> Result<Response, Refusal> {
    let CheckConnection { host, port } = parse(&body)?;
    let target = Target { host, port };
    let Attempt { candidates, outcome } = admin.dial.attempt(&target).await;
    let mut checked = CheckedConnection {
        addresses: candidates.into_iter().map(told).collect(),
        broker: admin.broker.as_ref().map(|path| path.display().to_string()),
        tls: None,
        certificate: None,
        error: None,
    };
    match outcome {
        Err(error) => checked.error = Some(error.to_string()),
        Ok(dialled) => {
            let Probed { outcome, certificate } =
                tls_probe::probe(dialled.stream, &target.host).await;
            checked.certificate = certificate;
            match outcome {
                Ok(version) => checked.tls = Some(version),
                Err(reason) => {
                    checked.error = Some(format!("{target} was reached, but not by TLS: {reason}"));
                }
            }
        }
    }
    Ok(reply(StatusCode::OK, &checked))
}

fn told(candidate: Candidate) -> CheckedAddress {
    let fate = match candidate.fate {
        Fate::Denied(range) => format!("denied: it lies in {range}"),
        Fate::Skipped => "not tried".to_owned(),
        Fate::Failed(reason) => format!("failed: {reason}"),
        Fate::Connected => "connected".to_owned(),
    };
    CheckedAddress { address: candidate.address.to_string(), fate }
}
