//! `serve`: the life of the server, from its configuration to its last answer.
//!
//! ```text
//! configuration → log → sockets → sandbox → database → parts → READY
//!     ─ signals ─▶ STOPPING → drain → close
//! ```
//!
//! Everything that can be wrong is found before the first request is answered; sockets are opened
//! before the database, so that clients wait in the kernel's queue meanwhile.

use std::{sync::Arc, time::Duration};

use client_api::Listening;
use config::{Config, Environment, Source};
use http::{Lanes, PassedSockets, Replaceable, Server};
use store::{OpenError, Pulse, Store};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, Admin, protocol::ReloadVerdict},
    certificates,
    failure::Failure,
    health::Health,
    identity,
    listen::{self, Listeners, Open, Reading},
    logging::{self, LevelHandle},
    message,
    metrics::{Metrics, Reloads, Sources},
    notify, process_id,
    reload::{Asker, Doors, Reloader},
    sandbox::{self, Sandbox},
    schema_steps,
    settings::{self, Handles},
    signals::{Signals, Told, hold_reloads},
    signing_key, state,
    status::{Nature, Status},
    storage,
    system::{self, SystemRandom, give_memory_back, raise_descriptor_limit},
    verdict::Hearer,
    watchdog,
    wire::{self, Wired},
};

/// How long the database has to take what is left at a stop and to be closed. With the requests'
/// time (`limits.stop_timeout`) it fits into the minute that the units leave for a stop.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the connections that are left are told at a stop.
const DRAIN_INTERVAL: Duration = Duration::from_secs(1);
/// How many may wait for a reload that they have asked for; further ones wait to ask.
const ASKERS: usize = 8;

/// Runs the server of this configuration until it is told to stop.
pub(crate) fn run(source: Source) -> Result<(), Failure> {
    hold_reloads()?;
    process_id::correct()?;
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
    let runtime = system::runtime()?;
    let outcome = runtime.block_on(serve(source, config, level, listeners, sandbox));
    // A thread that hangs must not keep the process from ending.
    runtime.shutdown_background();
    outcome
}

/// What runs between the start and the stop.
struct Running {
    server: Server,
    lanes: Lanes,
    store: Store,
    pulse: Pulse,
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
    let (mut running, askers) = tokio::select! {
        started = start(source, config, level, listeners, &sandbox) => started?,
        () = signals.stop() => {
            tracing::info!("told to stop before the start was over");
            return Ok(());
        }
    };
    spawn_until(&running.stopping, sandbox.watch());
    running.look_after();
    log_start(&running.reloader.current);
    notify::ready(&running.reloader.status.text());
    let outcome = running.until_told_to_stop(&mut signals, askers).await;
    running.stop(&mut signals).await;
    outcome
}

async fn start(
    source: Source,
    config: Config,
    level: LevelHandle,
    listeners: Listeners,
    sandbox: &Sandbox,
) -> Result<(Running, mpsc::Receiver<Asker>), Failure> {
    let identity = &config.fixed.identity;
    let signing_key = signing_key::load_or_generate(&identity.signing_key_file, &SystemRandom)?;
    let pulse = Pulse::default();
    let store = open_store(&config, pulse.clone()).await?;
    let handles = Handles::new(&config, sandbox.resolver()?);
    let stopping = CancellationToken::new();
    let wired = wire::wire(&config, &handles, store.clone(), signing_key, stopping.clone()).await?;
    let Wired { state, accounts, registration_tokens, sessions, maintenance, dial } = wired;
    spawn_until(&stopping, maintenance.run());
    resume(&stopping, accounts.clone());

    let health = Health::new(store.clone());
    let lanes = system::lanes()?;
    let server = Server::in_lanes(settings::limits(&config.reloadable), lanes.clone());
    let Listeners { public, admin, certificates } = listeners;
    let engine = if config.fixed.database.url.is_embedded() { "sqlite" } else { "postgresql" };
    let addresses = public.iter().map(|open| open.listener.address().to_string()).collect();
    let reloads = Arc::<Reloads>::default();
    let metrics = Metrics::new(Sources {
        state: state.clone(),
        store: store.clone(),
        traffic: server.traffic(),
        certificates: certificates.iter().map(Reading::tls).collect(),
        reloads: Arc::clone(&reloads),
        engine,
    });
    let make = Box::new(move |listening: Listening| {
        let router = client_api::router(&state, listening).merge(health.router());
        if listening.metrics { router.merge(metrics.router()) } else { router }
    });
    let mut doors = Doors { make, open: Vec::new(), certificates };
    open_doors(&server, public, &mut doors)?;
    let (server_name, broker) = (identity.server_name.clone(), config.fixed.broker.clone());
    let (ask, askers) = mpsc::channel(ASKERS);
    let admin_state = Admin { accounts, registration_tokens, server_name, dial, broker, ask };
    for listener in admin {
        let router = admin::router(admin_state.clone());
        let listener = listener.with_own_connections(admin::MAX_CONNECTIONS);
        server.serve(listener, router).map_err(Failure::new)?;
    }
    let nature = Nature { addresses, engine, sandbox: sandbox.status() };
    let status = Status::new(nature, server.watch_connections());
    let reloader = Reloader {
        source,
        environment: Environment::of_process(),
        in_force: config.entries().to_vec(),
        current: config,
        handles,
        level,
        doors,
        reloads,
        status,
        waiting: Vec::new(),
        verdict: ReloadVerdict::default(),
    };
    Ok((Running { server, lanes, store, pulse, reloader, sessions, stopping }, askers))
}

