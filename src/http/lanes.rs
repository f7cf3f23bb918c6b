//! Lanes: threads that run connections. A connection stays in the lane that it was given to, and
//! what its requests spawn stays there, too.
//!
//! A runtime of many threads wakes one of them to look for work whenever another one finds some; at
//! a few requests at a time the look is in vain, and costs as much as the request's own wake-ups.
//! A lane has one thread, so whatever wakes it has work for it. The price: a handler that computes
//! for long holds up the other connections of its lane, so such work belongs on threads of its own,
//! as blocking work does anyway.
//!
//! Invariant: a lane lives as long as somebody holds the lanes; nothing waits for its thread.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    net::{TcpStream, UnixStream},
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};

use crate::stream::Plain;

/// Threads for connections. Clones mean the same ones.
#[derive(Clone, Debug, Default)]
pub struct Lanes(Arc<[Lane]>);

#[derive(Debug)]
struct Lane {
    handle: Handle,
    connections: Arc<AtomicUsize>,
    /// Its end is the thread's.
    _ends: oneshot::Sender<()>,
}

/// A connection's place in a lane, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    handle: Handle,
    /// How many are in the lane; `None` outside of all lanes.
    connections: Option<Arc<AtomicUsize>>,
}

impl Lanes {
    /// Starts so many threads; with none, connections run where their listener does.
    pub fn start(count: usize) -> io::Result<Self> {
        (1..=count).map(Lane::start).collect::<io::Result<Vec<_>>>().map(|lanes| Self(lanes.into()))
    }

    /// A place in the lane with the fewest connections; without lanes, in the runtime that asks.
    pub(crate) fn take(&self) -> Place {
        let fewest = self.0.iter().min_by_key(|lane| lane.connections.load(Ordering::Relaxed));
        let Some(lane) = fewest else {
            return Place { handle: Handle::current(), connections: None };
        };
        lane.connections.fetch_add(1, Ordering::Relaxed);
        let connections = Some(Arc::clone(&lane.connections));
        Place { handle: lane.handle.clone(), connections }
    }

    /// Comes back once every lane has found time for a new task.
    pub async fn answer(&self) {
        let asked = self.0.iter().map(|lane| lane.handle.spawn(async {})).collect::<Vec<_>>();
        for answer in asked {
            // Nothing can fail in an empty task but the end of its lane, which is one of all.
            let _ = answer.await;
        }
    }
}

impl Lane {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (ends, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("lane-{number}"))
            .spawn(move || run(runtime, ended))?;
        Ok(Self { handle, connections: Arc::default(), _ends: ends })
    }
}

fn run(runtime: Runtime, ended: oneshot::Receiver<()>) {
    // The sender is never used: its end wakes this.
    let _ = runtime.block_on(ended);
    // What blocks must not keep the thread.
    runtime.shutdown_background();
}

impl Place {
    /// Where its tasks run.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Has the lane's thread told what happens on a connection.
    pub(crate) fn adopt(&self, plain: Plain) -> io::Result<Plain> {
        if self.connections.is_none() {
            return Ok(plain);
        }
        // The thread that accepted it forgets it first.
        match plain {
            Plain::Tcp(stream) => {
                let stream = stream.into_std()?;
                let _in_lane = self.handle.enter();
                TcpStream::from_std(stream).map(Plain::Tcp)
            }
            Plain::Unix(stream) => {
                let stream = stream.into_std()?;
                let _in_lane = self.handle.enter();
                UnixStream::from_std(stream).map(Plain::Unix)
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(connections) = &self.connections {
            connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_spread_and_given_back() {
        let lanes = Lanes::start(2).unwrap();
        let ids =
            |places: &[Place]| places.iter().map(|place| place.handle.id()).collect::<Vec<_>>();
        let mut places = (0..4).map(|_| lanes.take()).collect::<Vec<_>>();
        let first = ids(&places);
        assert_eq!((first[0] == first[1], first[2] == first[3]), (false, false));
        let freed = places.remove(1).handle.id();
        assert_eq!(lanes.take().handle.id(), freed);
    }

    #[tokio::test]
    async fn they_run_on_threads_of_their_own_and_say_when_they_are_busy() {
        let lanes = Lanes::start(2).unwrap();
        lanes.answer().await;
        let place = lanes.take();
        let name = place.handle.spawn(async { std::thread::current().name().map(str::to_owned) });
        assert!(name.await.unwrap().unwrap().starts_with("lane-"));
        let (done, busy) = std::sync::mpsc::sync_channel::<()>(0);
        place.handle.spawn(async move { busy.recv() });
        let short = std::time::Duration::from_millis(100);
        assert!(tokio::time::timeout(short, lanes.answer()).await.is_err());
        drop(done);
        lanes.answer().await;
    }

    #[tokio::test]
    async fn without_lanes_nothing_moves() {
        let lanes = Lanes::default();
        assert_eq!(lanes.take().handle.id(), Handle::current().id());
        lanes.answer().await;
    }
}
