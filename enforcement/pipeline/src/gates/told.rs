//! What is told of a call that has ended.

use std::time::Duration;

use audit::{Event, Metadata, Outcome, SafeValue};
use descriptors::denial::Denial;
use jiff::Timestamp;
use kernel::{Call, Category, CommandId, Cx, Fault};

use super::Answer;
use crate::{observe::Ending, refusal::AuthFailure};

/// A call and its outcome in parts that cost the caller little; the recorder's task writes them out.
pub(super) struct Report {
    pub(super) id: CommandId,
    pub(super) cx: Cx,
    pub(super) started: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) told: Told,
}

impl audit::Report for Report {
    fn into_event(self: Box<Self>) -> Event {
        let Self { id, cx, started, ended, told } = *self;
        let (mut actor, mut metadata) = (cx.principal().actor(), told.metadata());
        // Who has shown to be somebody is the actor; whom a failure concerns has done nothing.
        match cx.recognized() {
            Some(recognized) if matches!(told, Told::Succeeded) => actor = recognized,
            Some(recognized) => metadata = metadata.with("account", SafeValue::text(recognized)),
            None => {}
        }
        Event {
            id: cx.call().map_or_else(|| cx.ambient().uuid_at(ended), Call::id),
            name: told.name().into(),
            time: ended,
            tenant: cx.tenant().map(|tenant| tenant.to_string()),
            actor: actor.to_owned(),
            command: Some(id.as_str().into()),
            result: told.result(),
            error_code: told.code().map(Into::into),
            duration: Some(Duration::try_from(ended.duration_since(started)).unwrap_or_default()),
            correlation_id: Some(cx.correlation().as_str().to_owned()),
            trace_id: cx.trace().map(|trace| hex::encode(trace.trace)),
            span_id: cx.trace().map(|trace| hex::encode(trace.span)),
            metadata,
            closes_call: cx.call().is_some_and(Call::is_marked),
        }
    }
}

/// How a call ended; where it failed or was refused, with which code.
pub(super) enum Told {
    Succeeded,
    Failed(&'static str),
    Cancelled,
    Unauthorized(&'static str),
    Refused(&'static str),
    Denied(Box<Denial>),
}

impl Told {
    pub(super) fn of(answer: &Answer) -> Self {
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

    pub(super) const fn ending(&self) -> Ending {
        match self {
            Self::Succeeded => Ending::Succeeded,
            Self::Failed(_) => Ending::Failed,
            Self::Cancelled => Ending::Cancelled,
            Self::Unauthorized(_) => Ending::Unauthorized,
            Self::Refused(_) => Ending::Refused,
            Self::Denied(denial) => Ending::Denied(denial.reason),
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
