use descriptors::{
    catalog::Catalog,
    coverage::CoveragePolicy,
    descriptor::{DeploymentShape, LicenseDescriptor, MalformedDescriptor, QuotaKey},
    grant::{Ceiling, Grant},
};

/// Everything a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The command's id.
    pub command: &'a str,
    /// What its author stated about licensing.
    pub described: Described<'a>,
    /// What this deployment is.
    pub shape: &'a DeploymentShape,
    /// How this deployment treats commands that are not described.
    pub policy: &'a CoveragePolicy,
    /// What the license permits at most.
    pub ceiling: Ceiling<'a>,
    /// What every tenant inherits.
    pub baseline: Baseline<'a>,
    /// What this tenant subscribed to beyond that.
    pub additions: Option<&'a Grant>,
    /// What this build knows.
    pub catalog: &'a Catalog,
}

/// What a command's author stated about licensing.
#[derive(Clone, Copy, Debug)]
pub enum Described<'a> {
    /// The command has no contract.
    NoContract,
    /// The contract has no license descriptor.
    NoDescriptor,
    /// The descriptor is wrong: someone meant to protect the command.
    Malformed(&'a MalformedDescriptor),
    /// The descriptor.
    By(&'a LicenseDescriptor),
}

/// What every tenant of a deployment inherits.
#[derive(Clone, Copy, Debug)]
pub enum Baseline<'a> {
    /// Everything the license permits.
    WholeCeiling,
    /// This, as far as the license permits it.
    Only(&'a Grant),
}

impl Question<'_> {
    /// What the tenant may use of a quota: the larger of baseline and additions, cut to the ceiling (semantics 2.3).
    /// Absent without a license service: there is nothing to be limited to.
    pub fn tenant_limit(&self, quota: QuotaKey<'_>) -> Option<u64> {
        let ceiling = self.platform_limit(quota)?;
        let inherited = match self.baseline {
            Baseline::WholeCeiling => ceiling,
            Baseline::Only(grant) => grant.limit(quota),
        };
        let added = self.additions.map_or(0, |grant| grant.limit(quota));
        Some(inherited.max(added).min(ceiling))
    }

    /// What the deployment as a whole may use of a quota.
    pub fn platform_limit(&self, quota: QuotaKey<'_>) -> Option<u64> {
        match self.ceiling {
            Ceiling::Granted(grant) => Some(grant.limit(quota)),
            Ceiling::Unavailable(_) => Some(0),
            Ceiling::Unenforced => None,
        }
    }
}
