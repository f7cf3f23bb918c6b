//! The commands about users.

use axum::{
    Router, body::Bytes, extract::State, http::StatusCode, response::Response, routing::post,
};
use proto::number::UserNumber;
use ruma::OwnedUserId;
use user::account::{Account, AccountQuery, Registration};

use super::{
    Admin, Refusal, parse,
    protocol::{
        CREATE, CreateUser, DEACTIVATE, DeactivateUser, Done, LIST, ListUsers, ListedUser,
        RESET_PASSWORD, ResetPassword, SET_ADMIN, SetAdmin, Users,
    },
    reply,
};

/// Accounts on one page.
const PAGE: usize = 500;

type Outcome = Result<Response, Refusal>;

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route(CREATE, post(create))
        .route(LIST, post(list))
        .route(DEACTIVATE, post(deactivate))
        .route(RESET_PASSWORD, post(reset_password))
        .route(SET_ADMIN, post(set_admin))
}

fn done(user_id: &OwnedUserId) -> Response {
    reply(StatusCode::OK, &Done { user_id: user_id.to_string() })
}

async fn create(State(admin): State<Admin>, body: Bytes) -> Outcome {
    let body: CreateUser = parse(&body)?;
    let user_id = admin.user_id(&body.user)?;
    let registration = Registration {
        username: Some(user_id.localpart().to_owned()),
        password: Some(body.password),
        admin: body.admin,
        displayname: body.display_name,
        ..Registration::default()
    };
    let registered = admin.accounts.register(registration).await?;
    Ok(done(&registered.user_id))
}

async fn list(State(admin): State<Admin>, body: Bytes) -> Outcome {
    let body: ListUsers = parse(&body)?;
    let query = AccountQuery {
        search: body.search,
        deactivated: body.deactivated,
        guests: body.guests,
        after: body.after.map(UserNumber),
        limit: PAGE,
    };
    let accounts = admin.accounts.list(query).await?;
    let full = accounts.len() >= PAGE;
    let next = accounts.last().filter(|_| full).map(|account| account.user.0);
    let users = Users { users: accounts.into_iter().map(listed).collect(), next };
    Ok(reply(StatusCode::OK, &users))
}

fn listed(account: Account) -> ListedUser {
    ListedUser {
        user_id: account.user_id.to_string(),
        display_name: account.displayname,
        admin: account.admin,
        guest: account.guest,
        deactivated: account.deactivated,
    }
}

/// The account must be there and in use.
async fn active(admin: &Admin, name: &str) -> Result<OwnedUserId, Refusal> {
    let user_id = admin.user_id(name)?;
    match admin.accounts.find(&user_id).await? {
        Some(account) if account.deactivated => {
            Err(Refusal::new(StatusCode::CONFLICT, format!("{user_id} is deactivated")))
        }
        Some(_) => Ok(user_id),
        None => Err(user::Error::UnknownUser(user_id).into()),
    }
}

async fn deactivate(State(admin): State<Admin>, body: Bytes) -> Outcome {
    let body: DeactivateUser = parse(&body)?;
    let user_id = active(&admin, &body.user).await?;
    admin.accounts.deactivate(&user_id, body.erase).await?;
    Ok(done(&user_id))
}

async fn reset_password(State(admin): State<Admin>, body: Bytes) -> Outcome {
    let body: ResetPassword = parse(&body)?;
    let user_id = active(&admin, &body.user).await?;
    admin.accounts.change_password(&user_id, body.password, body.logout, None).await?;
    tracing::info!(MATRIX_USER = %user_id, "a password was reset");
    Ok(done(&user_id))
}

async fn set_admin(State(admin): State<Admin>, body: Bytes) -> Outcome {
    let body: SetAdmin = parse(&body)?;
    let user_id = active(&admin, &body.user).await?;
    admin.accounts.set_admin(&user_id, body.admin).await?;
    if body.admin {
        tracing::info!(MATRIX_USER = %user_id, "a user was made an administrator");
    } else {
        tracing::info!(MATRIX_USER = %user_id, "a user is no administrator any more");
    }
    Ok(done(&user_id))
}
