//! `egress-broker`: the process that connects for a server without a network, see `http::Broker`.
//!
//! ```text
//! configuration → log → socket → sandbox → READY ─ SIGHUP ─▶ RELOADING → READY
//!                                            └─ SIGTERM ─▶ STOPPING → drain
//! ```
//!
//! It goes by `[egress]`, `[log]` and `sandbox.landlock` alone, and starts whatever secrets it may
//! not read; see `config::load_egress`. Invariant: a reload that is wrong changes nothing.
//!
//! Its sandbox grants files of the resolver by themselves, such as /etc/resolv.conf, so that one
//! that was replaced cannot be read. It ends then where the service manager holds its socket, and
//! is started again by the next request: nothing is lost, for it keeps nothing.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use config::{Effect, EgressConfig, Environment, Source};
use http::{
    Bind, Broker, BrokerLimits, DialSettings, IpRange, Listener, PassedSockets, SystemDial,
    SystemResolver, Target,
};
use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{
    admin::protocol::ReloadVerdict,
    failure::Failure,
    logging::{self, LevelHandle},
    message, notify,
    sandbox::{self, Sandbox},
    settings,
    signals::{Signals, Told},
    system::raise_descriptor_limit,
    verdict::Hearer,
};

/// What the socket unit calls the broker's socket.
const EGRESS: &str = "egress";
/// What the journal calls the broker.
const IDENTIFIER: &str = "matrix-homeserver-egress";
/// Names that are looked up at a time. Each has a thread until the resolver of the C library gives
/// up, also when nobody waits for it any more; requests beyond wait until their time is over.
const MAX_LOOKUPS: usize = 512;
/// How long requests may go on when the broker stops; they have a time of their own.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs the broker until it is told to stop.
pub(crate) fn run(source: Source, socket: Option<&Path>) -> Result<(), Failure> {
    let environment = Environment::of_process();
    let config = config::load_egress(&source, &environment)?;
    let dial = dial(&config)?;
    logging::parse_level(&config.log.level)
        .map_err(|reason| Failure::from(config.problem("log.level", &reason)))?;
    let level = logging::begin_as(IDENTIFIER, &config.log.level, config.log.format)?;
    raise_descriptor_limit();
    let socket = socket.map(std::path::absolute).transpose().map_err(Failure::new)?;
    let listeners = open(socket.as_deref())?;
    let sandbox = sandbox::close_broker(&config, &source, socket.as_deref())?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(MAX_LOOKUPS).build();
    let runtime =
        runtime.map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    let settings = Arc::new(ArcSwap::from_pointee(dial));
    let reloader = Reloader { source, environment, current: config, settings, level };
    let walls = Walls { sandbox, is_passed: socket.is_none() };
    runtime.block_on(serve(listeners, reloader, walls))
}

/// The broker's sockets: the one of the command line, else those that were passed.
fn open(socket: Option<&Path>) -> Result<Vec<Listener>, Failure> {
    // The variables of passed sockets are taken before any thread starts.
    let mut passed = PassedSockets::from_environment().map_err(Failure::new)?;
    let bind = match socket {
        Some(path) => format!("unix:{}?mode=600", path.display()).parse(),
        None => Ok(Bind::Passed { name: EGRESS.to_owned() }),
    };
    let bind: Bind = bind.map_err(Failure::new)?;
    let listeners = Listener::bind(&bind, &mut passed).map_err(Failure::new)?;
    passed.finish().map_err(Failure::new)?;
    Ok(listeners)
}

async fn serve(
    listeners: Vec<Listener>,
    mut reloader: Reloader,
    walls: Walls,
) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let dial = SystemDial::new(Arc::clone(&reloader.settings), SystemResolver);
    let broker = Broker::new(dial, BrokerLimits::default(), tell_denied);
    for listener in listeners {
        let address = listener.address().to_string();
        broker.serve(listener).map_err(Failure::new)?;
        tracing::info!(%address, "the broker connects for others");
    }
    tell_unread(&reloader.current);
    notify::ready(&format!("connecting for others; {}", walls.sandbox.status()));
    let mut watchdog = watchdog();
    let mut outdated = pin!(walls.outdated());
    loop {
        tokio::select! {
            told = signals.next() => match told {
                Told::Stop => break,
                Told::Reload => {
                    let hearer = Hearer::present();
                    let verdict = reloader.reload();
                    if let Some(hearer) = hearer {
                        hearer.tell(&verdict);
                    }
                }
            },
            () = tick(watchdog.as_mut()) => alive(),
            path = &mut outdated => {
                tracing::info!(
                    path = %path.display(),
                    "a file was replaced: the next request starts the broker anew"
                );
                break;
            }
        }
    }
    notify::stopping(STOP_TIMEOUT);
    tracing::info!("stopping");
    tokio::select! {
        drained = broker.drain(STOP_TIMEOUT) => {
            if drained.cut > 0 {
                tracing::warn!(requests = drained.cut, "cut requests that took too long");
            }
        }
        () = signals.stop() => tracing::warn!("told to stop again: cut all requests"),
    }
    Ok(())
}

