use std::sync::Arc;

use descriptors::{
    catalog::Catalog,
    coverage::CoveragePolicy,
    denial::{Denial, Reason},
    descriptor::DeploymentShape,
};
use kernel::{CommandIndex, Registry};
use license::{RunningLicense, Snapshot};
use resolver::{Baseline, Described, Question};

use crate::coverage::described;

/// Everything a decision is made from, as this process holds it.
#[derive(Debug)]
pub struct Deciding {
    registry: Arc<Registry>,
    descriptions: Vec<Described<'static>>,
    catalog: Arc<Catalog>,
    policy: CoveragePolicy,
    shape: DeploymentShape,
    deployment: String,
    license: RunningLicense,
}

impl Deciding {
    /// Over these commands, this catalog, this deployment and this license.
    pub fn new(
        registry: Arc<Registry>,
        catalog: Arc<Catalog>,
        policy: CoveragePolicy,
        shape: DeploymentShape,
        deployment: String,
        license: RunningLicense,
    ) -> Self {
        let descriptions = registry.entries().map(|(_, entry)| described(entry)).collect();
        Self { registry, descriptions, catalog, policy, shape, deployment, license }
    }

    /// The commands.
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What this build knows to sell.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// How gaps are treated.
    pub const fn policy(&self) -> &CoveragePolicy {
        &self.policy
    }

    /// What this deployment is.
    pub const fn shape(&self) -> &DeploymentShape {
        &self.shape
    }

    /// The running license.
    pub const fn license(&self) -> &RunningLicense {
        &self.license
    }

    pub(crate) fn described(&self, command: CommandIndex) -> Described<'static> {
        self.descriptions[command.get()]
    }

    pub(crate) fn question<'a>(&'a self, command: CommandIndex, snapshot: &'a Snapshot) -> Question<'a> {
        Question {
            command: self.registry.entry(command).id().as_str(),
            described: self.described(command),
            shape: &self.shape,
            policy: &self.policy,
            ceiling: snapshot.ceiling(),
            baseline: Baseline::WholeCeiling,
            additions: None,
            catalog: &self.catalog,
        }
    }

    pub(crate) fn denial(
        &self,
        command: CommandIndex,
        reason: Reason,
        because: String,
        snapshot: &Snapshot,
    ) -> Denial {
        let entitlement_key = match self.described(command) {
            Described::By(descriptor) => Some(descriptor.entitlement_key().to_string()),
            Described::NoContract | Described::NoDescriptor | Described::Malformed(_) => None,
        };
        Denial {
            reason,
            command: self.registry.entry(command).id().as_str().to_owned(),
            entitlement_key,
            because,
            license_id: snapshot.license_id().map(str::to_owned),
            deployment_id: self.deployment.clone(),
            license_status: snapshot.status(),
            resets_at: None,
        }
    }
}
