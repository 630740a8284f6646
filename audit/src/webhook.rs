use std::fmt;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use reqwest::{Client, StatusCode, Url, redirect};
use serde::Serialize;
use sha2::Sha256;

use crate::{Consume, Delivery, Entry, SinkError};

/// Sends every event to an address, signed as Standard Webhooks has it (<https://www.standardwebhooks.com>, version 1).
///
/// `webhook-id` is the event's id, so the receiver passes over what it has seen. Only an answer between 200 and 299 is
/// one: redirections are not followed.
pub struct Webhook {
    client: Client,
    url: Url,
    key: Vec<u8>,
}

/// Why there can be no such webhook. No text carries the secret or the address, which may hold one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The address is none of `https:` or `http:`.
    #[error("the webhook's address must start with `https://` or `http://`")]
    Address,
    /// The secret is malformed.
    #[error("the webhook's secret must be `whsec_` and the base64 of 24 to 64 bytes")]
    Secret,
    /// The client cannot be made.
    #[error("failed to prepare the webhook's client")]
    Client(#[source] reqwest::Error),
}

/// The answer was no success.
#[derive(Debug, thiserror::Error)]
#[error("the receiver answered {0}")]
struct Refused(StatusCode);

#[derive(Serialize)]
struct Message<'e> {
    #[serde(rename = "type")]
    name: &'e str,
    timestamp: Timestamp,
    data: &'e Delivery,
}

impl Webhook {
    /// Sends to `url`, signs with `secret` (`whsec_` and base64), and waits for an answer as long as `patience`.
    pub fn new(url: &str, secret: &str, patience: Duration) -> Result<Self, WebhookError> {
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
        let key = secret.strip_prefix("whsec_").and_then(|key| Base64::decode_vec(key).ok());
        let client = Client::builder().timeout(patience).redirect(redirect::Policy::none()).build();
        Ok(Self {
            client: client.map_err(WebhookError::Client)?,
            url: url.ok_or(WebhookError::Address)?,
            key: key.filter(|key| (24..=64).contains(&key.len())).ok_or(WebhookError::Secret)?,
        })
    }

    /// The value of `webhook-signature` for a message.
    pub fn signature(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", Base64::encode_string(&mac.finalize().into_bytes()))
    }

    async fn send(&self, event: &Delivery, now: Timestamp) -> Result<(), SinkError> {
        let Entry { event: said, .. } = &event.entry;
        let message = Message { name: &said.name, timestamp: said.time, data: event };
        let body = serde_json::to_string(&message).map_err(|error| SinkError::Other(error.into()))?;
        let (id, timestamp) = (said.id.to_string(), now.as_second());
        let mut request = self.client.post(self.url.clone());
        if let Some(traceparent) = said.traceparent() {
            request = request.header("traceparent", traceparent);
        }
        let answer = request
            .header("content-type", "application/json")
            .header("webhook-signature", self.signature(&id, timestamp, &body))
            .header("webhook-timestamp", timestamp)
            .header("webhook-id", id)
            .body(body)
            .send()
            .await
            .map_err(|error| SinkError::Other(error.without_url().into()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(SinkError::Other(Refused(status).into())),
        }
    }
}

impl Consume for Webhook {
    async fn deliver(&mut self, events: &[Delivery], now: Timestamp) -> Result<(), SinkError> {
        for event in events {
            self.send(event, now).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Webhook")
    }
}
