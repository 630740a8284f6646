use std::sync::Arc;

use arc_swap::Guard;
use kernel::{BoxProblem, Dispatch, Fault};
use resolver::{Verdict, entitle};

use super::{Answer, pass};
use crate::{
    calls::{Counted, Covered, Entitled},
    deciding::Deciding,
    refusal,
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
        let (mut counted, mut told) = (None, "ALLOWED");
        match descriptor {
            Err(exemption) => told = exemption.as_str(),
            Ok(descriptor) => {
                let (command, tenant) = (invocation.command, invocation.cx.tenant());
                let world = self.deciding.world();
                let resolve = || entitle(&self.deciding.question(command, tenant, &world), descriptor);
                match world.verdict(command, tenant).unwrap_or_else(|| resolve().verdict) {
                    Verdict::Allowed if descriptor.quotas().is_empty() => {}
                    Verdict::Allowed => {
                        counted = Some(Counted { descriptor, world: Guard::into_inner(world) });
                    }
                    Verdict::Exempt(exemption) => told = exemption.as_str(),
                    Verdict::Denied(reason) => {
                        // The table keeps no more than the verdict; what decided is told again, for the audit.
                        let because = resolve().because.to_string();
                        let denial = self.deciding.denial(command, reason, because, &world.snapshot);
                        return Err(refusal::denied(denial, &invocation.cx).into());
                    }
                }
            }
        }
        tracing::Span::current().record("chancery.decision", told);
        Ok(Entitled { invocation, counted })
    }
}
