//! What surrounds every page: who looks, whether a form is ours, how long it may take, and what browsers are told.

use std::{net::IpAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Uri,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http_api::{Credential, is_from_here, peer, session_token};
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
    let timeout = house.console.limits.request_timeout;
    let deadline = house.console.ambient.now().checked_add(timeout).unwrap_or(Timestamp::MAX);
    let peer = peer(request.extensions(), request.headers(), &house.console.proxies);
    let seen = Seen { correlation: correlation.clone(), deadline, peer, uri: request.uri().clone() };
    let (visitor, known) = visitor(&house, request.headers(), seen).await;
    let own = request.method().is_safe() || is_from_here(request.headers());
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

/// What is known of a request before anything has looked into it.
struct Seen {
    correlation: CorrelationId,
    deadline: Timestamp,
    peer: Option<IpAddr>,
    uri: Uri,
}

/// Who looks. Where that cannot be found out now, it is nobody, and a problem to be shown.
async fn visitor(house: &Arc<House>, headers: &HeaderMap, seen: Seen) -> (Visitor, Result<(), Problem>) {
    let authenticator = &house.console.authenticator;
    let token = session_token(headers);
    let (principal, known) = match token {
        None => (None, Ok(())),
        Some(token) => match authenticator.authenticate(Credential::Session(token)).await {
            Ok(principal) => (principal, Ok(())),
            Err(unavailable) => (None, Err(Problem::from(unavailable))),
        },
    };
    let session = token.filter(|_| principal.is_some());
    let Seen { correlation, deadline, peer, uri } = seen;
    let visit = Visit {
        house: Arc::clone(house),
        csrf: session.map(|token| authenticator.csrf_token(token)).unwrap_or_default(),
        principal: principal.unwrap_or(Principal::Anonymous),
        theme: cookie(headers, Theme::COOKIE).map_or(Theme::System, Theme::parse),
        correlation,
        deadline,
        peer,
        uri,
    };
    (Visitor::new(visit), known)
}
