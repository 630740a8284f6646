//! What a command asks: the license descriptor (semantics section 4).

mod entitlement_key;
mod feature_key;
mod license;
mod quota_key;
mod segments;
mod shape;

pub use entitlement_key::EntitlementKey;
pub use feature_key::FeatureKey;
pub use license::{
    CostWeight, DescriptorError, LicenseDescriptor, LicenseDescriptorBuilder, MalformedDescriptor,
    ProtectionMode,
};
pub use quota_key::{Quota, QuotaKey, QuotaKind};
pub use segments::KeyError;
pub use shape::{DeploymentShape, PredicateError, ShapePredicate};
