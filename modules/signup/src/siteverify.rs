use std::{fmt, time::Duration};

use reqwest::{Client, Response, redirect};
use sdk::{prelude::BoxFuture, secrets::Secret};
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use crate::{ChallengeError, VerifyChallenge};

/// More than any answer needs.
const MAX_ANSWER: usize = 64 * 1024;

/// Where proofs are checked.
#[derive(Clone, Debug)]
pub struct SiteVerifySettings {
    /// The address that checks, usually ending in `/siteverify`.
    pub url: Url,
    /// The site's secret. It is read for each check.
    pub secret: Secret,
    /// How long an answer may take.
    pub patience: Duration,
    /// From 0 to 100: how sure the service must be that a person asks, where it says.
    pub minimum_score_percent: u8,
}

/// Why there can be no such verifier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteVerifyError {
    /// The secret and proofs would travel in the clear.
    #[error("the challenge's address must start with `https://`, or name this machine")]
    Address,
    /// The client cannot be made.
    #[error("failed to prepare the challenge's client")]
    Client(#[source] reqwest::Error),
}

/// Checks proofs by the protocol that the common challenge services share: the secret and the proof go as a form, the
/// answer is JSON with `success`. Whatever is not a clear success is none. The caller's network address is not passed on.
pub struct SiteVerify {
    client: Client,
    settings: SiteVerifySettings,
}

/// What the services answer, as far as they agree.
#[derive(Deserialize)]
struct Verdict {
    success: bool,
    #[serde(default)]
    score: Option<f64>,
    #[serde(default, rename = "error-codes")]
    errors: Vec<String>,
}

impl SiteVerify {
    /// Prepares the client. Nothing is asked yet.
    pub fn new(settings: SiteVerifySettings) -> Result<Self, SiteVerifyError> {
        let local = matches!(settings.url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if settings.url.scheme() != "https" && !(settings.url.scheme() == "http" && local) {
            return Err(SiteVerifyError::Address);
        }
        let client = Client::builder().timeout(settings.patience).redirect(redirect::Policy::none()).build();
        Ok(Self { client: client.map_err(SiteVerifyError::Client)?, settings })
    }

    async fn ask(&self, proof: &str) -> Result<Verdict, String> {
        let secret = self.settings.secret.read().map_err(|error| error.to_string())?;
        let form = [("secret", secret.expose_secret()), ("response", proof)];
        let answer = self.client.post(self.settings.url.clone()).form(&form).send().await;
        let answer = answer.map_err(|error| error.without_url().to_string())?;
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status()));
        }
        let body = bounded(answer).await?;
        serde_json::from_slice(&body).map_err(|_| "its answer is not the protocol's".to_owned())
    }

    fn accepts(&self, verdict: &Verdict) -> bool {
        let least = f64::from(self.settings.minimum_score_percent) / 100.0;
        verdict.success && verdict.score.is_none_or(|score| score >= least)
    }
}

impl VerifyChallenge for SiteVerify {
    fn verify<'a>(&'a self, proof: &'a str) -> BoxFuture<'a, Result<(), ChallengeError>> {
        Box::pin(async move {
            let verdict = self.ask(proof).await.map_err(|why| {
                tracing::warn!(why, "the challenge service could not be asked");
                ChallengeError::Unavailable
            })?;
            if self.accepts(&verdict) {
                return Ok(());
            }
            // These are the site's own fault; nobody would ever pass.
            if verdict.errors.iter().any(|code| code.ends_with("-input-secret")) {
                tracing::error!("the challenge service does not accept the secret of this site");
                return Err(ChallengeError::Unavailable);
            }
            Err(ChallengeError::Rejected)
        })
    }
}

impl fmt::Debug for SiteVerify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SiteVerify")
    }
}

async fn bounded(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.without_url().to_string())? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err("its answer is too long".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
