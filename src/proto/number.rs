//! The store's numbers: rooms, users, servers, events and (type, state key) pairs are 64-bit
//! numbers inside; their text stands once, in the store. They live here so that state resolution
//! can work over them without knowing a database.

/// Declares a number type with its ways in and out.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$inner> for $name {
            fn from(number: $inner) -> Self {
                Self(number)
            }
        }
    };
}

number! {
    /// A place in the one order of durable changes that somebody can observe.
    Position(u64)
}
number! {
    /// An event, whether in a timeline, an outlier, rejected or soft-failed.
    EventNumber(i64)
}
number! {
    /// A room.
    RoomNumber(i64)
}
number! {
    /// A user, local or not.
    UserNumber(i64)
}
number! {
    /// A server.
    ServerNumber(i64)
}
number! {
    /// A pair of event type and state key.
    StateKeyNumber(i64)
}
number! {
    /// One stored, shared state map.
    StateGroup(i64)
}
