//! Calls that fail: each with its status, all with one body.

use chancery_http::DenialStatus;
use kernel::Commands;
use serde_json::json;

use crate::{
    demo::Demo,
    server::{Send as _, Server, api},
};

const NOTES: &str = "/demo/books/7/notes";
const FAIL: &str = "/api/commands/demo.calls.fail";

/// A request that is wrong: method, path, headers, body; status and code of its answer.
type Wrong<'w> = (&'w str, &'w str, &'w [(&'w str, &'w str)], &'w [u8], u16, &'w str);

#[tokio::test]
async fn every_malformed_request_has_the_error_body() {
    const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
    let large = [b' '; 1025];
    let wrong: &[Wrong<'_>] = &[
        ("GET", "/", &[], b"", 404, "unknown_path"),
        ("GET", "/api/commands/", &[], b"", 404, "unknown_path"),
        ("DELETE", FAIL, &[], b"", 405, "method_not_allowed"),
        ("PATCH", NOTES, &[], b"", 405, "method_not_allowed"),
        ("POST", "/healthz", &[], b"", 405, "method_not_allowed"),
        ("POST", "/api/commands/demo.calls.nothing", JSON, b"{}", 404, "unknown_command"),
        ("POST", "/api/commands/%FF", JSON, b"{}", 400, "malformed_path"),
        ("GET", "/demo/books/%FF/notes", &[], b"", 400, "malformed_path"),
        ("POST", FAIL, JSON, b"{", 400, "malformed_json"),
        ("POST", FAIL, JSON, b"\xff", 400, "malformed_json"),
        ("POST", FAIL, JSON, b"[]", 400, "invalid_input"),
        ("POST", FAIL, JSON, b"{}", 400, "invalid_input"),
        ("POST", FAIL, JSON, b"{\"how\":1}", 400, "invalid_input"),
        ("POST", FAIL, &[], b"{}", 415, "unsupported_media_type"),
        ("POST", FAIL, &[("content-type", "text/plain")], b"{}", 415, "unsupported_media_type"),
        ("POST", FAIL, &[("content-type", "application/jsonp")], b"{}", 415, "unsupported_media_type"),
        ("POST", FAIL, JSON, &large, 413, "body_too_large"),
        ("POST", NOTES, JSON, &large, 413, "body_too_large"),
        ("POST", NOTES, JSON, b"[]", 400, "invalid_input"),
        ("POST", NOTES, JSON, b"{\"shelf\":8}", 400, "invalid_input"),
        ("POST", "/demo/books/x/notes", JSON, b"{\"text\":\"a\"}", 400, "invalid_input"),
        ("POST", "/demo/books/7/notes?text=a", JSON, b"{}", 400, "invalid_input"),
        ("POST", "/api/commands/demo.calls.fail?how=panic", JSON, b"{}", 400, "invalid_input"),
        ("GET", "/demo/books/7/notes?full=yes", &[], b"", 400, "invalid_input"),
        ("GET", "/demo/books/7/notes?limit=999", &[], b"", 400, "invalid_input"),
        ("GET", "/demo/books/7/notes?colour=red", &[], b"", 400, "invalid_input"),
        ("GET", "/demo/books/7/notes?text=a&text=b", &[], b"", 400, "invalid_input"),
        ("GET", "/demo/books/7/notes?book=8", &[], b"", 400, "invalid_input"),
        ("GET", "/demo/books/7/notes?tenant=acme&tenant=b", &[], b"", 400, "invalid_input"),
        ("POST", FAIL, &[("x-correlation-id", "a b")], b"", 400, "invalid_header"),
        ("GET", "/nowhere", &[("x-correlation-id", "a b")], b"", 400, "invalid_header"),
        ("POST", FAIL, &[("idempotency-key", "a b")], b"", 400, "invalid_header"),
        ("POST", FAIL, &[("authorization", "Bearer stolen")], b"", 401, "invalid_token"),
        ("POST", FAIL, &[("authorization", "Bearer")], b"", 401, "invalid_token"),
        ("POST", FAIL, &[("authorization", "Basic reader")], b"", 401, "invalid_token"),
        ("GET", "/api/commands", &[("authorization", "Bearer stolen")], b"", 401, "invalid_token"),
        ("POST", FAIL, &[("authorization", "Bearer outage")], b"", 503, "unavailable"),
        ("POST", FAIL, &[("authorization", "Bearer bug")], b"", 500, "internal"),
    ];
    let server = Server::start().await;
    for (method, path, headers, body, status, code) in wrong {
        let mut request = server.request(method, path).body(body.to_vec());
        for (name, value) in *headers {
            request = request.header(*name, *value);
        }
        request.answer().await.failed(*status, code);
    }
}

