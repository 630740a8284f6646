//! The gates every call passes, in one column ([`column()`]), and what can be asked about them from outside: coverage of
//! the commands ([`coverage()`]), the explanation of a decision ([`Deciding::explain`]), and what another license would
//! change ([`Deciding::simulate`]).
//!
//! **Invariant: each gate takes one type and yields a stronger one** (`Invocation → Authorized → Covered → Entitled →
//! Decoded → Admitted → Fresh → Funded`), so gates in the wrong order do not compile. Skipping the license is a value, an
//! [`Exemption`](resolver::Exemption), never a bare `true`.
//!
//! **Invariant: every denial has one reason and is audited once.**

mod calls;
mod column;
mod coverage;
mod deciding;
mod effective;
mod explain;
mod gaps;
mod gates;
mod matrix;
mod observe;
mod quotas;
mod refusal;
mod simulate;
mod world;

pub use column::{Column, ColumnError, Guards, Limits, Parts, column};
pub use coverage::{coverage, described};
pub use deciding::Deciding;
pub use effective::{EffectiveSet, SubscriptionPreview};
pub use explain::ExplanationView;
pub use gaps::{WouldBeDenied, WouldBeDeniedCommand};
pub use matrix::{Matrix, MatrixCell, MatrixLimit, MatrixRow, matrix};
pub use observe::{Ended, Ending, Observe, Unobserved};
pub use quotas::{Counters, QuotaScope, QuotaView};
pub use refusal::denial;
pub use simulate::{
    CommandChange, LostFeature, QuotaChange, SimulatedDecision, Simulation, TenantChanges, recorded_usage,
};
pub use world::{Entitlements, Tables};
