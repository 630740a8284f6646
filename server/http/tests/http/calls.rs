//! Calls that succeed, and for whom they run.

use serde_json::json;

use crate::server::{ACME, HOME, Send as _, Server};

const DESCRIBE: &str = "/api/commands/demo.calls.describe";

#[tokio::test]
async fn an_exposed_command_runs_by_id_and_an_empty_body_is_an_empty_input() {
    let server = Server::start().await;
    for request in [
        server.request("POST", DESCRIBE),
        server.request("POST", DESCRIBE).json(&json!({})),
        server.request("POST", DESCRIBE).header("content-type", "application/vnd.demo+json").body("{}"),
    ] {
        let answer = request.answer().await;
        assert_eq!(answer.ok()["actor"], "anonymous");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_call_carries_what_the_headers_say() {
    let server = Server::start().await;
    let answer = server
        .request("POST", DESCRIBE)
        .header("x-correlation-id", "order-17")
        .header("idempotency-key", "once")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .answer()
        .await;
    let told = answer.ok();
    assert_eq!(answer.header("x-correlation-id"), Some("order-17"));
    assert_eq!(told["correlation"], "order-17");
    assert_eq!(told["idempotency_key"], "once");
    assert_eq!(told["traced"], true);
}

#[tokio::test]
async fn a_call_without_headers_has_a_fresh_correlation_id_and_a_malformed_trace_is_none() {
    let server = Server::start().await;
    let answer = server.request("POST", DESCRIBE).header("traceparent", "yes").answer().await;
    let told = answer.ok();
    assert_eq!(told["traced"], false);
    assert_eq!(told["correlation"].as_str(), answer.header("x-correlation-id"));
    let other = server.request("POST", DESCRIBE).answer().await;
    assert_ne!(answer.header("x-correlation-id"), other.header("x-correlation-id"));
}

#[tokio::test]
async fn the_fields_of_a_get_route_come_from_path_and_query_in_their_own_types() {
    let server = Server::start().await;
    let path = "/demo/books/7/notes?full=true&limit=20&text=12&order=newest";
    let read = server.request("GET", path).bearer_auth("reader").answer().await.ok();
    assert_eq!(read, json!({ "book": 7, "text": "12", "full": true, "limit": 20, "order": "newest" }));
    let head = server.request("HEAD", path).bearer_auth("reader").answer().await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn the_fields_of_a_post_route_come_from_path_and_body() {
    let server = Server::start().await;
    let write = |method, path| server.request(method, path).bearer_auth("writer");
    let body = json!({ "text": "hello", "replies": [{ "text": "hi", "replies": [] }] });
    let written = write("POST", "/demo/books/7/notes").json(&body).answer().await.ok();
    assert_eq!(written["text"], "7: hello");
    assert_eq!(written["replies"][0]["text"], "hi");
    let alike = write("POST", "/demo/books/7/notes").json(&json!({ "text": "a", "shelf": 7 })).answer().await;
    assert_eq!(alike.ok()["text"], "7: a", "a field may be given twice, if alike");
    let whole =
        write("POST", "/demo/books/7/notes").json(&json!({ "text": "a", "shelf": 7.0 })).answer().await;
    assert_eq!(whole.ok()["text"], "7: a", "a number without a fraction is an integer");
    let decoded = write("PUT", "/demo/books/7/notes/a%20b%2Fc").answer().await;
    assert_eq!(decoded.ok()["text"], "7: a b/c");
}

#[tokio::test]
async fn a_call_runs_for_the_principals_own_tenant_whatever_headers_say() {
    let server = Server::start().await;
    let describe =
        |path: &str| server.request("POST", path).header("x-tenant", "acme").header("host", "acme.test");
    assert!(describe(DESCRIBE).answer().await.ok()["tenant"].is_null(), "nobody has no tenant");
    let told = describe(DESCRIBE).bearer_auth("reader").answer().await.ok();
    assert_eq!((told["actor"].as_str(), told["tenant"].as_str()), (Some("reader"), Some(&*HOME.to_string())));
}

#[tokio::test]
async fn who_belongs_to_no_tenant_calls_for_the_one_whose_host_it_is() {
    let server = Server::start().await;
    let at = |host: &str| server.request("POST", DESCRIBE).header("host", host.to_owned());
    for host in ["acme.tenants.test", "ACME.tenants.test.", "acme.tenants.test:8443"] {
        assert_eq!(at(host).answer().await.ok()["tenant"], ACME.to_string(), "{host}");
        assert_eq!(at(host).bearer_auth("of-none").answer().await.ok()["tenant"], ACME.to_string(), "{host}");
    }
    for host in ["nobody.tenants.test", "acme.elsewhere.test", "127.0.0.1:80"] {
        assert!(at(host).answer().await.ok()["tenant"].is_null(), "{host}");
    }
    let told = at("acme.tenants.test").bearer_auth("reader").answer().await.ok();
    assert_eq!(told["tenant"], HOME.to_string(), "one's own tenant comes before the host's");
    let forwarded = at("elsewhere.test")
        .header("x-forwarded-host", "acme.tenants.test")
        .header("forwarded", "host=acme.tenants.test")
        .header("x-tenant-id", ACME.to_string());
    assert!(forwarded.answer().await.ok()["tenant"].is_null());
}

#[tokio::test]
async fn nobody_acts_for_a_tenant_that_may_not_act() {
    let server = Server::start().await;
    let describe = |path: &str| server.request("POST", &format!("{DESCRIBE}{path}"));
    describe("").bearer_auth("of-idle").answer().await.failed(403, "tenant_suspended");
    describe("").bearer_auth("of-gone").answer().await.failed(403, "tenant_gone");
    describe("").header("host", "idle.tenants.test").answer().await.failed(403, "tenant_suspended");
    describe("").header("host", "new.tenants.test").answer().await.failed(403, "tenant_pending");
    describe("?tenant=idle").bearer_auth("operator").answer().await.failed(403, "tenant_suspended");
    let read = server.request("GET", "/demo/books/7/notes?tenant=idle");
    read.bearer_auth("operator").answer().await.ok();
}

#[tokio::test]
async fn only_a_principal_that_may_act_for_tenants_names_one() {
    let server = Server::start().await;
    let describe = |tenant: &str| server.request("POST", &format!("{DESCRIBE}?tenant={tenant}"));
    let told = describe("acme").bearer_auth("operator").answer().await.ok();
    assert_eq!(told["tenant"], ACME.to_string());
    for tenant in ["acme", "nobody", "No"] {
        describe(tenant).bearer_auth("reader").answer().await.failed(403, "permission_required");
        describe(tenant).answer().await.failed(401, "authentication_required");
    }
    describe("nobody").bearer_auth("operator").answer().await.failed(404, "unknown_tenant");
    for malformed in ["", "Acme", "a--b", "1a", "a_b", "%C3%A9", &"a".repeat(64)] {
        describe(malformed).bearer_auth("operator").answer().await.failed(400, "invalid_tenant");
    }
}

#[tokio::test]
async fn the_scheme_of_a_bearer_token_is_read_in_any_case() {
    let server = Server::start().await;
    let answer = server.request("POST", DESCRIBE).header("authorization", "bEaReR reader").answer().await;
    assert_eq!(answer.ok()["actor"], "reader");
}
