//! The server engine: `PostgreSQL` over `tokio-postgres`. Each thread of the store has a session of
//! its own and drives it itself, so that a statement costs no hop to another thread.
//!
//! The writer's session holds an advisory lock, which keeps other nodes out. The lock lives and
//! dies with the session that writes, so that nothing is ever written without it; after a loss the
//! writer takes it again before anything else.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, NoTls, config::Host};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::{link::PostgresLink, session::Session};
use super::{Engine, Link};
use crate::{error::OpenError, pulse, settings::Settings};

mod codec;
mod gather;
mod link;
mod session;
mod tls;
pub(crate) mod url;

/// Names our lock among a database's advisory locks.
const LOCK_KEY: i64 = 0x6d61_7472_6978_6873;
/// How long a starting node waits for the lock: sessions of a node that was killed end within this
/// time.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// How long one attempt to connect may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// When a connection on which nothing is said is asked for a sign of life.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Writer,
    Reader,
}

/// The server, and how to reach it.
struct Postgres {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// Told in messages; without the password.
    place: String,
    /// Tells our sessions from those of another node.
    node: String,
    patience: Duration,
    snapshot_age: Duration,
}

/// Opens links to one server.
pub(crate) struct PostgresEngine {
    server: Arc<Postgres>,
}

impl PostgresEngine {
    pub(crate) fn new(settings: &Settings) -> Result<Self, OpenError> {
        let url::Address { mut config, tls, place } = url::parse(&settings.url)?;
        let tls = tls.map(tls::Tls::connector).transpose()?;
        let mut token = [0_u8; 8];
        getrandom::fill(&mut token).map_err(|error| OpenError::Url(error.to_string()))?;
        let node = format!("matrix-homeserver {:016x}", u64::from_ne_bytes(token));
        config.connect_timeout(CONNECT_PATIENCE);
        config.keepalives(true).keepalives_idle(KEEPALIVE_IDLE);
        config.keepalives_interval(KEEPALIVE_INTERVAL).keepalives_retries(KEEPALIVE_RETRIES);
        config.tcp_user_timeout(settings.patience);
        config.application_name(&node);
        let (patience, snapshot_age) = (settings.patience, settings.snapshot_age);
        let server = Postgres { config, tls, place, node, patience, snapshot_age };
        Ok(Self { server: Arc::new(server) })
    }
}

impl Engine for PostgresEngine {
    fn open_writer(&self) -> Result<Box<dyn Link>, OpenError> {
        let session = self.server.connect(Role::Writer)?;
        Ok(Box::new(PostgresLink::new(Arc::clone(&self.server), Role::Writer, session)))
    }

    fn open_reader(&self) -> Result<Box<dyn Link>, OpenError> {
        let session = self.server.connect(Role::Reader)?;
        Ok(Box::new(PostgresLink::new(Arc::clone(&self.server), Role::Reader, session)))
    }
}

