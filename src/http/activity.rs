//! What a connection is doing, watched from the outside: bytes that come and go, and requests in
//! flight. From this the driver decides which connection is idle, slow or stuck.
//!
//! ```text
//!          first byte              head complete                 answer written
//!   idle ─────────────▶ reading a head ─────────▶ in flight ──────────────────▶ idle
//!    │ idle_timeout          │ header_timeout        (no limit here: a long poll may wait)
//!    ▼                       ▼
//!  closed in order          cut           any state: output blocked for write_timeout ─▶ cut
//! ```
//!
//! Output is blocked when the socket takes nothing, and over HTTP/2 also when no stream does whose
//! answer is ready: a client that opens no window reads the socket all the while.
//!
//! Invariant: a connection with a request in flight is never cut for being quiet.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::Version;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use crate::Limits;

/// How long, and for how many bytes, a closed connection still takes what the client is sending:
/// closing with unread input would reset the connection and lose the answer on its way.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
const LINGER_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Over HTTP/2, a write of fewer bytes may be an answer to a ping, which is no use of a connection.
const DATA_MIN_BYTES: usize = 1024;

/// What the driver has to do about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Fine,
    /// Close it in order: nobody uses it.
    Idle,
    /// Cut it: the head of a request does not come to its end.
    SlowHead,
    /// Cut it: the client does not take its answer.
    Blocked,
}

/// The marks of one connection. Times are milliseconds since the start, plus one; zero is "not".
#[derive(Debug)]
pub(crate) struct Activity {
    start: Instant,
    in_flight: AtomicUsize,
    had_request: AtomicBool,
    had_body: AtomicBool,
    http2: AtomicBool,
    head_since: AtomicU64,
    blocked_since: AtomicU64,
    last_use: AtomicU64,
    /// Pieces of answers over HTTP/2 that no stream has room for yet.
    untaken: AtomicUsize,
    untaken_since: AtomicU64,
    draining: AtomicBool,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            in_flight: AtomicUsize::new(0),
            had_request: AtomicBool::new(false),
            had_body: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            head_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            last_use: AtomicU64::new(1),
            untaken: AtomicUsize::new(0),
            untaken_since: AtomicU64::new(0),
            draining: AtomicBool::new(false),
        })
    }

    /// A request's head is complete; the request is in flight until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, version: Version, has_body: bool) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        self.had_request.store(true, Relaxed);
        self.had_body.store(has_body, Relaxed);
        self.http2.store(version == Version::HTTP_2, Relaxed);
        self.head_since.store(0, Relaxed);
        InFlight { activity: Arc::clone(self), has_piece: false }
    }

    /// Whether the client learns of the connection's end before it could send a request in vain:
    /// with the answer that it waits for, or by a frame of HTTP/2.
    pub(crate) fn can_tell_the_end(&self) -> bool {
        self.in_flight.load(Relaxed) > 0 || self.http2.load(Relaxed)
    }

    /// The client is told with its next answer that the connection closes.
    pub(crate) fn next_request_is_the_last(&self) {
        self.draining.store(true, Relaxed);
    }

    pub(crate) fn verdict(&self, limits: &Limits) -> Verdict {
        self.verdict_at(limits, self.now())
    }

    fn verdict_at(&self, limits: &Limits, now: u64) -> Verdict {
        let passed =
            |mark: u64, limit: Duration| u128::from(now.saturating_sub(mark)) >= limit.as_millis();
        let blocked = self.blocked_since.load(Relaxed);
        if blocked != 0 && passed(blocked, limits.write_timeout) {
            return Verdict::Blocked;
        }
        let is_untaken = self.untaken.load(Relaxed) > 0;
        if is_untaken && passed(self.untaken_since.load(Relaxed), limits.write_timeout) {
            return Verdict::Blocked;
        }
        if self.in_flight.load(Relaxed) > 0 {
            return Verdict::Fine;
        }
        if !self.had_request.load(Relaxed) {
            let slow = passed(1, limits.header_timeout);
            return if slow { Verdict::SlowHead } else { Verdict::Fine };
        }
        let head = self.head_since.load(Relaxed);
        if head != 0 && passed(head, limits.header_timeout) {
            return Verdict::SlowHead;
        }
        let idle = passed(self.last_use.load(Relaxed), limits.idle_timeout);
        if idle { Verdict::Idle } else { Verdict::Fine }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).map_or(u64::MAX, |ms| ms.saturating_add(1))
    }

    fn saw_input(&self) {
        // Over HTTP/2, bytes between requests are mostly pings and window updates; a head that
        // never ends falls under the idle limit there.
        let head_begins = self.in_flight.load(Relaxed) == 0 && !self.http2.load(Relaxed);
        if head_begins && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.now(), Relaxed);
        }
    }

    /// So many bytes were written; `None` is that there is no room for any.
    fn saw_output(&self, written: Option<usize>) {
        if let Some(bytes) = written {
            self.blocked_since.store(0, Relaxed);
            if bytes >= DATA_MIN_BYTES || !self.http2.load(Relaxed) {
                self.last_use.store(self.now(), Relaxed);
            }
        } else if self.blocked_since.load(Relaxed) == 0 {
            self.blocked_since.store(self.now(), Relaxed);
        }
    }

    /// A piece of an answer waits for room in its stream.
    fn hand_out(&self) {
        if self.untaken.fetch_add(1, Relaxed) == 0 {
            self.untaken_since.store(self.now(), Relaxed);
        }
    }

    /// One of the pieces found room.
    fn saw_taken(&self) {
        self.untaken_since.store(self.now(), Relaxed);
        self.take_back();
    }

    /// One of the pieces waits no more, whether it found room or its stream is gone.
    fn take_back(&self) {
        self.untaken.fetch_sub(1, Relaxed);
    }

    /// Whether the client may still be sending something that nobody reads.
    fn has_unread_input(&self) -> bool {
        self.had_body.load(Relaxed)
            || !self.had_request.load(Relaxed)
            || self.head_since.load(Relaxed) != 0
    }
}

