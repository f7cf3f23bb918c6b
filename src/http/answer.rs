//! The body of an answer on its way to the client. Over HTTP/2 it is handed out in pieces, for what
//! is handed out lies in the connection's memory until the client's window has room for it, and
//! nothing tells when that is but that the next piece is asked for.
//!
//! Invariant: a request is in flight until all of its answer but the last piece was taken.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::activity::InFlight;

/// Greatest piece of an answer over HTTP/2.
const PIECE_MAX_BYTES: usize = 64 * 1024;

/// The body of an answer; the request is in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct Answer<B> {
    body: B,
    guard: InFlight,
    /// What is left of the body's last frame.
    rest: Bytes,
}

impl<B> Answer<B> {
    pub(crate) fn new(body: B, guard: InFlight) -> Self {
        Self { body, guard, rest: Bytes::new() }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Self { body, guard, rest } = &mut *self;
        if !guard.has_window() {
            return Pin::new(body).poll_frame(context);
        }
        guard.saw_taken();
        if rest.is_empty() {
            match ready!(Pin::new(body).poll_frame(context)).map(|it| it.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => *rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        guard.hand_out();
        let piece = rest.split_to(rest.len().min(PIECE_MAX_BYTES));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut size, rest) = (self.body.size_hint(), self.rest.len() as u64);
        if let Some(upper) = size.upper() {
            size.set_upper(upper + rest);
        }
        size.set_lower(size.lower() + rest);
        size
    }
}

#[cfg(test)]
#[path = "answer_test.rs"]
mod answer_test;
