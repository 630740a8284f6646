use identity::ACTIVATION_PAGE;
use jiff::{SignedDuration, Timestamp};
use sdk::{mail::Mail, prelude::*, store::Work};

use crate::{Signup, SignupError, request::SignupRequest, token::Token};

/// How long a rejection is worth sending.
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

    /// Invites whoever asked as the administrator of their tenant, and mails them the link that lets them in. Where no mail
    /// can be sent any more, operators of the platform give them another.
    pub(crate) async fn invite(
        &self,
        work: &mut Work,
        cx: &Cx,
        request: &SignupRequest,
        tenant: TenantId,
    ) -> Result<(), SignupError> {
        let (slug, email) = (request.slug.as_str(), request.email.as_str());
        let invited = self.identity.invite_administrator(work, cx, tenant, slug, email).await;
        let invited = invited.map_err(SignupError::NotInvited)?;
        let Some(post) = &self.post else { return Ok(()) };
        let mail = Mail {
            to: email.to_owned(),
            subject: "Your tenant is registered".to_owned(),
            text: format!(
                include_str!("../mails/registered.txt"),
                slug = slug,
                host = post.host(),
                name = invited.name,
                link = post.link(ACTIVATION_PAGE, invited.token.expose()),
                until = invited.expires_at.strftime("%Y-%m-%d %H:%M UTC"),
            )
            .into(),
            until: invited.expires_at,
        };
        post.send(work, cx.ambient(), mail).await?;
        Ok(())
    }

    /// That somebody said no. Where no mail can be sent any more, nobody is told.
    pub(crate) async fn send_rejection(
        &self,
        work: &mut Work,
        ambient: &Ambient,
        request: &SignupRequest,
    ) -> Result<(), SignupError> {
        let Some(post) = &self.post else { return Ok(()) };
        let mail = Mail {
            to: request.email.to_string(),
            subject: "Your tenant was not approved".to_owned(),
            text: format!(include_str!("../mails/rejected.txt"), slug = request.slug).into(),
            until: ambient.now().saturating_add(NEWS).unwrap_or(Timestamp::MAX),
        };
        post.send(work, ambient, mail).await?;
        Ok(())
    }

    /// Whether a link can be sent.
    pub(crate) fn can_send(&self) -> Result<(), SignupError> {
        if self.post.is_some() { Ok(()) } else { Err(SignupError::MailUnavailable) }
    }
}
