use std::sync::Arc;

use descriptors::descriptor::LicenseDescriptor;
use kernel::{BoxProblem, Dispatch, Fault, Invocation};
use resolver::{Verdict, entitle};

use super::{Answer, pass};
use crate::{
    calls::{Counted, Covered, Entitled},
    deciding::Deciding,
    refusal,
    world::World,
};

/// Deny before allow, against one snapshot that the call keeps to its end.
pub(crate) struct Entitle<S> {
    pub(crate) deciding: Arc<Deciding>,
    pub(crate) inner: S,
}

impl<S: Dispatch<Entitled>> Dispatch<Covered> for Entitle<S> {
    fn dispatch(&self, call: Covered) -> impl Future<Output = Answer> + Send {
        pass(self.entitle(call), |call| self.inner.dispatch(call))
    }
}

impl<S> Entitle<S> {
    fn entitle(&self, Covered { invocation, descriptor }: Covered) -> Result<Entitled, Fault<BoxProblem>> {
        let (counted, told) = match descriptor {
            Err(exemption) => (None, exemption.as_str()),
            Ok(descriptor) => self.deciding.see(|world| self.held(&invocation, descriptor, world))?,
        };
        tracing::Span::current().record("chancery.decision", told);
        Ok(Entitled { invocation, counted })
    }

    /// What is to be counted, and what is told of the decision.
    fn held(
        &self,
        invocation: &Invocation,
        descriptor: &'static LicenseDescriptor,
        world: &Arc<World>,
    ) -> Result<(Option<Counted>, &'static str), Fault<BoxProblem>> {
        let (command, tenant) = (invocation.command, invocation.cx.tenant());
        let resolve = || entitle(&self.deciding.question(command, tenant, world), descriptor);
        match world.verdict(command, tenant).unwrap_or_else(|| resolve().verdict) {
            Verdict::Allowed if descriptor.quotas().is_empty() => Ok((None, "ALLOWED")),
            Verdict::Allowed => Ok((Some(Counted { descriptor, world: Arc::clone(world) }), "ALLOWED")),
            Verdict::Exempt(exemption) => Ok((None, exemption.as_str())),
            Verdict::Denied(reason) => {
                // The table keeps no more than the verdict; what decided is told again, for the audit.
                let because = resolve().because.to_string();
                let denial = self.deciding.denial(command, reason, because, &world.snapshot);
                Err(refusal::denied(denial, &invocation.cx).into())
            }
        }
    }
}
