//! Whether the servers agree in the end: each holds the same state around each event and now, has
//! every event that one acknowledged, and has recorded how its state came to be.

use std::collections::HashMap;

use room::{Outcome, testing::network::Node};
use ruma::{OwnedEventId, OwnedRoomId};
use store::{
    Position, StateGroup,
    room::{changes, events},
};

use crate::{
    play::Play,
    record::{State, by_id},
};

impl Play {
    /// Finds the first event around which servers hold different states, to say more than that they
    /// disagree in the end.
    async fn check_each_event(&self) {
        let nodes = self.network.nodes();
        for id in &self.acknowledged {
            let mut first: Option<(Outcome, State)> = None;
            for node in nodes {
                let event = node.event(id).await.unwrap();
                let Some(group) = event.group else { continue };
                let after = state_after(node, group).await;
                let Some((outcome, expected)) = &first else {
                    first = Some((event.outcome, after));
                    continue;
                };
                for key in expected.keys().chain(after.keys()) {
                    assert_eq!(
                        expected.get(key),
                        after.get(key),
                        "{key:?} after {id} ({:?}) at {}: {outcome:?} elsewhere, {:?} here",
                        event.pdu().prev_events(),
                        node.name,
                        event.outcome,
                    );
                }
            }
        }
    }

    pub(crate) async fn check(&self) {
        self.check_each_event().await;
        let mut states = Vec::new();
        for node in self.network.nodes() {
            let state = state_of(node, &self.room).await;
            self.check_told(node).await;
            self.check_acknowledged(node).await;
            states.push(state);
        }
        for (node, state) in self.network.nodes().iter().zip(&states).skip(1) {
            let first = &states[0];
            for (key, event) in first {
                assert_eq!(state.get(key), Some(event), "{key:?} at {}", node.name);
            }
            assert_eq!(state.len(), first.len(), "at {}", node.name);
        }
    }

    /// The state changes that a reader was told of make the current state.
    async fn check_told(&self, node: &Node) {
        let view = node.rooms.find(&self.room).await.unwrap().unwrap().view();
        let groups = node.rooms.groups().clone();
        let (number, state) = (view.number(), view.state().clone());
        let read = node.store.read(move |snapshot| {
            let newest = snapshot.position()?;
            let all = changes::list_between(snapshot, number, Position(0), newest, 100_000)?;
            // A server that joined later got the state before its first change as a whole.
            let first = groups.parent(snapshot, all[0].group)?;
            let mut told = match first {
                Some(first) => groups.map(snapshot, first)?,
                None => proto::state::StateMap::new(),
            };
            for change in &all {
                assert_eq!(told.get(&change.key).copied(), change.old);
                match change.new {
                    Some(new) => told.insert(change.key, new),
                    None => told.remove(&change.key),
                };
            }
            let stored = groups.map(snapshot, all[all.len() - 1].group)?;
            assert!(stored == state, "the stored group is the current state");
            Ok::<_, store::Error>(told == state)
        });
        assert!(read.await.unwrap(), "what {} told is not what it holds", node.name);
    }

    async fn check_acknowledged(&self, node: &Node) {
        let ids = self.acknowledged.clone();
        let known = node.store.read(move |snapshot| events::find_all(snapshot, &ids));
        let known: HashMap<OwnedEventId, events::Known> = known.await.unwrap();
        for id in &self.acknowledged {
            let known = known.get(id).unwrap_or_else(|| panic!("{id} is not at {}", node.name));
            assert!(known.has_state, "{id} is only an outlier at {}", node.name);
            assert_ne!(known.outcome, Outcome::Outlier);
        }
    }
}

/// A stored state by ids.
async fn state_after(node: &Node, group: StateGroup) -> State {
    let (cache, groups) = (node.rooms.events().clone(), node.rooms.groups().clone());
    let read = node.store.read(move |snapshot| {
        let state = groups.map(snapshot, group)?;
        let numbers = state.values().copied().collect::<Vec<_>>();
        events::load_all(snapshot, &cache, &numbers)
    });
    by_id(&read.await.unwrap())
}

/// The current state by ids.
async fn state_of(node: &Node, room: &OwnedRoomId) -> State {
    let view = node.rooms.find(room).await.unwrap().unwrap().view();
    state_after(node, view.group()).await
}
