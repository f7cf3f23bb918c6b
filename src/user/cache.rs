//! Bounded caches.
