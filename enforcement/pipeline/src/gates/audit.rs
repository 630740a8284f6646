use std::{sync::Arc, time::Duration};

use audit::{Event, Metadata, Outcome, Recorder, SafeValue};
use descriptors::{
    access::{Access, Audience},
    denial::Denial,
    route::{HttpRoute, Method},
};
use jiff::Timestamp;
use kernel::{Category, CommandId, Cx, Dispatch, Entry, Fault, Registry};

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
    fn dispatch(&self, call: Begun) -> impl Future<Output = Answer> + Send {
        // No `async fn`: that would keep its argument twice.
        async move {
            let command = call.invocation.command;
            let told = Call {
                id: self.registry.entry(command).id(),
                cx: call.invocation.cx.clone(),
                started: call.at,
            };
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
        let (told, ended) = self.outcome.take().unwrap_or_else(|| (Told::Cancelled, call.cx.now()));
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
        let (mut actor, mut metadata) = (cx.principal().actor(), told.metadata());
        // Who has shown to be somebody is the actor; whom a failure concerns has done nothing.
        match cx.recognized() {
            Some(recognized) if matches!(told, Told::Succeeded) => actor = recognized,
            Some(recognized) => metadata = metadata.with("account", SafeValue::text(recognized)),
            None => {}
        }
        Event {
            id: cx.ambient().uuid_at(ended),
            name: told.name().to_owned(),
            time: ended,
            tenant: cx.tenant().map(|tenant| tenant.to_string()),
            actor: actor.to_owned(),
            command: Some(id.as_str().to_owned()),
            result: told.result(),
            error_code: told.code().map(str::to_owned),
            duration: Some(Duration::try_from(ended.duration_since(started)).unwrap_or_default()),
            correlation_id: Some(cx.correlation().as_str().to_owned()),
            trace_id: cx.trace().map(|trace| hex::encode(trace.trace)),
            span_id: cx.trace().map(|trace| hex::encode(trace.span)),
            metadata,
        }
    }
}

/// How a call ended; where it failed or was refused, with which code.
enum Told {
    Succeeded,
    Failed(&'static str),
    Cancelled,
    Unauthorized(&'static str),
    Refused(&'static str),
    Denied(Box<Denial>),
}

impl Told {
    fn of(answer: &Answer) -> Self {
        let Err(fault) = answer else { return Self::Succeeded };
        if let Fault::Failed(problem) | Fault::Internal(problem) = fault
            && problem.category() == Category::Internal
        {
            tracing::error!(error = %chain(problem.as_ref()), "a handler failed");
        }
        let Some(refusal) = fault.refusal() else {
            return match fault {
                // Whoever signs in by a command fails to by that command.
                Fault::Failed(problem) if problem.category() == Category::Unauthorized => {
                    Self::Unauthorized(problem.code())
                }
                _ => Self::Failed(fault.code()),
            };
        };
        if let Some(denial) = refusal.cause::<Denial>() {
            Self::Denied(Box::new(denial.clone()))
        } else if refusal.cause::<AuthFailure>().is_some() {
            Self::Unauthorized(refusal.code)
        } else {
            Self::Refused(refusal.code)
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Succeeded => "command.succeeded",
            Self::Failed(_) => "command.failed",
            Self::Cancelled => "command.cancelled",
            Self::Unauthorized(_) => "command.unauthorized",
            Self::Refused(_) => "command.refused",
            Self::Denied(_) => "license.command.denied",
        }
    }

    const fn result(&self) -> Outcome {
        match self {
            Self::Succeeded => Outcome::Succeeded,
            Self::Failed(_) | Self::Cancelled => Outcome::Failed,
            Self::Unauthorized(_) => Outcome::AuthFailure,
            Self::Refused(_) | Self::Denied(_) => Outcome::PolicyDenied,
        }
    }

    const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Succeeded => None,
            Self::Failed(code) | Self::Unauthorized(code) | Self::Refused(code) => Some(code),
            Self::Cancelled => Some("cancelled"),
            Self::Denied(denial) => Some(denial.reason.as_str()),
        }
    }

    fn metadata(&self) -> Metadata {
        match self {
            Self::Denied(denial) => denial_metadata(denial),
            _ => Metadata::new(),
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
