//! `register-user`: makes a user over HTTP with the shared secret, as Synapse's
//! `register_new_matrix_user` does, with its questions and its options.

use std::path::{Path, PathBuf};

use clap::Args;
use config::{Config, section::listener::Listener};
use hyper::{Method, StatusCode};
use ring::hmac;
use serde_json::{Value, json};

use super::{ConfigArgument, ask, block_on, print};
use crate::{
    failure::Failure,
    http_client::{self, Place},
};

/// Path of the registration with the shared secret.
const PATH: &str = "/_synapse/admin/v1/register";
/// Where to look for the server when the configuration does not say.
const DEFAULT_SERVER: &str = "http://localhost:8008";

#[derive(Args, Debug)]
pub(super) struct RegisterUser {
    /// The user's name, the part of the user id between @ and colon
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,
    /// The password; without this it is asked for, or read from standard input
    #[arg(short, long, value_name = "PASSWORD", allow_hyphen_values = true)]
    password: Option<String>,
    /// Read the password from this file
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    password_file: Option<PathBuf>,
    /// Make the user an administrator of the server
    #[arg(short, long, conflicts_with = "no_admin")]
    admin: bool,
    /// Make an ordinary user, without asking
    #[arg(long)]
    no_admin: bool,
    /// The type of the user, as the server knows them
    #[arg(short = 't', long = "user_type", value_name = "TYPE")]
    user_type: Option<String>,
    /// The shared secret; without this it is taken from the configuration
    #[arg(short = 'k', long, value_name = "SECRET", conflicts_with = "config")]
    #[arg(allow_hyphen_values = true)]
    shared_secret: Option<String>,
    #[command(flatten)]
    config: ConfigArgument,
    /// Do not complain when the user exists already
    #[arg(long)]
    exists_ok: bool,
    /// The server; without this the configuration tells, else it is port 8008 of this machine
    #[arg(value_name = "URL")]
    server_url: Option<String>,
}

pub(super) fn run(arguments: &RegisterUser) -> Result<(), Failure> {
    let config = match arguments.shared_secret {
        Some(_) => None,
        None => Some(arguments.config.load()?),
    };
    let secret = secret(arguments, config.as_ref())?;
    let place = place(arguments.server_url.as_deref(), (&arguments.config, config.as_ref()))?;
    let registration = Registration {
        user: user(arguments.user.as_deref())?,
        password: password(arguments)?,
        admin: admin(arguments)?,
        user_type: arguments.user_type.clone(),
    };
    block_on(async {
        match register(&place, &secret, &registration).await? {
            Outcome::Made(user_id) => print(format!("Success! {user_id} was made.")),
            Outcome::Exists if arguments.exists_ok => print("The user exists already."),
            Outcome::Exists => Err(Failure::new("the user exists already")),
        }
    })
}

fn secret(arguments: &RegisterUser, config: Option<&Config>) -> Result<String, Failure> {
    if let Some(secret) = &arguments.shared_secret {
        return Ok(secret.clone());
    }
    let secret = config.and_then(|config| config.reloadable.registration.shared_secret.as_ref());
    if secret.is_some_and(|secret| !secret.is_known()) {
        return Err(Failure::new(
            "the shared secret is an encrypted credential, which can be read here while the \
             service runs; or use `user create`",
        ));
    }
    secret.map(|secret| secret.expose().to_owned()).ok_or_else(|| {
        Failure::new(
            "the configuration has no shared secret: set registration.shared_secret_file, \
             or give the secret with -k",
        )
    })
}

/// The server that the command line names, else that of the configuration.
pub(super) fn place(
    url: Option<&str>,
    (argument, config): (&ConfigArgument, Option<&Config>),
) -> Result<Place, Failure> {
    let from_config = || {
        let listeners = &config?.listeners;
        // The socket unit listens there, unless a drop-in says otherwise.
        let passed = argument.source().service_socket();
        let passed = passed.filter(|path| listeners.is_default && path.exists());
        let passed = passed.map(|path| format!("unix:{}", path.display()));
        passed.or_else(|| url_of(&listeners.list))
    };
    let url = url.map(str::to_owned).or_else(from_config);
    let url = url.unwrap_or_else(|| DEFAULT_SERVER.to_owned());
    Place::parse(&url).map_err(Failure::new)
}

/// Where a local process reaches a listener of the configuration; one without TLS if there is one.
fn url_of(listeners: &[Listener]) -> Option<String> {
    use config::section::listener::Resource::{Admin, Client};
    let serves = |listener: &&Listener| {
        listener.resources.iter().any(|resource| matches!(resource, Admin | Client))
    };
    let fitting: Vec<&Listener> = listeners.iter().filter(serves).collect();
    let plain = fitting.iter().filter(|listener| listener.tls.is_none());
    let encrypted = fitting.iter().filter(|listener| listener.tls.is_some());
    plain.chain(encrypted).find_map(|listener| {
        let scheme = if listener.tls.is_some() { "https" } else { "http" };
        listener.bind.iter().find_map(|bind| local_url(scheme, bind))
    })
}

fn local_url(scheme: &str, bind: &str) -> Option<String> {
    match bind.parse().ok()? {
        http::Bind::Tcp(address) if address.ip().is_unspecified() => {
            Some(format!("{scheme}://localhost:{}", address.port()))
        }
        http::Bind::Tcp(address) => Some(format!("{scheme}://{address}")),
        http::Bind::Unix { path, .. } => Some(format!("unix:{}", path.display())),
        http::Bind::Passed { .. } => None,
    }
}

