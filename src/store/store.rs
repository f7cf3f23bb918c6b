//! The store's handle: opens the database, takes reads and changes, publishes what was committed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
};

use parking_lot::{Mutex, RwLock};
use proto::number::Position;
use tokio::sync::{oneshot, watch};

use crate::{
    counter::Counters,
    engine::{Engine, postgres::PostgresEngine, sqlite::SqliteEngine},
    error::{Error, OpenError},
    job::{Commit, Job, Work},
    log::Log,
    numbers::Numbers,
    pulse::{self, Pulse},
    queue::Queue,
    reader::{Read, Reader, Reading},
    schema,
    settings::Settings,
    shared::{Listener, Shared},
    snapshot::Snapshot,
    stats::{Meters, Stats},
    write_txn::WriteTxn,
    writer::Writer,
};

/// The store. Clones are cheap and mean the same store, which ends when the last one is dropped.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

const SIZE: &str = "SELECT DATABASE_BYTES";

/// What the database takes in its engine's own count, in bytes.
fn size(snapshot: &mut Snapshot<'_>) -> Result<u64, Error> {
    let bytes = snapshot.query_one(SIZE, &[], |row| row.int(0))?;
    Ok(u64::try_from(bytes).unwrap_or_default())
}

struct Inner {
    shared: Arc<Shared>,
    engine: Arc<dyn Engine>,
    writes: Arc<Queue<Box<dyn Job>>>,
    reads: Arc<Queue<Box<dyn Read>>>,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    writer: Option<JoinHandle<()>>,
    readers: Vec<JoinHandle<()>>,
}

impl Store {
    /// Opens the database, takes the lock that keeps other nodes out, and brings the schema up to
    /// date.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        Self::open_watched(settings, Pulse::default()).await
    }

    /// The same with somebody who looks on, from the first step of the schema.
    pub async fn open_watched(settings: Settings, pulse: Pulse) -> Result<Self, OpenError> {
        let engine = find_engine(&settings)?;
        let reads = Arc::new(Queue::new(settings.queue_length));
        let writes = Arc::new(Queue::new(settings.queue_length));
        let (sender, opened) = oneshot::channel();
        let start =
            Start { settings, pulse, engine: Arc::clone(&engine), writes: Arc::clone(&writes) };
        // The connection lives on the writer's thread from its first moment.
        let thread = spawn("store-writer", move || start.run(sender))?;
        let ended = |_| OpenError::Prepare(Error::Panicked);
        let shared = opened.await.map_err(ended)??;
        let threads = Mutex::new(Threads { writer: Some(thread), readers: Vec::new() });
        let store = Self { inner: Arc::new(Inner { shared, engine, writes, reads, threads }) };
        store.inner.add_reader()?;
        Ok(store)
    }

    /// Reads from one consistent view, on a thread that may wait.
    ///
    /// `work` may run more than once, each time on a view of its own, if the connection is lost on
    /// the way; only its last run counts.
    pub async fn read<T, E>(
        &self,
        work: impl Fn(&mut Snapshot<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reading, answer) = Reading::new(work);
        match self.inner.reads.push(Box::new(reading)).await {
            Ok(false) => {}
            Ok(true) => {
                if let Err(error) = self.inner.add_reader() {
                    tracing::warn!(%error, "no further reading thread");
                }
            }
            Err(_) => return Err(E::from(Error::Closed)),
        }
        answer.await.unwrap_or_else(|_| Err(E::from(Error::Closed)))
    }

    /// Makes a change, and returns once it is durable and published. An error of `work` undoes this
    /// change only.
    ///
    /// `work` may run more than once; only its last run counts. So it must not consume what it
    /// captured, and must have no effect but through the transaction.
    pub async fn write<T, E>(
        &self,
        work: impl Fn(&mut WriteTxn<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.enqueue(work).await?.await
    }

    /// Gives a change its place in the writer's order: changes are made in the order in which
    /// `enqueue` returned. The returned future resolves like [`Store::write`]; the change is made
    /// even if it is dropped.
    pub async fn enqueue<T, E>(
        &self,
        work: impl Fn(&mut WriteTxn<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Commit<T, E>, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (work, commit) = Work::new(work);
        match self.inner.writes.push(Box::new(work)).await {
            Ok(_) => Ok(commit),
            Err(_) => Err(E::from(Error::Closed)),
        }
    }

    /// The newest published position.
    pub fn position(&self) -> Position {
        self.inner.shared.log.head()
    }

    /// The newest changes, in memory.
    pub fn log(&self) -> &Log {
        &self.inner.shared.log
    }

    /// The numbers that are at hand without asking the database.
    pub fn numbers(&self) -> &Numbers {
        &self.inner.shared.numbers
    }

    /// What goes on in the store.
    pub fn stats(&self) -> Stats {
        let Inner { shared, writes, reads, threads, .. } = &*self.inner;
        let meters = &shared.meters;
        let (log_records, log_bytes) = shared.log.size();
        Stats {
            queued_changes: writes.len(),
            queued_reads: reads.len(),
            readers: threads.lock().readers.len(),
            groups: meters.groups.get(),
            failed_groups: meters.failed_groups.get(),
            changes: meters.changes.get(),
            commits: meters.commits.read(),
            read_waits: meters.read_waits.read(),
            writer: meters.writer.read(),
            reader: meters.readers.read(),
            log_bytes,
            log_records,
        }
    }

    /// What the database takes, in bytes, by its own count.
    pub async fn size_bytes(&self) -> Result<u64, Error> {
        self.read(size).await
    }

    /// Has a function called after each published group with its changes.
    pub fn add_listener(&self, listener: Listener) {
        self.inner.shared.listeners.write().push(listener);
    }

    /// Waits until the store can write no more, and says why: [`Error::Superseded`] if another node
    /// has taken over, or [`Error::Closed`] after [`Store::close`]. The server cannot go on then.
    pub async fn wait_for_end(&self) -> Error {
        let mut failure = self.inner.shared.failure.subscribe();
        let reason = failure.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or(Error::Closed)
    }

    /// Takes no more work, finishes what is waiting, and closes the connections. Later calls fail
    /// with [`Error::Closed`].
    pub async fn close(&self) {
        let threads = self.inner.stop();
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads.writer.into_iter().chain(threads.readers) {
                if thread.join().is_err() {
                    tracing::error!("a thread of the store panicked");
                }
            }
        });
        // It fails only if the runtime is ending, and then nobody waits.
        let _ = joined.await;
        // Listeners may hold the store themselves.
        self.inner.shared.listeners.write().clear();
    }
}

