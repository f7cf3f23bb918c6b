//! Tests of the way through the router that need no server behind it.

use std::time::Duration;

use super::*;

#[test]
fn a_panic_has_a_text() {
    let caught = |work: fn()| std::panic::catch_unwind(work).unwrap_err();
    assert_eq!(text_of(&*caught(|| panic!("plain"))), "plain");
    assert_eq!(text_of(&*caught(|| panic!("with {}", 1))), "with 1");
    assert_eq!(text_of(&*caught(|| std::panic::panic_any(7))), "without a text");
}

#[tokio::test]
async fn whatever_is_not_known_is_unrecognized() {
    let router = Router::new()
        .route("/known", axum::routing::get(|| async { "known" }))
        .fallback(async |request: Request| unknown_path(&Meters::new(), &request))
        .method_not_allowed_fallback(async |request: Request| {
            unknown_method(&Meters::new(), &request)
        });
    let ask = |method: Method, path: &str| {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(axum::body::Body::empty()).unwrap();
        let mut router = router.clone();
        async move { router.call(request).await.unwrap() }
    };
    for (method, path, status) in [
        (Method::GET, "/unknown", 404),
        (Method::PUT, "/unknown", 404),
        (Method::PUT, "/known", 405),
        (Method::PATCH, "/known", 405),
        (Method::OPTIONS, "/known", 204),
        (Method::OPTIONS, "/unknown", 204),
    ] {
        let response = ask(method.clone(), path).await;
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        let allowed = response.headers()["access-control-allow-headers"].to_str().unwrap();
        assert!(allowed.contains("Authorization"));
        if status != 204 {
            assert_eq!(response.headers()["content-type"], "application/json");
            let body = http::collect(response.into_body(), LIMIT).await.unwrap();
            assert!(String::from_utf8_lossy(&body).contains("M_UNRECOGNIZED"));
        }
    }
}

const LIMIT: BodyLimit = BodyLimit { max_bytes: 1024, timeout: Duration::from_secs(1) };