/// A request between its head and the end of its answer.
#[derive(Debug)]
pub(crate) struct InFlight {
    activity: Arc<Activity>,
    /// Whether a piece of its answer waits for room.
    has_piece: bool,
}

impl InFlight {
    /// Whether the connection closes after this request.
    pub(crate) fn is_last(&self) -> bool {
        self.activity.draining.load(Relaxed)
    }

    /// Whether its answer shares the connection with others, each in a stream with a window.
    pub(crate) fn has_window(&self) -> bool {
        self.activity.http2.load(Relaxed)
    }

    /// A piece of its answer is handed out, and waits until the next is asked for.
    pub(crate) fn hand_out(&mut self) {
        self.saw_taken();
        self.has_piece = true;
        self.activity.hand_out();
    }

    /// The next piece is asked for, so that the one before has found room.
    pub(crate) fn saw_taken(&mut self) {
        if std::mem::take(&mut self.has_piece) {
            self.activity.saw_taken();
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // A client that resets its stream has taken nothing.
        if self.has_piece {
            self.activity.take_back();
        }
        self.activity.last_use.store(self.activity.now(), Relaxed);
        self.activity.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A stream that marks what passes through it.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    inner: T,
    activity: Arc<Activity>,
    /// Set once our side is closed.
    linger: Option<Linger>,
}

#[derive(Debug)]
struct Linger {
    until: Pin<Box<Sleep>>,
    left_bytes: usize,
}

impl<T> Watched<T> {
    pub(crate) fn new(inner: T, activity: Arc<Activity>) -> Self {
        Self { inner, activity, linger: None }
    }

    fn mark_output(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.activity.saw_output(match &result {
            Poll::Pending => None,
            Poll::Ready(written) => Some(*written.as_ref().unwrap_or(&0)),
        });
        result
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.saw_input();
        }
        result
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.mark_output(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.mark_output(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
            if !this.activity.has_unread_input() {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this.linger.get_or_insert_with(|| Linger {
            until: Box::pin(tokio::time::sleep(LINGER_TIMEOUT)),
            left_bytes: LINGER_MAX_BYTES,
        });
        if linger.until.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [0; 8192];
        while linger.left_bytes > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut this.inner).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
            linger.left_bytes = linger.left_bytes.saturating_sub(buffer.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
#[path = "activity_test.rs"]
mod activity_test;
