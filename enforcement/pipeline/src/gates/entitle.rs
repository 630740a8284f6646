use std::sync::Arc;

use kernel::Dispatch;
use resolver::{Verdict, entitle};

use super::Answer;
use crate::{
    calls::{Covered, Entitled, Permit},
    deciding::Deciding,
    refusal,
};

/// Deny before allow, against one snapshot that the call keeps to its end.
pub(crate) struct Entitle<S> {
    pub(crate) deciding: Arc<Deciding>,
    pub(crate) inner: S,
}

impl<S: Dispatch<Entitled>> Dispatch<Covered> for Entitle<S> {
    async fn dispatch(&self, Covered { invocation, descriptor }: Covered) -> Answer {
        let world = self.deciding.world();
        let permit = match descriptor {
            Err(exemption) => Permit::Exempt(exemption),
            Ok(descriptor) => {
                let (command, tenant) = (invocation.command, invocation.cx.tenant());
                let resolve = || entitle(&self.deciding.question(command, tenant, &world), descriptor);
                match world.verdict(command, tenant).unwrap_or_else(|| resolve().verdict) {
                    Verdict::Allowed => Permit::Granted(descriptor),
                    Verdict::Exempt(exemption) => Permit::Exempt(exemption),
                    Verdict::Denied(reason) => {
                        // The table keeps no more than the verdict; what decided is told again, for the audit.
                        let because = resolve().because.to_string();
                        let denial = self.deciding.denial(command, reason, because, &world.snapshot);
                        return Err(refusal::denied(denial, &invocation.cx).into());
                    }
                }
            }
        };
        tracing::Span::current().record(
            "chancery.decision",
            match permit {
                Permit::Granted(_) => "ALLOWED",
                Permit::Exempt(exemption) => exemption.as_str(),
            },
        );
        self.inner.dispatch(Entitled { invocation, permit, world }).await
    }
}
