use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EntitlementKey, FeatureKey, KeyError, PredicateError, Quota, QuotaKind, ShapePredicate};

/// What enforcement does with a command (seed: "Command-level enforcement and audit").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProtectionMode {
    /// Runs without consulting the license.
    None,
    /// The platform's own work; no adapter exposes it.
    InternalSystem,
    /// A developer's tool; not mounted in production.
    DevelopmentOnly,
    /// Runs when the license grants its entitlement key.
    Licensed,
}

impl ProtectionMode {
    /// As documents spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::InternalSystem => "INTERNAL_SYSTEM",
            Self::DevelopmentOnly => "DEVELOPMENT_ONLY",
            Self::Licensed => "LICENSED",
        }
    }
}

/// Units one call draws from every metered quota of its command. 0 is exempt and never tracked, 1 the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CostWeight(u32);

impl CostWeight {
    /// What a command costs that says nothing.
    pub const BASELINE: Self = Self(1);

    /// A weight in units.
    pub const fn new(units: u32) -> Self {
        Self(units)
    }

    /// The units to charge; absent for an exempt command.
    pub const fn units(self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.0)
    }

    /// The plain number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Why a descriptor cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// A key does not parse.
    #[error("failed to parse a key: {0}")]
    Key(KeyError),
    /// A shape predicate does not parse.
    #[error("failed to parse a shape predicate: {0}")]
    Predicate(PredicateError),
    /// A metered quota is named, but the weight says that calls are not tracked.
    #[error("cost weight 0 exempts calls from metering, but a metered quota is named")]
    ExemptButMetered,
    /// An option was given an empty list.
    #[error("`{0}` is an empty list; leave the option out")]
    EmptyList(&'static str),
    /// The command is not licensed, yet it names features, quotas, a cost or predicates.
    #[error("a command that is not licensed asks nothing: leave the other options out")]
    AsksWithoutLicense,
}

impl DescriptorError {
    const fn message(self) -> &'static str {
        match self {
            Self::Key(error) => error.message(),
            Self::Predicate(PredicateError) => "a shape predicate is `key=value`",
            Self::ExemptButMetered => {
                "cost weight 0 exempts calls from metering, but a metered quota is named"
            }
            Self::EmptyList(_) => "this list is empty: leave the option out",
            Self::AsksWithoutLicense => {
                "a command that is not licensed asks nothing: leave the other options out"
            }
        }
    }
}

impl From<KeyError> for DescriptorError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl From<PredicateError> for DescriptorError {
    fn from(error: PredicateError) -> Self {
        Self::Predicate(error)
    }
}

/// What licensing asks of a command (semantics 4.1). It exists only well-formed: the builder is the one way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LicenseDescriptor {
    key: EntitlementKey<'static>,
    mode: ProtectionMode,
    features: &'static [FeatureKey<'static>],
    quotas: &'static [Quota<'static>],
    cost: CostWeight,
    when: &'static [ShapePredicate<'static>],
}

impl LicenseDescriptor {
    /// Begins a descriptor for a licensed command with nothing but its key.
    pub const fn builder(key: EntitlementKey<'static>) -> LicenseDescriptorBuilder {
        LicenseDescriptorBuilder {
            descriptor: Self {
                key,
                mode: ProtectionMode::Licensed,
                features: &[],
                quotas: &[],
                cost: CostWeight::BASELINE,
                when: &[],
            },
            empty: None,
            asks: false,
        }
    }

    /// The key a license grants or denies.
    pub const fn entitlement_key(&self) -> EntitlementKey<'static> {
        self.key
    }

    /// What enforcement does with the command.
    pub const fn mode(&self) -> ProtectionMode {
        self.mode
    }

    /// Features that must all be truthy for the command to be granted by its product (semantics 2.4).
    pub const fn features(&self) -> &'static [FeatureKey<'static>] {
        self.features
    }

    /// Quotas a call counts against.
    pub const fn quotas(&self) -> &'static [Quota<'static>] {
        self.quotas
    }

    /// Units a call draws from each metered quota.
    pub const fn cost(&self) -> CostWeight {
        self.cost
    }

    /// Deployment shapes in which enforcement applies; empty means all.
    pub const fn predicates(&self) -> &'static [ShapePredicate<'static>] {
        self.when
    }
}

/// Builds a [`LicenseDescriptor`], in `const` or at run time. The options of the `#[license(…)]` attribute are
/// these methods: `cost = 5` is `.cost(5)`, `none` is `.none()`.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct LicenseDescriptorBuilder {
    descriptor: LicenseDescriptor,
    empty: Option<&'static str>,
    asks: bool,
}

