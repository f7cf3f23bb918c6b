//! The log's `MESSAGE_ID`s: one for each thing that an operator must know, by which it can be found
//! and is explained (`journalctl -x`), see sd-id128(3) and journalctl(1).
//!
//! Invariant: each stands in systemd/matrix-homeserver.catalog, too; once it is out, neither its
//! number nor its meaning changes.

/// The server answers requests.
pub(crate) const STARTED: &str = "40d26aba11114c50ac0d6e2a293fc014";
/// The server has stopped.
pub(crate) const STOPPED: &str = "fdadc8deee3c40b3a6b38cd8ca0d9369";
/// A reload was applied.
pub(crate) const RELOAD_APPLIED: &str = "6c97f4d78a7345e68705838fb44b3e63";
/// A reload was refused.
pub(crate) const RELOAD_REFUSED: &str = "5406420eaab84b41a11acba231138a2f";
/// A changed setting needs a restart.
pub(crate) const SETTING_NEEDS_RESTART: &str = "ccad3aa90a624158a3178118cbd26f39";
/// The sandbox is not closed, or not completely.
pub(crate) const SANDBOX_DEGRADED: &str = "9f6f4c03ba43438aac8a751b6cb247b4";
/// The database's schema was brought up to date.
pub(crate) const SCHEMA_STEP: &str = "8a78e1438f764ce19e561bc1c5f533d0";
/// A change failed for want of room.
pub(crate) const STORAGE_FULL: &str = "24fda84cd05c4379b66ec8cb96719b11";
/// There is room again.
pub(crate) const STORAGE_RECOVERED: &str = "8f9e3e3cfb39401881f85602978860ea";
/// A certificate expires soon.
pub(crate) const CERTIFICATE_EXPIRES: &str = "b182c70518914595b0e25e68ab7fa67f";
/// A certificate in use has expired.
pub(crate) const CERTIFICATE_EXPIRED: &str = "7a7bf40cd5f44e89b1143f85618110ef";
/// A new certificate cannot be used: it is no match for its key, expired, or not readable.
pub(crate) const CERTIFICATE_REFUSED: &str = "dd0279b66fd343aa845c6b2ae7c8643a";
/// The database's writer hangs, and the watchdog will end the process.
pub(crate) const WRITER_HANGS: &str = "ec209be5412e4938ae35493601a55534";
/// A thread of connections hangs, and the watchdog will end the process.
pub(crate) const LANE_HANGS: &str = "3e57da9379c447ba9046d29c3a88cf69";
/// The broker refused a connection into a denied range.
pub(crate) const EGRESS_DENIED: &str = "56ec34494fad4c7690374eed2f8fccce";

#[cfg(test)]
#[path = "message_test.rs"]
mod message_test;
