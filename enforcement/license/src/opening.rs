//! The files that verification rests on, and the one call into `envelope`.

use std::{fs, path::Path, sync::Arc};

use envelope::{EnvelopeError, Recipient, Trust, VerifiedLicense};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{Sources, reading::Refusal};

/// What opens licenses: roots, what their chains must assert, and this deployment's key. Read anew whenever one of the
/// files changes.
pub(crate) struct Opener {
    sealed: Result<(Recipient, Trust), Refusal>,
    key: Option<Arc<StateKey>>,
}

impl Opener {
    pub(crate) fn load(sources: &Sources) -> Self {
        let sealed = recipient(sources).and_then(|recipient| Ok((recipient, trust(sources)?)));
        // What is remembered can be checked even where nothing is trusted.
        let key = recipient(sources).ok().and_then(|recipient| StateKey::of(&recipient));
        Self { sealed, key: key.map(Arc::new) }
    }

    /// The key that protects what is remembered.
    pub(crate) const fn state_key(&self) -> Option<&Arc<StateKey>> {
        self.key.as_ref()
    }

    pub(crate) fn open(&self, token: &str, at: Timestamp) -> Result<VerifiedLicense, NotOpened> {
        let (recipient, trust) =
            self.sealed.as_ref().map_err(|refusal| NotOpened::Refused(refusal.clone()))?;
        envelope::open(token, recipient, trust, at).map_err(NotOpened::from)
    }
}

/// Why a token does not open.
pub(crate) enum NotOpened {
    Refused(Refusal),
    Revoked(Refusal),
}

impl From<EnvelopeError> for NotOpened {
    fn from(error: EnvelopeError) -> Self {
        let refusal = Refusal::new(error.stage().as_str(), error.to_string());
        if refusal.stage == "revoked" { Self::Revoked(refusal) } else { Self::Refused(refusal) }
    }
}

/// From when on a license must be opened again to be believed.
pub(crate) fn reopen_at(license: &VerifiedLicense) -> Timestamp {
    license.chain_expires_at()
}

/// When the first of the revocation lists that were looked at is due.
pub(crate) fn lists_fresh_until(_license: &VerifiedLicense) -> Option<Timestamp> {
    None
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
        .requiring_policies(settings.required_policies.clone());
    Ok(trust)
}

fn not_configured(stage: &'static str, what: &str) -> Refusal {
    Refusal::new(stage, format!("`{what}` is not configured"))
}

fn read(stage: &'static str, path: &Path) -> Result<String, Refusal> {
    fs::read_to_string(path)
        .map_err(|error| Refusal::new(stage, format!("failed to read `{}`: {error}", path.display())))
}

/// Protects what this deployment keeps for itself.
pub(crate) struct StateKey([u8; 32]);

impl StateKey {
    fn of(recipient: &Recipient) -> Option<Self> {
        let pem = recipient.to_pem().ok()?;
        Some(Self(Sha256::digest(pem.as_bytes()).into()))
    }

    pub(crate) fn protect(&self, label: &str, content: &str) -> String {
        format!("{}.{content}", self.proof(label, content))
    }

    pub(crate) fn check<'n>(&self, label: &str, note: &'n str) -> Option<&'n str> {
        let (proof, content) = note.split_once('.')?;
        (proof == self.proof(label, content)).then_some(content)
    }

    fn proof(&self, label: &str, content: &str) -> String {
        let round = |pad: u8, message: &[u8]| -> [u8; 32] {
            let mut block = [pad; 64];
            block.iter_mut().zip(self.0).for_each(|(byte, key)| *byte ^= key);
            Sha256::new().chain_update(block).chain_update(message).finalize().into()
        };
        let message = format!("{}:{label}:{content}", label.len());
        let proof = round(0x5c, &round(0x36, message.as_bytes()));
        proof.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
