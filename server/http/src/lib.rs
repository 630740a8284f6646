//! The commands over HTTP: an adapter that knows routes, headers and statuses, and decides nothing.
//!
//! | path | answers |
//! |---|---|
//! | `POST /api/commands/{id}` | any exposed command: the body is its input, the answer its output |
//! | the `#[http(…)]` routes of commands | the same, with path, query and body as the input's fields |
//! | `GET /api/commands`, `GET /api/commands/{id}` | what the caller may see, with JSON Schemas |
//! | `/openapi.json` | what is mounted, as OpenAPI 3.1 |
//! | `/healthz`, `/readyz` | whether the process lives, and whether it can serve |
//! | `/metrics` | what is measured, for Prometheus |
//!
//! **Invariant: every answer that is not a success has the error body** of semantics 9.2, whatever layer it comes from,
//! and every answer carries `x-correlation-id`.
//!
//! **Invariant: a client that waits keeps nobody else waiting.** Connections are bounded in number and in time, and the one
//! that has waited longest for its client makes room. HTTP/1.1 is all there is: streams within a connection are the proxy's.
//!
//! **Invariant: no header of a caller's making decides for which tenant a call runs** (semantics 7.8). It is the
//! principal's own tenant, or the one named by `?tenant=SLUG` for principals that hold [`TENANTS_ACT`]; for who belongs to
//! none, the one that the host they came to belongs to. A tenant that is suspended is acted for by nobody; what
//! [`TENANTS_ACT`] may read stays readable.
//!
//! **Invariant: a session does what its own pages ask of it.** A call by cookie that may change something carries the
//! session's `x-csrf-token` and comes from this origin, or is refused with 403 `csrf_refused`. A bearer token wins over
//! a cookie, and needs neither: no browser sends it by itself.
//!
//! **Invariant: what is not exposed answers like what does not exist**: commands without access facet, internal ones,
//! developers' tools in production, and those of an opening that is closed.
//!
//! A client that goes away drops the future of its call; the kernel makes an outcome of that.

mod caller;
mod edge;
mod exposure;
mod failure;
mod fields;
mod input;
mod inventory;
mod openapi;
mod router;
mod seats;
mod serve;
mod session;
mod status;
mod tls;
mod wire;

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use kernel::{Ambient, Bus, CommandId, Principal, TenantId};

pub use caller::{TENANTS_ACT, peer};
pub use config::DenialStatus;
pub use exposure::RouterError;
pub use router::{Routes, routes};
pub use serve::{Connections, serve};
pub use session::{
    CSRF_TOKEN, SESSION_COOKIE, ended_session_cookie, is_from_here, session_cookie, token as session_token,
};
pub use tls::{Tls, TlsError};

/// What the adapter stands on. Nothing here has a default.
pub struct Api {
    /// Where calls go.
    pub bus: Bus,
    /// Time and randomness.
    pub ambient: Ambient,
    /// Who tells callers apart.
    pub authenticator: Arc<dyn Authenticate>,
    /// The proxies before this server. What they say in `x-forwarded-for` is believed; what anyone else says there is not.
    pub proxies: Vec<IpAddr>,
    /// Who knows tenants by their slugs.
    pub tenants: Arc<dyn ResolveTenant>,
    /// Who knows of commands that are there only for a while.
    pub openings: Arc<dyn Openings>,
    /// Whether the deployment states `environment=production`, where developers' tools are not mounted.
    pub production: bool,
    /// The status of license denials.
    pub denial_status: DenialStatus,
    /// What a request may take up.
    pub limits: Limits,
    /// Who says whether the process can serve.
    pub ready: Arc<dyn Ready>,
    /// Who knows what is measured.
    pub metrics: Arc<dyn Measure>,
}

/// What a request may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest body.
    pub max_body_bytes: usize,
    /// From the first line of a request to its answer.
    pub request_timeout: Duration,
}

pub use futures_util::future::BoxFuture;

/// What was asked does not answer at the moment. Whoever makes this has logged why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this cannot be answered at the moment")]
pub struct Unavailable;

/// By what a caller shows who they are.
#[derive(Clone, Copy)]
pub enum Credential<'c> {
    /// A token of the `Authorization` header.
    Bearer(&'c str),
    /// The token of the session cookie.
    Session(&'c str),
}

/// Without the token.
impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(…)",
            Self::Session(_) => "Session(…)",
        })
    }
}

/// Tells who a credential belongs to.
pub trait Authenticate: Send + Sync + 'static {
    /// The principal; `None` when the token is unknown or no longer good.
    fn authenticate<'a>(
        &'a self,
        credential: Credential<'a>,
    ) -> BoxFuture<'a, Result<Option<Principal>, Unavailable>>;

    /// The token that calls in this session carry in `x-csrf-token`. Only who knows the session's token can make it.
    fn csrf_token(&self, session: &str) -> String;
}

/// Knows of commands that are there only for a while, such as those of the first setup.
pub trait Openings: Send + Sync + 'static {
    /// Whether a command is one of them. Asked once, when routes are made.
    fn concern(&self, command: CommandId) -> bool;

    /// Whether they are there now. While they are not, they answer like what does not exist.
    fn are_open(&self) -> BoxFuture<'_, Result<bool, Unavailable>>;
}

/// A tenant that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolvedTenant {
    /// Which one.
    pub id: TenantId,
    /// Whether it may act.
    pub standing: Standing,
}

/// Whether a tenant may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Active,
    /// An operator took that from it.
    Suspended,
    /// It is not registered to the end.
    Pending,
}

/// Knows tenants. What is deleted is not there.
pub trait ResolveTenant: Send + Sync + 'static {
    /// The tenant with this slug.
    fn by_slug<'a>(&'a self, slug: &'a str) -> BoxFuture<'a, Result<Option<ResolvedTenant>, Unavailable>>;

    /// The tenant with this id, the platform's own included.
    fn by_id(&self, id: TenantId) -> BoxFuture<'_, Result<Option<ResolvedTenant>, Unavailable>>;

    /// The tenant that a request to this host, in lower case and without port, is for when nothing else says so.
    fn by_host<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Option<ResolvedTenant>, Unavailable>>;
}

/// Says whether the process can serve.
pub trait Ready: Send + Sync + 'static {
    /// Nothing, or why it cannot: a text that is safe to show to anyone.
    fn ready(&self) -> BoxFuture<'_, Result<(), String>>;

    /// What fails and keeps nobody from being served: names that are safe to show to anyone.
    fn failing(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Knows what is measured.
pub trait Measure: Send + Sync + 'static {
    /// All of it as it is now, as the text of `OpenMetrics` 1.0.0. Nothing in it is a secret, or a text of a request.
    fn text(&self) -> Result<String, fmt::Error>;

    /// A request came in.
    fn began(&self) {}

    /// It was answered with a status, or with nothing, because its caller went away.
    fn ended(&self, _status: Option<u16>) {}
}