/// Answers at the listeners from now on.
fn open_doors(server: &Server, public: Vec<Open>, doors: &mut Doors) -> Result<(), Failure> {
    for open in public {
        let (address, tls) = (open.listener.address().to_string(), open.listener.has_tls());
        let router = Replaceable::new((doors.make)(open.listening));
        doors.open.extend(open.item.map(|item| (item, router.clone())));
        server.serve(open.listener, router).map_err(Failure::new)?;
        tracing::info!(%address, tls, "listening");
    }
    Ok(())
}

fn log_start(config: &Config) {
    let version = env!("CARGO_PKG_VERSION");
    let server_name = &config.fixed.identity.server_name;
    tracing::info!(
        MESSAGE_ID = message::STARTED,
        version,
        %server_name,
        "the server answers requests"
    );
    if config.reloadable.presentation.report_stats {
        tracing::warn!("report_stats is true, but this version reports no statistics");
    }
}

/// The database of this very server.
async fn open_store(config: &Config, pulse: Pulse) -> Result<Store, Failure> {
    let store = schema_steps::open(settings::store(&config.fixed), pulse).await;
    let store = store.map_err(|error| database_failure(config, &error))?;
    identity::check(config, &store).await?;
    Ok(store)
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

/// Tells how many connections are left at a stop.
async fn tell_drain(mut connections: watch::Receiver<usize>) {
    let mut before = usize::MAX;
    loop {
        let left = *connections.borrow_and_update();
        if left < before {
            notify::status(&format!("answering the last requests; connections left: {left}"));
            before = left;
        }
        tokio::time::sleep(DRAIN_INTERVAL).await;
        if left == 0 || connections.changed().await.is_err() {
            return;
        }
    }
}

impl Running {
    /// Starts what looks after the server until it stops.
    fn look_after(&self) {
        let Self { lanes, store, pulse, reloader, stopping, .. } = self;
        spawn_until(stopping, watchdog::feed(store.clone(), pulse.clone(), lanes.clone()));
        spawn_until(stopping, storage::watch(pulse.clone(), reloader.status.clone()));
        spawn_until(stopping, certificates::watch(reloader.certificates()));
        spawn_until(stopping, reloader.status.clone().keep());
    }

    /// Serves until a signal or the loss of the database ends it.
    async fn until_told_to_stop(
        &mut self,
        signals: &mut Signals,
        mut askers: mpsc::Receiver<Asker>,
    ) -> Result<(), Failure> {
        let store = self.store.clone();
        let lost = store.wait_for_end();
        tokio::pin!(lost);
        loop {
            tokio::select! {
                told = signals.next() => match told {
                    Told::Stop => return Ok(()),
                    Told::Reload => {
                        let hearer = Hearer::present();
                        self.reloader.reload(&self.server);
                        if let Some(hearer) = hearer {
                            hearer.tell(&self.reloader.verdict);
                        }
                    }
                },
                Some(asker) = askers.recv() => {
                    self.reloader.reload(&self.server);
                    // The asker may be gone.
                    let _ = asker.send(self.reloader.verdict.clone());
                }
                error = &mut lost => {
                    return Err(Failure::new(format!("cannot go on: {error}")));
                }
            }
        }
    }

    /// Lets the requests in flight be answered, writes what is left, closes the database. A second
    /// signal cuts it short.
    async fn stop(self, signals: &mut Signals) {
        let grace = self.reloader.current.reloadable.limits.stop_timeout;
        notify::stopping(grace + http::CUT_TIMEOUT + CLOSE_TIMEOUT);
        tracing::info!("stopping");
        // Answers that the stop brings about say that they are the last.
        let drained = self.server.drain(grace);
        self.stopping.cancel();
        tokio::spawn(tell_drain(self.server.watch_connections()));
        tokio::select! {
            drained = drained => {
                if drained.cut > 0 {
                    tracing::warn!(connections = drained.cut, "cut requests that took too long");
                }
            }
            () = signals.stop() => tracing::warn!("told to stop again: cut all requests"),
        }
        notify::status("closing the database");
        if timeout(CLOSE_TIMEOUT, self.close()).await.is_err() {
            // Whatever was answered is in the database; what waits was answered to nobody.
            tracing::warn!("the database does not let itself be closed; it is left as it is");
        }
        tracing::info!(MESSAGE_ID = message::STOPPED, "stopped");
    }

    /// Writes what is left and closes the database.
    async fn close(&self) {
        if let Err(error) = self.sessions.flush_seen().await {
            tracing::warn!(%error, "last-seen times could not be written");
        }
        self.store.close().await;
    }
}
