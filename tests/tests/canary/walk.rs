//! Whoever sends the secret everywhere.

use std::{collections::BTreeSet, time::Duration};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::{
    CANARY, NAME,
    headers::{ask, names, values},
    inputs::inputs,
};

/// The errors that name what they are about: a slug, to whoever sent that slug, and to nobody else.
const NAMING: [&str; 2] = ["slug_taken", "unknown_tenant"];

pub(crate) struct Walk {
    client: Client,
    url: String,
    token: Option<String>,
    /// The commands that were sent everything, and those of them that took some of it.
    pub(crate) walked: BTreeSet<String>,
    pub(crate) accepted: BTreeSet<String>,
    refused: usize,
    /// What answers repeated it, and where.
    repeated: Vec<String>,
}

impl Walk {
    pub(crate) fn at(url: &str, token: Option<&str>) -> Self {
        Self {
            client: Client::new(),
            url: url.to_owned(),
            token: token.map(str::to_owned),
            walked: BTreeSet::new(),
            accepted: BTreeSet::new(),
            refused: 0,
            repeated: Vec::new(),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn read(&self, path: &str) -> Value {
        let answer = self.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.expect("an answer in JSON")
    }

    pub(crate) async fn metrics(&self) -> String {
        let answer = self.request(Method::GET, "/metrics").send().await.expect("an answer");
        answer.text().await.expect("a text")
    }

    /// Through every command that is shown here, every route and every header.
    pub(crate) async fn everywhere(&mut self) {
        let inventory = self.read("/api/commands").await;
        for command in inventory["commands"].as_array().expect("a list of commands") {
            self.command(command["id"].as_str().expect("an id")).await;
        }
        let document = self.read("/openapi.json").await;
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                self.route(&method.to_uppercase(), path, operation).await;
            }
        }
        let components = &document["components"];
        let described = ["parameters", "securitySchemes"].into_iter().flat_map(|kind| {
            let described = components[kind].as_object().expect("what requests are made of").values();
            described
                .filter(|it| it["in"] == "header")
                .filter_map(|it| it["name"].as_str().map(str::to_owned))
        });
        self.headers(&names(described));
        assert!(self.refused >= self.walked.len(), "{} refused", self.refused);
    }

    async fn command(&mut self, id: &str) {
        let path = format!("/api/commands/{id}");
        let shown = self.read(&path).await;
        let schema = &shown["input"];
        assert!(schema.is_object(), "{id} says what it takes: {shown}");
        for (n, input) in inputs(schema).iter().enumerate() {
            let mut request = self.request(Method::POST, &path).timeout(Duration::from_secs(40));
            // Nobody's calls take none.
            if self.token.is_some() {
                request = request.header("idempotency-key", format!("{CANARY}-{n}"));
            }
            if self.tell(&format!("{id} {input}"), request.json(input)).await.is_success() {
                self.accepted.insert(id.to_owned());
            } else {
                self.refused += 1;
            }
        }
        let half = self.request(Method::POST, &path).header("content-type", "application/json");
        self.tell(&format!("{id}, half a body"), half.body(format!("{{\"{NAME}\": \"{CANARY}"))).await;
        self.walked.insert(id.to_owned());
    }

    /// In every part of its path and its query, and in its body.
    async fn route(&mut self, method: &str, path: &str, operation: &Value) {
        let place: Vec<_> =
            path.split('/').map(|part| if part.starts_with('{') { CANARY } else { part }).collect();
        let path = place.join("/");
        let taken = operation["parameters"].as_array().into_iter().flatten();
        let taken = taken.filter(|it| it["in"] == "query").filter_map(|it| it["name"].as_str());
        let queries = taken.chain(["tenant", NAME]).map(|name| format!("?{name}={CANARY}"));
        let queries = queries.chain([format!("?tenant={CANARY}-nobody")]);
        for query in [String::new()].into_iter().chain(queries) {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let request = self.request(method.clone(), &format!("{path}{query}"));
            let request = request.timeout(Duration::from_secs(40)).json(&json!({ NAME: CANARY }));
            self.tell(&format!("{method} {path}{query}"), request).await;
        }
    }

    fn headers(&mut self, names: &BTreeSet<String>) {
        let address = self.url.trim_start_matches("http://").to_owned();
        for name in names {
            for value in values() {
                for line in [
                    "POST /api/commands/health.live.check",
                    "POST /api/commands/tenancy.tenants.list",
                    "GET /api/commands",
                    "GET /metrics",
                    "GET /healthz",
                    "GET /nowhere",
                    "GET /console/sign-in",
                    "POST /console/sign-in",
                ] {
                    let (head, body) = ask(&address, line, self.token.as_deref(), name, &value);
                    // What succeeds may well answer with what was kept before.
                    let body = if head.starts_with("HTTP/1.1 200") { "" } else { &body };
                    self.look(&format!("{line} with {name}: {value}"), &head, body);
                }
            }
        }
    }

    /// Sends one request, and looks into an answer that refuses it.
    pub(crate) async fn tell(&mut self, what: &str, request: RequestBuilder) -> StatusCode {
        let answer = request.send().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let status = answer.status();
        let headers = format!("{status} {:?}", answer.headers());
        let body = answer.text().await.expect("a body of text");
        self.look(what, &headers, if status.is_success() { "" } else { &body });
        status
    }

    fn look(&mut self, what: &str, head: &str, body: &str) {
        let names = |code: &str| body.contains(&format!("\"code\":\"{code}\""));
        if head.contains(CANARY) || (body.contains(CANARY) && !NAMING.into_iter().any(names)) {
            self.repeated.push(format!("{what}: {head} {body}"));
        }
    }

    /// What is mounted nowhere takes nothing.
    pub(crate) async fn nowhere(&mut self, id: &str) {
        let request = self.request(Method::POST, &format!("/api/commands/{id}"));
        let status = self.tell(id, request.json(&json!({ NAME: CANARY, "slug": CANARY }))).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{id}");
    }

    pub(crate) fn was_not_answered(&self) {
        let some: Vec<_> = self.repeated.iter().take(20).map(String::as_str).collect();
        assert!(some.is_empty(), "{} answers repeat it:\n{}", self.repeated.len(), some.join("\n"));
    }
}
