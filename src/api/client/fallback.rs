//! Pages for a browser, to which a client sends its user for what it cannot do itself: a stage of
//! user-interactive authentication, a whole log-in.
//!
//! Invariant: a stage is checked here as in the request of a client, and guesses are counted in the
//! same buckets.
//!
//! Spec: client-server API, "User-Interactive Authentication API" ("Fallback"), "Login Fallback".

use axum::http::StatusCode;
use ruma::{OwnedUserId, api::client::uiaa::AuthType};
use serde::Deserialize;
use serde_json::{Map, Value};
use user::uia::InBrowser;

use crate::{
    attempt::Attempt,
    error::{ApiError, UNKNOWN_PATH},
    extract::Call,
    page::{Page, escape},
    rate::Kind,
    reply::Outcome,
    session::account_of,
};

/// What the specification has the page of a completed stage do.
const DONE: &str = "
if (window.onAuthDone) {
    window.onAuthDone();
} else if (window.opener && window.opener.postMessage) {
    window.opener.postMessage(\"authDone\", \"*\");
}
";

/// The log-in of a whole, as a client cannot do it: the answer goes to what the client has put
/// in place.
const LOGIN: &str = include_str!("fallback_login.js");

/// The query and the form.
#[derive(Deserialize)]
struct Given {
    session: String,
    token: Option<String>,
    password: Option<String>,
}

impl Given {
    /// What a client would send as `auth`.
    fn proof(self) -> Map<String, Value> {
        let fields = [("token", self.token), ("password", self.password)];
        let given = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        given.map(|(key, value)| (key, Value::String(value))).collect()
    }
}

/// A stage that has a page.
struct Stage {
    kind: AuthType,
    /// What the user reads.
    text: &'static str,
    /// The form's inputs as HTML.
    inputs: &'static str,
}

impl Stage {
    fn of(call: &Call) -> Result<Self, ApiError> {
        let kind = AuthType::from(call.text("authType")?);
        let (text, inputs) = match kind {
            AuthType::Dummy => ("Please confirm that you want to go on.", ""),
            AuthType::RegistrationToken => (
                "To register on this server you need a registration token.",
                "<label>Registration token\n\
                 <input name=\"token\" required autofocus autocomplete=\"off\"></label>\n",
            ),
            AuthType::Password => (
                "Please enter the password of your account.",
                "<label>Password\n\
                 <input name=\"password\" type=\"password\" required autofocus \
                 autocomplete=\"current-password\"></label>\n",
            ),
            _ => return Err(UNKNOWN_PATH.with("There is no page for this type of authentication")),
        };
        Ok(Self { kind, text, inputs })
    }

    /// The form, which comes back to the address that it stands at.
    fn form(&self, session: &str, wrong: &str) -> Outcome {
        let (text, inputs, session) = (self.text, self.inputs, escape(session));
        let wrong = match wrong {
            "" => String::new(),
            wrong => format!("<p class=\"wrong\">{}.</p>\n", escape(wrong)),
        };
        let body = format!(
            "<h1>Authentication</h1>\n\
             <p>{text}</p>\n\
             {wrong}\
             <form method=\"post\">\n\
             <input type=\"hidden\" name=\"session\" value=\"{session}\">\n\
             {inputs}\
             <button>Continue</button>\n\
             </form>\n"
        );
        let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        Page { status, title: "Authentication", body: &body, script: None }.reply()
    }
}

/// `GET /auth/{authType}/fallback/web`.
pub(crate) async fn show(call: Call) -> Outcome {
    let stage = Stage::of(&call)?;
    let given: Given = call.query()?;
    let (standing, _) = call.state.uia.find_in_browser(&given.session, &stage.kind);
    tell(&stage, &given.session, standing)
}

/// `POST /auth/{authType}/fallback/web`.
pub(crate) async fn submit(call: Call) -> Outcome {
    let stage = Stage::of(&call)?;
    let given: Given = call.form()?;
    let session = given.session.clone();
    let (standing, user) = call.state.uia.find_in_browser(&session, &stage.kind);
    if standing != InBrowser::Waits {
        return tell(&stage, &session, standing);
    }
    let attempt = attempt(&call, user.as_ref()).await?;
    let standing =
        call.state.uia.complete_in_browser(&session, stage.kind.clone(), &given.proof()).await?;
    if let (InBrowser::Failed(_), Some(attempt)) = (&standing, attempt) {
        attempt.fail();
    }
    tell(&stage, &session, standing)
}

/// Begins a guess, if one more may be made: for an account, or to register.
async fn attempt<'c>(
    call: &'c Call,
    user: Option<&OwnedUserId>,
) -> Result<Option<Attempt<'c>>, ApiError> {
    match user {
        Some(user) => {
            let account = account_of(user.as_str());
            let attempt = call.state.limiter().attempt(Kind::LoginAccount, account).await;
            attempt.map(Some).map_err(ApiError::too_many)
        }
        None => call.attempt(Kind::Registration).await,
    }
}

fn tell(stage: &Stage, session: &str, standing: InBrowser) -> Outcome {
    match standing {
        InBrowser::Waits => stage.form(session, ""),
        InBrowser::Failed(reason) => stage.form(session, reason),
        InBrowser::Completed => Page {
            status: StatusCode::OK,
            title: "Thank you",
            body: "<h1>Thank you</h1>\n\
                   <p>You can close this window and go back to your application.</p>\n",
            script: Some(DONE),
        }
        .reply(),
        InBrowser::Gone => Page {
            status: StatusCode::NOT_FOUND,
            title: "Too late",
            body: "<h1>Too late</h1>\n\
                   <p>This step is not awaited any more. Please go back to your application and \
                   begin again.</p>\n",
            script: None,
        }
        .reply(),
    }
}

/// `GET /_matrix/static/client/login/`.
pub(crate) async fn login(call: Call) -> Outcome {
    let server_name = escape(call.state.server_name.as_str());
    let body = format!(
        "<h1>Log in to {server_name}</h1>\n\
         <p id=\"text\" role=\"status\">This page needs JavaScript.</p>\n\
         <form id=\"form\" hidden>\n\
         <label>User name\n\
         <input name=\"user\" required autofocus autocapitalize=\"none\" \
         autocomplete=\"username\"></label>\n\
         <label>Password\n\
         <input name=\"password\" type=\"password\" required \
         autocomplete=\"current-password\"></label>\n\
         <button>Log in</button>\n\
         </form>\n"
    );
    Page { status: StatusCode::OK, title: "Log in", body: &body, script: Some(LOGIN) }.reply()
}
