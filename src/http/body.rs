//! Bodies of requests: read whole, within a size and a time.

use std::{pin::pin, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::time::timeout;

use crate::BoxError;

/// What is reserved at once for a body that comes in pieces; a claimed length reserves no more.
const FIRST_RESERVE_BYTES: usize = 64 * 1024;

/// How much of a body is read, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimit {
    /// Greatest size in bytes.
    pub max_bytes: usize,
    /// Time for the whole body, from the call on.
    pub timeout: Duration,
}

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger, or says that it will be larger, than allowed.
    #[error("the body is larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// It did not come in time.
    #[error("the body did not arrive within {} seconds", timeout.as_secs())]
    TimedOut {
        /// The limit.
        timeout: Duration,
    },
    /// The client went away or broke the protocol.
    #[error("the body is incomplete: {0}")]
    Broken(BoxError),
}

/// Reads a body whole. A body of one piece is not copied.
pub async fn collect<B>(body: B, limit: BodyLimit) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    // A body that announces its size is refused before it is sent (`Expect: 100-continue`).
    if body.size_hint().lower() > limit.max_bytes as u64 {
        return Err(BodyError::TooLarge { max_bytes: limit.max_bytes });
    }
    match timeout(limit.timeout, gather(body, limit.max_bytes)).await {
        Ok(result) => result,
        Err(_) => Err(BodyError::TimedOut { timeout: limit.timeout }),
    }
}

async fn gather<B>(body: B, max_bytes: usize) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::Broken(error.into()))?;
        // Trailers carry nothing that a request here could mean.
        let Ok(piece) = frame.into_data() else { continue };
        if first.len().max(all.len()).saturating_add(piece.len()) > max_bytes {
            return Err(BodyError::TooLarge { max_bytes });
        }
        if first.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            let expected = first.len().saturating_add(piece.len());
            let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
            all.reserve(expected.saturating_add(announced.min(FIRST_RESERVE_BYTES)));
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

#[cfg(test)]
#[path = "body_test.rs"]
mod body_test;
