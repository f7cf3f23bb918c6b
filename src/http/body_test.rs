//! Tests of reading bodies.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http_body_util::{Empty, Full, StreamBody};
use hyper::body::{Frame, SizeHint};

use super::*;

const LIMIT: BodyLimit = BodyLimit { max_bytes: 10, timeout: Duration::from_mins(1) };

fn pieces(pieces: &[&'static str]) -> impl Body<Data = Bytes, Error = BoxError> + use<> {
    let frames: Vec<Result<Frame<Bytes>, BoxError>> =
        pieces.iter().map(|piece| Ok(Frame::data(Bytes::from(*piece)))).collect();
    StreamBody::new(futures_util::stream::iter(frames))
}

#[tokio::test]
async fn gathers_pieces() {
    assert_eq!(collect(pieces(&["one", "", "two", "3"]), LIMIT).await.unwrap(), "onetwo3");
    assert_eq!(collect(pieces(&[]), LIMIT).await.unwrap(), "");
    assert_eq!(collect(Empty::<Bytes>::new(), LIMIT).await.unwrap(), "");
}

#[tokio::test]
async fn one_piece_is_not_copied() {
    let piece = Bytes::from(vec![b'x'; 10]);
    let whole = collect(Full::new(piece.clone()), LIMIT).await.unwrap();
    assert_eq!(whole.as_ptr(), piece.as_ptr());
}

#[tokio::test]
async fn the_limit_is_exact() {
    assert_eq!(collect(pieces(&["12345", "67890"]), LIMIT).await.unwrap().len(), 10);
    for over in [&["12345", "67890", "1"][..], &["12345678901"], &["1", "2345678901"]] {
        let error = collect(pieces(over), LIMIT).await.unwrap_err();
        assert!(matches!(error, BodyError::TooLarge { max_bytes: 10 }), "{error}");
    }
}

/// Claims a size and never sends anything.
struct Claims(u64);

impl Body for Claims {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

#[tokio::test]
async fn a_claimed_size_is_refused_unread() {
    let error = collect(Claims(11), LIMIT).await.unwrap_err();
    assert!(matches!(error, BodyError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn time_is_limited() {
    let limit = BodyLimit { timeout: Duration::from_millis(20), ..LIMIT };
    let error = collect(Claims(5), limit).await.unwrap_err();
    assert!(matches!(error, BodyError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn a_broken_body_is_said_to_be_so() {
    let frames: VecDeque<Result<Frame<Bytes>, BoxError>> =
        [Ok(Frame::data(Bytes::from("12"))), Err("gone".into())].into();
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let error = collect(body, LIMIT).await.unwrap_err();
    assert_eq!(error.to_string(), "the body is incomplete: gone");
}
