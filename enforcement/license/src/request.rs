//! What a deployment asks its vendor for: the recipient key is made where there is none, and signs the request.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use envelope::{
    Recipient, RecipientError,
    request::{LicenseRequest, RequestDocument, RequestError, SignedRequest},
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use envelope::request::{Contact, ContactRole, Wanted};

use crate::{RecipientKey, Sources};

/// What the operator wants to say. The rest is configured.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestWish {
    /// Who asks.
    pub organization_name: String,
    /// Whom the vendor may talk to; at least one.
    #[schemars(length(min = 1, max = 32))]
    pub contacts: Vec<Contact>,
    /// Domains this installation serves under; the host of `server.public-url` where none is stated.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub base_domains: Vec<String>,
    /// The license that is to be renewed, by id.
    #[serde(default)]
    pub renews: Option<String>,
    /// What the customer would like to have. The vendor decides.
    #[serde(default)]
    pub wanted: Option<Wanted>,
}

/// A request as it leaves the deployment. Nothing in it is secret.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeRequest {
    /// What it says.
    pub request: RequestDocument,
    /// The signed request, for a file.
    pub compact: String,
    /// The same, to be pasted into a mail.
    pub armored: String,
    /// The fingerprint of the recipient key, to be read to the vendor over the phone.
    pub fingerprint: String,
    /// Whether the key was made for it just now.
    pub key_made: bool,
}

/// Whether a request can be made, and by which key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestState {
    /// The installation that a license will be bound to.
    pub installation_id: String,
    /// Whether `license.recipient` is configured.
    pub key_configured: bool,
    /// Whether the recipient key exists. The first request makes it.
    pub key_present: bool,
    /// The `kid` of the recipient key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_id: Option<String>,
    /// The fingerprint of the recipient key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fingerprint: Option<String>,
    /// The domains that are stated where a request names none.
    pub base_domains: Vec<String>,
}

/// Why there is no request. Nothing of the key is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestingError {
    /// `license.recipient` is not configured.
    #[error("`license.recipient` is not configured: a license is sealed to that key")]
    NotConfigured,
    /// The key's file cannot be read, or written.
    #[error("failed to {verb} the recipient key `{}`", path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds no recipient key.
    #[error("`{}` holds no recipient key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: RecipientError,
    },
    /// What the request says is not fit for one, or the key cannot sign.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// Where requests of this deployment are made.
#[derive(Clone, Debug)]
pub struct RequestDesk {
    key: Option<RecipientKey>,
    installation: String,
    public_host: Option<String>,
}

impl RequestDesk {
    /// For the deployment that is configured so.
    pub fn of(sources: &Sources) -> Self {
        Self {
            key: sources.recipient.clone(),
            installation: sources.site.installation.clone(),
            public_host: sources.site.public_host.clone(),
        }
    }

    /// Whether a request can be made, and by which key. Makes nothing.
    pub fn state(&self) -> Result<RequestState, RequestingError> {
        let recipient = self.key.as_ref().map_or(Ok(None), RecipientKey::read)?;
        Ok(RequestState {
            installation_id: self.installation.clone(),
            key_configured: self.key.is_some(),
            key_present: recipient.is_some(),
            key_id: self.key.as_ref().map(|key| key.id.clone()),
            fingerprint: recipient.and_then(|recipient| recipient.public().fingerprint().ok()),
            base_domains: self.base_domains(),
        })
    }

    /// Makes a request, and the key first where there is none. An existing key is never replaced: the present license
    /// and everything that is kept is sealed to it.
    pub fn make(&self, wish: RequestWish, id: &str, at: Timestamp) -> Result<MadeRequest, RequestingError> {
        let key = self.key.as_ref().ok_or(RequestingError::NotConfigured)?;
        if let Some(recipient) = key.read()? {
            return Ok(made(&self.sign(wish, id, at, &recipient)?, false));
        }
        // Signed before it is kept: what would be refused leaves no key behind.
        let recipient = Recipient::generate(&key.id).map_err(|source| key.refused(source))?;
        let signed = self.sign(wish.clone(), id, at, &recipient)?;
        if key.keep(&recipient, id)? {
            return Ok(made(&signed, true));
        }
        // Somebody else was faster, and their key is the one.
        let recipient = key.read()?.ok_or_else(|| key.failed("read", io::ErrorKind::NotFound.into()))?;
        Ok(made(&self.sign(wish, id, at, &recipient)?, false))
    }

    fn sign(
        &self,
        wish: RequestWish,
        id: &str,
        at: Timestamp,
        recipient: &Recipient,
    ) -> Result<SignedRequest, RequestError> {
        let mut draft = LicenseRequest::draft(id, at, &self.installation, &wish.organization_name);
        for contact in wish.contacts {
            draft = draft.contact(contact);
        }
        let domains = if wish.base_domains.is_empty() { self.base_domains() } else { wish.base_domains };
        for domain in domains {
            draft = draft.base_domain(&domain);
        }
        if let Some(license) = wish.renews {
            draft = draft.renewing(&license);
        }
        if let Some(Wanted { product, edition }) = wish.wanted {
            draft = draft.wanting(&product, &edition);
        }
        draft.sign(recipient)
    }

