//! Everything that is not a success, and the one body it has (semantics 9.2).

use std::{iter, time::Duration};

use axum::{
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use config::DenialStatus;
use kernel::{BoxProblem, Category, CorrelationId, Fault};
use serde_json::{Map, Value, json};

use crate::{Unavailable, status};

/// An answer that is not a success. As a response it is only a note: the edge, which knows the correlation id, writes
/// the body.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: String,
    category: Category,
    message: String,
    details: Vec<(String, Value)>,
    retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(code: &str, category: Category, message: impl Into<String>) -> Self {
        Self {
            status: status::of(category),
            code: code.to_owned(),
            category,
            message: message.into(),
            details: Vec::new(),
            retry_after: None,
        }
    }

    /// The caller's request is at fault, in a way that HTTP has its own status for.
    pub(crate) fn request(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, ..Self::new(code, Category::Validation, message) }
    }

    pub(crate) fn internal() -> Self {
        let message = "something went wrong on the server; its log has it under this correlation id";
        Self::new("internal", Category::Internal, message)
    }

    pub(crate) fn timed_out() -> Self {
        let fault = Fault::<BoxProblem>::DeadlineExceeded;
        let message = fault.to_string();
        Self { status: StatusCode::GATEWAY_TIMEOUT, ..Self::new(fault.code(), fault.category(), message) }
    }

    pub(crate) fn unknown_command(id: &str) -> Self {
        let fault = Fault::<BoxProblem>::Unknown(id.to_owned());
        Self::new(fault.code(), fault.category(), fault.to_string())
    }

    #[must_use]
    pub(crate) fn with(mut self, detail: &str, value: impl Into<Value>) -> Self {
        self.details.push((detail.to_owned(), value.into()));
        self
    }

    /// What the bus answered. An internal fault goes to the log, and only its code to the caller.
    pub(crate) fn of_fault(
        fault: &Fault<BoxProblem>,
        denials: DenialStatus,
        correlation: &CorrelationId,
    ) -> Self {
        let mut failure = Self {
            status: status::of_fault(fault, denials),
            retry_after: fault.retry_after(),
            ..Self::new(fault.code(), fault.category(), fault.to_string())
        };
        if fault.category() == Category::Internal {
            let error = match fault {
                Fault::Failed(problem) => chain(problem.as_ref()),
                _ => fault.to_string(),
            };
            tracing::error!(correlation = correlation.as_str(), error, "a call failed");
            failure.message = Self::internal().message;
        }
        if let Fault::Input(error) = fault {
            failure = failure.with("path", error.path());
        }
        if let Some(refusal) = fault.refusal() {
            for (name, value) in &refusal.details {
                failure = failure.with(name, value.clone());
            }
        }
        failure
    }

    /// Writes the body and the headers that belong to the status.
    pub(crate) fn write(self, response: Response, correlation: &CorrelationId) -> Response {
        let Self { status, code, category, message, details, retry_after } = self;
        let (mut parts, _) = response.into_parts();
        let body = json!({ "error": {
            "code": code,
            "message": message,
            "category": category.as_str(),
            "correlationId": correlation.as_str(),
            "details": details.into_iter().collect::<Map<_, _>>(),
        }});
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if status == StatusCode::UNAUTHORIZED {
            parts.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge(&code)));
        }
        // Whoever has had too much of it is always told when again; whoever meets a server that is busy, where it knows.
        let wait = match status {
            StatusCode::TOO_MANY_REQUESTS => Some(retry_after.unwrap_or_default()),
            StatusCode::SERVICE_UNAVAILABLE => retry_after,
            _ => None,
        };
        if let Some(wait) = wait {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            parts.headers.insert(RETRY_AFTER, seconds.max(1).into());
        }
        Response::from_parts(parts, Body::from(body.to_string()))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        Self::new("unavailable", Category::Unavailable, error.to_string())
    }
}

/// The challenge of RFC 6750, with the errors it and RFC 9470 define.
fn challenge(code: &str) -> &'static str {
    match code {
        "invalid_token" => r#"Bearer error="invalid_token""#,
        "insufficient_user_authentication" => r#"Bearer error="insufficient_user_authentication""#,
        _ => "Bearer",
    }
}

/// An error and its sources in one line.
fn chain(error: &dyn std::error::Error) -> String {
    iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
