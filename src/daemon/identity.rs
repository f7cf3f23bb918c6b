//! Whose database it is. Users are of the server that they were made on, and so are its rooms and
//! aliases: under another name nobody could log in, and nothing would say why.
//!
//! Invariant: all accounts of a database are of one server, so that one of them tells.

use config::Config;
use store::{
    Store,
    user::account::{self, AccountFilter},
};

use crate::failure::Failure;

/// Refuses a database that has users of another server.
pub(crate) async fn check(config: &Config, store: &Store) -> Result<(), Failure> {
    let any = AccountFilter {
        after: store::UserNumber::default(),
        deactivated: true,
        guests: true,
        limit: 1,
    };
    let found = store.read(move |snapshot| account::list(snapshot, &any)).await;
    let found = found.map_err(|error| Failure::new(format!("cannot read an account: {error}")))?;
    let server_name = &config.fixed.identity.server_name;
    let Some(theirs) = found.first().map(|account| account.user_id.server_name()) else {
        return Ok(());
    };
    if theirs == server_name {
        return Ok(());
    }
    let reason = format!(
        "is {server_name}, but the database has users of {theirs}: the name of a server that was \
         used cannot be changed"
    );
    Err(config.problem("server_name", None, &reason).into())
}
