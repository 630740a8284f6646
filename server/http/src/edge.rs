//! What surrounds every request: its correlation id, its deadline, the body of its failure, and the headers of all
//! answers.

use std::{
    future::poll_fn,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{
        self, HeaderMap, HeaderName, HeaderValue, Version,
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
    /// The other end of the connection.
    pub(crate) connected: Option<SocketAddr>,
}

impl Arrival {
    /// How long the request may still take.
    pub(crate) fn left(&self, now: Timestamp) -> Duration {
        self.deadline.duration_since(now).try_into().unwrap_or_default()
    }
}

/// Stands around everything that the router answers.
pub(crate) async fn edge(State(mounted): State<Arc<Mounted>>, request: Request, next: Next) -> Response {
    let connected = request.extensions().get().map(|ConnectInfo(connected)| *connected);
    around(&mounted, connected, request, |arrival, mut request| {
        request.extensions_mut().insert(arrival);
        next.run(request)
    })
    .await
}

/// Stands around an answer, which is pinned where it is made: it would be kept once more with each hand it goes through.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps its arguments twice while it runs")]
pub(crate) fn around<B, F: Future<Output = Response>>(
    mounted: &Mounted,
    connected: Option<SocketAddr>,
    request: http::Request<B>,
    answer: impl FnOnce(Arrival, http::Request<B>) -> F,
) -> impl Future<Output = Response> {
    async move {
        let mut measured = Measured::begin(&*mounted.api.metrics);
        let now = mounted.api.ambient.now();
        let fresh = || CorrelationId::from(mounted.api.ambient.uuid_at(now));
        let (correlation, refused) = match text(request.headers(), &CORRELATION_ID, CorrelationId::parse) {
            Err(failure) => (fresh(), Err(failure)),
            Ok(stated) => (stated.unwrap_or_else(fresh), names_one_host(&request)),
        };
        let response = if let Err(failure) = refused {
            failure.into_response()
        } else {
            let limit = mounted.api.limits.request_timeout;
            let deadline = now.checked_add(limit).unwrap_or(Timestamp::MAX);
            let arrival = Arrival { correlation: correlation.clone(), deadline, connected };
            let answer = pin!(AssertUnwindSafe(answer(arrival, request)).catch_unwind());
            match in_time(|| limit.saturating_add(PATIENCE), answer).await {
                Some(Ok(response)) => response,
                Some(Err(_)) => {
                    tracing::error!(correlation = correlation.as_str(), "a request panicked");
                    Failure::internal().into_response()
                }
                None => Failure::timed_out().into_response(),
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

/// What comes of a future that may take so long. Most have it when they are first asked; only one that makes its caller
/// wait is worth a timer.
pub(crate) fn in_time<F: Future>(
    most: impl Fn() -> Duration,
    mut future: Pin<&mut F>,
) -> impl Future<Output = Option<F::Output>> {
    let mut timer = None;
    poll_fn(move |task| {
        if let Poll::Ready(outcome) = future.as_mut().poll(task) {
            return Poll::Ready(Some(outcome));
        }
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(most())));
        timer.as_mut().poll(task).map(|()| None)
    })
}

/// RFC 9112, 3.2: one host, or two readers of a request may disagree about whom it is for.
fn names_one_host<B>(request: &http::Request<B>) -> Result<(), Failure> {
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
