use std::{sync::Arc, time::Duration};

use audit::{Event, Metadata, Outcome, Recorder, SafeValue};
use descriptors::{
    access::{Access, Audience},
    denial::Denial,
};
use jiff::Timestamp;
use kernel::{Category, CommandIndex, Contract, Cx, Dispatch, Fault, Invocation, Registry};

use super::Answer;
use crate::refusal::AuthFailure;

/// Sees each outcome once and changes none. A call that is cancelled has an outcome too.
pub(crate) struct Audit<S> {
    pub(crate) registry: Arc<Registry>,
    pub(crate) recorder: Recorder,
    pub(crate) inner: S,
}

impl<S: Dispatch<Invocation>> Dispatch<Invocation> for Audit<S> {
    async fn dispatch(&self, invocation: Invocation) -> Answer {
        let started = invocation.cx.now();
        let mut pending = Pending {
            registry: &self.registry,
            recorder: &self.recorder,
            command: invocation.command,
            cx: Some(invocation.cx.clone()),
            started,
        };
        let answer = self.inner.dispatch(invocation).await;
        if let Some(cx) = pending.cx.take()
            && let Some(event) = pending.event(&cx, &answer)
        {
            self.recorder.record(event).await;
        }
        answer
    }
}

/// A call whose outcome is not known yet. Dropped with its context, it was cancelled.
struct Pending<'a> {
    registry: &'a Registry,
    recorder: &'a Recorder,
    command: CommandIndex,
    cx: Option<Cx>,
    started: Timestamp,
}

impl Pending<'_> {
    fn event(&self, cx: &Cx, answer: &Answer) -> Option<Event> {
        let told = match answer {
            // Anyone may cause any number of these, and they change nothing.
            Ok(_) if self.is_public() => return None,
            Ok(_) => Told::new("command.succeeded", Outcome::Succeeded, None),
            Err(Fault::Refused(refusal)) => {
                if let Some(denial) = refusal.cause::<Denial>() {
                    Told {
                        metadata: denial_metadata(denial),
                        ..Told::new(
                            "license.command.denied",
                            Outcome::PolicyDenied,
                            Some(denial.reason.as_str()),
                        )
                    }
                } else if refusal.cause::<AuthFailure>().is_some() {
                    Told::new("command.unauthorized", Outcome::AuthFailure, Some(refusal.code))
                } else {
                    Told::new("command.refused", Outcome::PolicyDenied, Some(refusal.code))
                }
            }
            Err(fault) => Told::new("command.failed", Outcome::Failed, Some(fault.code())),
        };
        if let Err(Fault::Failed(problem)) = answer
            && problem.category() == Category::Internal
        {
            tracing::error!(error = %chain(problem.as_ref()), "a handler failed");
        }
        Some(self.tell(cx, told))
    }

    fn is_public(&self) -> bool {
        let contract = self.registry.entry(self.command).contract();
        contract
            .and_then(Contract::facet::<Access>)
            .is_some_and(|access| access.audience() == Audience::Public)
    }

    fn tell(&self, cx: &Cx, told: Told) -> Event {
        let now = cx.now();
        let elapsed = now.duration_since(self.started);
        Event {
            id: cx.uuid(),
            name: told.name.to_owned(),
            time: now,
            tenant: cx.tenant().map(|tenant| tenant.to_string()),
            actor: cx.principal().actor().to_owned(),
            command: Some(self.registry.entry(self.command).id().as_str().to_owned()),
            result: told.result,
            error_code: told.code,
            duration: Some(Duration::try_from(elapsed).unwrap_or_default()),
            correlation_id: Some(cx.correlation().as_str().to_owned()),
            trace_id: cx.trace().map(|trace| hex::encode(trace.trace)),
            span_id: cx.trace().map(|trace| hex::encode(trace.span)),
            metadata: told.metadata,
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(cx) = self.cx.take() {
            let told = Told::new("command.cancelled", Outcome::Failed, Some("cancelled"));
            self.recorder.try_record(self.tell(&cx, told));
        }
    }
}

struct Told {
    name: &'static str,
    result: Outcome,
    code: Option<String>,
    metadata: Metadata,
}

impl Told {
    fn new(name: &'static str, result: Outcome, code: Option<&str>) -> Self {
        Self { name, result, code: code.map(str::to_owned), metadata: Metadata::new() }
    }
}

/// Entitlement key, license id, deployment id and license status, and nothing else (semantics 6.2).
fn denial_metadata(denial: &Denial) -> Metadata {
    let mut metadata = Metadata::new()
        .with("deploymentId", SafeValue::text(&denial.deployment_id))
        .with("licenseStatus", SafeValue::text(denial.license_status.as_str()));
    if let Some(key) = &denial.entitlement_key {
        metadata = metadata.with("entitlementKey", SafeValue::text(key));
    }
    if let Some(id) = &denial.license_id {
        metadata = metadata.with("licenseId", SafeValue::text(id));
    }
    metadata
}

/// An error and its sources in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
