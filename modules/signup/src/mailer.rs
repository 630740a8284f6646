use jiff::{SignedDuration, Timestamp};
use sdk::{mail::Mail, prelude::*, store::Work};

use crate::{Signup, SignupError, request::SignupRequest, token::Token};

/// How long news of a decision is worth sending.
const NEWS: SignedDuration = SignedDuration::from_hours(24 * 7);

impl Signup {
    /// The link that asks to confirm, with the work that asks for it.
    pub(crate) async fn send_link(
        &self,
        work: &mut Work,
        ambient: &Ambient,
        request: &SignupRequest,
        token: &Token,
    ) -> Result<(), SignupError> {
        let post = self.post.as_ref().ok_or(SignupError::MailUnavailable)?;
        let mail = Mail {
            to: request.email.to_string(),
            subject: "Confirm your address".to_owned(),
            // The name for people is not in it: whoever asks chooses that, and the mail may go to somebody else.
            text: format!(
                include_str!("../mails/confirm.txt"),
                slug = request.slug,
                link = post.link("/console/signup/confirm", token.expose()),
                until = request.expires_at.strftime("%Y-%m-%d %H:%M UTC"),
            )
            .into(),
            until: request.expires_at,
        };
        post.send(work, ambient, mail).await?;
        Ok(())
    }

    /// What was decided. Where no mail can be sent, nobody is told.
    pub(crate) async fn send_decision(
        &self,
        work: &mut Work,
        ambient: &Ambient,
        request: &SignupRequest,
        registered: bool,
    ) -> Result<(), SignupError> {
        let Some(post) = &self.post else { return Ok(()) };
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
        let mail =
            Mail { to: request.email.to_string(), subject: subject.to_owned(), text: text.into(), until };
        post.send(work, ambient, mail).await?;
        Ok(())
    }

    /// Whether a link can be sent.
    pub(crate) fn can_send(&self) -> Result<(), SignupError> {
        if self.post.is_some() { Ok(()) } else { Err(SignupError::MailUnavailable) }
    }
}
