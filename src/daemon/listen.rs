//! From `[[listeners]]` and passed sockets to listeners that are open, and what each of them
//! answers.

use std::{path::Path, sync::Arc};

use client_api::Listening;
use config::{
    Config, Problem,
    section::listener::{Listener, Resource},
};
use http::{Bind, Certificate, PassedSockets, Tls, TlsFiles};

use crate::{failure::Failure, system::SystemClock};

/// Why something that needs the network is refused where a broker connects.
pub(crate) const WITHOUT_NETWORK: &str =
    "which a server with a broker does not have (MATRIX_HOMESERVER_EGRESS is set)";

/// What the socket unit calls the sockets that the server knows what to do with.
const CLIENT: &str = "client";
const FEDERATION: &str = "federation";
const METRICS: &str = "metrics";
const ADMIN: &str = "admin";

/// An open listener and what it answers.
pub(crate) struct Open {
    /// The listener.
    pub(crate) listener: http::Listener,
    /// What it answers.
    pub(crate) listening: Listening,
    /// Which one of the configuration of the start it is; none of a socket that was taken by its
    /// name.
    pub(crate) item: Option<usize>,
}

/// A certificate that a reload reads again.
pub(crate) struct Reading {
    tls: Arc<Tls>,
    item: usize,
}

impl Reading {
    /// The certificate in force.
    pub(crate) fn tls(&self) -> Arc<Tls> {
        Arc::clone(&self.tls)
    }

    /// Which listener of the configuration of the start it belongs to.
    pub(crate) fn item(&self) -> usize {
        self.item
    }

    /// Uses the certificate from now on.
    pub(crate) fn replace(&self, certificate: Certificate) {
        self.tls.replace(certificate);
    }
}

/// Reads the certificate of a listener, if it has one; it is in force once it is given to
/// [`Reading::replace`].
pub(crate) fn read_certificate(listener: &Listener) -> Option<Result<Certificate, http::Error>> {
    tls_files(listener).map(|files| Certificate::read(&files, SystemClock::now()))
}

/// Everything that is open.
pub(crate) struct Listeners {
    /// For clients and other servers.
    pub(crate) public: Vec<Open>,
    /// For the administrative commands.
    pub(crate) admin: Vec<http::Listener>,
    /// The certificates in use.
    pub(crate) certificates: Vec<Reading>,
}

/// What is wrong with the addresses and the certificates of a configuration.
pub(crate) fn check(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (item, listener) in config.listeners.list.iter().enumerate() {
        match parse(listener) {
            Err(error) => {
                problems.push(config.problem("listeners.bind", Some(item), &error.to_string()));
            }
            // Those that nobody wrote make way for the sockets of the service manager.
            Ok(binds) if config.fixed.broker.is_some() && !config.listeners.is_default => {
                let needy = binds.iter().find(|bind| matches!(bind, Bind::Tcp(_)));
                let reason = needy.map(without_network);
                problems.extend(reason.map(|it| config.problem("listeners.bind", Some(item), &it)));
            }
            Ok(_) => {}
        }
        let is_encrypted = |files: &TlsFiles| {
            let encrypted = config.encrypted();
            encrypted.contains(&files.certificate) || encrypted.contains(&files.private_key)
        };
        if tls_files(listener).is_some_and(|files| is_encrypted(&files)) {
            continue;
        }
        if let Some(Err(error)) = read_certificate(listener) {
            let key = "listeners.tls.certificate";
            problems.push(config.problem(key, Some(item), &format!("cannot be used: {error}")));
        }
    }
    if let Err(error) = admin_bind(&config.fixed.admin.socket) {
        problems.push(config.problem("admin.socket", None, &error.to_string()));
    }
    problems
}

/// Why an address cannot be bound by a server that has no network of its own.
fn without_network(bind: &Bind) -> String {
    format!(
        "{bind} needs the network, {WITHOUT_NETWORK}; let a socket unit listen there and write \
         \"passed:NAME\", or use \"unix:/PATH\""
    )
}

fn parse(listener: &Listener) -> Result<Vec<Bind>, http::Error> {
    listener.bind.iter().map(|bind| bind.parse()).collect()
}

/// The files of its certificate.
pub(crate) fn tls_files(listener: &Listener) -> Option<TlsFiles> {
    listener.tls.as_ref().map(|files| TlsFiles {
        certificate: files.certificate.clone(),
        private_key: files.private_key.clone(),
    })
}

