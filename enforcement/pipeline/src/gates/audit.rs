use std::{sync::Arc, time::Duration};

use audit::{Event, Metadata, Outcome, Recorder, SafeValue};
use descriptors::{access::Access, denial::Denial};
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
            cx: invocation.cx.clone(),
            started,
            known: Known::Nothing,
        };
        let answer = self.inner.dispatch(invocation).await;
        if let Some(event) = pending.event(&answer).and_then(|event| self.recorder.offer(event)) {
            pending.known = Known::Outcome(Box::new(event.clone()));
            self.recorder.record(event).await;
        }
        pending.known = Known::Recorded;
        answer
    }
}

/// A call that is not recorded yet. Dropped so, it was cancelled, and is recorded all the same.
struct Pending<'a> {
    registry: &'a Registry,
    recorder: &'a Recorder,
    command: CommandIndex,
    cx: Cx,
    started: Timestamp,
    known: Known,
}

/// What is known of the call's outcome.
enum Known {
    Nothing,
    /// It waits for room in the queue.
    Outcome(Box<Event>),
    Recorded,
}

impl Pending<'_> {
    fn event(&self, answer: &Answer) -> Option<Event> {
        let told = match answer {
            Ok(_) if !self.is_audited() => return None,
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
            // Whoever signs in by a command fails to by that command.
            Err(Fault::Failed(problem)) if problem.category() == Category::Unauthorized => {
                Told::new("command.unauthorized", Outcome::AuthFailure, Some(problem.code()))
            }
            Err(fault) => Told::new("command.failed", Outcome::Failed, Some(fault.code())),
        };
        if let Err(Fault::Failed(problem) | Fault::Internal(problem)) = answer
            && problem.category() == Category::Internal
        {
            tracing::error!(error = %chain(problem.as_ref()), "a handler failed");
        }
        Some(self.tell(told))
    }

    fn is_audited(&self) -> bool {
        let contract = self.registry.entry(self.command).contract();
        contract.and_then(Contract::facet::<Access>).is_none_or(Access::is_audited)
    }

    fn tell(&self, told: Told) -> Event {
        let cx = &self.cx;
        let now = cx.now();
        let elapsed = now.duration_since(self.started);
        // Who has shown to be somebody is the actor; whom a failure concerns has done nothing.
        let (actor, metadata) = match (cx.recognized(), told.result) {
            (Some(recognized), Outcome::Succeeded) => (recognized, told.metadata),
            (Some(recognized), _) => {
                (cx.principal().actor(), told.metadata.with("account", SafeValue::text(recognized)))
            }
            (None, _) => (cx.principal().actor(), told.metadata),
        };
        Event {
            id: cx.uuid(),
            name: told.name.to_owned(),
            time: now,
            tenant: cx.tenant().map(|tenant| tenant.to_string()),
            actor: actor.to_owned(),
            command: Some(self.registry.entry(self.command).id().as_str().to_owned()),
            result: told.result,
            error_code: told.code,
            duration: Some(Duration::try_from(elapsed).unwrap_or_default()),
            correlation_id: Some(cx.correlation().as_str().to_owned()),
            trace_id: cx.trace().map(|trace| hex::encode(trace.trace)),
            span_id: cx.trace().map(|trace| hex::encode(trace.span)),
            metadata,
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let event = match std::mem::replace(&mut self.known, Known::Recorded) {
            Known::Recorded => return,
            Known::Outcome(event) => *event,
            Known::Nothing => self.tell(Told::new("command.cancelled", Outcome::Failed, Some("cancelled"))),
        };
        self.recorder.try_record(event);
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
