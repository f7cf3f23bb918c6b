//! A room's state as a map over the store's numbers.
//!
//! The maps are persistent: a clone is one reference count, two states of one room share what they
//! have in common, and [`imbl::OrdMap::diff`] skips what is shared. Whoever changes a state clones
//! it and inserts.

use crate::number::{EventNumber, StateKeyNumber};

/// State: which event stands under each (type, state key).
pub type StateMap = imbl::OrdMap<StateKeyNumber, EventNumber>;
