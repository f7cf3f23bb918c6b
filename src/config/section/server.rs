//! The keys at the top: who the server is and where it keeps what it must not lose.

use std::path::{Path, PathBuf};

use ruma::OwnedServerName;

use crate::{reader::Reader, setting::BaseUrl};

/// Where the state is when neither the configuration nor the service manager says so.
const STATE_DIRECTORY: &str = "/var/lib/matrix-homeserver";
/// Name of the signing key's file in it.
const SIGNING_KEY: &str = "signing.key";

/// Who the server is; fixed at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The part of user ids after the colon. It can never change.
    pub server_name: OwnedServerName,
    /// Directory of the signing key and, by default, of the database.
    pub state_directory: PathBuf,
    /// The file of the signing key; made at the first start when it is not there.
    pub signing_key_file: PathBuf,
}

/// How the server presents itself; a reload may change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// Where clients reach it.
    pub public_baseurl: BaseUrl,
    /// The administrator's answer to whether statistics may be reported.
    pub report_stats: bool,
}

/// Stands in for a name that could not be read; the configuration is refused then.
fn nobody() -> OwnedServerName {
    ruma::server_name!("invalid.invalid").to_owned()
}

pub(crate) fn read(
    reader: &mut Reader<'_>,
    state_directory: Option<&Path>,
) -> (Identity, Presentation) {
    reader.fixed();
    let server_name = reader
        .required("server_name", "set it to the part of user ids after the colon")
        .unwrap_or_else(nobody);
    reader.reloadable();
    let public_baseurl = reader.or("public_baseurl", BaseUrl::https(server_name.as_str()));
    let report_stats = reader
        .required("report_stats", "set it to true or false; it has no default")
        .unwrap_or_default();
    reader.fixed();
    let default = state_directory.unwrap_or(Path::new(STATE_DIRECTORY)).to_owned();
    let state_directory = reader.or("state_directory", default);
    // Relative to the credentials or the configuration, as every key that ends in `_file`; only
    // the default lies in the state, because the server writes it.
    let default = state_directory.join(SIGNING_KEY).to_string_lossy().into_owned();
    let signing_key_file: String = reader.or("signing_key_file", default);
    let signing_key_file = reader.places().resolve(&signing_key_file);
    reader.reloadable();
    (
        Identity { server_name, state_directory, signing_key_file },
        Presentation { public_baseurl, report_stats },
    )
}
