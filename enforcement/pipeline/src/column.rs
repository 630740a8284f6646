use std::{fmt, sync::Arc, time::Duration};

use audit::Recorder;
use descriptors::{access::GuardedBy, grant::LicenseStatus};
use kernel::{CommandId, Contract, Dispatch, Door, Guard, Invocation};
use quota::{CardinalityStore, Lifetimes, MeteredStore, OutcomeStore};
use tower::ServiceBuilder;

use crate::{
    Observe,
    deciding::Deciding,
    gates::{
        Answer, Audit, Authorize, Cover, Decode, Dispatcher, Entitle, Fund, GuardGate, Idempotent, Trace,
    },
};

/// What the gates work with. Nothing here has a default: fail-closed parts are named where the program is assembled.
pub struct Parts {
    /// What decisions are made from.
    pub deciding: Arc<Deciding>,
    /// Where units are counted.
    pub quotas: Arc<dyn MeteredStore>,
    /// Where live things are counted.
    pub cardinality: Arc<dyn CardinalityStore>,
    /// Where outcomes are kept for idempotency keys.
    pub outcomes: Arc<dyn OutcomeStore>,
    /// Where events go.
    pub recorder: Recorder,
    /// Who measures calls.
    pub observer: Arc<dyn Observe>,
    /// The policies that commands name.
    pub guards: Guards,
    /// How long things may take.
    pub limits: Limits,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest a call may run.
    pub call: Duration,
    /// A stored outcome for an idempotency key.
    pub outcome: Duration,
}

impl Limits {
    /// Thirty seconds for a call, a day for an outcome.
    pub const STANDARD: Self = Self { call: Duration::from_secs(30), outcome: Duration::from_hours(24) };

    /// How long a reservation or claim outlives the deadline of its call: room for settling.
    const MARGIN: Duration = Duration::from_secs(30);
}

/// The policies that commands name with `#[guard(…)]`.
pub struct Guards(Vec<(&'static str, Arc<dyn Guard>)>);

impl Guards {
    /// No policy yet.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// With this policy under the name that commands use for it.
    #[must_use]
    pub fn with(mut self, policy: GuardedBy, guard: impl Guard) -> Self {
        self.0.push((policy.as_str(), Arc::new(guard)));
        self
    }

    fn find(&self, policy: GuardedBy) -> Option<Arc<dyn Guard>> {
        self.0.iter().find(|(name, _)| *name == policy.as_str()).map(|(_, guard)| Arc::clone(guard))
    }
}

/// Why the column cannot be built. Start-up stops with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// A command names a policy that nobody installed.
    #[error("command `{command}` is guarded by policy `{policy}`, which is not installed")]
    NoSuchGuard {
        /// The command.
        command: CommandId,
        /// The policy.
        policy: &'static str,
    },
    /// There is no license service, in a deployment that says it is in production (semantics 2.9).
    #[error("no license service is installed, and the deployment states `environment=production`")]
    UnenforcedInProduction,
}

/// The whole column: what every call passes on its way to the door.
pub struct Column(Trace<Audit<OfGates>>);

type OfGates = Authorize<Cover<Entitle<Decode<GuardGate<Idempotent<Fund<Dispatcher>>>>>>>;

/// Builds the column before the door. Outermost first; each line says why it stands there.
pub fn column(door: Door, parts: Parts) -> Result<Column, ColumnError> {
    let Parts { deciding, quotas, cardinality, outcomes, recorder, observer, guards, limits } = parts;
    let status = deciding.license().snapshot().status();
    if status == LicenseStatus::Unenforced {
        if deciding.shape().is_production() {
            return Err(ColumnError::UnenforcedInProduction);
        }
        tracing::warn!("no license service is installed: licensed commands run without a license");
    }
    let registry = Arc::clone(deciding.registry());
    let guards = registry
        .entries()
        .map(|(_, entry)| match entry.contract().and_then(Contract::facet::<GuardedBy>) {
            None => Ok(None),
            Some(policy) => guards
                .find(*policy)
                .map(Some)
                .ok_or_else(|| ColumnError::NoSuchGuard { command: entry.id(), policy: policy.as_str() }),
        })
        .collect::<Result<Arc<[_]>, _>>()?;
    let lifetimes = Lifetimes { pending: limits.call + Limits::MARGIN, stored: limits.outcome };

    let gates = ServiceBuilder::new()
        // A span for every call, refusals too.
        .layer_fn(|inner| Trace { registry: Arc::clone(&registry), timeout: limits.call, inner })
        // Sees each outcome once, whatever gate it comes from; changes none.
        .layer_fn(|inner| Audit::new(Arc::clone(&registry), recorder.clone(), Arc::clone(&observer), inner))
        // Who may run it. The anonymous learn nothing below this line.
        .layer_fn(|inner| Authorize { registry: Arc::clone(&registry), inner })
        // Contract and descriptor present and sound, or an exemption that says why not.
        .layer_fn(|inner| Cover { deciding: Arc::clone(&deciding), recorder: recorder.clone(), inner })
        // Deny before allow, against one snapshot.
        .layer_fn(|inner| Entitle { deciding: Arc::clone(&deciding), inner })
        // The input becomes the command's own type, for the gates that read it.
        .layer_fn(|inner| Decode { registry: Arc::clone(&registry), inner })
        // The module's own policy, before any database access.
        .layer_fn(|inner| GuardGate { registry: Arc::clone(&registry), guards: Arc::clone(&guards), inner })
        // The same key and body: the stored outcome, nothing charged.
        .layer_fn(|inner| Idempotent {
            registry: Arc::clone(&registry),
            outcomes: Arc::clone(&outcomes),
            lifetimes,
            inner: Arc::new(inner),
        })
        // Reserve tenant and platform together; settle after.
        .layer_fn(|inner| Fund {
            deciding: Arc::clone(&deciding),
            quotas: Arc::clone(&quotas),
            cardinality: Arc::clone(&cardinality),
            margin: Limits::MARGIN,
            inner,
        })
        // The only door.
        .service(Dispatcher(door));
    Ok(Column(gates))
}

impl Dispatch<Invocation> for Column {
    fn dispatch(&self, invocation: Invocation) -> impl Future<Output = Answer> + Send {
        self.0.dispatch(invocation)
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Column")
    }
}

impl fmt::Debug for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("guards", &self.guards)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
