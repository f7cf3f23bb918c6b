//! Tests of how errors look to clients.

use axum::http::HeaderMap;
use http_body_util::BodyExt;
use proto::auth::Denied;
use ruma::api::client::uiaa::{AuthFlow, AuthType};
use serde_json::json;

use super::*;

async fn answer(error: ApiError) -> (u16, HeaderMap, Value) {
    let response = crate::reply::error(error);
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn code_text_and_status() {
    let (status, headers, body) = answer(RoomError::NotInRoom.into()).await;
    assert_eq!(status, 403);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(body, json!({ "errcode": "M_FORBIDDEN", "error": "you are not in this room" }));
}

#[tokio::test]
async fn what_the_rules_deny_and_what_has_no_form_for_them() {
    let denied = |kind| RoomError::Denied(Denied { kind, reason: "so it is".to_owned() });
    let cases = [
        (denied(DeniedKind::Power), 403, "M_FORBIDDEN"),
        (denied(DeniedKind::Malformed), 400, "M_BAD_JSON"),
        (RoomError::BadState("not banned"), 403, "M_BAD_STATE"),
        (RoomError::InviteBlocked, 403, "M_INVITE_BLOCKED"),
    ];
    for (error, expected, code) in cases {
        let (status, _, body) = answer(error.into()).await;
        assert_eq!((status, &body["errcode"]), (expected, &json!(code)));
    }
}

#[tokio::test]
async fn too_many_says_when_to_come_again() {
    let (status, headers, body) = answer(ApiError::too_many(Duration::from_millis(1500))).await;
    assert_eq!(status, 429);
    assert_eq!(headers["retry-after"], "2");
    assert_eq!(body["retry_after_ms"], 1500);
    assert_eq!(body["errcode"], "M_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn only_what_passes_is_to_be_tried_again() {
    let (status, headers, body) = answer(user::Error::LimitExceeded("busy").into()).await;
    assert_eq!((status, &body["errcode"]), (429, &json!("M_LIMIT_EXCEEDED")));
    assert_eq!(
        (&body["retry_after_ms"], &headers["retry-after"]),
        (&json!(1000), &"1".parse().unwrap())
    );
    for error in [ApiError::from(user::Error::Limit("full")), RoomError::Limit("full").into()] {
        let (status, headers, body) = answer(error).await;
        assert_eq!((status, &body["errcode"]), (400, &json!("M_UNKNOWN")));
        assert!(!headers.contains_key("retry-after"));
    }
}

#[tokio::test]
async fn extra_fields() {
    let (status, _, body) = answer(user::Error::UnknownToken { soft_logout: true }.into()).await;
    assert_eq!((status, &body["soft_logout"]), (401, &json!(true)));
    let error = RoomError::IncompatibleVersion(RoomVersionId::V9);
    let (status, _, body) = answer(error.into()).await;
    assert_eq!((status, &body["room_version"]), (400, &json!("9")));
}

#[tokio::test]
async fn what_happened_inside_is_not_told() {
    let error = ApiError::from(RoomError::Damaged("room !a:b lost its state".to_owned()));
    assert!(error.cause().unwrap().text.contains("!a:b"));
    let (status, _, body) = answer(error).await;
    assert_eq!(status, 500);
    assert_eq!(body, json!({ "errcode": "M_UNKNOWN", "error": "Internal server error" }));
}

#[test]
fn what_the_store_tells_of_itself_is_not_told_by_each_request() {
    let told = |error: store::Error| {
        let of_room = ApiError::from(RoomError::from(error.clone()));
        let of_user = ApiError::from(user::Error::from(error.clone()));
        let all = [of_room, of_user, ApiError::from(error)];
        all.map(|error| error.cause().unwrap().is_told)
    };
    assert_eq!(told(store::Error::Unavailable("no answer".to_owned())), [true; 3]);
    assert_eq!(told(store::Error::Full("no room".to_owned())), [true; 3]);
    assert_eq!(told(store::Error::Statement("no such table".to_owned())), [false; 3]);
}

#[tokio::test]
async fn a_challenge_always_has_params() {
    let mut info = UiaaInfo::new(vec![AuthFlow::new(vec![AuthType::Dummy])]);
    info.session = Some("abc".to_owned());
    let (status, _, body) = answer(UiaError::Challenge(Box::new(info)).into()).await;
    assert_eq!(status, 401);
    let flows = json!([{ "stages": ["m.login.dummy"] }]);
    assert_eq!(body, json!({ "flows": flows, "params": {}, "session": "abc" }));
}

#[test]
fn one_kind_can_stand_for_another() {
    let taken = ApiError::from(RoomError::AliasTaken);
    assert!(taken.or_as(ROOM_IN_USE, CONFLICT).is(CONFLICT));
    let other = ApiError::from(RoomError::NotInRoom);
    assert!(other.or_as(ROOM_IN_USE, CONFLICT).is(FORBIDDEN));
}
