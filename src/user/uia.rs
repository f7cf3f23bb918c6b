//! User-interactive authentication: sessions bound to the operation that they authorise, bounded
//! and expiring.
//!
//! ```text
//!  ──no `auth`──▶ open ──a stage──▶ bound ──the last stage──▶ complete ──same body──▶ complete
//! ```
//!
//! An open session takes another body; a bound or complete one is for its body only.
//!
//! Invariant: method, path and user belong to a session from its start, the body from its first
//! completed stage on. Until then a client may still fill in its body, as clients do that ask for
//! the flows with an empty one. Whatever a stage proved can so never authorise anything but what
//! was sent along with it.
//!
//! Spec: client-server API, "User-Interactive Authentication API".

use std::sync::Arc;

use parking_lot::Mutex;
use proto::clock::random_string;
use ruma::api::{
    client::uiaa::{AuthFlow, AuthType, UiaaInfo},
    error::{ErrorKind, StandardErrorBody},
};
use serde_json::{Map, Value};

use crate::{
    Context, Error, RegistrationTokens, Requester, Sessions,
    registration_token::PendingUse,
    uia_sessions::{UiaSession, UiaSessions},
    username,
};

pub use crate::uia_sessions::{Authorized, Operation};

/// Random characters of a session's ID.
const SESSION_ID_LENGTH: usize = 24;

/// Sessions of user-interactive authentication.
#[derive(Clone)]
pub struct Uia {
    context: Context,
    sessions: Sessions,
    registration_tokens: RegistrationTokens,
    open: Arc<Mutex<UiaSessions>>,
}

/// Why an operation is not authorised (yet).
#[derive(Debug)]
pub enum UiaError {
    /// Answered with status 401 and this body.
    Challenge(Box<UiaaInfo>),
    /// Another error.
    Other(Error),
}

impl From<Error> for UiaError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// What a stage came to.
enum Stage {
    Passed(Option<Arc<PendingUse>>),
    Failed(ErrorKind, &'static str),
}

impl Uia {
    /// Sessions that check passwords and registration tokens with these.
    pub fn new(
        context: Context,
        sessions: Sessions,
        registration_tokens: RegistrationTokens,
    ) -> Self {
        Self { context, sessions, registration_tokens, open: Arc::default() }
    }

    /// Flows for endpoints of a logged-in user: the password.
    pub fn account_flows(&self) -> Vec<Vec<AuthType>> {
        vec![vec![AuthType::Password]]
    }

    /// Flows for registration, from the settings: a token where one is required, else the dummy
    /// stage.
    pub fn registration_flows(&self) -> Vec<Vec<AuthType>> {
        if self.context.settings().registration.requires_token {
            vec![vec![AuthType::RegistrationToken]]
        } else {
            vec![vec![AuthType::Dummy]]
        }
    }

    /// Takes one step: opens a session, checks the stage in `auth`, and says whether a flow is
    /// complete.
    pub async fn authorize(
        &self,
        operation: Operation<'_>,
        flows: Vec<Vec<AuthType>>,
    ) -> Result<Authorized, UiaError> {
        let mut body = operation.body.clone();
        let auth = match body.remove("auth") {
            Some(Value::Object(auth)) => auth,
            None | Some(Value::Null) => return Err(self.open(operation, body, &flows)),
            Some(_) => return Err(Error::BadJson("`auth` is not an object".to_owned()).into()),
        };
        let text = |key: &str| auth.get(key).and_then(Value::as_str);
        let (id, mut session) = if let Some(id) = text("session") {
            let Some(session) = self.resume(id, operation, &body)? else {
                // Unknown or expired: what the client meant by its stage is not known either.
                return Err(self.open(operation, body, &flows));
            };
            (id.to_owned(), session)
        } else {
            (self.new_id(), UiaSession::new(operation, body))
        };
        let mut failure = None;
        if let Some(stage) = text("type")
            && !is_complete(&session.completed, &flows)
        {
            let stage = AuthType::from(stage);
            let checked = if is_next(&stage, &session.completed, &flows) {
                self.check_stage(&stage, &auth, operation.requester).await?
            } else if session.completed.contains(&stage) {
                return Err(challenge(&flows, id, session.completed, None));
            } else {
                Stage::Failed(ErrorKind::Forbidden, "this stage is not the next of any flow")
            };
            match checked {
                Stage::Passed(token_use) => session.pass(stage, token_use),
                Stage::Failed(kind, reason) => failure = Some((kind, reason)),
            }
        }
        let complete = is_complete(&session.completed, &flows);
        let authorized = complete.then(|| session.authorize());
        let completed = session.completed.clone();
        self.open.lock().insert(id.clone(), session, self.context.now_ms());
        if let Some(authorized) = authorized {
            return Ok(authorized);
        }
        Err(challenge(&flows, id, completed, failure))
    }

