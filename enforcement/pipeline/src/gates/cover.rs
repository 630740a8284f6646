use std::sync::Arc;

use audit::{Event, Metadata, Outcome, Recorder};
use kernel::{BoxProblem, Cx, Dispatch, Fault};
use resolver::{Exemption, Verdict, cover};

use super::{Answer, pass};
use crate::{
    calls::{Authorized, Covered},
    coverage::gap,
    deciding::Deciding,
    refusal,
};

/// Contract and descriptor are present and sound, or there is an exemption that says why not. Before the license,
/// because there is nothing to ask it about a command nobody described.
pub(crate) struct Cover<S> {
    pub(crate) deciding: Arc<Deciding>,
    pub(crate) recorder: Recorder,
    pub(crate) inner: S,
}

impl<S: Dispatch<Covered>> Dispatch<Authorized> for Cover<S> {
    fn dispatch(&self, call: Authorized) -> impl Future<Output = Answer> + Send {
        pass(self.cover(call), |call| self.inner.dispatch(call))
    }
}

impl<S> Cover<S> {
    fn cover(&self, Authorized(invocation): Authorized) -> Result<Covered, Fault<BoxProblem>> {
        let id = self.deciding.registry().entry(invocation.command).id().as_str();
        let described = self.deciding.described(invocation.command);
        self.deciding.gaps().watch(|| invocation.cx.now());
        let descriptor = match cover(id, described, self.deciding.policy()) {
            Ok(descriptor) => Ok(descriptor),
            Err(decision) => match decision.verdict {
                Verdict::Exempt(exemption) => {
                    let first = || self.deciding.gaps().count(invocation.command, invocation.cx.now());
                    if exemption == Exemption::WarnGap && first() {
                        self.warn(gap_event(&invocation.cx, id, described));
                    }
                    Err(exemption)
                }
                Verdict::Denied(reason) => {
                    let denial = self.deciding.denial(
                        invocation.command,
                        reason,
                        decision.because.to_string(),
                        &self.deciding.license().snapshot(),
                    );
                    return Err(refusal::denied(denial, &invocation.cx).into());
                }
                Verdict::Allowed => unreachable!("covering a command never allows it"),
            },
        };
        Ok(Covered { invocation, descriptor })
    }

    /// Tells it once, even when this caller goes away now: where there is no room, a task of its own waits for some.
    fn warn(&self, event: Event) {
        if let Some(event) = self.recorder.offer(event) {
            let recorder = self.recorder.clone();
            tokio::spawn(async move { recorder.record(event).await });
        }
    }
}

/// `license.command.descriptor-missing`, once per command.
fn gap_event(cx: &Cx, id: &str, described: resolver::Described<'_>) -> Event {
    Event {
        id: cx.uuid(),
        name: "license.command.descriptor-missing".into(),
        time: cx.now(),
        tenant: None,
        actor: cx.principal().actor().to_owned(),
        command: Some(id.to_owned().into()),
        result: Outcome::Warning,
        error_code: gap(described).map(|reason| reason.as_str().into()),
        duration: None,
        correlation_id: Some(cx.correlation().as_str().to_owned()),
        trace_id: None,
        span_id: None,
        metadata: Metadata::new(),
        closes_call: false,
    }
}
