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
//! was sent along with it. A stage that was completed in a browser ([`Uia::complete_in_browser`])
//! was sent along with nothing: where the session has no body yet, the first one that comes is its.
//!
//! Spec: client-server API, "User-Interactive Authentication API".

use std::sync::Arc;

use parking_lot::Mutex;
use proto::clock::random_string;
use ruma::{
    OwnedUserId, UserId,
    api::{
        client::uiaa::{AuthFlow, AuthType, UiaaInfo},
        error::{ErrorKind, StandardErrorBody},
    },
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

/// How a stage stands that somebody completes in a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InBrowser {
    /// It is completed, now or before.
    Completed,
    /// It waits for its proof.
    Waits,
    /// The proof was wrong, for this reason; another one may be given.
    Failed(&'static str),
    /// There is no such session any more, or the stage is not its next one.
    Gone,
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
                let user_id = operation.requester.map(Requester::user_id);
                self.check_stage(&stage, &auth, user_id).await?
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
        let authorized = complete.then(|| session.authorize(&id));
        let completed = session.completed.clone();
        self.open.lock().insert(id.clone(), session, self.context.now_ms());
        if let Some(authorized) = authorized {
            return Ok(authorized);
        }
        Err(challenge(&flows, id, completed, failure))
    }

    /// Ends the session, so that it authorises nothing more, not even the same again.
    pub fn end(&self, authorized: &Authorized) {
        self.open.lock().remove(&authorized.session);
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
        if !session.take_body(body) {
            return Err(Error::Forbidden("the operation has changed during its authentication"));
        }
        Ok(Some(session))
    }

    /// How a stage of a session stands, and whose session it is: nobody's when registering.
    pub fn find_in_browser(&self, id: &str, stage: &AuthType) -> (InBrowser, Option<OwnedUserId>) {
        let Some(session) = self.open.lock().find(id, self.context.now_ms()) else {
            return (InBrowser::Gone, None);
        };
        (self.standing(&session, stage), session.user().cloned())
    }

    fn standing(&self, session: &UiaSession, stage: &AuthType) -> InBrowser {
        let flows = match session.user() {
            Some(_) => self.account_flows(),
            None => self.registration_flows(),
        };
        if session.completed.contains(stage) {
            InBrowser::Completed
        } else if is_next(stage, &session.completed, &flows) {
            InBrowser::Waits
        } else {
            InBrowser::Gone
        }
    }

    /// Checks the proof that somebody gave in a browser. The client goes on with the session.
    pub async fn complete_in_browser(
        &self,
        id: &str,
        stage: AuthType,
        proof: &Map<String, Value>,
    ) -> Result<InBrowser, Error> {
        let found = self.open.lock().find(id, self.context.now_ms());
        let Some(mut session) = found else { return Ok(InBrowser::Gone) };
        let standing = self.standing(&session, &stage);
        if standing != InBrowser::Waits {
            return Ok(standing);
        }
        let user_id = session.user().cloned();
        match self.check_stage(&stage, proof, user_id.as_deref()).await? {
            Stage::Passed(token_use) => session.pass_in_browser(stage, token_use),
            Stage::Failed(_, reason) => return Ok(InBrowser::Failed(reason)),
        }
        self.open.lock().insert(id.to_owned(), session, self.context.now_ms());
        Ok(InBrowser::Completed)
    }

    async fn check_stage(
        &self,
        stage: &AuthType,
        auth: &Map<String, Value>,
        user_id: Option<&UserId>,
    ) -> Result<Stage, Error> {
        match stage {
            AuthType::Dummy => Ok(Stage::Passed(None)),
            AuthType::Password => self.check_password(auth, user_id).await,
            AuthType::RegistrationToken => self.check_token(auth).await,
            _ => Ok(Stage::Failed(ErrorKind::Unrecognized, "unknown authentication type")),
        }
    }

    async fn check_password(
        &self,
        auth: &Map<String, Value>,
        user_id: Option<&UserId>,
    ) -> Result<Stage, Error> {
        let Some(user_id) = user_id else {
            return Ok(Stage::Failed(ErrorKind::Forbidden, "nobody is logged in"));
        };
        let Some(password) = auth.get("password").and_then(Value::as_str) else {
            return Ok(Stage::Failed(ErrorKind::MissingParam, "the password is missing"));
        };
        let wrong = Stage::Failed(ErrorKind::Forbidden, "wrong user name or password");
        if !names(auth, user_id, &self.context) {
            // Not worth another try: nobody authorises what somebody else asked for.
            return Err(Error::Forbidden("only the user who asks can authorise this"));
        }
        let right = self.sessions.check_password(user_id, password.to_owned()).await?;
        Ok(if right { Stage::Passed(None) } else { wrong })
    }

    async fn check_token(&self, auth: &Map<String, Value>) -> Result<Stage, Error> {
        let token = match auth.get("token") {
            Some(Value::String(token)) => token,
            Some(_) => {
                let reason = "the registration token is not a text";
                return Ok(Stage::Failed(ErrorKind::InvalidParam, reason));
            }
            None => {
                let reason = "the registration token is missing";
                return Ok(Stage::Failed(ErrorKind::MissingParam, reason));
            }
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

/// Whether the identifier, where there is one, means this user.
fn names(auth: &Map<String, Value>, user_id: &UserId, context: &Context) -> bool {
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
        .any(|named| named == user_id)
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