    fn base_domains(&self) -> Vec<String> {
        self.public_host.clone().into_iter().collect()
    }
}

fn made(signed: &SignedRequest, key_made: bool) -> MadeRequest {
    let request = signed.request();
    MadeRequest {
        request: request.document().clone(),
        fingerprint: request.fingerprint().to_owned(),
        compact: signed.token().to_owned(),
        armored: signed.armored(),
        key_made,
    }
}

impl RecipientKey {
    /// The key, where its file exists.
    pub fn read(&self) -> Result<Option<Recipient>, RequestingError> {
        let pem = match fs::read_to_string(&self.path) {
            Ok(pem) => zeroize::Zeroizing::new(pem),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("read", error)),
        };
        Recipient::from_pem(&self.id, &pem).map(Some).map_err(|source| self.refused(source))
    }

    /// Whether somebody but the owner may read the file. `None` where there is none.
    pub fn is_shared(&self) -> Result<Option<bool>, RequestingError> {
        match fs::metadata(&self.path) {
            Ok(file) => Ok(Some(file.permissions().mode() & 0o077 != 0)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("look at", error)),
        }
    }

    /// Writes the key for its owner only: whole or not at all, and never over another one. Whether it did.
    fn keep(&self, recipient: &Recipient, id: &str) -> Result<bool, RequestingError> {
        let pem = recipient.to_pem().map_err(|source| self.refused(source))?;
        let mut partial = self.path.clone().into_os_string();
        partial.push(format!(".{id}.partial"));
        let partial = PathBuf::from(partial);
        let written = || -> io::Result<bool> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
            file.write_all(pem.as_bytes())?;
            file.sync_all()?;
            // A link, unlike a renaming, fails where something is.
            match fs::hard_link(&partial, &self.path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                Err(error) => return Err(error),
            }
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            Ok(true)
        };
        let outcome = written();
        // What is left of it is no key that anything refers to.
        let _ = fs::remove_file(&partial);
        outcome.map_err(|error| self.failed("write", error))
    }

    fn failed(&self, verb: &'static str, source: io::Error) -> RequestingError {
        RequestingError::File { verb, path: self.path.clone(), source }
    }

    fn refused(&self, source: RecipientError) -> RequestingError {
        RequestingError::Key { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn desk(folder: &tempfile::TempDir) -> (RequestDesk, PathBuf) {
        let path = folder.path().join("site.pem");
        let key = RecipientKey { id: "site-1".into(), path: path.clone() };
        let public_host = Some("platform.acme.example".into());
        (RequestDesk { key: Some(key), installation: "site-1".into(), public_host }, path)
    }

    fn wish(email: &str) -> RequestWish {
        let contact = Contact {
            email: email.into(),
            given_name: "Ada".into(),
            family_name: "Lovelace".into(),
            roles: [ContactRole::Technical].into(),
            display_name: None,
        };
        let (contacts, base_domains) = (vec![contact], Vec::new());
        RequestWish { organization_name: "Acme".into(), contacts, base_domains, renews: None, wanted: None }
    }

    #[test]
    fn the_first_request_makes_the_key_and_later_ones_use_it() {
        let folder = tempfile::tempdir().unwrap();
        let (desk, path) = desk(&folder);
        assert_eq!(desk.state().unwrap().fingerprint, None);
        let first = desk.make(wish("a@acme.example"), "R-1", NOW).unwrap();
        let key = fs::read(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let second = desk.make(wish("a@acme.example"), "R-2", NOW).unwrap();
        assert_eq!((first.key_made, second.key_made), (true, false));
        assert_eq!(first.fingerprint, second.fingerprint);
        assert_eq!(desk.state().unwrap().fingerprint, Some(first.fingerprint));
        assert_eq!(fs::read(&path).unwrap(), key, "an existing key stays as it is");
        assert_eq!(first.request.base_domains, ["platform.acme.example"], "where none is stated");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the key");
    }

    #[test]
    fn a_request_that_is_refused_leaves_no_key_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (desk, path) = desk(&folder);
        assert!(matches!(desk.make(wish("nobody"), "R-1", NOW), Err(RequestingError::Request(_))));
        assert!(!path.exists());
    }

    #[test]
    fn of_many_who_ask_at_once_one_makes_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let (desk, _) = desk(&folder);
        let made: Vec<_> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|number| {
                    let desk = &desk;
                    scope.spawn(move || {
                        desk.make(wish("a@acme.example"), &format!("R-{number}"), NOW).unwrap()
                    })
                })
                .collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        assert_eq!(made.iter().filter(|made| made.key_made).count(), 1);
        assert!(made.iter().all(|one| one.fingerprint == made[0].fingerprint));
    }

    #[test]
    fn what_is_no_key_is_neither_used_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (desk, path) = desk(&folder);
        fs::write(&path, "s3cret, but no key").unwrap();
        let error = desk.make(wish("a@acme.example"), "R-1", NOW).unwrap_err();
        assert!(matches!(error, RequestingError::Key { .. }) && !format!("{error:?}").contains("s3cret"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "s3cret, but no key");
    }
}
