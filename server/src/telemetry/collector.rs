use std::time::Duration;

use anyhow::Context;
use prost::Message;
use reqwest::{Client, StatusCode, Url, redirect};
use secrecy::ExposeSecret;
use secrets::{Secret, SecretError};

use super::proto::{KeyValue, Resource};

/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A collector that takes OTLP over HTTP, in protobuf.
pub(crate) struct Collector {
    client: Client,
    endpoint: Url,
    authorization: Option<Secret>,
    deployment: String,
}

/// Why a collector did not take what it was sent. No text carries its address, which may hold a secret.
#[derive(Debug)]
pub(crate) enum Untaken {
    Unreached(reqwest::Error),
    Refused(StatusCode),
    Locked(SecretError),
}

impl Collector {
    pub(crate) fn new(
        endpoint: &Url,
        authorization: Option<Secret>,
        deployment: &str,
    ) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none()).build();
        Ok(Self {
            client: client.context("failed to prepare the client of a collector")?,
            endpoint: endpoint.clone(),
            authorization,
            deployment: deployment.to_owned(),
        })
    }

    /// Who sends, as the conventions of OpenTelemetry name it.
    pub(crate) fn resource(&self) -> Resource {
        Resource {
            attributes: vec![
                KeyValue::text("service.name", "chancery"),
                KeyValue::text("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::text("service.instance.id", &*self.deployment),
            ],
        }
    }

    /// Sends a request of `signal`: `traces`, `metrics` or `logs`.
    pub(crate) async fn send(&self, signal: &str, request: &impl Message) -> Result<(), Untaken> {
        let mut url = self.endpoint.clone();
        url.set_path(&format!("{}/v1/{signal}", self.endpoint.path().trim_end_matches('/')));
        let mut post = self.client.post(url).header("content-type", "application/x-protobuf");
        if let Some(authorization) = &self.authorization {
            let authorization = authorization.read().map_err(Untaken::Locked)?;
            post = post.header("authorization", authorization.expose_secret());
        }
        let sent = post.body(request.encode_to_vec()).send().await;
        let answer = sent.map_err(|error| Untaken::Unreached(error.without_url()))?;
        if answer.status().is_success() { Ok(()) } else { Err(Untaken::Refused(answer.status())) }
    }
}

impl std::fmt::Display for Untaken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreached(_) => f.write_str("the collector does not answer"),
            Self::Locked(_) => f.write_str("what the collector asks for cannot be had"),
            Self::Refused(status) => write!(f, "the collector answered {status}"),
        }
    }
}

impl std::error::Error for Untaken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreached(error) => Some(error),
            Self::Locked(error) => Some(error),
            Self::Refused(_) => None,
        }
    }
}
