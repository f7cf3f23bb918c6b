//! Why a listener cannot be had, in words for the administrator who wrote its address.

use std::{io, path::PathBuf};

/// What keeps a listener from being opened or a certificate from being used.
///
/// Each message stands alone in a log: it names the address or the file that it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no listener address.
    #[error("{text:?} is no listener address: {reason}")]
    Address {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Somebody else listens there.
    #[error("cannot listen on {bind}: the address is in use by another process")]
    InUse {
        /// The listener.
        bind: String,
    },
    /// This process may not listen there.
    #[error("cannot listen on {bind}: permission denied{hint}")]
    Permission {
        /// The listener.
        bind: String,
        /// What usually helps; starts with its own punctuation, or is empty.
        hint: &'static str,
    },
    /// The address belongs to none of this machine's interfaces.
    #[error("cannot listen on {bind}: this machine does not have the address")]
    NotOurs {
        /// The listener.
        bind: String,
    },
    /// Something that is no socket stands at the path of a unix socket.
    #[error("cannot listen on {bind}: a file that is no socket is already there")]
    NoSocket {
        /// The listener.
        bind: String,
    },
    /// Listening failed for a reason that has no words of its own.
    #[error("cannot listen on {bind}: {source}")]
    Listen {
        /// The listener.
        bind: String,
        /// What the system said.
        source: io::Error,
    },
    /// The service manager's variables (`LISTEN_FDS`, …) cannot be understood.
    #[error("cannot take the sockets that the service manager passed: {source}")]
    PassedVariables {
        /// What is wrong with them.
        source: io::Error,
    },
    /// A listener asks for a passed socket that is not there.
    #[error(
        "the service manager passed no socket named {name:?} (it passed: {passed}); \
         see FileDescriptorName= of the socket unit"
    )]
    NotPassed {
        /// The name asked for.
        name: String,
        /// The names that are there, for reading.
        passed: String,
    },
    /// A socket was passed that no listener asks for: its clients would wait for ever.
    #[error(
        "the service manager passed sockets that no listener uses: {names}; name each in a \
         [[listeners]], as in bind = [\"passed:client\"], or disable its socket unit"
    )]
    Unexpected {
        /// Their names, for reading.
        names: String,
    },
    /// What was passed is no listening stream socket.
    #[error("the socket {name:?} that the service manager passed cannot be used: {source}")]
    PassedKind {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: io::Error,
    },
    /// A certificate or key file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate or key file does not hold what it must.
    #[error("{}: {reason}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The private key is not the certificate's.
    #[error(
        "the private key {} does not belong to the certificate {}",
        private_key.display(), certificate.display()
    )]
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        private_key: PathBuf,
    },
    /// The certificate's time is over.
    #[error("the certificate {} expired {days} days ago", certificate.display())]
    Expired {
        /// The certificate's file.
        certificate: PathBuf,
        /// Whole days since then.
        days: u64,
    },
    /// The certificate's time has not come; more often the clock is wrong.
    #[error(
        "the certificate {} is not valid yet; is the system's clock right?", certificate.display()
    )]
    NotValidYet {
        /// The certificate's file.
        certificate: PathBuf,
    },
}

impl Error {
    /// The error of a failed `bind` or `listen` on `bind`.
    pub(crate) fn listen(bind: &crate::Bind, source: io::Error) -> Self {
        let name = bind.to_string();
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { bind: name },
            io::ErrorKind::AddrNotAvailable => Self::NotOurs { bind: name },
            io::ErrorKind::PermissionDenied => {
                Self::Permission { bind: name, hint: permission_hint(bind) }
            }
            _ => Self::Listen { bind: name, source },
        }
    }
}

fn permission_hint(bind: &crate::Bind) -> &'static str {
    match bind {
        crate::Bind::Tcp(address) if address.port() < 1024 => {
            "; ports below 1024 need CAP_NET_BIND_SERVICE or a socket unit"
        }
        crate::Bind::Unix { .. } => "; the socket's directory must be writable for the server",
        _ => "",
    }
}
