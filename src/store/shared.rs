//! What the store's threads and its handle share.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::{
    error::Error,
    log::{Log, Record},
    numbers::Numbers,
    settings::Settings,
    stats::Meters,
};

/// Called on the writer's thread after each published group, in order; it must be quick and must
/// not wait for the store.
pub type Listener = Arc<dyn Fn(&[Arc<Record>]) + Send + Sync>;

/// What the threads and the handle share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) numbers: Numbers,
    pub(crate) log: Log,
    pub(crate) meters: Meters,
    pub(crate) listeners: RwLock<Vec<Listener>>,
    /// Why the store writes no more.
    pub(crate) failure: watch::Sender<Option<Error>>,
}