impl Postgres {
    /// Opens a session, sets it up, and takes the lock if it shall write.
    fn connect(&self, role: Role) -> Result<Session, OpenError> {
        let refused = |reason: String| OpenError::Connect { place: self.place.clone(), reason };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| refused(error.to_string()))?;
        if role == Role::Writer {
            // Runs only while this thread waits for the server.
            runtime.spawn(pulse::beat_while_driven());
        }
        let connecting = async {
            tokio::time::timeout(CONNECT_PATIENCE, self.open_client(&runtime))
                .await
                .unwrap_or_else(|_| Err("no answer".to_owned()))
        };
        let client = runtime.block_on(connecting).map_err(refused)?;
        let prepared = runtime.block_on(self.prepare(&client, role));
        prepared.map_err(|error| refused(codec::describe(&error)))?;
        runtime.block_on(self.read_back(&client))?;
        if role == Role::Writer {
            runtime.block_on(self.lock(&client))?;
        }
        Ok(Session::new(runtime, client))
    }

    async fn open_client(&self, runtime: &Runtime) -> Result<Client, String> {
        let told = |error: tokio_postgres::Error| codec::describe(&error);
        if let Some(tls) = &self.tls {
            let (client, connection) = self.config.connect(tls.clone()).await.map_err(told)?;
            runtime.spawn(connection);
            Ok(client)
        } else {
            let (client, connection) = self.config.connect(NoTls).await.map_err(told)?;
            runtime.spawn(connection);
            Ok(client)
        }
    }

    async fn prepare(&self, client: &Client, role: Role) -> Result<(), tokio_postgres::Error> {
        let (statement_patience, plans) = match role {
            // A statement waits for locks no longer than for the server itself, and works about as
            // long. It finds rows by their keys: the number of rows that it writes must not make
            // the server plan it anew each time.
            Role::Writer => (self.patience * 2, "force_generic_plan"),
            Role::Reader => (self.snapshot_age, "auto"),
        };
        client
            .batch_execute(&format!(
                "SET synchronous_commit = on;
                 SET statement_timeout = {};
                 SET lock_timeout = {};
                 SET idle_in_transaction_session_timeout = {};
                 SET client_min_messages = warning;
                 SET plan_cache_mode = {plans};
                 SET jit = off",
                statement_patience.as_millis(),
                self.patience.as_millis(),
                link::IDLE_IN_TRANSACTION.as_millis(),
            ))
            .await
    }

    /// Looks at what the server makes of the settings.
    async fn read_back(&self, client: &Client) -> Result<(), OpenError> {
        let ask = |setting: &'static str| async move {
            let row = client.query_one("SELECT current_setting($1)", &[&setting]).await;
            row.and_then(|row| row.try_get::<_, String>(0)).map_err(|error| OpenError::Connect {
                place: self.place.clone(),
                reason: codec::describe(&error),
            })
        };
        let found = ask("synchronous_commit").await?;
        if found != "on" {
            let setting = "synchronous_commit";
            return Err(OpenError::NotDurable { setting, found, wanted: "on" });
        }
        if ask("fsync").await? != "on" {
            tracing::warn!(
                place = self.place,
                "the database server runs with fsync off: a crash of its machine loses data"
            );
        }
        Ok(())
    }

    /// Takes the lock that keeps other nodes out.
    async fn lock(&self, client: &Client) -> Result<(), OpenError> {
        let told = |error: tokio_postgres::Error| OpenError::Connect {
            place: self.place.clone(),
            reason: codec::describe(&error),
        };
        let until = Instant::now() + LOCK_PATIENCE;
        loop {
            let row = client.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK_KEY]).await;
            if row.map_err(told)?.get::<_, bool>(0) {
                return Ok(());
            }
            // A session of our own that the server still believes in must not keep us out.
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = $1 AND pid <> pg_backend_pid()
                AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)";
            client.execute(end, &[&self.node]).await.map_err(told)?;
            if Instant::now() > until {
                let holder = self.find_holder(client).await.map_err(told)?;
                return Err(OpenError::InUse { place: self.place.clone(), holder });
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
    }

    /// Who holds the lock, for the message.
    async fn find_holder(&self, client: &Client) -> Result<String, tokio_postgres::Error> {
        let sql = "SELECT activity.application_name, host(activity.client_addr), activity.pid
            FROM pg_locks AS lock JOIN pg_stat_activity AS activity ON activity.pid = lock.pid
            WHERE lock.locktype = 'advisory' AND lock.granted
            AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND lock.classid = $1 AND lock.objid = $2";
        let halves = (LOCK_KEY >> 32, LOCK_KEY & 0xffff_ffff);
        let halves = [halves.0, halves.1].map(|half| u32::try_from(half).unwrap_or(0));
        let Some(row) = client.query_opt(sql, &[&halves[0], &halves[1]]).await? else {
            return Ok("gone by now".to_owned());
        };
        let name: String = row.try_get(0)?;
        let address: Option<String> = row.try_get(1)?;
        let process: i32 = row.try_get(2)?;
        let address = address.unwrap_or_else(|| "this machine".to_owned());
        Ok(format!("{name:?} on {address}, process {process} of the database"))
    }
}

/// Whether one of the hosts is reached over the network, and not through a socket of this machine.
fn has_network(config: &Config) -> bool {
    config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)))
}

/// Where `PostgreSQL` keeps its socket unless told otherwise.
fn default_socket_directory() -> Option<&'static Path> {
    ["/run/postgresql", "/var/run/postgresql", "/tmp"]
        .map(Path::new)
        .into_iter()
        .find(|directory| directory.join(".s.PGSQL.5432").exists())
}
