//! What would change if another license took over (semantics 3.12): the live inventory and recorded usage against two
//! ceilings. Charges nothing, audits nothing.

use std::collections::{BTreeMap, BTreeSet};

use descriptors::{
    catalog::Catalog,
    denial::Reason,
    descriptor::{FeatureKey, QuotaKey, QuotaKind},
    grant::{Ceiling, FeatureValue, Grant, LicenseStatus},
};
use jiff::Timestamp;
use kernel::{CommandIndex, TenantId};
use license::Snapshot;
use quota::{Limit, MeteredStore, Period, QuotaError};
use resolver::{Decision, Described, Verdict, decide};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Deciding, Entitlements, Tables};

/// What another license would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Simulation {
    /// The state of the license now.
    pub status_before: LicenseStatus,
    /// The state that the other license would have.
    pub status_after: LicenseStatus,
    /// Commands that are decided otherwise for whoever has no subscription, by id.
    pub commands: Vec<CommandChange>,
    /// How many commands are decided as before.
    pub unchanged_commands: usize,
    /// What changes otherwise for a tenant that has a subscription, by tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<TenantChanges>,
    /// Features that are lost, by key.
    pub lost_features: Vec<LostFeature>,
    /// Quotas whose limit changes, or whose recorded use is above the new limit, by key.
    pub quotas: Vec<QuotaChange>,
}

/// What changes for one tenant, where it is not what changes for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantChanges {
    /// The tenant.
    pub tenant: TenantId,
    /// Commands that are decided otherwise, by id.
    pub commands: Vec<CommandChange>,
}

/// A command that is decided otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandChange {
    /// Its id.
    pub command: String,
    /// The decision now.
    pub before: SimulatedDecision,
    /// The decision under the other license.
    pub after: SimulatedDecision,
}

/// A decision, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedDecision {
    /// Whether the command may run.
    pub runs: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Reason>,
    /// The rule, key or document part that decides.
    pub because: String,
}

/// A feature that is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LostFeature {
    /// Its key.
    pub feature: String,
    /// The commands that ask for it.
    pub commands: Vec<String>,
}

/// A quota, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaChange {
    /// Its key.
    pub quota: String,
    /// The platform's limit now; absent without a license service.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit_before: Option<u64>,
    /// The limit under the other license.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit_after: Option<u64>,
    /// What the platform uses now, where that is recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub used: Option<u64>,
    /// More is used than the new limit.
    pub exceeded: bool,
}

impl Simulation {
    /// Whether somebody would lose something: a command, a feature, or room in a quota that is used.
    pub fn takes_away(&self) -> bool {
        let of_tenants = self.tenants.iter().flat_map(|tenant| &tenant.commands);
        self.commands.iter().chain(of_tenants).any(|change| change.before.runs && !change.after.runs)
            || !self.lost_features.is_empty()
            || self.quotas.iter().any(|quota| quota.exceeded)
    }
}

impl Deciding {
    /// What changes from one license to another, with the baseline and the subscriptions as they are. `recorded` is what
    /// the platform uses of each quota, by key.
    pub fn simulate(
        &self,
        before: &Snapshot,
        after: &Snapshot,
        recorded: &BTreeMap<String, u64>,
    ) -> Simulation {
        let world = self.world();
        let sides = Sides::new(self, before, after, &world.entitlements);
        let commands = sides.changes(None);
        Simulation {
            status_before: before.status(),
            status_after: after.status(),
            unchanged_commands: self.registry().len() - commands.len(),
            commands,
            tenants: sides.tenants(),
            lost_features: self.lost_features(before, after),
            quotas: self.quota_changes(before, after, recorded),
        }
    }

    fn lost_features(&self, before: &Snapshot, after: &Snapshot) -> Vec<LostFeature> {
        let lost = truthy(before).difference(&truthy(after)).cloned().collect::<Vec<_>>();
        let asks = |feature: &str| {
            let asking = self.registry().entries().filter(|(index, _)| match self.described(*index) {
                Described::By(descriptor) => {
                    descriptor.features().iter().map(FeatureKey::as_str).any(|key| key == feature)
                }
                Described::NoContract | Described::NoDescriptor | Described::Malformed(_) => false,
            });
            let mut asking: Vec<_> = asking.map(|(_, entry)| entry.id().as_str().to_owned()).collect();
            asking.sort();
            asking
        };
        lost.into_iter().map(|feature| LostFeature { commands: asks(&feature), feature }).collect()
    }

    fn quota_changes(
        &self,
        before: &Snapshot,
        after: &Snapshot,
        recorded: &BTreeMap<String, u64>,
    ) -> Vec<QuotaChange> {
        let named = |snapshot: &Snapshot| -> Vec<String> {
            grant(snapshot).into_iter().flat_map(|grant| grant.quotas.keys().cloned()).collect()
        };
        let known = self.catalog().quotas().map(|quota| quota.key.clone());
        let quotas: BTreeSet<String> = known.chain(named(before)).chain(named(after)).collect();
        let changes = quotas.into_iter().filter_map(|quota| {
            let (limit_before, limit_after) = (limit(before, &quota), limit(after, &quota));
            let used = recorded.get(&quota).copied();
            let exceeded = used.zip(limit_after).is_some_and(|(used, limit)| used > limit);
            (limit_before != limit_after || exceeded).then_some(QuotaChange {
                quota,
                limit_before,
                limit_after,
                used,
                exceeded,
            })
        });
        changes.collect()
    }
}

