//! What is sealed under the key that only this deployment has: derived from the one that licenses are sealed to.

use std::sync::Arc;

use audit::{AuditLog, Seal};
use envelope::StateKey;
use identity::Safe;
use license::Sources;
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

/// Where secrets of second factors are kept, if it has one.
pub(crate) fn safe(sources: &Sources) -> Option<Arc<dyn Safe>> {
    state_key(sources).map(|key| Arc::new(DeploymentSafe(key)) as _)
}

fn state_key(sources: &Sources) -> Option<StateKey> {
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

/// The deployment's own key, as the port of operators wants it.
struct DeploymentSafe(StateKey);

impl Safe for DeploymentSafe {
    fn seal(&self, label: &str, content: &[u8]) -> String {
        self.0.seal(label, content)
    }

    fn open(&self, label: &str, sealed: &str) -> Option<Vec<u8>> {
        self.0.open(label, sealed)
    }
}
