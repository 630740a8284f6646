//! What surrounds every request: its correlation id, its deadline, the body of its failure, and the headers of all
//! answers.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue,
        header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use jiff::Timestamp;
use kernel::{CorrelationId, InvalidText};

use crate::{Measure, failure::Failure, router::Mounted};

pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// How much longer than its deadline a request is waited for: a call that the kernel stops has an outcome, one that is
/// dropped here has not.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of a request before anything has looked into it.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) correlation: CorrelationId,
    deadline: Timestamp,
}

impl Arrival {
    /// How long the request may still take.
    pub(crate) fn left(&self, now: Timestamp) -> Duration {
        self.deadline.duration_since(now).try_into().unwrap_or_default()
    }
}

/// Stands around everything.
pub(crate) async fn edge(State(mounted): State<Arc<Mounted>>, request: Request, next: Next) -> Response {
    let mut measured = Measured::begin(&*mounted.api.metrics);
    let fresh = || CorrelationId::from(mounted.api.ambient.uuid());
    let (correlation, response) = match text(request.headers(), &CORRELATION_ID, CorrelationId::parse) {
        Err(failure) => (fresh(), failure.into_response()),
        Ok(stated) => {
            let correlation = stated.unwrap_or_else(fresh);
            (correlation.clone(), run(&mounted, correlation, request, next).await)
        }
    };
    let mut response = match response.extensions().get::<Failure>().cloned() {
        Some(failure) => failure.write(response, &correlation),
        None => response,
    };
    measured.status = Some(response.status().as_u16());
    let headers = response.headers_mut();
    let id = HeaderValue::from_str(correlation.as_str()).expect("a correlation id is visible ASCII");
    headers.insert(CORRELATION_ID, id);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A request that is being answered. Dropped without a status, its caller went away.
struct Measured<'m> {
    metrics: &'m dyn Measure,
    status: Option<u16>,
}

impl<'m> Measured<'m> {
    fn begin(metrics: &'m dyn Measure) -> Self {
        metrics.began();
        Self { metrics, status: None }
    }
}

impl Drop for Measured<'_> {
    fn drop(&mut self) {
        self.metrics.ended(self.status);
    }
}

async fn run(mounted: &Mounted, correlation: CorrelationId, mut request: Request, next: Next) -> Response {
    let timeout = mounted.api.limits.request_timeout;
    let now = mounted.api.ambient.now();
    let deadline = now.checked_add(timeout).unwrap_or(Timestamp::MAX);
    request.extensions_mut().insert(Arrival { correlation: correlation.clone(), deadline });
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(timeout.saturating_add(PATIENCE), answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!(correlation = correlation.as_str(), "a request panicked");
            Failure::internal().into_response()
        }
        Err(_) => Failure::timed_out().into_response(),
    }
}

/// A header's text in its own type. One that is malformed refuses the request.
pub(crate) fn text<T>(
    headers: &HeaderMap,
    name: &HeaderName,
    parse: impl FnOnce(&str) -> Result<T, InvalidText>,
) -> Result<Option<T>, Failure> {
    let stated = headers.get(name).map(|value| parse(value.to_str().unwrap_or_default()));
    stated.transpose().map_err(|error| {
        let message = format!("header `{name}`: {error}");
        Failure::new("invalid_header", kernel::Category::Validation, message).with("header", name.as_str())
    })
}