#[tokio::test]
async fn a_failure_says_where_the_request_is_wrong() {
    let server = Server::start().await;
    let post = |body: &'static str| {
        server.request("POST", FAIL).header("content-type", "application/json; charset=utf-8").body(body)
    };
    let error = post("{\n  \"how\": ,\n}").answer().await.failed(400, "malformed_json");
    assert_eq!(error["details"], json!({ "line": 2, "column": 10 }));
    let error = post("{\"how\": 7}").answer().await.failed(400, "invalid_input");
    assert_eq!(error["details"], json!({ "path": "how" }));
    let error = server.get("/demo/books/7/notes?limit=a").await.failed(400, "invalid_input");
    assert_eq!(error["details"], json!({ "path": "limit" }));
    let answer = post("").header("idempotency-key", "é").answer().await;
    assert_eq!(answer.failed(400, "invalid_header")["details"], json!({ "header": "idempotency-key" }));
    let answer = server.request("DELETE", NOTES).answer().await;
    answer.failed(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("GET,HEAD,POST"));
}

#[tokio::test]
async fn every_kind_of_fault_has_its_status() {
    let server = Server::start().await;
    for (category, status) in [
        ("VALIDATION", 400),
        ("UNAUTHORIZED", 401),
        ("FORBIDDEN", 403),
        ("NOT_FOUND", 404),
        ("CONFLICT", 409),
        ("RATE_LIMITED", 429),
        ("PAYMENT_REQUIRED", 402),
        ("UNAVAILABLE", 503),
        ("INTERNAL", 500),
    ] {
        let answer = server.call("demo.calls.fail", json!({ "how": category })).await;
        let error = answer.failed(status, "dried_ink");
        assert_eq!(error["category"], category);
        assert_eq!(error["message"] == "the ink has dried", category != "INTERNAL", "{error}");
        assert_eq!(answer.header("www-authenticate"), (status == 401).then_some("Bearer"));
        assert_eq!(answer.header("retry-after"), (status == 429).then_some("1"));
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_server_goes_on() {
    let server = Server::start().await;
    let answer = server.call("demo.calls.fail", json!({ "how": "panic" })).await;
    answer.failed(500, "internal");
    assert!(!answer.text.contains("as asked"), "{}", answer.text);
    server.get("/healthz").await.ok();
}

#[tokio::test]
async fn a_denial_has_the_status_of_its_reason() {
    let server = Server::start().await;
    let refused = async |how: &str| server.call("demo.calls.refuse", json!({ "how": how })).await;
    let error = refused("unpaid").await.failed(402, "feature_requires_paid_license");
    assert_eq!(error["details"], json!({ "reason": "NOT_ENTITLED" }));
    let exhausted = refused("exhausted").await;
    exhausted.failed(429, "quota_exceeded");
    assert_eq!(exhausted.header("retry-after"), Some("62"), "rounded up");
    assert_eq!(refused("hurried").await.header("retry-after"), Some("1"), "at least one second");
}

#[tokio::test]
async fn denials_are_all_forbidden_where_the_operator_says_so_and_other_refusals_are_not() {
    let mut api = api(Commands::none(), Demo::default());
    api.denial_status = DenialStatus::Forbidden;
    let server = Server::of(api).await;
    let refused = async |how: &str| server.call("demo.calls.refuse", json!({ "how": how })).await;
    refused("unpaid").await.failed(403, "feature_requires_paid_license");
    let exhausted = refused("exhausted").await;
    exhausted.failed(403, "quota_exceeded");
    assert_eq!(exhausted.header("retry-after"), None);
    refused("hurried").await.failed(429, "too_many");
}

#[tokio::test]
async fn an_unauthorized_answer_challenges_as_the_standards_say() {
    let server = Server::start().await;
    let refused = async |how: &str| server.call("demo.calls.refuse", json!({ "how": how })).await;
    let nobody = refused("nobody").await;
    nobody.failed(401, "authentication_required");
    assert_eq!(nobody.header("www-authenticate"), Some("Bearer"));
    let stale = refused("stale").await;
    let error = r#"Bearer error="insufficient_user_authentication""#;
    assert_eq!(stale.header("www-authenticate"), Some(error));
    let stolen = server.request("POST", FAIL).bearer_auth("stolen").answer().await;
    assert_eq!(stolen.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
}