fn user(given: Option<&str>) -> Result<String, Failure> {
    if let Some(user) = given {
        return Ok(user.to_owned());
    }
    if !ask::is_interactive() {
        return Err(Failure::new("-u is missing, and there is no terminal to ask at"));
    }
    let me = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let default = me.map(|user| user.name).unwrap_or_default();
    let answer = if default.is_empty() {
        ask::ask("New user localpart: ")?
    } else {
        ask::ask(&format!("New user localpart [{default}]: "))?
    };
    match (answer.is_empty(), default.is_empty()) {
        (false, _) => Ok(answer),
        (true, false) => Ok(default),
        (true, true) => Err(Failure::new("the user needs a name")),
    }
}

fn password(arguments: &RegisterUser) -> Result<String, Failure> {
    match &arguments.password {
        Some(password) if password.is_empty() => {
            Err(Failure::new("the password must not be empty"))
        }
        Some(password) => Ok(password.clone()),
        None => ask::password(arguments.password_file.as_deref().map(Path::new)),
    }
}

fn admin(arguments: &RegisterUser) -> Result<bool, Failure> {
    if arguments.admin || arguments.no_admin || !ask::is_interactive() {
        return Ok(arguments.admin);
    }
    let answer = ask::ask("Make admin [no]: ")?;
    Ok(["y", "yes", "true"].contains(&answer.as_str()))
}

struct Registration {
    user: String,
    password: String,
    admin: bool,
    user_type: Option<String>,
}

enum Outcome {
    Made(String),
    Exists,
}

/// The nonce, then the registration with its MAC.
async fn register(
    place: &Place,
    secret: &str,
    registration: &Registration,
) -> Result<Outcome, Failure> {
    let answer = http_client::send(place, Method::GET, PATH, None).await.map_err(Failure::new)?;
    let nonce =
        answer.body["nonce"].as_str().ok_or_else(|| refused(answer.status, &answer.body))?;
    let mut body = json!({
        "nonce": nonce,
        "username": registration.user,
        "password": registration.password,
        "admin": registration.admin,
        "mac": mac(secret, nonce, registration),
    });
    if let Some(user_type) = &registration.user_type {
        body["user_type"] = user_type.as_str().into();
    }
    let answer =
        http_client::send(place, Method::POST, PATH, Some(&body)).await.map_err(Failure::new)?;
    match (answer.body["user_id"].as_str(), answer.body["errcode"].as_str()) {
        (Some(user_id), _) if answer.status.is_success() => Ok(Outcome::Made(user_id.to_owned())),
        (_, Some("M_USER_IN_USE")) => Ok(Outcome::Exists),
        _ => Err(refused(answer.status, &answer.body)),
    }
}

fn refused(status: StatusCode, body: &Value) -> Failure {
    let reason = body["error"].as_str().unwrap_or("it gave no reason");
    Failure::new(format!("the server refused with {status}: {reason}"))
}

/// HMAC-SHA1 in hexadecimal, as Synapse's admin API describes it.
fn mac(secret: &str, nonce: &str, registration: &Registration) -> String {
    use std::fmt::Write;
    let admin = if registration.admin { "admin" } else { "notadmin" };
    let mut parts = vec![nonce, &registration.user, &registration.password, admin];
    parts.extend(registration.user_type.as_deref());
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let tag = hmac::sign(&key, parts.join("\0").as_bytes());
    tag.as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(admin: bool, user_type: Option<&str>) -> Registration {
        Registration {
            user: "pepper_roni".to_owned(),
            password: "pizza".to_owned(),
            admin,
            user_type: user_type.map(str::to_owned),
        }
    }

    #[test]
    fn the_mac_is_the_one_of_synapses_documentation() {
        // printf '%s\0%s\0%s\0%s' thisisanonce pepper_roni pizza admin | openssl sha1 -hmac
        // shared_secret
        let made = mac("shared_secret", "thisisanonce", &registration(true, None));
        assert_eq!(made, MAC_OF_ADMIN);
        assert_ne!(mac("shared_secret", "thisisanonce", &registration(false, None)), made);
        assert_ne!(mac("shared_secret", "thisisanonce", &registration(true, Some("bot"))), made);
    }

    const MAC_OF_ADMIN: &str = "48715842ad67d5dc9a9ee938a3bda4fcfae8d7c7";

    fn listener(bind: &str, tls: bool, resource: config::section::listener::Resource) -> Listener {
        let files = config::section::listener::TlsFiles {
            certificate: "/c".into(),
            private_key: "/k".into(),
        };
        Listener {
            bind: vec![bind.to_owned()],
            resources: vec![resource],
            x_forwarded: false,
            tls: tls.then_some(files),
        }
    }

    #[test]
    fn the_server_is_found_in_the_configuration() {
        use config::section::listener::Resource::{Client, Federation};
        let url = |listeners: &[Listener]| url_of(listeners).unwrap_or_default();
        let tcp = listener("127.0.0.1:8008", false, Client);
        assert_eq!(url(std::slice::from_ref(&tcp)), "http://127.0.0.1:8008");
        let tls = listener("0.0.0.0:8448", true, Client);
        assert_eq!(url(std::slice::from_ref(&tls)), "https://localhost:8448");
        assert_eq!(url(&[tls, tcp]), "http://127.0.0.1:8008");
        assert_eq!(url(&[listener("[::]:1", false, Federation)]), "");
        assert_eq!(url(&[listener("unix:/run/x", false, Client)]), "unix:/run/x");
        assert_eq!(url(&[listener("passed:client", false, Client)]), "");
    }
}
