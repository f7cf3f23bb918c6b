//! One accepted connection from its first byte to its last: TLS, HTTP, and the watch over both.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Request, Response, Version,
    body::{Body, Incoming},
    header::{CONNECTION, HeaderValue},
    server::conn::{http1, http2},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};

use crate::{
    BoxError, Connection, Limits, Tls,
    activity::{Activity, Verdict, Watched},
    answer::Answer,
    stream::{Plain, Stream},
    tls::handshake_error,
    version::HttpVersion,
};

/// A limit of next to nothing must not keep the processor busy.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// How long a connection without a request may bring one once the server drains. Over HTTP/1.1
/// nothing tells a client beforehand that its connection closes, so that what it sends meanwhile
/// would be lost; whoever uses the connection all the time is told with the next answer.
const LAST_REQUEST_TIMEOUT: Duration = Duration::from_millis(500);

const NO_HEAD: &str = "no complete request head in time";

/// How far the server is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// Connections end after the request that is in flight, or the one that comes soon.
    Draining,
    /// Connections end.
    Cutting,
}

/// Runs the tasks of HTTP/2 requests where the drain waits for them.
#[derive(Clone, Debug)]
pub(crate) struct Tracked(pub(crate) TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// The settings of hyper for each version of HTTP.
#[derive(Debug)]
pub(crate) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<Tracked>,
}

impl Protocols {
    pub(crate) fn new(limits: &Limits, tracker: &TaskTracker) -> Self {
        let head_bytes = limits.max_header_bytes.max(8192);
        let http1_head_bytes = usize::try_from(head_bytes).unwrap_or(usize::MAX);
        let mut http1 = http1::Builder::new();
        http1
            .max_headers(limits.max_headers)
            // The buffer alone would take as much more as comes with the last read.
            .max_header_size(http1_head_bytes)
            .max_buf_size(http1_head_bytes)
            // Our own watch distinguishes a slow head from an idle connection; hyper's does not.
            .header_read_timeout(None);
        let mut http2 = http2::Builder::new(Tracked(tracker.clone()));
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(head_bytes)
            .max_concurrent_streams(limits.max_concurrent_streams);
        Self { http1, http2 }
    }
}

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) protocols: Protocols,
    pub(crate) phase: watch::Receiver<Phase>,
}

/// A connection ended before its TLS handshake was over.
#[derive(Debug)]
pub(crate) struct NoHandshake;

/// Serves one connection to its end.
pub(crate) async fn serve_connection<S, B>(
    shared: Arc<Shared>,
    plain: Plain,
    tls: Option<Arc<Tls>>,
    connection: Connection,
    service: S,
) -> Result<(), NoHandshake>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let mut phase = shared.phase.clone();
    let stream = match tls {
        None => Stream::Plain(plain),
        Some(tls) => {
            // Most connections have none, so that it is no part of each.
            let handshake = Box::pin(handshake(&shared.limits, &tls, plain));
            let finished = tokio::select! {
                finished = handshake => finished,
                () = last_request(&mut phase) => return Ok(()),
            };
            match finished {
                Ok(stream) => stream,
                Err(error) => {
                    let reason = handshake_error(&error);
                    tracing::debug!(peer = ?connection.peer, reason, "TLS handshake failed");
                    return Err(NoHandshake);
                }
            }
        }
    };
    let peer = connection.peer;
    match serve_stream(&shared, stream, connection, service, phase).await {
        End::Closed(Ok(())) => {}
        End::Closed(Err(error)) => {
            tracing::debug!(?peer, %error, "connection ended with an error");
        }
        End::Cut(reason) => tracing::debug!(?peer, reason, "connection cut"),
    }
    Ok(())
}

async fn serve_stream<S, B>(
    shared: &Shared,
    stream: Stream,
    connection: Connection,
    service: S,
    mut phase: watch::Receiver<Phase>,
) -> End
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let Shared { limits, protocols, .. } = shared;
    let activity = Activity::new();
    let version = tokio::select! {
        version = timeout(limits.header_timeout, HttpVersion::of(&stream)) => version,
        () = last_request(&mut phase) => return End::Closed(Ok(())),
    };
    let service = PerConnection { service, connection, activity: Arc::clone(&activity) };
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    // Pinned and lent, for each time it is moved costs every connection its size once more.
    match version {
        Err(_) => End::Cut(NO_HEAD),
        Ok(Err(error)) => End::Closed(Err(error.into())),
        Ok(Ok(HttpVersion::Http1)) => {
            let http = pin!(protocols.http1.serve_connection(io, service));
            drive(http, &activity, limits, phase).await
        }
        Ok(Ok(HttpVersion::Http2)) => {
            // Much larger than the other, which most connections are.
            let mut http = Box::pin(protocols.http2.serve_connection(io, service));
            drive(http.as_mut(), &activity, limits, phase).await
        }
    }
}

