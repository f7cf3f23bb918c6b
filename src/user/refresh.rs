//! Refreshing access tokens.
//!
//! A refresh token gives a new pair of tokens. The old pair ends when either of the new tokens is
//! used for the first time, so that a client to which the answer was lost can ask again; what it
//! was given before ends then.
//!
//! Spec: client-server API, "Refreshing access tokens".

use store::{WriteTxn, user::token as tokens};

use crate::{
    Error, Sessions,
    session::{Pair, Tokens},
    token,
};

impl Sessions {
    /// Exchanges a refresh token for new tokens. The old ones stay valid until one of the new ones
    /// is used.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, Error> {
        let context = &self.inner.context;
        let hash = token::hash(refresh_token);
        let pair = Pair::make(context, true);
        let answer = pair.tokens();
        let (sessions, now_ms) = (self.clone(), context.now_ms());
        let work = move |txn: &mut WriteTxn<'_>| {
            let row = tokens::find_refresh(txn, &hash)?
                .ok_or(Error::UnknownToken { soft_logout: false })?;
            if row.expires_ts.is_some_and(|expires_ts| expires_ts <= now_ms) {
                return Err(Error::UnknownToken { soft_logout: true });
            }
            let mut ended = match &row.replaces {
                Some(replaced) => tokens::confirm(txn, row.device, replaced)?,
                None => Vec::new(),
            };
            ended.extend(tokens::delete_unused_replacements(txn, row.device, &hash)?);
            pair.insert(txn, row.device, Some(hash))?;
            sessions.forget_on_commit(txn, ended);
            Ok(())
        };
        context.store.write(work).await?;
        Ok(answer)
    }
}