/// The admin socket; by its mode nobody but root and the server's user even connects.
fn admin_bind(path: &Path) -> Result<Bind, http::Error> {
    format!("unix:{}?mode=600", path.display()).parse()
}

/// Opens everything, the service manager's sockets where it passed some. A configuration that says
/// nothing about listeners takes the passed ones by their names.
pub(crate) fn open(config: &Config, mut passed: PassedSockets) -> Result<Listeners, Failure> {
    let mut open = Listeners { public: Vec::new(), admin: Vec::new(), certificates: Vec::new() };
    let names: Vec<String> = passed.names().into_iter().map(str::to_owned).collect();
    let has = |name: &str| names.iter().any(|other| other == name);
    let listeners = &config.listeners;
    if listeners.is_default && (has(CLIENT) || has(FEDERATION)) {
        for (name, listening) in [(CLIENT, PASSED_CLIENT), (FEDERATION, PASSED_FEDERATION)] {
            if has(name) {
                let bind = Bind::Passed { name: name.to_owned() };
                open.add(&bind, &mut passed, (None, listening), None).map_err(Failure::new)?;
            }
        }
        tell_of_plain_federation(&open.public);
    } else if listeners.is_default && config.fixed.broker.is_some() {
        let reason = "the service manager passed no socket named client or federation, and without";
        let reason = format!("{reason} them the server needs the network, {WITHOUT_NETWORK}");
        return Err(Failure::new(reason));
    } else {
        for (item, listener) in listeners.list.iter().enumerate() {
            let tls =
                tls_files(listener).map(|files| open.certificate(&files, item)).transpose()?;
            let served = (Some(item), listening(listener));
            for bind in parse(listener).map_err(Failure::new)? {
                let added = open.add(&bind, &mut passed, served, tls.as_ref());
                match added {
                    Err(error) if listeners.is_default && may_be_missing(&bind, &error) => {
                        tracing::info!(%error, "this machine has no IPv6");
                    }
                    added => added.map_err(Failure::new)?,
                }
            }
        }
    }
    // Whoever enables its unit wants it, whatever the configuration says of other listeners.
    if passed.names().contains(&METRICS) {
        let bind = Bind::Passed { name: METRICS.to_owned() };
        open.add(&bind, &mut passed, (None, PASSED_METRICS), None).map_err(Failure::new)?;
    }
    let admin = if has(ADMIN) {
        Bind::Passed { name: ADMIN.to_owned() }
    } else {
        admin_bind(&config.fixed.admin.socket).map_err(Failure::new)?
    };
    open.admin = http::Listener::bind(&admin, &mut passed).map_err(Failure::new)?;
    tell_where_commands_look(&open.admin, &config.fixed.admin.socket);
    passed.finish().map_err(Failure::new)?;
    Ok(open)
}

/// Other servers speak TLS, which takes a certificate, which nobody has named.
fn tell_of_plain_federation(public: &[Open]) {
    let for_servers = |open: &&Open| open.listening.federation && !open.listening.client;
    for open in public.iter().filter(for_servers) {
        let address = open.listener.address();
        if !is_of_this_machine(address) {
            tracing::warn!(
                "the socket named federation, {address}, answers plain HTTP, but other servers \
                 speak TLS: give it a [[listeners]] with bind = [\"passed:federation\"] and a \
                 certificate, as matrix-homeserver(8) shows"
            );
        }
    }
}

/// A passed socket is used wherever it is, but the commands go where the configuration says.
fn tell_where_commands_look(admin: &[http::Listener], configured: &Path) {
    let configured = http::Address::Unix(configured.to_owned());
    if !admin.iter().any(|listener| *listener.address() == configured) {
        let places: Vec<_> = admin.iter().map(|it| it.address().to_string()).collect();
        tracing::warn!(
            "the service manager holds the admin socket at {}, but the administrative commands \
             look for it at admin.socket, {configured}",
            places.join(", "),
        );
    }
}

/// Whether the address is one that nobody asked for and not every machine has: IPv6 may be switched
/// off.
fn may_be_missing(bind: &Bind, error: &http::Error) -> bool {
    let is_ipv6 = matches!(bind, Bind::Tcp(address) if address.is_ipv6());
    is_ipv6 && matches!(error, http::Error::NotOurs { .. } | http::Error::Listen { .. })
}

