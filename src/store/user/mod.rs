//! The tables of users: one file per family. Functions that read take a
//! [`Snapshot`](crate::Snapshot), functions that write a [`WriteTxn`](crate::WriteTxn); what they
//! mean stands in the `user` crate.

pub mod account;
pub mod account_data;
pub mod change;
pub mod device;
pub mod directory;
pub mod filter;
pub mod profile;
pub mod receipt;
pub mod registration_token;
pub mod token;