impl LicenseDescriptorBuilder {
    /// Claims another entitlement key than the command's own, for commands sold as one.
    pub const fn key(mut self, key: EntitlementKey<'static>) -> Self {
        self.descriptor.key = key;
        self
    }

    /// Requires these features, all of them.
    pub const fn features(mut self, features: &'static [FeatureKey<'static>]) -> Self {
        if features.is_empty() {
            self.empty = Some("features");
        }
        self.descriptor.features = features;
        self.asks = true;
        self
    }

    /// Counts each call against these quotas.
    pub const fn quotas(mut self, quotas: &'static [Quota<'static>]) -> Self {
        if quotas.is_empty() {
            self.empty = Some("quotas");
        }
        self.descriptor.quotas = quotas;
        self.asks = true;
        self
    }

    /// Units a call draws from each metered quota; 1 when not stated.
    pub const fn cost(mut self, units: u32) -> Self {
        self.descriptor.cost = CostWeight::new(units);
        self.asks = true;
        self
    }

    /// Enforces only in these deployment shapes. One key's predicates are alternatives; different keys must all hold.
    pub const fn when(mut self, predicates: &'static [ShapePredicate<'static>]) -> Self {
        if predicates.is_empty() {
            self.empty = Some("when");
        }
        self.descriptor.when = predicates;
        self.asks = true;
        self
    }

    /// Runs without consulting the license.
    pub const fn none(mut self) -> Self {
        self.descriptor.mode = ProtectionMode::None;
        self
    }

    /// The platform's own work: no license, and no adapter exposes it.
    pub const fn internal_system(mut self) -> Self {
        self.descriptor.mode = ProtectionMode::InternalSystem;
        self
    }

    /// A developer's tool: no license, and not mounted in production.
    pub const fn development_only(mut self) -> Self {
        self.descriptor.mode = ProtectionMode::DevelopmentOnly;
        self
    }

    /// The descriptor, or what is wrong with it. For commands known only at run time.
    pub const fn try_build(self) -> Result<LicenseDescriptor, DescriptorError> {
        if let Some(list) = self.empty {
            return Err(DescriptorError::EmptyList(list));
        }
        let licensed = matches!(self.descriptor.mode, ProtectionMode::Licensed);
        if self.asks && !licensed {
            return Err(DescriptorError::AsksWithoutLicense);
        }
        let mut at = 0;
        while at < self.descriptor.quotas.len() {
            let metered = matches!(self.descriptor.quotas[at].kind, QuotaKind::Metered);
            if metered && self.descriptor.cost.get() == 0 {
                return Err(DescriptorError::ExemptButMetered);
            }
            at += 1;
        }
        Ok(self.descriptor)
    }

    /// The descriptor. One that is wrong does not compile when built in `const`.
    #[track_caller]
    pub const fn build(self) -> LicenseDescriptor {
        match self.try_build() {
            Ok(descriptor) => descriptor,
            Err(error) => panic!("{}", error.message()),
        }
    }
}

/// A command meant to be protected whose descriptor failed structural validation (semantics 2.2, step 3). Only
/// commands registered at run time can carry one; it always denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedDescriptor(pub DescriptorError);

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: EntitlementKey<'static> = EntitlementKey::literal("chancery.tenancy.tenants.create");
    const METERED: &[Quota<'static>] = &[Quota::metered("tenancy.exports.max")];

    #[test]
    fn weight_zero_with_a_metered_quota_is_refused() {
        let built = LicenseDescriptor::builder(KEY).quotas(METERED).cost(0).try_build();
        assert_eq!(built, Err(DescriptorError::ExemptButMetered));
        assert!(LicenseDescriptor::builder(KEY).quotas(METERED).try_build().is_ok());
    }

    #[test]
    fn weight_zero_with_a_cardinality_quota_is_sound() {
        const LIVE: &[Quota<'static>] = &[Quota::cardinality("tenants.total.max")];
        assert!(LicenseDescriptor::builder(KEY).quotas(LIVE).cost(0).try_build().is_ok());
    }

    #[test]
    fn an_empty_list_is_refused_by_name() {
        let built = LicenseDescriptor::builder(KEY).features(&[]).try_build();
        assert_eq!(built, Err(DescriptorError::EmptyList("features")));
    }

    #[test]
    fn a_command_that_is_not_licensed_asks_nothing() {
        let built = LicenseDescriptor::builder(KEY).none().cost(3).try_build();
        assert_eq!(built, Err(DescriptorError::AsksWithoutLicense));
    }
}
