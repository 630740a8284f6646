//! What is sealed under the key that only this deployment has: derived from the one that licenses are sealed to.

use std::sync::Arc;

use audit::{AuditLog, Seal};
use envelope::StateKey;
use license::Sources;
use secrets::{Keeping, Safe};
use store::Store;

/// The audit log, sealed under a key that only this deployment has. Without a recipient key there is none, and the log says
/// of itself that it is not sealed.
pub(crate) fn audit_log(store: Store, sources: &Sources) -> AuditLog {
    let log = AuditLog::new(store);
    match seal(sources) {
        Some(seal) => log.sealed_by(seal),
        None => log,
    }
}

/// What this deployment seals with, if it has a recipient key.
pub(crate) fn seal(sources: &Sources) -> Option<impl Seal + use<>> {
    state_key(sources).map(DeploymentSeal)
}

/// How secrets are kept that must be read again: those of second factors, and the texts of mails.
pub(crate) fn keeping(sources: Sources) -> Keeping {
    Keeping::within(Some(Arc::new(DeploymentSafe(sources))))
}

/// That key.
pub(crate) fn state_key(sources: &Sources) -> Option<StateKey> {
    let recipient = sources.recipient.as_ref()?.read().ok().flatten()?;
    recipient.state_key().ok()
}

/// The deployment's own key, as the audit's port wants it.
struct DeploymentSeal(StateKey);

impl Seal for DeploymentSeal {
    fn protect(&self, label: &str, content: &str) -> String {
        self.0.protect(label, content)
    }

    fn check<'n>(&self, label: &str, note: &'n str) -> Option<&'n str> {
        self.0.check(label, note)
    }
}

/// The deployment's own key, as whoever keeps secrets wants it. It is looked for each time: the first request for a
/// license makes it.
struct DeploymentSafe(Sources);

impl Safe for DeploymentSafe {
    fn seal(&self, label: &str, content: &[u8]) -> Option<String> {
        let key = state_key(&self.0);
        if key.is_none() {
            tracing::warn!("there is no recipient key: a secret is kept unencrypted");
        }
        key.map(|key| key.seal(label, content))
    }

    fn open(&self, label: &str, sealed: &str) -> Option<Vec<u8>> {
        state_key(&self.0)?.open(label, sealed)
    }
}
