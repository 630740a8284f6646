use std::{sync::Arc, time::Duration};

use audit::{Event, Metadata, Outcome, Recorder, SafeValue};
use descriptors::{
    access::{Access, Audience},
    denial::Denial,
    route::{HttpRoute, Method},
};
use jiff::Timestamp;
use kernel::{Category, CommandId, Cx, Dispatch, Entry, Fault, Invocation, Registry};

use super::Answer;
use crate::{calls::Begun, refusal::AuthFailure};

/// Sees each outcome once and changes none. A call that is cancelled has an outcome too.
pub(crate) struct Audit<S> {
    registry: Arc<Registry>,
    kinds: Box<[Kind]>,
    recorder: Recorder,
    inner: S,
}

impl<S: Dispatch<Begun>> Dispatch<Begun> for Audit<S> {
    async fn dispatch(&self, call: Begun) -> Answer {
        let Begun { invocation: Invocation { command, ref cx, .. }, at: started } = call;
        let told = Call { id: self.registry.entry(command).id(), cx: cx.clone(), started };
        let mut pending = Pending { recorder: &self.recorder, call: Some(told), outcome: None };
        let answer = self.inner.dispatch(call).await;
        let kind = self.kinds[command.get()];
        if answer.is_ok() && kind == Kind::Glance {
            pending.call = None;
            return answer;
        }
        pending.learn(&answer);
        let room = self.recorder.room().await;
        if let Some(report) = pending.report() {
            room.take(report);
        }
        // Whoever is told of a change finds it in the log, whatever happens to this process (decision 11).
        if answer.is_ok() && kind == Kind::Change {
            self.recorder.settle().await;
        }
        answer
    }
}

impl<S> Audit<S> {
    pub(crate) fn new(registry: Arc<Registry>, recorder: Recorder, inner: S) -> Self {
        let kinds = registry.entries().map(|(_, entry)| Kind::of(entry)).collect();
        Self { registry, kinds, recorder, inner }
    }
}

/// What a success of a command comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Something was changed.
    Change,
    /// Something was looked at.
    Look,
    /// Something was looked at that anyone may see, any number of times.
    Glance,
}

impl Kind {
    /// A command whose own route is a GET changes nothing; of others nothing of the kind is known.
    fn of(entry: &Entry) -> Self {
        let Some(contract) = entry.contract() else { return Self::Change };
        let route = contract.facet::<HttpRoute>();
        if route.is_none_or(|route| route.method() != Method::GET) {
            return Self::Change;
        }
        let public = contract.facet::<Access>().is_some_and(|access| access.audience() == Audience::Public);
        if public { Self::Glance } else { Self::Look }
    }
}

/// A call as it began.
struct Call {
    id: CommandId,
    cx: Cx,
    started: Timestamp,
}

/// A call that is not recorded yet. Dropped so, it was cancelled, and is recorded all the same.
struct Pending<'a> {
    recorder: &'a Recorder,
    /// None once it is recorded.
    call: Option<Call>,
    /// Known while it waits for room in the queue.
    outcome: Option<(Told, Timestamp)>,
}

impl Pending<'_> {
    fn learn(&mut self, answer: &Answer) {
        self.outcome = self.call.as_ref().map(|call| (Told::of(answer), call.cx.now()));
    }

    /// What is to be recorded, unless that was done.
    fn report(&mut self) -> Option<Report> {
        let call = self.call.take()?;
        let cancelled =
            || (Told::new("command.cancelled", Outcome::Failed, Some("cancelled")), call.cx.now());
        let (told, ended) = self.outcome.take().unwrap_or_else(cancelled);
        Some(Report { call, told, ended })
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(report) = self.report() {
            self.recorder.try_record(report);
        }
    }
}

/// A call and its outcome in parts that cost the caller little; the recorder's task writes them out.
struct Report {
    call: Call,
    told: Told,
    ended: Timestamp,
}

impl audit::Report for Report {
    fn into_event(self: Box<Self>) -> Event {
        let Self { call: Call { id, cx, started }, told, ended } = *self;
        Event {
            id: cx.ambient().uuid_at(ended),
            name: told.name.to_owned(),
            time: ended,
            tenant: cx.tenant().map(|tenant| tenant.to_string()),
            actor: cx.principal().actor().to_owned(),
            command: Some(id.as_str().to_owned()),
            result: told.result,
            error_code: told.code.map(str::to_owned),
            duration: Some(Duration::try_from(ended.duration_since(started)).unwrap_or_default()),
            correlation_id: Some(cx.correlation().as_str().to_owned()),
            trace_id: cx.trace().map(|trace| hex::encode(trace.trace)),
            span_id: cx.trace().map(|trace| hex::encode(trace.span)),
            metadata: told.metadata,
        }
    }
}

struct Told {
    name: &'static str,
    result: Outcome,
    code: Option<&'static str>,
    metadata: Metadata,
}

impl Told {
    const fn new(name: &'static str, result: Outcome, code: Option<&'static str>) -> Self {
        Self { name, result, code, metadata: Metadata::new() }
    }

    fn of(answer: &Answer) -> Self {
        let fault = match answer {
            Ok(_) => return Self::new("command.succeeded", Outcome::Succeeded, None),
            Err(fault) => fault,
        };
        if let Fault::Failed(problem) | Fault::Internal(problem) = fault
            && problem.category() == Category::Internal
        {
            tracing::error!(error = %chain(problem.as_ref()), "a handler failed");
        }
        let Some(refusal) = fault.refusal() else {
            return Self::new("command.failed", Outcome::Failed, Some(fault.code()));
        };
        if let Some(denial) = refusal.cause::<Denial>() {
            let code = Some(denial.reason.as_str());
            let told = Self::new("license.command.denied", Outcome::PolicyDenied, code);
            Self { metadata: denial_metadata(denial), ..told }
        } else if refusal.cause::<AuthFailure>().is_some() {
            Self::new("command.unauthorized", Outcome::AuthFailure, Some(refusal.code))
        } else {
            Self::new("command.refused", Outcome::PolicyDenied, Some(refusal.code))
        }
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