/// The verdicts under two licenses, with the same things handed on.
struct Sides<'s> {
    deciding: &'s Deciding,
    entitlements: &'s Entitlements,
    before: (&'s Snapshot, Tables),
    after: (&'s Snapshot, Tables),
}

impl<'s> Sides<'s> {
    fn new(
        deciding: &'s Deciding,
        before: &'s Snapshot,
        after: &'s Snapshot,
        entitlements: &'s Entitlements,
    ) -> Self {
        let tables = |snapshot: &'s Snapshot| (snapshot, deciding.tables(snapshot, entitlements));
        Self { deciding, entitlements, before: tables(before), after: tables(after) }
    }

    fn verdicts(&self, command: CommandIndex, tenant: Option<TenantId>) -> (Verdict, Verdict) {
        let verdict = |tables: &Tables| tables.of(tenant).verdict(command.get());
        (verdict(&self.before.1), verdict(&self.after.1))
    }

    /// Of a tenant only what is not so for all.
    fn changes(&self, tenant: Option<TenantId>) -> Vec<CommandChange> {
        let mut changes = Vec::new();
        for (index, entry) in self.deciding.registry().entries() {
            let (old, new) = self.verdicts(index, tenant);
            if outcome(old) == outcome(new) || tenant.is_some() && (old, new) == self.verdicts(index, None) {
                continue;
            }
            let told = |snapshot: &Snapshot| {
                let ground = self.deciding.ground(snapshot, self.entitlements);
                let (id, additions) = (entry.id().as_str(), self.entitlements.additions(tenant));
                short(decide(&ground.ask(id, self.deciding.described(index), additions)))
            };
            changes.push(CommandChange {
                command: entry.id().as_str().to_owned(),
                before: told(self.before.0),
                after: told(self.after.0),
            });
        }
        changes.sort_by(|one, other| one.command.cmp(&other.command));
        changes
    }

    fn tenants(&self) -> Vec<TenantChanges> {
        let changed = self.entitlements.tenants().filter_map(|(tenant, _)| {
            let commands = self.changes(Some(tenant));
            (!commands.is_empty()).then_some(TenantChanges { tenant, commands })
        });
        let mut changed: Vec<_> = changed.collect();
        changed.sort_by_key(|it| it.tenant);
        changed
    }
}

/// Whether a command runs, and why not. That one reason to run takes the place of another is no change.
const fn outcome(verdict: Verdict) -> Option<Reason> {
    match verdict {
        Verdict::Denied(reason) => Some(reason),
        Verdict::Allowed | Verdict::Exempt(_) => None,
    }
}

/// A decision, in short.
pub(crate) fn short(decision: Decision<'_>) -> SimulatedDecision {
    let reason = outcome(decision.verdict);
    SimulatedDecision { runs: reason.is_none(), reason, because: decision.because.to_string() }
}

/// What the platform uses of every metered quota in the window that runs now, by key. Windows are anchored at the start of
/// the license's validity.
pub async fn recorded_usage(
    catalog: &Catalog,
    quotas: &dyn MeteredStore,
    anchor: Timestamp,
    now: Timestamp,
) -> Result<BTreeMap<String, u64>, QuotaError> {
    let metered = catalog.quotas().filter(|quota| quota.kind == QuotaKind::Metered);
    // A window that is none lets nobody in, so nothing is used in it.
    let limits = metered.filter_map(|definition| {
        let window = definition.window.and_then(|span| Period::try_from(span).ok())?;
        let window = window.window_at(anchor, now).ok()?;
        Some(Limit { quota: &definition.key, limit: u64::MAX, window })
    });
    let limits: Vec<_> = limits.collect();
    let projections = quotas.projection(None, &limits, now).await?;
    Ok(projections.into_iter().map(|quota| (quota.quota, quota.used + quota.reserved)).collect())
}

fn grant(snapshot: &Snapshot) -> Option<&Grant> {
    match snapshot.ceiling() {
        Ceiling::Granted(grant) => Some(grant),
        Ceiling::Unavailable(_) | Ceiling::Unenforced => None,
    }
}

fn truthy(snapshot: &Snapshot) -> BTreeSet<String> {
    let features = grant(snapshot).into_iter().flat_map(|grant| &grant.features);
    features.filter(|(_, value)| FeatureValue::is_truthy(value)).map(|(key, _)| key.clone()).collect()
}

fn limit(snapshot: &Snapshot, quota: &str) -> Option<u64> {
    match snapshot.ceiling() {
        Ceiling::Granted(grant) => {
            // A key that is none names no quota, so there is nothing to use.
            Some(QuotaKey::parse(quota).map_or(0, |key| grant.limit(key)))
        }
        Ceiling::Unavailable(_) => Some(0),
        Ceiling::Unenforced => None,
    }
}