impl Inner {
    /// Starts one more reading thread, unless there are enough.
    fn add_reader(&self) -> Result<(), OpenError> {
        let mut threads = self.threads.lock();
        if threads.readers.len() >= self.shared.settings.readers.max(1) {
            return Ok(());
        }
        let (engine, shared) = (Arc::clone(&self.engine), Arc::clone(&self.shared));
        let reader = Reader { engine, shared, queue: Arc::clone(&self.reads) };
        threads.readers.push(spawn("store-reader", move || reader.read_all())?);
        Ok(())
    }

    fn stop(&self) -> Threads {
        self.writes.close();
        self.reads.close();
        std::mem::take(&mut *self.threads.lock())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.stop());
    }
}

/// What the writer's thread starts with.
struct Start {
    settings: Settings,
    pulse: Pulse,
    engine: Arc<dyn Engine>,
    writes: Arc<Queue<Box<dyn Job>>>,
}

impl Start {
    fn run(self, opened: oneshot::Sender<Result<Arc<Shared>, OpenError>>) {
        let queue = Arc::clone(&self.writes);
        pulse::adopt(self.pulse.clone());
        match self.open() {
            Ok(writer) => {
                let shared = writer.shared();
                if opened.send(Ok(Arc::clone(&shared))).is_ok() {
                    write_all(writer, &shared);
                }
            }
            Err(error) => {
                // Nobody waits any more if this fails.
                let _ = opened.send(Err(error));
            }
        }
        // Whoever still waits learns that the store is closed.
        queue.abandon();
    }

    fn open(self) -> Result<Writer, OpenError> {
        let mut link = self.engine.open_writer()?;
        let numbers = Numbers::new(self.settings.cached_numbers);
        let log = Log::new(Position(0), self.settings.log_bytes);
        let (listeners, failure) = (RwLock::default(), watch::Sender::new(None));
        let (settings, meters) = (self.settings, Meters::new());
        meters.writer.opened.increment();
        let mut shared = Shared { settings, numbers, log, meters, listeners, failure };
        let counters: Counters = schema::prepare(&mut *link, &shared)?;
        Snapshot::new(&mut *link, &shared).learn_state_keys()?;
        shared.log = Log::new(counters.position, shared.settings.log_bytes);
        Ok(Writer::new(link, Arc::new(shared), self.writes, counters))
    }
}

/// Writes until the end. A panic of a change's work does not come here.
fn write_all(writer: Writer, shared: &Shared) {
    let outcome = catch_unwind(AssertUnwindSafe(|| writer.write_all()));
    let error = if outcome.is_ok() { Error::Closed } else { Error::Panicked };
    shared.failure.send_if_modified(|failure| {
        let first = failure.is_none();
        failure.get_or_insert(error);
        first
    });
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| OpenError::Prepare(Error::Unavailable(format!("no thread: {error}"))))
}

fn find_engine(settings: &Settings) -> Result<Arc<dyn Engine>, OpenError> {
    let url = &settings.url;
    if let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
        if path.is_empty() {
            return Err(OpenError::Url("sqlite: names no file".to_owned()));
        }
        return Ok(Arc::new(SqliteEngine::new(PathBuf::from(path), settings)));
    }
    if url.starts_with("postgresql://") || url.starts_with("postgres://") {
        return Ok(Arc::new(PostgresEngine::new(settings)?));
    }
    Err(OpenError::Url("it begins with neither sqlite: nor postgresql:".to_owned()))
}
