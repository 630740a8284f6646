use std::time::Duration;

use jiff::Timestamp;
use kernel::Ambient;
use store::StoreError;

use crate::{Outbox, Smtp, State, outbox::Claimed, smtp::Attempt};

/// How often the outbox is looked into.
const LOOK: Duration = Duration::from_secs(1);

/// How often a server that does not answer is asked again when there is nothing to send, and the outbox tidied.
const CARE: Duration = Duration::from_secs(30);

/// How much longer a mail is held than its delivery may take.
const SLACK: Duration = Duration::from_secs(5);

impl Outbox {
    /// Delivers what is in the outbox, until it is dropped.
    pub async fn deliver(self, ambient: Ambient) {
        let mut cared: Option<Timestamp> = None;
        loop {
            let now = ambient.now();
            if cared.is_none_or(|cared| now.duration_since(cared).unsigned_abs() >= CARE) {
                cared = Some(now);
                self.care(now).await;
            }
            if let Some(smtp) = &self.smtp
                && let Err(error) = self.deliver_due(smtp, &ambient).await
            {
                tracing::warn!(%error, "failed to look into the outbox");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Delivers what is due now, one mail after the other. Stops at the first that the server cannot be given.
    async fn deliver_due(&self, smtp: &Smtp, ambient: &Ambient) -> Result<(), StoreError> {
        while let Some(claimed) = self.claim(ambient.now(), smtp.longest() + SLACK).await? {
            if !self.attempt(smtp, &claimed, ambient).await? {
                break;
            }
        }
        Ok(())
    }

    /// Whether it is worth going on.
    async fn attempt(&self, smtp: &Smtp, claimed: &Claimed, ambient: &Ambient) -> Result<bool, StoreError> {
        let (mail, attempt) = (&claimed.id, claimed.attempt);
        if claimed.until <= ambient.now() {
            tracing::warn!(mail, attempt, "a mail was not sent in time and is given up");
            self.settle(claimed, State::Dead, ambient.now()).await?;
            return Ok(true);
        }
        let Some(text) = &claimed.text else {
            tracing::warn!(
                mail,
                attempt,
                "a mail cannot be read: it is sealed, and not under the present key"
            );
            self.postpone(claimed, ambient.now()).await?;
            return Ok(true);
        };
        match smtp.send(claimed, text, ambient.now()).await {
            Attempt::Taken => {
                self.note_health(true);
                tracing::info!(mail, attempt, "a mail was sent");
                self.settle(claimed, State::Sent, ambient.now()).await?;
                Ok(true)
            }
            Attempt::Refused(why) => {
                self.note_health(true);
                tracing::warn!(mail, attempt, why, "a mail was refused and is given up");
                self.settle(claimed, State::Dead, ambient.now()).await?;
                Ok(true)
            }
            Attempt::Failed(why) => {
                self.note_health(false);
                tracing::warn!(mail, attempt, why, "a mail was not sent; it is tried again");
                self.postpone(claimed, ambient.now()).await?;
                Ok(false)
            }
        }
    }

    async fn care(&self, now: Timestamp) {
        if let Some(smtp) = self.smtp.as_ref().filter(|_| !self.is_healthy()) {
            self.note_health(smtp.answers().await);
        }
        if let Err(error) = self.tidy(now).await {
            tracing::warn!(%error, "failed to tidy the outbox");
        }
    }
}
