//! What surrounds every page: who looks, whether a form is ours, how long it may take, and what browsers are told.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Uri,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use crate::shim::{SESSION_COOKIE, csrf_token};
use jiff::Timestamp;
use kernel::{CorrelationId, Principal};

use crate::{
    House,
    problem::Problem,
    visitor::{Theme, Visit, Visitor, cookie},
};

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// No source but this server, nothing inline, no frame around it, no form that leads away.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Stands around every page.
pub(crate) async fn edge(State(house): State<Arc<House>>, mut request: Request, next: Next) -> Response {
    let correlation = CorrelationId::from(house.console.ambient.uuid());
    let timeout = house.console.request_timeout;
    let deadline = house.console.ambient.now().checked_add(timeout).unwrap_or(Timestamp::MAX);
    let (visitor, known) = visitor(&house, request.headers(), request.uri(), &correlation, deadline).await;
    let own = request.method().is_safe() || is_own(request.headers());
    request.extensions_mut().insert(visitor.clone());
    let response = match known {
        Err(problem) => problem.into_response(),
        Ok(()) if !own => Problem::foreign_form().into_response(),
        Ok(()) => answered(next.run(request), timeout, &correlation).await,
    };
    let mut response = match response.extensions().get::<Problem>().cloned() {
        Some(problem) => problem.page(&visitor),
        None => response,
    };
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let id = HeaderValue::from_str(correlation.as_str()).expect("a correlation id is visible ASCII");
    headers.insert(CORRELATION_ID, id);
    response
}

/// What a page answers, whatever becomes of it.
async fn answered(
    page: impl Future<Output = Response>,
    timeout: Duration,
    correlation: &CorrelationId,
) -> Response {
    match tokio::time::timeout(timeout, AssertUnwindSafe(page).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!(correlation = correlation.as_str(), "a page panicked");
            Problem::internal().into_response()
        }
        Err(_) => Problem::timed_out().into_response(),
    }
}

/// Who looks. Where that cannot be found out now, it is nobody, and a problem to be shown.
async fn visitor(
    house: &Arc<House>,
    headers: &HeaderMap,
    uri: &Uri,
    correlation: &CorrelationId,
    deadline: Timestamp,
) -> (Visitor, Result<(), Problem>) {
    let secret = cookie(headers, SESSION_COOKIE);
    let (principal, known) = match secret {
        None => (None, Ok(())),
        Some(secret) => match house.console.authenticator.authenticate(secret).await {
            Ok(principal) => (principal, Ok(())),
            Err(unavailable) => (None, Err(Problem::from(unavailable))),
        },
    };
    let session = secret.filter(|_| principal.is_some());
    let visit = Visit {
        house: Arc::clone(house),
        csrf: session.map(csrf_token).unwrap_or_default(),
        principal: principal.unwrap_or(Principal::Anonymous),
        theme: cookie(headers, Theme::COOKIE).map_or(Theme::System, Theme::parse),
        correlation: correlation.clone(),
        deadline,
        uri: uri.clone(),
    };
    (Visitor::new(visit), known)
}

/// Whether a form was sent by one of our own pages, as far as the browser tells. Forms of a session carry its token besides.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match text(&HeaderName::from_static("sec-fetch-site")) {
        Some(site) => site == "same-origin",
        None => match (text(&ORIGIN), text(&HOST)) {
            (Some(origin), Some(host)) => {
                origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
            }
            // Programs are not browsers: nobody else's session is in their hands.
            (None, _) => true,
            (Some(_), None) => false,
        },
    }
}
