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
        let snapshot = self.deciding.license().snapshot();
        let permit = match descriptor {
            Err(exemption) => Permit::Exempt(exemption),
            Ok(descriptor) => {
                let question = self.deciding.question(invocation.command, &snapshot);
                let decision = entitle(&question, descriptor);
                match decision.verdict {
                    Verdict::Allowed => Permit::Granted(descriptor),
                    Verdict::Exempt(exemption) => Permit::Exempt(exemption),
                    Verdict::Denied(reason) => {
                        let because = decision.because.to_string();
                        let denial = self.deciding.denial(invocation.command, reason, because, &snapshot);
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
        self.inner.dispatch(Entitled { invocation, permit, snapshot }).await
    }
}
