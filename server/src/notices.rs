//! What happens to the license, as audit events of the platform.

use audit::{Event, Metadata, Outcome, Recorder, SafeValue};
use kernel::Ambient;
use license::{Notice, WarningCode};
use tokio::sync::broadcast::{self, error::RecvError};

/// Records every notice until there are no more.
pub(crate) async fn record(mut notices: broadcast::Receiver<Notice>, recorder: Recorder, ambient: Ambient) {
    loop {
        match notices.recv().await {
            Ok(notice) => {
                if let Some(told) = told(&notice) {
                    recorder.record(event(told, &ambient)).await;
                }
            }
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "notices on the license went unrecorded");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

struct Told {
    name: &'static str,
    result: Outcome,
    code: Option<&'static str>,
    metadata: Metadata,
}

/// Ids, codes and numbers only: details are for the status, which is shown to whoever may see it.
fn told(notice: &Notice) -> Option<Told> {
    let of = |license_id: &Option<String>| {
        let metadata = Metadata::new();
        match license_id {
            Some(id) => metadata.with("licenseId", SafeValue::text(id)),
            None => metadata,
        }
    };
    match notice {
        Notice::Changed { from, to, license_id, .. } => Some(Told {
            name: "license.status.changed",
            result: if to.is_usable() { Outcome::Succeeded } else { Outcome::Warning },
            code: None,
            metadata: of(license_id)
                .with("from", SafeValue::text(from.as_str()))
                .with("to", SafeValue::text(to.as_str())),
        }),
        Notice::Warned { license_id, warning } => {
            let mut metadata = of(license_id);
            if let Some(days) = warning.days_left {
                metadata = metadata.with("daysLeft", days.into());
            }
            if let Some(until) = warning.until {
                metadata = metadata.with("until", SafeValue::text(until.to_string()));
            }
            let name = name(warning.code);
            Some(Told { name, result: Outcome::Warning, code: Some(warning.code.as_str()), metadata })
        }
        _ => None,
    }
}

const fn name(code: WarningCode) -> &'static str {
    match code {
        WarningCode::LicenseExpires => "license.expiring",
        WarningCode::GraceEnds => "license.grace-ending",
        WarningCode::RecoveryEnds => "license.recovery-ending",
        WarningCode::RevocationListDue => "license.revocation-list-due",
        WarningCode::SignerExpires => "license.signer-expiring",
        WarningCode::MemoryFails => "license.memory-failing",
    }
}

fn event(told: Told, ambient: &Ambient) -> Event {
    Event {
        id: ambient.uuid(),
        name: told.name.into(),
        time: ambient.now(),
        tenant: None,
        actor: "system".to_owned(),
        command: None,
        result: told.result,
        error_code: told.code.map(Into::into),
        duration: None,
        correlation_id: None,
        trace_id: None,
        span_id: None,
        metadata: told.metadata,
        closes_call: false,
    }
}