    /// Opens a session without a stage.
    fn open(
        &self,
        operation: Operation<'_>,
        body: Map<String, Value>,
        flows: &[Vec<AuthType>],
    ) -> UiaError {
        let id = self.new_id();
        let session = UiaSession::new(operation, body);
        self.open.lock().insert(id.clone(), session, self.context.now_ms());
        challenge(flows, id, Vec::new(), None)
    }

    fn new_id(&self) -> String {
        random_string(&*self.context.random, SESSION_ID_LENGTH)
    }

    /// Finds the session and binds it to this request's body, or takes the body that it is bound
    /// to.
    fn resume(
        &self,
        id: &str,
        operation: Operation<'_>,
        body: &Map<String, Value>,
    ) -> Result<Option<UiaSession>, Error> {
        let Some(mut session) = self.open.lock().find(id, self.context.now_ms()) else {
            return Ok(None);
        };
        if !session.is_for(operation) {
            return Err(Error::Forbidden("this authentication is for another operation"));
        }
        if body.is_empty() || *body == session.body {
            return Ok(Some(session));
        }
        if !session.completed.is_empty() {
            return Err(Error::Forbidden("the operation has changed during its authentication"));
        }
        session.body.clone_from(body);
        Ok(Some(session))
    }

    async fn check_stage(
        &self,
        stage: &AuthType,
        auth: &Map<String, Value>,
        requester: Option<&Requester>,
    ) -> Result<Stage, Error> {
        match stage {
            AuthType::Dummy => Ok(Stage::Passed(None)),
            AuthType::Password => self.check_password(auth, requester).await,
            AuthType::RegistrationToken => self.check_token(auth).await,
            _ => Ok(Stage::Failed(ErrorKind::Unrecognized, "unknown authentication type")),
        }
    }

    async fn check_password(
        &self,
        auth: &Map<String, Value>,
        requester: Option<&Requester>,
    ) -> Result<Stage, Error> {
        let Some(requester) = requester else {
            return Ok(Stage::Failed(ErrorKind::Forbidden, "nobody is logged in"));
        };
        let Some(password) = auth.get("password").and_then(Value::as_str) else {
            return Ok(Stage::Failed(ErrorKind::MissingParam, "the password is missing"));
        };
        let wrong = Stage::Failed(ErrorKind::Forbidden, "wrong user name or password");
        if !names(auth, requester, &self.context) {
            // Not worth another try: nobody authorises what somebody else asked for.
            return Err(Error::Forbidden("only the user who asks can authorise this"));
        }
        let right = self.sessions.check_password(requester.user_id(), password.to_owned()).await?;
        Ok(if right { Stage::Passed(None) } else { wrong })
    }

    async fn check_token(&self, auth: &Map<String, Value>) -> Result<Stage, Error> {
        let Some(token) = auth.get("token").and_then(Value::as_str) else {
            return Ok(Stage::Failed(ErrorKind::MissingParam, "the registration token is missing"));
        };
        Ok(match self.registration_tokens.reserve(token).await? {
            Some(token_use) => Stage::Passed(Some(Arc::new(token_use))),
            None => Stage::Failed(ErrorKind::Unauthorized, "the registration token is not valid"),
        })
    }
}

/// Whether the stages make a flow.
fn is_complete(completed: &[AuthType], flows: &[Vec<AuthType>]) -> bool {
    flows.iter().any(|flow| flow.iter().all(|stage| completed.contains(stage)))
}

/// Whether a flow goes on with this stage.
fn is_next(stage: &AuthType, completed: &[AuthType], flows: &[Vec<AuthType>]) -> bool {
    flows.iter().any(|flow| flow.starts_with(completed) && flow.get(completed.len()) == Some(stage))
}

/// Whether the identifier, where there is one, means the requester.
fn names(auth: &Map<String, Value>, requester: &Requester, context: &Context) -> bool {
    let user = match auth.get("identifier") {
        Some(Value::Object(identifier)) => {
            if identifier.get("type").and_then(Value::as_str) != Some("m.id.user") {
                return false;
            }
            identifier.get("user")
        }
        Some(_) => return false,
        None => auth.get("user"),
    };
    let Some(user) = user.and_then(Value::as_str) else {
        // A token and its user's password say who it is.
        return true;
    };
    [user.to_owned(), user.to_lowercase()]
        .iter()
        .filter_map(|user| username::parse_login(user, &context.server_name))
        .any(|user_id| user_id == requester.user_id())
}

fn challenge(
    flows: &[Vec<AuthType>],
    session: String,
    completed: Vec<AuthType>,
    failure: Option<(ErrorKind, &'static str)>,
) -> UiaError {
    let mut info = UiaaInfo::new(flows.iter().cloned().map(AuthFlow::new).collect());
    info.completed = completed;
    info.session = Some(session);
    info.params = serde_json::value::to_raw_value(&Map::new()).ok();
    info.auth_error =
        failure.map(|(kind, reason)| Box::new(StandardErrorBody::new(kind, reason.to_owned())));
    UiaError::Challenge(Box::new(info))
}

#[cfg(test)]
#[path = "uia_test.rs"]
mod uia_test;
