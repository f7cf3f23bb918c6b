//! The battery: every promise of the store, tried on both engines.

mod basics;