/// Whether processes of this machine alone connect there: for clients elsewhere a proxy does,
/// and without the name that it gives of them all would be one.
fn is_of_this_machine(address: &http::Address) -> bool {
    match address {
        http::Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
        http::Address::Unix(_) => true,
    }
}

const NOTHING: Listening = Listening { client: false, ..Listening::CLIENT };
const PASSED_CLIENT: Listening = Listening { client: true, federation: true, ..NOTHING };
const PASSED_FEDERATION: Listening = Listening { federation: true, ..NOTHING };
const PASSED_METRICS: Listening = Listening { metrics: true, ..NOTHING };

/// What the listener answers.
pub(crate) fn listening(listener: &Listener) -> Listening {
    let has = |resource| listener.resources.contains(&resource);
    Listening {
        client: has(Resource::Client),
        federation: has(Resource::Federation),
        // As in Synapse, whose client resource holds the admin API.
        admin: has(Resource::Admin) || has(Resource::Client),
        metrics: has(Resource::Metrics),
        x_forwarded: listener.x_forwarded,
    }
}

impl Listeners {
    fn certificate(&mut self, files: &TlsFiles, item: usize) -> Result<Arc<Tls>, Failure> {
        let certificate = Certificate::read(files, SystemClock::now()).map_err(Failure::new)?;
        let tls = Arc::new(Tls::new(certificate));
        self.certificates.push(Reading { tls: Arc::clone(&tls), item });
        Ok(tls)
    }

    fn add(
        &mut self,
        bind: &Bind,
        passed: &mut PassedSockets,
        (item, listening): (Option<usize>, Listening),
        tls: Option<&Arc<Tls>>,
    ) -> Result<(), http::Error> {
        for listener in http::Listener::bind(bind, passed)? {
            // Of a socket that was taken by its name nobody has said whether a proxy is before it.
            let x_forwarded = match item {
                Some(_) => listening.x_forwarded,
                None => is_of_this_machine(listener.address()),
            };
            let listening = Listening { x_forwarded, ..listening };
            let listener = match tls {
                Some(tls) => listener.with_tls(Arc::clone(tls)),
                None => listener,
            };
            self.public.push(Open { listener, listening, item });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ipv6_may_be_missing_and_only_if_it_is() {
        let missing = http::Error::NotOurs { bind: String::new() };
        let in_use = http::Error::InUse { bind: String::new() };
        assert!(may_be_missing(&"[::1]:8008".parse().unwrap(), &missing));
        assert!(!may_be_missing(&"127.0.0.1:8008".parse().unwrap(), &missing));
        assert!(!may_be_missing(&"[::1]:8008".parse().unwrap(), &in_use));
    }

    #[test]
    fn a_passed_socket_of_this_machine_has_a_proxy_before_it() {
        let is_local =
            |address: &str| is_of_this_machine(&http::Address::Tcp(address.parse().unwrap()));
        assert!(is_local("127.0.0.1:8008") && is_local("[::1]:8008"));
        assert!(is_local("[::ffff:127.0.0.1]:8008"));
        assert!(!is_local("0.0.0.0:8008") && !is_local("[::]:8008") && !is_local("192.0.2.1:80"));
        assert!(is_of_this_machine(&http::Address::Unix("/run/x".into())));
    }

    #[test]
    fn the_client_resource_brings_the_admin_api_and_no_other_does() {
        let of = |resources: &[Resource]| {
            listening(&Listener {
                bind: Vec::new(),
                resources: resources.to_vec(),
                x_forwarded: true,
                tls: None,
            })
        };
        let client = of(&[Resource::Client]);
        assert!(client.client && client.admin && !client.federation && client.x_forwarded);
        let federation = of(&[Resource::Federation]);
        assert!(!federation.client && !federation.admin && federation.federation);
        let admin = of(&[Resource::Admin]);
        assert!(!admin.client && admin.admin && !admin.federation);
        let health = of(&[Resource::Health]);
        assert!(!health.client && !health.admin && !health.federation && !health.metrics);
        let metrics = of(&[Resource::Metrics]);
        assert_eq!(metrics, Listening { x_forwarded: true, ..PASSED_METRICS });
    }
}
