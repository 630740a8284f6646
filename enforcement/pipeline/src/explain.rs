use std::borrow::Cow;

use descriptors::{denial::Reason, grant::LicenseStatus};
use kernel::{CommandIndex, TenantId};
use resolver::{Exemption, Remedy, Step, Verdict, explain};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Deciding;

/// A decision with everything that led to it, for people and machines (semantics 2.8). It names keys, rules and
/// features, so it is for operators; it holds no license bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplanationView {
    /// The command.
    pub command: String,
    /// The tenant it was asked for; absent for the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// `ALLOWED`, `EXEMPT` or `DENIED`.
    pub verdict: Cow<'static, str>,
    /// Why the license was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exemption: Option<Cow<'static, str>>,
    /// Why it was denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The rule, key or document part that decided.
    pub because: String,
    /// The state of the license.
    pub license_status: LicenseStatus,
    /// The license's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license_id: Option<String>,
    /// The way there.
    pub steps: Vec<Step>,
    /// The ways out: any one would do.
    pub remedies: Vec<Remedy>,
    /// The quotas that an allowed call is charged to next.
    pub quotas: Vec<String>,
}

impl ExplanationView {
    /// The same, fit for a support ticket: no ids of tenant or license, and no text that an operator wrote. Keys, rules
    /// and reasons stay.
    #[must_use]
    pub fn redacted(self) -> Self {
        let mut view = Self { tenant: None, license_id: None, ..self };
        if view.exemption.as_deref() == Some(Exemption::Allowlisted.as_str()) {
            // Its reason is free text.
            "an allowlist entry".clone_into(&mut view.because);
            for step in view.steps.iter_mut().filter(|step| step.decided) {
                step.found.clone_from(&view.because);
            }
        }
        view
    }
}

impl Deciding {
    /// Explains what would be decided for a command now, by the platform itself. Charges nothing and audits nothing.
    pub fn explain(&self, command: CommandIndex) -> ExplanationView {
        self.explain_for(command, None)
    }

    /// Explains what would be decided for a command now, on behalf of a tenant. Charges nothing and audits nothing.
    pub fn explain_for(&self, command: CommandIndex, tenant: Option<TenantId>) -> ExplanationView {
        let world = self.world();
        let snapshot = &world.snapshot;
        let explanation = explain(&self.question(command, tenant, &world));
        let (verdict, exemption, reason) = match explanation.decision.verdict {
            Verdict::Allowed => ("ALLOWED", None, None),
            Verdict::Exempt(why) => ("EXEMPT", Some(why.as_str()), None),
            Verdict::Denied(reason) => ("DENIED", None, Some(reason)),
        };
        let quotas = match self.described(command) {
            resolver::Described::By(descriptor) if reason.is_none() => {
                descriptor.quotas().iter().map(|quota| quota.key.to_string()).collect()
            }
            _ => Vec::new(),
        };
        ExplanationView {
            command: self.registry().entry(command).id().as_str().to_owned(),
            tenant,
            verdict: verdict.into(),
            exemption: exemption.map(Cow::Borrowed),
            reason,
            because: explanation.decision.because.to_string(),
            license_status: snapshot.status(),
            license_id: snapshot.license_id().map(str::to_owned),
            steps: explanation.steps,
            remedies: explanation.remedies,
            quotas,
        }
    }
}
