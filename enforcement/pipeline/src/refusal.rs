//! What the gates say to the outside when they refuse.

use std::{sync::Arc, time::Duration};

use descriptors::denial::{Denial, Reason};
use kernel::{Category, Cx, Fault, Refusal};
use serde_json::Value;

/// The denial behind a fault, for callers in the process (semantics 9.3).
pub fn denial<E>(fault: &Fault<E>) -> Option<&Denial> {
    fault.refusal()?.cause()
}

/// Who calls was not known, or may not. Marks a refusal so that the audit tells it from a denial.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AuthFailure;

impl AuthFailure {
    pub(crate) fn refuse(code: &'static str, category: Category, message: impl Into<String>) -> Refusal {
        Refusal { cause: Some(Arc::new(Self)), ..Refusal::new(code, category, message) }
    }
}

/// A denial as the caller sees it: the reason and safe ids, not the rule that decided (semantics 9.1 and 9.2).
pub(crate) fn denied(denial: Denial, cx: &Cx) -> Refusal {
    let category = match denial.reason {
        Reason::NotEntitled | Reason::CeilingExceeded | Reason::LicenseMissing | Reason::LicenseExpired => {
            Category::PaymentRequired
        }
        Reason::QuotaExceeded if denial.resets_at.is_some() => Category::RateLimited,
        _ => Category::Forbidden,
    };
    let code = match category {
        Category::PaymentRequired => "feature_requires_paid_license",
        _ if denial.reason == Reason::QuotaExceeded => "quota_exceeded",
        _ => "license_denied",
    };
    let optional = [
        ("entitlementKey", denial.entitlement_key.clone()),
        ("licenseId", denial.license_id.clone()),
        ("resetsAt", denial.resets_at.map(|instant| instant.to_string())),
    ];
    let details = [
        ("reason", denial.reason.as_str()),
        ("commandId", &denial.command),
        ("deploymentId", &denial.deployment_id),
        ("licenseStatus", denial.license_status.as_str()),
    ]
    .map(|(name, value)| (name, Value::from(value)))
    .into_iter()
    .chain(optional.into_iter().filter_map(|(name, value)| Some((name, Value::from(value?)))))
    .collect();
    let retry_after = denial
        .resets_at
        .map(|instant| Duration::try_from(instant.duration_since(cx.now())).unwrap_or_default());
    Refusal {
        code,
        category,
        message: denial.reason.summary().trim_end_matches('.').to_owned(),
        details,
        retry_after,
        cause: Some(Arc::new(denial)),
    }
}
