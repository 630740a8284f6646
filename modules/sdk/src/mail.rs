//! Mail that a module's work causes.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use kernel::Ambient;
use secrecy::SecretString;
use store::{StoreError, Work};
use url::Url;
use uuid::Uuid;

/// A mail that is to be sent.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The one address it goes to.
    pub to: String,
    /// What it is about. No secret.
    pub subject: String,
    /// Its plain text, which may hold a one-time token.
    pub text: SecretString,
    /// When it loses its meaning. It is not sent after that.
    pub until: Timestamp,
}

/// The id of a mail that was taken, once it is.
pub type Taken<'a> = BoxFuture<'a, Result<Uuid, StoreError>>;

/// Takes mail that is to be sent if, and only if, a unit of work is committed.
pub trait Mailer: Send + Sync + 'static {
    /// Takes a mail with the work that causes it.
    fn enqueue<'a>(&'a self, work: &'a mut Work, ambient: &'a Ambient, mail: Mail) -> Taken<'a>;
}

/// The way to people: who takes mail, and the address they reach this server by. Without both there is no sending a link.
#[derive(Clone)]
pub struct Post {
    mailer: Arc<dyn Mailer>,
    public_url: Url,
}

impl Post {
    /// By this mailer, with links that lead to this address.
    pub fn new(mailer: Arc<dyn Mailer>, public_url: Url) -> Self {
        Self { mailer, public_url }
    }

    /// Hands a mail over, with the work that causes it. Answers its id.
    pub async fn send(&self, work: &mut Work, ambient: &Ambient, mail: Mail) -> Result<Uuid, StoreError> {
        self.mailer.enqueue(work, ambient, mail).await
    }

    /// The link to a page of this server, for whoever holds the token.
    pub fn link(&self, page: &str, token: &str) -> Url {
        link(&self.public_url, page, token)
    }

    /// What people know this server as.
    pub fn host(&self) -> &str {
        self.public_url.host_str().unwrap_or_default()
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Post")
    }
}

/// The link to a page beneath this address. The token stands in the fragment, which no browser sends to a server.
pub fn link(base: &Url, page: &str, token: &str) -> Url {
    let mut link = base.clone();
    link.set_path(&format!("{}{page}", base.path().trim_end_matches('/')));
    link.set_query(None);
    link.set_fragment(Some(token));
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_link_is_in_its_fragment_only() {
        for base in ["https://a.example", "https://a.example/", "https://a.example/x/?q=1"] {
            let link = link(&base.parse().unwrap(), "/console/signup/confirm", "abc.def").to_string();
            let (before, fragment) = link.split_once('#').unwrap();
            assert_eq!(fragment, "abc.def");
            assert!(before.ends_with("/console/signup/confirm"), "{before}");
        }
    }
}
