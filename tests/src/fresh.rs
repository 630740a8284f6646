//! A deployment that nobody has set up: a configuration, a database, a server.

use std::{fs, path::PathBuf};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Server, answer, complete, in_session, nobody, program, serving, sign_in};

/// Such a deployment, serving. It is stopped when dropped.
pub struct Fresh {
    folder: TempDir,
    database: kit::Database,
    filter: &'static str,
    server: Option<Server>,
}

impl Fresh {
    /// Over this database, which is empty, with more lines of configuration at the end.
    pub fn over(database: kit::Database, more: &str) -> Self {
        Self::telling(database, more, "info")
    }

    /// The same, logging what passes this filter.
    pub fn telling(database: kit::Database, more: &str, filter: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = format!(
            r#"[database]
url = "sqlite:///nowhere"

[deployment]
id = "site-1"
shape = {{ packaging = "server", environment = "production" }}

[license.recipient]
key-id = "site-1"
private-key-path = "recipient.pem"

[license.trust]
root-ca-bundle-path = "roots.pem"

{more}
"#
        );
        fs::write(folder.path().join("chancery.toml"), config).expect("write its configuration");
        let mut fresh = Self { folder, database, filter, server: None };
        fresh.start();
        fresh
    }

    /// Starts it, or starts it again.
    pub fn start(&mut self) {
        drop(self.server.take());
        self.server = Some(self.replica());
    }

    /// Another server of the same deployment.
    pub fn replica(&self) -> Server {
        serving(program(), self.folder.path(), self.database.url(), "chancery.toml", self.filter)
    }

    /// Tells it to stop, and waits until it has. Returns whether it ended well.
    pub fn stop(&mut self) -> bool {
        self.server.as_mut().expect("it serves").stop()
    }

    /// Changes its configuration. Takes effect at the next start.
    pub fn configure(&self, from: &str, to: &str) {
        let path = self.path("chancery.toml");
        let config = fs::read_to_string(&path).expect("its configuration");
        assert!(config.contains(from), "the configuration holds `{from}`");
        fs::write(path, config.replace(from, to)).expect("write its configuration");
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The database it runs on.
    pub fn database(&self) -> &str {
        self.database.url()
    }

    /// Where it serves.
    pub fn url(&self) -> &str {
        &self.server.as_ref().expect("it serves").url
    }

    /// Everything it has logged since it started last.
    pub fn logged(&self) -> String {
        self.server.as_ref().expect("it serves").logged()
    }

    /// A request by nobody.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        nobody(self.url(), method, path)
    }

    /// A request by nobody, answered.
    pub async fn send(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.request(method.clone(), path);
        answer(if method == Method::GET { request } else { request.json(&body) }).await
    }

    /// Sets it up: the first administrator, `admin@example.com`, has this password.
    pub async fn set_up(&self, password: &str) {
        let wanted = json!({ "operatorEmail": "admin@example.com", "operatorDisplayName": "Admin" });
        let (status, made) = self.send(Method::POST, "/api/platform/setup/v1/bootstrap", wanted).await;
        assert_eq!(status, StatusCode::OK, "{made}");
        let token = Self::token(&made["activation"]["manualActivationLink"]);
        let (status, done) = complete(self.url(), &token, password).await;
        assert_eq!(status, StatusCode::OK, "{done}");
    }

    /// The token in the fragment of a link.
    pub fn token(link: &Value) -> String {
        let (_, token) = link.as_str().expect("a link").split_once('#').expect("a fragment");
        token.to_owned()
    }

    /// Signs in. Answers the session.
    pub async fn sign_in(&self, name: &str, password: &str) -> Value {
        sign_in(self.url(), name, password).await
    }

    /// A request in a session, as a browser makes it.
    pub fn in_session(&self, session: &Value, method: Method, path: &str) -> RequestBuilder {
        in_session(self.url(), session, method, path)
    }
}
