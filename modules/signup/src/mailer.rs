use jiff::{SignedDuration, Timestamp};
use sdk::{prelude::*, store::Work};
use secrecy::SecretString;
use url::Url;

use crate::{BoxFuture, Signup, SignupError, request::SignupRequest, token::Token};

/// How long news of a decision is worth sending.
const NEWS: SignedDuration = SignedDuration::from_hours(24 * 7);

/// A mail that is to be sent.
#[derive(Debug)]
pub struct Mail {
    /// The one address it goes to.
    pub to: String,
    /// What it is about.
    pub subject: &'static str,
    /// Its plain text, which may hold a one-time token.
    pub text: SecretString,
    /// When it loses its meaning.
    pub until: Timestamp,
}

/// Takes mail that is to be sent if, and only if, a unit of work is committed.
pub trait Mailer: Send + Sync + 'static {
    /// Takes a mail with the work that causes it.
    fn enqueue<'a>(
        &'a self,
        work: &'a mut Work,
        ambient: &'a Ambient,
        mail: Mail,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
}

impl Signup {
    /// The link that asks to confirm, with the work that asks for it.
    pub(crate) async fn send_link(
        &self,
        work: &mut Work,
        ambient: &Ambient,
        request: &SignupRequest,
        token: &Token,
    ) -> Result<(), SignupError> {
        let base = self.public_url.as_ref().ok_or(SignupError::MailUnavailable)?;
        let mail = Mail {
            to: request.email.to_string(),
            subject: "Confirm your address",
            // The name for people is not in it: whoever asks chooses that, and the mail may go to somebody else.
            text: format!(
                include_str!("../mails/confirm.txt"),
                slug = request.slug,
                link = link(base, token.expose()),
                until = request.expires_at.strftime("%Y-%m-%d %H:%M UTC"),
            )
            .into(),
            until: request.expires_at,
        };
        self.enqueue(work, ambient, mail).await
    }

    /// What was decided. Without a mailer nobody is told.
    pub(crate) async fn send_decision(
        &self,
        work: &mut Work,
        ambient: &Ambient,
        request: &SignupRequest,
        registered: bool,
    ) -> Result<(), SignupError> {
        let (subject, text) = if registered {
            (
                "Your tenant is registered",
                format!(include_str!("../mails/registered.txt"), slug = request.slug),
            )
        } else {
            (
                "Your tenant was not approved",
                format!(include_str!("../mails/rejected.txt"), slug = request.slug),
            )
        };
        let until = ambient.now().saturating_add(NEWS).unwrap_or(Timestamp::MAX);
        let mail = Mail { to: request.email.to_string(), subject, text: text.into(), until };
        match self.enqueue(work, ambient, mail).await {
            Err(SignupError::MailUnavailable) => Ok(()),
            done => done,
        }
    }

    /// Whether a link can be sent.
    pub(crate) fn can_send(&self) -> Result<(), SignupError> {
        if self.mailer.is_some() && self.public_url.is_some() {
            Ok(())
        } else {
            Err(SignupError::MailUnavailable)
        }
    }

    async fn enqueue(&self, work: &mut Work, ambient: &Ambient, mail: Mail) -> Result<(), SignupError> {
        let mailer = self.mailer.as_ref().ok_or(SignupError::MailUnavailable)?;
        Ok(mailer.enqueue(work, ambient, mail).await?)
    }
}

/// The token stands in the fragment, which no browser sends to a server.
fn link(base: &Url, token: &str) -> String {
    let mut link = base.clone();
    link.set_path(&format!("{}/console/signup/confirm", base.path().trim_end_matches('/')));
    link.set_query(None);
    link.set_fragment(Some(token));
    link.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_link_is_in_its_fragment_only() {
        for base in ["https://a.example", "https://a.example/", "https://a.example/x/?q=1"] {
            let link = link(&base.parse().unwrap(), "abc.def");
            let (before, fragment) = link.split_once('#').unwrap();
            assert_eq!(fragment, "abc.def");
            assert!(before.ends_with("/console/signup/confirm"), "{before}");
        }
    }
}