/// Waits until connections without a request are closed.
async fn last_request(phase: &mut watch::Receiver<Phase>) {
    // A server that is gone drains no more.
    if phase.wait_for(|phase| *phase != Phase::Running).await.is_ok() {
        let cutting = phase.wait_for(|phase| *phase == Phase::Cutting);
        let _ = timeout(LAST_REQUEST_TIMEOUT, cutting).await;
    }
}

/// Waits until then, or for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn handshake(limits: &Limits, tls: &Tls, plain: Plain) -> io::Result<Stream> {
    let accept = TlsAcceptor::from(tls.current()).accept(plain);
    match timeout(limits.tls_handshake_timeout, accept).await {
        Ok(result) => Ok(Stream::Tls(Box::new(result?))),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

enum End {
    Closed(Result<(), BoxError>),
    Cut(&'static str),
}

async fn drive<C>(
    mut http: Pin<&mut C>,
    activity: &Activity,
    limits: &Limits,
    mut phase: watch::Receiver<Phase>,
) -> End
where
    C: GracefulConnection<Error = hyper::Error>,
{
    // The marks are looked at now and then, so that neither a request nor a read has to set a
    // timer; a limit is exceeded by a quarter of the shortest at most.
    let shortest = limits.header_timeout.min(limits.idle_timeout).min(limits.write_timeout);
    let mut look = tokio::time::interval((shortest / 4).max(LOOK_INTERVAL_MIN));
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    look.reset();
    let (mut draining, mut closing, mut last_request) = (false, false, None);
    loop {
        tokio::select! {
            biased;
            // First, so that an answer that the end of the server brings about says so.
            changed = phase.wait_for(|phase| {
                *phase == Phase::Cutting || (*phase == Phase::Draining && !draining)
            }) => match changed.map(|phase| *phase) {
                Ok(Phase::Draining) if activity.can_tell_the_end() => {
                    (draining, closing) = (true, true);
                    http.as_mut().graceful_shutdown();
                }
                Ok(Phase::Draining) => {
                    draining = true;
                    activity.next_request_is_the_last();
                    last_request = Some(Instant::now() + LAST_REQUEST_TIMEOUT);
                }
                _ => return End::Cut("the server stops"),
            },
            result = http.as_mut() => return End::Closed(result.map_err(Into::into)),
            () = until(last_request) => {
                (closing, last_request) = (true, None);
                http.as_mut().graceful_shutdown();
            }
            _ = look.tick() => match activity.verdict(limits) {
                Verdict::Fine => {}
                Verdict::Idle if closing => return End::Cut("does not close"),
                Verdict::Idle => {
                    closing = true;
                    http.as_mut().graceful_shutdown();
                }
                Verdict::SlowHead => return End::Cut(NO_HEAD),
                Verdict::Blocked => return End::Cut("does not take its answer"),
            },
        }
    }
}

/// The listener's service with what is known about one connection.
#[derive(Debug)]
struct PerConnection<S> {
    service: S,
    connection: Connection,
    activity: Arc<Activity>,
}

type AnswerFuture<B> =
    futures_util::future::BoxFuture<'static, Result<Response<Answer<B>>, BoxError>>;

impl<S, B> hyper::service::Service<Request<Incoming>> for PerConnection<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<Answer<B>>;
    type Error = BoxError;
    type Future = AnswerFuture<B>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let guard = self.activity.begin(request.version(), !request.body().is_end_stream());
        // HTTP/2 has a frame for that.
        let ends_by_header = request.version() < Version::HTTP_2;
        request.extensions_mut().insert(self.connection);
        let service = self.service.clone();
        Box::pin(async move {
            let mut response = service.oneshot(request).await.map_err(Into::into)?;
            if ends_by_header && guard.is_last() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| Answer::new(body, guard)))
        })
    }
}
