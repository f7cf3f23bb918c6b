//! The commands about registration tokens.

use axum::{
    Router, body::Bytes, extract::State, http::StatusCode, response::Response, routing::post,
};
use user::registration_token::RegistrationToken;

use super::{
    Admin, Refusal, parse,
    protocol::{
        CREATE_TOKEN, CreateToken, LIST_TOKENS, ListTokens, ListedToken, REMOVE_TOKEN, RemoveToken,
        Tokens,
    },
    reply,
};

type Outcome = Result<Response, Refusal>;

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route(CREATE_TOKEN, post(create))
        .route(LIST_TOKENS, post(list))
        .route(REMOVE_TOKEN, post(remove))
}

async fn create(State(admin): State<Admin>, body: Bytes) -> Outcome {
    let body: CreateToken = parse(&body)?;
    let now_ms = admin.registration_tokens.now_ms();
    let expiry_ts = body.lifetime_ms.map(|lifetime_ms| now_ms.saturating_add(lifetime_ms));
    let made = admin.registration_tokens.create(body.token, body.uses, expiry_ts).await?;
    Ok(reply(StatusCode::OK, &listed(made, now_ms)))
}

async fn list(State(admin): State<Admin>, body: Bytes) -> Outcome {
    let ListTokens {} = parse(&body)?;
    let now_ms = admin.registration_tokens.now_ms();
    let tokens = admin.registration_tokens.list(None).await?.into_iter();
    let tokens = tokens.map(|token| listed(token, now_ms)).collect();
    Ok(reply(StatusCode::OK, &Tokens { tokens }))
}

async fn remove(State(admin): State<Admin>, body: Bytes) -> Outcome {
    let body: RemoveToken = parse(&body)?;
    admin.registration_tokens.remove(&body.token).await?;
    Ok(reply(StatusCode::OK, &body))
}

fn listed(token: RegistrationToken, now_ms: u64) -> ListedToken {
    ListedToken {
        is_valid: token.is_valid(now_ms),
        expires_in_ms: token.expiry_ts.map(|expiry_ts| expiry_ts.saturating_sub(now_ms)),
        token: token.token,
        uses: token.uses_allowed,
        used: token.completed,
    }
}
