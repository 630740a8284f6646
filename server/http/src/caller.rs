//! For whom and by whom a call runs.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::ConnectInfo,
    http::{
        Extensions, HeaderMap, HeaderName, Method,
        header::{AUTHORIZATION, HOST},
        request::Parts,
        uri::Authority,
    },
};
use descriptors::access::Permission;
use kernel::{Category, Cx, IdempotencyKey, Principal, TenantId, TraceContext};

use crate::{
    Api, Credential, ResolvedTenant, Standing,
    edge::{Arrival, text},
    failure::Failure,
    session,
};

/// The permission to act on behalf of another tenant than one's own, named by `?tenant=SLUG`.
pub const TENANTS_ACT: Permission = Permission::new("tenants.act");

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What surrounds the call of this request.
pub(crate) async fn cx(
    api: &Api,
    arrival: &Arrival,
    parts: &Parts,
    tenant: Option<&str>,
) -> Result<Cx, Failure> {
    let key = text(&parts.headers, &IDEMPOTENCY_KEY, IdempotencyKey::parse)?;
    let principal = principal(api, &parts.method, &parts.headers).await?;
    let tenant = match tenant {
        None => own(api, &principal, parts).await?,
        Some(slug) => Some(acting_for(api, &principal, slug, &parts.method).await?),
    };
    let mut cx = Cx::correlated(api.ambient.clone(), principal, arrival.correlation.clone())
        .with_deadline(arrival.deadline);
    if let Some(tenant) = tenant {
        cx = cx.with_tenant(tenant);
    }
    if let Some(key) = key {
        cx = cx.with_idempotency_key(key);
    }
    if let Some(connected) = arrival.connected {
        cx = cx.with_peer(before_proxies(connected, &parts.headers, &api.proxies));
    }
    let traceparent = parts.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    if let Some(trace) = traceparent.and_then(TraceContext::parse) {
        cx = cx.with_trace(trace);
    }
    Ok(cx)
}

/// Who calls. No credentials are nobody; a wrong bearer token is refused, not taken for none.
pub(crate) async fn principal(api: &Api, method: &Method, headers: &HeaderMap) -> Result<Principal, Failure> {
    let Some(header) = headers.get(AUTHORIZATION) else { return in_session(api, method, headers).await };
    let bearer = header.to_str().ok().and_then(|text| text.split_once(' '));
    let known = match bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        Some((_, token)) => api.authenticator.authenticate(Credential::Bearer(token.trim())).await?,
        None => None,
    };
    known.ok_or_else(|| {
        Failure::new(
            "invalid_token",
            Category::Unauthorized,
            "the bearer token is not known, or no longer good",
        )
    })
}

/// Who calls by cookie. Browsers go on sending that of a session that has ended, so it is nobody's: whoever signs in again
/// must be let to.
async fn in_session(api: &Api, method: &Method, headers: &HeaderMap) -> Result<Principal, Failure> {
    let Some(token) = session::token(headers) else { return Ok(Principal::Anonymous) };
    let Some(known) = api.authenticator.authenticate(Credential::Session(token)).await? else {
        return Ok(Principal::Anonymous);
    };
    session::refuse_forgery(method, headers, &api.authenticator.csrf_token(token))?;
    Ok(known)
}

/// The address a request came from: the last one before our own proxies.
pub fn peer(extensions: &Extensions, headers: &HeaderMap, proxies: &[IpAddr]) -> Option<IpAddr> {
    let ConnectInfo(connected) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(before_proxies(*connected, headers, proxies))
}

fn before_proxies(connected: SocketAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> IpAddr {
    let connected = connected.ip().to_canonical();
    if !proxies.contains(&connected) {
        return connected;
    }
    let lines = headers.get_all(FORWARDED_FOR).into_iter().filter_map(|line| line.to_str().ok());
    let told: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let told = told.into_iter().rev().map_while(|text| text.parse::<IpAddr>().ok());
    told.map(|address| address.to_canonical()).find(|address| !proxies.contains(address)).unwrap_or(connected)
}

fn home(principal: &Principal) -> Option<TenantId> {
    match principal {
        Principal::Authenticated(who) => who.home,
        Principal::Anonymous | Principal::System => None,
    }
}

/// The principal's own tenant; for who has none, the one whose host this is (semantics 7.8).
async fn own(api: &Api, principal: &Principal, parts: &Parts) -> Result<Option<TenantId>, Failure> {
    if let Some(home) = home(principal) {
        let gone = || Failure::new("tenant_gone", Category::Forbidden, "the tenant of the caller is no more");
        return active(api.tenants.by_id(home).await?.ok_or_else(gone)?).map(Some);
    }
    let Some(host) = host(parts) else { return Ok(None) };
    api.tenants.by_host(&host).await?.map(active).transpose()
}

/// The host a request came to, in lower case and without port.
fn host(parts: &Parts) -> Option<String> {
    let stated = || parts.headers.get(HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let authority = parts.uri.authority().cloned().or_else(stated)?;
    Some(authority.host().trim_end_matches('.').to_ascii_lowercase())
}

/// Nobody acts for a tenant that may not act.
fn active(tenant: ResolvedTenant) -> Result<TenantId, Failure> {
    let (code, message) = match tenant.standing {
        Standing::Active => return Ok(tenant.id),
        Standing::Suspended => ("tenant_suspended", "the tenant is suspended"),
        Standing::Pending => ("tenant_pending", "the tenant is not registered to the end"),
    };
    Err(Failure::new(code, Category::Forbidden, message))
}

/// Nothing is said about tenants to those who may not act for them.
async fn acting_for(
    api: &Api,
    principal: &Principal,
    slug: &str,
    method: &Method,
) -> Result<TenantId, Failure> {
    let Principal::Authenticated(who) = principal else {
        return Err(Failure::new("authentication_required", Category::Unauthorized, "sign in first"));
    };
    if !who.permissions.contains(TENANTS_ACT.as_str()) {
        let message = format!("`tenant` needs the permission `{}`", TENANTS_ACT.as_str());
        return Err(Failure::new("permission_required", Category::Forbidden, message));
    }
    if !is_slug(slug) {
        let message = "`tenant` is a slug: `[a-z][a-z0-9-]{0,62}`, without `--`";
        return Err(Failure::new("invalid_tenant", Category::Validation, message));
    }
    let found = api.tenants.by_slug(slug).await?.ok_or_else(|| {
        Failure::new("unknown_tenant", Category::NotFound, format!("there is no tenant `{slug}`"))
    })?;
    // Whoever looks after the platform must see what is suspended.
    if matches!(*method, Method::GET | Method::HEAD) { Ok(found.id) } else { active(found) }
}

/// Semantics 7.1.
fn is_slug(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.len() <= 63
        && !text.contains("--")
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}
