//! `[well_known]`: what `/.well-known/matrix/` says. Changed by a reload.

use ruma::OwnedServerName;

use crate::reader::Reader;

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WellKnown {
    /// Whether `/.well-known/matrix/client` tells clients the public base URL.
    pub client: bool,
    /// The host and port that `/.well-known/matrix/server` tells other servers; none leaves it out.
    pub server: Option<OwnedServerName>,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> WellKnown {
    WellKnown { client: reader.or("client", true), server: reader.optional("server") }
}
