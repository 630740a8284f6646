use std::{fmt, time::Duration};

use jiff::Timestamp;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        AsyncSmtpTransportBuilder,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        response::{Category, Severity},
    },
};
use secrecy::{ExposeSecret, SecretString};
use secrets::{Secret, SecretError};

use crate::outbox::Claimed;

/// How the way to the server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS is asked for in the clear, and insisted on (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// None: for a server on the same machine.
    None,
}

/// A server that takes mail.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// Its name, which its certificate must hold.
    pub host: String,
    /// Its port; when not stated, 587, 465 or 25, by what protects the way.
    pub port: Option<u16>,
    /// What protects the way.
    pub security: Security,
    /// The account to send from, and its password, which is read for each mail.
    pub account: Option<(String, Secret)>,
    /// Authorities to trust beside the system's, in PEM.
    pub ca: Option<Vec<u8>>,
    /// The sender of every mail: `address` or `Name <address>`.
    pub from: String,
    /// How long the server may take for each step.
    pub patience: Duration,
}

/// Why there can be no such server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SmtpError {
    /// The sender is none.
    #[error("`{0}` is no sender: expected `address` or `Name <address>`")]
    Sender(String),
    /// The authorities or the name cannot be used for TLS.
    #[error("failed to prepare TLS")]
    Tls(#[source] lettre::transport::smtp::Error),
    /// A password would travel in the clear.
    #[error("a password is not sent over a way that nothing protects")]
    Exposed,
}

/// The way to a server. Cheap to clone.
#[derive(Clone)]
pub struct Smtp {
    way: AsyncSmtpTransportBuilder,
    account: Option<(String, Secret)>,
    from: Mailbox,
    patience: Duration,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Smtp")
    }
}

/// What came of an attempt.
pub(crate) enum Attempt {
    Taken,
    /// This mail will never be taken.
    Refused(String),
    /// Another time, perhaps.
    Failed(String),
}

impl Smtp {
    /// Prepares the way. Nothing is sent yet.
    pub fn new(settings: SmtpSettings) -> Result<Self, SmtpError> {
        let from = settings.from.parse().map_err(|_| SmtpError::Sender(settings.from))?;
        let protected = || {
            let parameters = TlsParameters::builder(settings.host.clone());
            let parameters = match &settings.ca {
                Some(pem) => parameters.add_root_certificate(Certificate::from_pem(pem)?),
                None => parameters,
            };
            parameters.build()
        };
        let (tls, port) = match settings.security {
            Security::StartTls => (Tls::Required(protected().map_err(SmtpError::Tls)?), 587),
            Security::Tls => (Tls::Wrapper(protected().map_err(SmtpError::Tls)?), 465),
            Security::None if settings.account.is_some() => return Err(SmtpError::Exposed),
            Security::None => (Tls::None, 25),
        };
        let way = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port.unwrap_or(port))
            .tls(tls)
            .timeout(Some(settings.patience));
        Ok(Self { way, account: settings.account, from, patience: settings.patience })
    }

    /// The way, as the account goes now.
    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, SecretError> {
        let way = match &self.account {
            Some((name, password)) => {
                let password = password.read()?.expose_secret().to_owned();
                self.way.clone().credentials(Credentials::new(name.clone(), password))
            }
            None => self.way.clone(),
        };
        Ok(way.build())
    }

    /// How long an attempt may take at most.
    pub(crate) const fn longest(&self) -> Duration {
        self.patience.saturating_mul(2)
    }

    /// Whether the server answers and lets us in.
    pub(crate) async fn answers(&self) -> bool {
        let Ok(transport) = self.transport() else { return false };
        matches!(tokio::time::timeout(self.longest(), transport.test_connection()).await, Ok(Ok(true)))
    }

    pub(crate) async fn send(&self, claimed: &Claimed, text: &SecretString, now: Timestamp) -> Attempt {
        let Some(message) = self.message(claimed, text, now) else {
            return Attempt::Refused("the address is none".to_owned());
        };
        let transport = match self.transport() {
            Ok(transport) => transport,
            Err(error) => return Attempt::Failed(error.to_string()),
        };
        match tokio::time::timeout(self.longest(), transport.send(message)).await {
            Err(_) => Attempt::Failed("it took too long".to_owned()),
            Ok(Ok(_)) => Attempt::Taken,
            // Only what the server says about this mail condemns it; a wrong password, say, is another matter.
            Ok(Err(error)) => match error.status() {
                Some(code)
                    if code.severity == Severity::PermanentNegativeCompletion
                        && code.category == Category::MailSystem =>
                {
                    Attempt::Refused(format!("the server answered {code}"))
                }
                _ => Attempt::Failed(why(&error)),
            },
        }
    }

    fn message(&self, claimed: &Claimed, text: &SecretString, now: Timestamp) -> Option<Message> {
        let to: Address = claimed.to.parse().ok()?;
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(&claimed.subject)
            .date(now.into())
            .message_id(Some(format!("<{}@{}>", claimed.id, self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(text.expose_secret().to_owned())
            .ok()
    }
}

/// What went wrong, without what the server said: it may repeat what it was told.
fn why(error: &lettre::transport::smtp::Error) -> String {
    match error.status() {
        Some(code) => format!("the server answered {code}"),
        None if error.is_timeout() => "the server took too long".to_owned(),
        None if error.is_tls() => "the server's certificate or TLS is not accepted".to_owned(),
        None => "the server cannot be spoken to".to_owned(),
    }
}
