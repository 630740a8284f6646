//! The client of a running server.

use std::{
    fmt, fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::{Context, bail};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Invoke;

/// Which server, and the token to sign in with.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    /// The server's address.
    pub url: String,
    /// Whose token it is.
    pub operator: String,
    /// The token.
    pub token: String,
    /// The password to sign in with, where the file was written for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl Credentials {
    /// Reads a credentials file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("failed to read `{}`", path.display()))?;
        // The parser's own words would quote the file.
        serde_json::from_str(&text).map_err(|error| {
            anyhow::anyhow!("`{}` is not a credentials file (line {})", path.display(), error.line())
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} at {})", self.operator, self.url)
    }
}

/// A running server, and who calls it.
pub struct Server {
    credentials: Credentials,
    client: reqwest::Client,
}

impl Server {
    /// The server that a credentials file names.
    pub fn of(credentials: &Path) -> anyhow::Result<Self> {
        Ok(Self { credentials: Credentials::read(credentials)?, client: reqwest::Client::new() })
    }

    /// Calls a command. Where it is refused or fails, standard error says why, and there is no answer.
    pub async fn call(&self, command: &str, input: &Value) -> anyhow::Result<Option<Value>> {
        self.send(command, input, None, None).await
    }

    /// The same on behalf of a tenant, named by its slug.
    pub async fn call_for(
        &self,
        tenant: Option<&str>,
        command: &str,
        input: &Value,
    ) -> anyhow::Result<Option<Value>> {
        self.send(command, input, tenant, None).await
    }

    async fn send(
        &self,
        command: &str,
        input: &Value,
        tenant: Option<&str>,
        idempotency_key: Option<&str>,
    ) -> anyhow::Result<Option<Value>> {
        let Credentials { url: address, token, .. } = &self.credentials;
        let mut url = Url::parse(address)
            .and_then(|base| base.join(&format!("/api/commands/{command}")))
            .with_context(|| format!("`{address}` is not the address of a server"))?;
        if let Some(tenant) = tenant {
            url.query_pairs_mut().append_pair("tenant", tenant);
        }
        let mut request = self.client.post(url).bearer_auth(token).json(input);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let response =
            request.send().await.with_context(|| format!("failed to reach the server at {address}"))?;
        let status = response.status();
        let retry_after =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body: Value = response.json().await.context("failed to read the server's answer as JSON")?;
        if status.is_success() {
            return Ok(Some(body));
        }
        writeln!(io::stderr(), "{}", refusal(status, &body, retry_after.as_deref(), command))?;
        Ok(None)
    }
}

/// Whether a server of ours answers at this address.
pub async fn is_served(address: SocketAddr) -> bool {
    let host = if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    let url = format!("http://{}/healthz", SocketAddr::new(host, address.port()));
    let request = reqwest::Client::new().get(url).timeout(Duration::from_secs(2)).send();
    let Ok(response) = request.await else { return false };
    response.json::<Value>().await.is_ok_and(|body| body["status"] == "ok")
}

/// Calls a command and prints its answer. Returns whether it succeeded.
pub async fn invoke(args: Invoke) -> anyhow::Result<bool> {
    let server = Server::of(&args.credentials)?;
    let input = input(&args.input)?;
    let answer =
        server.send(&args.command, &input, args.tenant.as_deref(), args.idempotency_key.as_deref()).await?;
    if let Some(body) = &answer {
        writeln!(io::stdout(), "{body:#}")?;
    }
    Ok(answer.is_some())
}

fn input(text: &str) -> anyhow::Result<Value> {
    let text = if text == "-" {
        let mut read = String::new();
        io::stdin().read_to_string(&mut read).context("failed to read the input from stdin")?;
        read
    } else {
        text.to_owned()
    };
    match serde_json::from_str(&text).context("the input is not JSON")? {
        input @ Value::Object(_) => Ok(input),
        _ => bail!("the input of a command is a JSON object"),
    }
}

/// `error: 402 feature_requires_paid_license (CEILING_EXCEEDED)`, what it means, and where to look next.
fn refusal(status: StatusCode, body: &Value, retry_after: Option<&str>, command: &str) -> String {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let reason = text("/error/details/reason");
    let mut told = format!("error: {} {}", status.as_u16(), text("/error/code").unwrap_or("no code"));
    if let Some(reason) = reason {
        told += &format!(" ({reason})");
    }
    told += &format!("\n  {}", text("/error/message").unwrap_or("the server gave no message"));
    if let Some(path) = text("/error/details/path") {
        told += &format!("\n  field: {path}");
    }
    if let Some(resets_at) = text("/error/details/resetsAt") {
        told += &format!("\n  the quota resets at {resets_at}");
    } else if let Some(seconds) = retry_after {
        told += &format!("\n  try again in {seconds} s");
    }
    if let Some(id) = text("/error/correlationId") {
        told += &format!("\n  correlation id: {id}");
    }
    if let Some(reason) = reason {
        told += &format!(
            "\n  why: chancery explain {command} --config FILE   what it means: chancery explain {reason}"
        );
    }
    told
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_is_told_with_its_reason_and_where_to_look() {
        let body = json!({ "error": {
            "code": "feature_requires_paid_license", "message": "not permitted", "correlationId": "c-1",
            "details": { "reason": "CEILING_EXCEEDED" },
        } });
        let told = refusal(StatusCode::PAYMENT_REQUIRED, &body, None, "a.b.c");
        assert!(told.starts_with("error: 402 feature_requires_paid_license (CEILING_EXCEEDED)\n"), "{told}");
        assert!(told.contains("chancery explain a.b.c"), "{told}");
    }

    #[test]
    fn an_answer_that_is_none_of_ours_is_still_told() {
        let told = refusal(StatusCode::BAD_GATEWAY, &json!({ "message": "nginx" }), None, "a.b.c");
        assert!(told.starts_with("error: 502 no code"), "{told}");
    }

    #[test]
    fn credentials_do_not_show_their_token() {
        let credentials = Credentials {
            url: "http://x".into(),
            operator: "ada".into(),
            token: "chancery_s3cret".into(),
            password: None,
        };
        assert!(!format!("{credentials:?}").contains("s3cret"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.json");
        fs::write(&path, r#"{"url": "http://x", "token": s3cret}"#).unwrap();
        assert!(!format!("{:?}", Credentials::read(&path).unwrap_err()).contains("s3cret"));
    }
}