/// The sandbox, and whether the service manager starts the broker when it is asked again.
struct Walls {
    sandbox: Sandbox,
    is_passed: bool,
}

impl Walls {
    /// Waits for a replaced file because of which the broker is better started anew.
    async fn outdated(&self) -> PathBuf {
        if !self.is_passed {
            self.sandbox.watch().await;
            std::future::pending::<()>().await;
        }
        self.sandbox.replaced().await
    }
}

/// Who looks for a wrong range finds it in the log.
fn tell_denied(target: &Target, address: IpAddr, range: &IpRange) {
    tracing::info!(
        MESSAGE_ID = message::EGRESS_DENIED,
        // `target` would be the name of this module in the journal.
        destination = %target,
        %address,
        %range,
        "refused a connection into a denied range"
    );
}

/// How often the service manager wants to hear that the broker lives: twice as often as it says.
fn watchdog() -> Option<Interval> {
    let mut interval = interval(sd_notify::watchdog_enabled()? / 2);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(interval)
}

async fn tick(watchdog: Option<&mut Interval>) {
    match watchdog {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

fn alive() {
    if let Err(error) = sd_notify::notify(&[NotifyState::Watchdog]) {
        tracing::warn!(%error, "cannot reach the service manager");
    }
}

fn dial(config: &EgressConfig) -> Result<DialSettings, Failure> {
    settings::dial(&config.egress).map_err(|(key, reason)| config.problem(key, &reason).into())
}

/// A file that only some users can read may be meant so; its `[egress]` would be refused by the
/// server.
fn tell_unread(config: &EgressConfig) {
    for path in &config.unread {
        let path = path.display();
        tracing::info!(%path, "this user may not read the file, and needs nothing of it");
    }
}

/// What a reload reaches.
struct Reloader {
    source: Source,
    environment: Environment,
    current: EgressConfig,
    settings: Arc<ArcSwap<DialSettings>>,
    level: LevelHandle,
}

impl Reloader {
    /// Reads and applies, or says in the log why not.
    fn reload(&mut self) -> ReloadVerdict {
        notify::reloading();
        let (verdict, status) = match self.try_reload() {
            Ok(verdict) => (verdict, "the configuration was read again".to_owned()),
            Err(failure) => {
                let refused: Vec<String> = failure.message.lines().map(str::to_owned).collect();
                for line in &refused {
                    tracing::error!(
                        MESSAGE_ID = message::RELOAD_REFUSED,
                        "the new configuration is not used: {line}"
                    );
                }
                let first = refused.first().map_or("", String::as_str);
                let status = format!("RELOAD REFUSED, the old configuration is in force: {first}");
                (ReloadVerdict { refused, ..ReloadVerdict::default() }, status)
            }
        };
        notify::ready(&format!("connecting for others; {status}"));
        verdict
    }

    fn try_reload(&mut self) -> Result<ReloadVerdict, Failure> {
        let new = config::load_egress(&self.source, &self.environment)?;
        let dial = dial(&new)?;
        self.level
            .set(&new.log.level)
            .map_err(|reason| Failure::from(new.problem("log.level", &reason)))?;
        self.settings.store(Arc::new(dial));
        tell_unread(&new);
        let mut verdict = ReloadVerdict::default();
        for (old, new) in self.current.entries().iter().zip(new.entries()) {
            if old.has_value_of(new) {
                continue;
            }
            let text = format!("{} = {}", new.path(), new.value.as_deref().unwrap_or("not set"));
            if new.effect == Effect::Restart {
                tracing::warn!(
                    MESSAGE_ID = message::SETTING_NEEDS_RESTART,
                    MATRIX_SETTING = %new.path(),
                    "{text} needs a restart"
                );
                verdict.waiting.push(text);
            } else {
                tracing::info!(MATRIX_SETTING = %new.path(), "{text} is in force");
                verdict.applied.push(text);
            }
        }
        tracing::info!(
            MESSAGE_ID = message::RELOAD_APPLIED,
            APPLIED = verdict.applied.len(),
            WAITING = verdict.waiting.len(),
            "the configuration was read again"
        );
        self.current = new;
        Ok(verdict)
    }
}
