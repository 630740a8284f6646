//! What surrounds every request: its correlation id, its deadline, the body of its failure, and the headers of all
//! answers.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Version,
        header::{CACHE_CONTROL, HOST, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use jiff::Timestamp;
use kernel::{Category, CorrelationId, InvalidText};

use crate::{Measure, failure::Failure, router::Mounted};

pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// How much longer than its deadline a request is waited for: a call that the kernel stops has an outcome, one that is
/// dropped here has not.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of a request before anything has looked into it.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) correlation: CorrelationId,
    pub(crate) deadline: Timestamp,
}

impl Arrival {
    /// How long the request may still take.
    pub(crate) fn left(&self, now: Timestamp) -> Duration {
        self.deadline.duration_since(now).try_into().unwrap_or_default()
    }
}

/// Stands around everything that the router answers.
pub(crate) async fn edge(State(mounted): State<Arc<Mounted>>, request: Request, next: Next) -> Response {
    around(&mounted, request, |request| next.run(request)).await
}

/// Stands around an answer.
pub(crate) async fn around<F: Future<Output = Response>>(
    mounted: &Mounted,
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let mut measured = Measured::begin(&*mounted.api.metrics);
    let now = mounted.api.ambient.now();
    let fresh = || CorrelationId::from(mounted.api.ambient.uuid_at(now));
    let (correlation, response) = match text(request.headers(), &CORRELATION_ID, CorrelationId::parse) {
        Err(failure) => (fresh(), failure.into_response()),
        Ok(stated) => {
            let correlation = stated.unwrap_or_else(fresh);
            let response = match names_one_host(&request) {
                Ok(()) => {
                    let deadline = now.checked_add(mounted.api.limits.request_timeout);
                    let deadline = deadline.unwrap_or(Timestamp::MAX);
                    in_time(mounted, Arrival { correlation: correlation.clone(), deadline }, request, answer)
                        .await
                }
                Err(failure) => failure.into_response(),
            };
            (correlation, response)
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

async fn in_time<F: Future<Output = Response>>(
    mounted: &Mounted,
    arrival: Arrival,
    mut request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let patience = mounted.api.limits.request_timeout.saturating_add(PATIENCE);
    let correlation = arrival.correlation.clone();
    request.extensions_mut().insert(arrival);
    match tokio::time::timeout(patience, AssertUnwindSafe(answer(request)).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!(correlation = correlation.as_str(), "a request panicked");
            Failure::internal().into_response()
        }
        Err(_) => Failure::timed_out().into_response(),
    }
}

/// RFC 9112, 3.2: one host, or two readers of a request may disagree about whom it is for.
fn names_one_host(request: &Request) -> Result<(), Failure> {
    match request.headers().get_all(HOST).iter().count() {
        1 => Ok(()),
        0 if request.version() < Version::HTTP_11 => Ok(()),
        _ => {
            let message = "header `host`: a request names one host";
            Err(Failure::new("invalid_header", Category::Validation, message).with("header", HOST.as_str()))
        }
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
        Failure::new("invalid_header", Category::Validation, message).with("header", name.as_str())
    })
}
