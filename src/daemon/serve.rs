//! `serve`: the life of the server, from its configuration to its last answer.
//!
//! ```text
//! configuration → log → sockets → sandbox → database → parts → READY
//!     ─ signals ─▶ STOPPING → drain → close
//! ```
//!
//! Everything that can be wrong is found before the first request is answered; sockets are opened
//! before the database, so that clients wait in the kernel's queue meanwhile.

use std::sync::Arc;

use config::{Config, Environment, Source};
use http::{PassedSockets, Server};
use store::{OpenError, Store};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, Admin},
    failure::Failure,
    health::Health,
    listen::{self, Listeners, Reading},
    logging::{self, LevelHandle},
    metrics::{Metrics, Reloads, Sources},
    notify,
    reload::Reloader,
    sandbox::{self, Sandbox},
    settings::{self, Handles},
    signals::{Signals, Told},
    signing_key, state,
    system::{self, SystemRandom, give_memory_back, raise_descriptor_limit},
    wire::{self, Wired},
};

/// Runs the server of this configuration until it is told to stop.
pub(crate) fn run(source: Source) -> Result<(), Failure> {
    let config = config::load(&source, &Environment::of_process())?;
    settings::check(&config)?;
    let level = logging::begin(&config.reloadable.log_level, config.fixed.log_format)?;
    raise_descriptor_limit();
    state::prepare(&config.fixed.identity.state_directory)?;
    // The variables of passed sockets are taken before any thread starts.
    let passed = PassedSockets::from_environment().map_err(Failure::new)?;
    let listeners = listen::open(&config, passed)?;
    // Only threads that start from here on are bound by it.
    let sandbox = sandbox::close(&config, &source)?;
    give_memory_back();
    let runtime = system::runtime()
        .map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(serve(source, config, level, listeners, sandbox))
}

/// What runs between the start and the stop.
struct Running {
    server: Server,
    store: Store,
    health: Health,
    reloader: Reloader,
    sessions: user::Sessions,
    stopping: CancellationToken,
}

async fn serve(
    source: Source,
    config: Config,
    level: LevelHandle,
    listeners: Listeners,
    sandbox: Sandbox,
) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let mut running = tokio::select! {
        running = start(source, config, level, listeners) => running?,
        () = signals.stop() => {
            tracing::info!("told to stop before the start was over");
            return Ok(());
        }
    };
    spawn_until(&running.stopping, sandbox.watch());
    notify::ready(&format!("answering requests; {}", sandbox.status()));
    let outcome = running.until_told_to_stop(&mut signals).await;
    running.stop(&mut signals).await;
    outcome
}

async fn start(
    source: Source,
    config: Config,
    level: LevelHandle,
    listeners: Listeners,
) -> Result<Running, Failure> {
    let identity = &config.fixed.identity;
    let signing_key = signing_key::load_or_generate(&identity.signing_key_file, &SystemRandom)?;
    notify::status("opening the database");
    let store = Store::open(settings::store(&config.fixed)).await;
    let store = store.map_err(|error| database_failure(&config, &error))?;
    let handles = Handles::new(&config);
    let stopping = CancellationToken::new();
    let wired = wire::wire(&config, &handles, store.clone(), signing_key, stopping.clone()).await?;
    let Wired { state, accounts, sessions, maintenance, dial } = wired;
    spawn_until(&stopping, maintenance.run());
    resume(&stopping, accounts.clone());

    let health = Health::new(store.clone());
    let server = Server::new(settings::limits(&config.reloadable));
    let Listeners { public, admin, certificates } = listeners;
    let reloads = Arc::<Reloads>::default();
    let metrics = Metrics::new(Sources {
        state: state.clone(),
        store: store.clone(),
        traffic: server.traffic(),
        certificates: certificates.iter().map(Reading::tls).collect(),
        reloads: Arc::clone(&reloads),
        engine: if config.fixed.database.url.is_embedded() { "sqlite" } else { "postgresql" },
    });
    for open in public {
        let (address, tls) = (open.listener.address().to_string(), open.listener.has_tls());
        let mut router = client_api::router(&state, open.listening).merge(health.router());
        if open.listening.metrics {
            router = router.merge(metrics.router());
        }
        server.serve(open.listener, router).map_err(Failure::new)?;
        tracing::info!(%address, tls, "listening");
    }
    let (server_name, broker) = (identity.server_name.clone(), config.fixed.broker.clone());
    let admin_state = Admin { accounts, server_name, dial, broker };
    for listener in admin {
        let router = admin::router(admin_state.clone());
        server.serve(listener, router).map_err(Failure::new)?;
    }
    log_start(&config);
    let reloader = Reloader {
        source,
        environment: Environment::of_process(),
        current: config,
        handles,
        level,
        certificates,
        reloads,
    };
    Ok(Running { server, store, health, reloader, sessions, stopping })
}

fn log_start(config: &Config) {
    let version = env!("CARGO_PKG_VERSION");
    let server_name = &config.fixed.identity.server_name;
    tracing::info!(version, %server_name, "the server answers requests");
    if config.reloadable.presentation.report_stats {
        tracing::warn!("report_stats is true, but this version reports no statistics");
    }
}

/// A database that cannot be opened, with the line of the configuration that names it.
fn database_failure(config: &Config, error: &OpenError) -> Failure {
    match error {
        OpenError::Url(reason) => {
            config.problem("database.url", None, &format!("is not usable: {reason}")).into()
        }
        OpenError::Prepare(_) => {
            let place = config.fixed.database.url.masked();
            Failure::new(format!("{error} ({place})"))
        }
        other => Failure::new(other),
    }
}

/// Runs something beside the requests, until the server stops.
fn spawn_until(stopping: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(stopping.clone().run_until_cancelled_owned(work));
}

/// Goes on with what a stop or a crash interrupted.
fn resume(stopping: &CancellationToken, accounts: user::Accounts) {
    spawn_until(stopping, async move {
        if let Err(error) = accounts.resume_deactivations().await {
            tracing::error!(%error, "deactivated users could not leave all rooms");
        }
    });
}

impl Running {
    /// Serves until a signal or the loss of the database ends it.
    async fn until_told_to_stop(&mut self, signals: &mut Signals) -> Result<(), Failure> {
        let health = self.health.clone();
        let lost = health.lost();
        tokio::pin!(lost);
        loop {
            tokio::select! {
                told = signals.next() => match told {
                    Told::Stop => return Ok(()),
                    Told::Reload => self.reloader.reload(),
                },
                error = &mut lost => {
                    return Err(Failure::new(format!("cannot go on: {error}")));
                }
            }
        }
    }

    /// Lets the requests in flight be answered, writes what is left, closes the database. A second
    /// signal cuts it short.
    async fn stop(self, signals: &mut Signals) {
        notify::stopping();
        tracing::info!("stopping");
        self.stopping.cancel();
        let grace = self.reloader.current.reloadable.limits.stop_timeout;
        tokio::select! {
            drained = self.server.drain(grace) => {
                if drained.cut > 0 {
                    tracing::warn!(connections = drained.cut, "cut requests that took too long");
                }
            }
            () = signals.stop() => tracing::warn!("told to stop again: cut all requests"),
        }
        if let Err(error) = self.sessions.flush_seen().await {
            tracing::warn!(%error, "last-seen times could not be written");
        }
        self.store.close().await;
        tracing::info!("stopped");
    }
}
