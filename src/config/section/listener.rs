//! `[[listeners]]`: where the server listens and what it answers there.
//!
//! Where it listens, and whether it speaks TLS there, is fixed at the start. What it answers at
//! such a place, and with which certificate, is changed by a reload.

use std::path::PathBuf;

use crate::{
    reader::Reader,
    secret::{contents, is_world_readable},
    setting::Word,
};

/// What a listener answers. `/health` is answered on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The client-server API, the landing page, `/.well-known/matrix/` and `/_synapse/`.
    Client,
    /// What other servers ask: `/_matrix/federation/`, `/_matrix/key/`,
    /// `/.well-known/matrix/server`.
    Federation,
    /// `/_synapse/admin/` alone.
    Admin,
    /// `/metrics` alone, for Prometheus.
    Metrics,
    /// `/health` alone.
    Health,
}

impl Word for Resource {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("client", Self::Client),
        ("federation", Self::Federation),
        ("admin", Self::Admin),
        ("metrics", Self::Metrics),
        ("health", Self::Health),
    ];
}

/// The files of a listener that speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub private_key: PathBuf,
}

/// Places to listen at that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// `ADDRESS:PORT`, `unix:/PATH`, `unix:/PATH?mode=660` or `passed:NAME`.
    pub bind: Vec<String>,
    /// What is answered there.
    pub resources: Vec<Resource>,
    /// Whether the peer is a proxy of ours, whose `X-Forwarded-For` names the client.
    pub x_forwarded: bool,
    /// Certificate and key; none for plain HTTP.
    pub tls: Option<TlsFiles>,
}

impl Listener {
    /// Whether a reload can make one of the other: both listen at the same places in the same way.
    pub fn is_at_the_place_of(&self, other: &Self) -> bool {
        self.bind == other.bind && self.tls.is_some() == other.tls.is_some()
    }
}

/// All of them; without a `[[listeners]]` in the files it is one on the loopback interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// The listeners.
    pub list: Vec<Listener>,
    /// Whether the files say nothing about listeners, so that passed sockets may take their place.
    pub is_default: bool,
}

pub(crate) fn read(top: &mut Reader<'_>) -> Listeners {
    let mut readers = top.sections("listeners");
    let is_default = readers.first().is_some_and(|reader| !reader.is_present());
    let list: Vec<_> = readers.iter_mut().map(read_one).collect();
    if top.is_empty_array("listeners") {
        top.refuse("listeners", "must name at least one listener");
    }
    Listeners { list, is_default }
}

fn read_one(reader: &mut Reader<'_>) -> Listener {
    let bind = ["127.0.0.1:8008", "[::1]:8008"].map(str::to_owned).into();
    reader.fixed();
    let bind: Vec<String> = reader.or("bind", bind);
    reader.reloadable();
    let resources = vec![Resource::Client, Resource::Federation];
    let resources: Vec<Resource> = reader.or("resources", resources);
    let x_forwarded = reader.or("x_forwarded", false);
    if bind.is_empty() {
        reader.refuse("bind", "must name at least one address");
    }
    if resources.is_empty() {
        reader.refuse("resources", "must name at least one resource");
    }
    let tls = read_tls(&mut reader.section("tls"));
    Listener { bind, resources, x_forwarded, tls }
}

fn read_tls(reader: &mut Reader<'_>) -> Option<TlsFiles> {
    if !reader.is_present() {
        let _: (Option<String>, Option<String>) =
            (reader.optional("certificate"), reader.optional("private_key"));
        return None;
    }
    let certificate = reader.required("certificate", "name the PEM file of the certificate");
    let private_key = reader.required("private_key", "name the PEM file of the private key");
    let resolve = |name: String| reader.file(&name);
    let files =
        TlsFiles { certificate: certificate.map(resolve)?, private_key: private_key.map(resolve)? };
    // A renewed one mostly has the name of the old one.
    reader.conceal("certificate", contents(&files.certificate));
    if is_world_readable(&files.private_key) {
        let file = files.private_key.display();
        let reason = format!("holds a secret, but every user can read {file}; use chmod o-r");
        reader.refuse("private_key", &reason);
    }
    Some(files)
}
