//! The files that verification rests on, and the calls into `envelope`.

use std::{fs, path::Path, sync::Arc};

use envelope::{Crls, EnvelopeError, PinnedKeys, Recipient, StateKey, Trust, VerifiedLicense};
use jiff::Timestamp;

use crate::{Sources, reading::Refusal};

/// What opens licenses: roots, what their chains must assert, and this deployment's key. Read anew whenever one of the
/// files changes.
pub(crate) struct Opener {
    sealed: Result<(Recipient, Trust), Refusal>,
    pinned: PinnedKeys,
    sealed_only: bool,
    key: Option<Arc<StateKey>>,
}

impl Opener {
    pub(crate) fn load(sources: &Sources) -> Self {
        let recipient = recipient(sources);
        let key = match &recipient {
            Ok(recipient) => recipient.state_key().ok(),
            // A deployment of the key format has no secret of its own. What it keeps is guarded against accident only.
            Err(_) if sources.recipient.is_none() && !sources.pinned.is_empty() => {
                Some(StateKey::from_secret(sources.site.installation.as_bytes()))
            }
            Err(_) => None,
        };
        Self {
            sealed: recipient.and_then(|recipient| Ok((recipient, trust(sources)?))),
            pinned: sources.pinned.clone(),
            sealed_only: sources.site.sealed_only,
            key: key.map(Arc::new),
        }
    }

    /// The key that protects what is remembered.
    pub(crate) const fn state_key(&self) -> Option<&Arc<StateKey>> {
        self.key.as_ref()
    }

    /// Opens a token, compact or armored, by its format: five dotted parts are sealed, three are a license in key format.
    pub(crate) fn open(&self, token: &str, at: Timestamp) -> Result<VerifiedLicense, NotOpened> {
        let armored = token.starts_with("-----").then(|| envelope::armor::dearmor(token)).transpose();
        let armored =
            armored.map_err(|error| NotOpened::Refused(Refusal::new("format", error.to_string())))?;
        let token = armored.as_deref().unwrap_or(token);
        if token.split('.').count() == 3 {
            return self.open_key(token);
        }
        let (recipient, trust) =
            self.sealed.as_ref().map_err(|refusal| NotOpened::Refused(refusal.clone()))?;
        envelope::open(token, recipient, trust, at).map_err(NotOpened::from)
    }

    fn open_key(&self, token: &str) -> Result<VerifiedLicense, NotOpened> {
        let refused = |detail: &str| NotOpened::Refused(Refusal::new("format", detail.to_owned()));
        if self.sealed_only {
            return Err(refused(
                "a license in key format is refused where `packaging` is `server` or `container`",
            ));
        }
        if self.pinned.is_empty() {
            return Err(refused("this build accepts no license in key format"));
        }
        envelope::open_key(token, &self.pinned).map_err(NotOpened::from)
    }
}

/// Why a token does not open.
pub(crate) enum NotOpened {
    Refused(Refusal),
    Revoked(Refusal),
}

impl From<EnvelopeError> for NotOpened {
    fn from(error: EnvelopeError) -> Self {
        let stage = match &error {
            EnvelopeError::UnknownKey { .. } => "format",
            error => error.stage().as_str(),
        };
        let refusal = Refusal::new(stage, error.to_string());
        if error.is_revoked() { Self::Revoked(refusal) } else { Self::Refused(refusal) }
    }
}

fn recipient(sources: &Sources) -> Result<Recipient, Refusal> {
    let Some(key) = &sources.recipient else {
        return Err(not_configured("recipient", "license.recipient.private-key-path"));
    };
    let pem = read("recipient", &key.path)?;
    Recipient::from_pem(&key.id, &pem).map_err(|error| Refusal::new("recipient", error.to_string()))
}

fn trust(sources: &Sources) -> Result<Trust, Refusal> {
    let settings = &sources.trust;
    let Some(bundle) = &settings.root_bundle else {
        return Err(not_configured("trust", "license.trust.root-ca-bundle-path"));
    };
    let trust = Trust::from_pem(&read("trust", bundle)?)
        .map_err(|error| Refusal::new("trust", error.to_string()))?
        .requiring_eku(settings.signing_eku.clone())
        .requiring_policies(settings.required_policies.clone())
        .partners(settings.partners.clone());
    let Some(bundle) = &settings.crl_bundle else { return Ok(trust) };
    let crls = Crls::from_pem(&read("revocation", bundle)?)
        .map_err(|error| Refusal::new("revocation", error.to_string()))?;
    Ok(trust.checking_crls(crls))
}

fn not_configured(stage: &'static str, what: &str) -> Refusal {
    Refusal::new(stage, format!("`{what}` is not configured"))
}

fn read(stage: &'static str, path: &Path) -> Result<String, Refusal> {
    fs::read_to_string(path)
        .map_err(|error| Refusal::new(stage, format!("failed to read `{}`: {error}", path.display())))
}
