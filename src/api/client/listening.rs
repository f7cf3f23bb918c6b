//! Which listeners serve which routes.

/// What one listener answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent properties of a listener")]
pub struct Listening {
    /// The client-server API, the landing page, `/.well-known/matrix/` and `/_synapse/`.
    pub client: bool,
    /// What other servers ask: of this crate's routes, `/.well-known/matrix/server`.
    pub federation: bool,
    /// `/_synapse/admin/`.
    pub admin: bool,
    /// The server's metrics: no route of this crate.
    pub metrics: bool,
    /// Whether the peer is a proxy whose `X-Forwarded-For` names the client.
    pub x_forwarded: bool,
}

impl Listening {
    /// A listener for clients, without a proxy before it.
    pub const CLIENT: Self =
        Self { client: true, federation: false, admin: false, metrics: false, x_forwarded: false };
}

/// Which listeners serve a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    /// Those for clients.
    Client,
    /// Those for clients and those for administrators.
    Admin,
    /// Those for clients and those for servers.
    Federation,
}

impl Surface {
    pub(crate) fn is_served(self, listening: Listening) -> bool {
        listening.client
            || match self {
                Self::Client => false,
                Self::Admin => listening.admin,
                Self::Federation => listening.federation,
            }
    }
}
