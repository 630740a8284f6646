use std::{
    collections::BTreeSet,
    fmt,
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Ambient, CommandId};

/// A tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TenantId(pub Uuid);

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who calls.
#[derive(Clone, Debug)]
pub enum Principal {
    /// Nobody known.
    Anonymous,
    /// The process itself.
    System,
    /// Someone who has shown who they are.
    Authenticated(Arc<Authenticated>),
}

/// Someone who has shown who they are.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// A stable id, as the audit shows it.
    pub id: String,
    /// The tenant the principal belongs to.
    pub home: Option<TenantId>,
    /// What they may do.
    pub permissions: BTreeSet<&'static str>,
    /// Authenticator assurance level, 1 to 3 (NIST SP 800-63B).
    pub aal: u8,
    /// When they did.
    pub authenticated_at: Timestamp,
    /// The session they call in; none for a token that authenticates each call anew.
    pub session: Option<Uuid>,
}

impl Principal {
    /// As the audit shows it.
    pub fn actor(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::System => "system",
            Self::Authenticated(who) => &who.id,
        }
    }
}

/// The text is empty, too long, or has characters that have no place in a header or a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {max} visible ASCII characters")]
pub struct InvalidText {
    max: usize,
}

fn visible_ascii(text: &str, max: usize) -> Result<Arc<str>, InvalidText> {
    if (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.into())
    } else {
        Err(InvalidText { max })
    }
}

/// Ties together everything one request caused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CorrelationId(Arc<str>);

impl CorrelationId {
    /// Takes over a caller's id: 1 to 128 visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        visible_ascii(text, 128).map(Self)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for CorrelationId {
    fn from(id: Uuid) -> Self {
        Self((&*id.hyphenated().encode_lower(&mut Uuid::encode_buffer())).into())
    }
}

/// A caller's promise that calls with the same key are the same call (semantics 5.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// 1 to 255 visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        visible_ascii(text, 255).map(Self)
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The trace a call belongs to (W3C Trace Context, version 00).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Of the whole trace.
    pub trace: [u8; 16],
    /// Of the calling span.
    pub span: [u8; 8],
}

impl TraceContext {
    /// Reads a `traceparent` header. A malformed one is no trace, as the standard says.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version.len() != 2
            || version == "ff"
            || flags.len() != 2
            || (version == "00" && parts.next().is_some())
        {
            return None;
        }
        let context = Self { trace: lower_hex(trace)?, span: lower_hex(span)? };
        (context.trace != [0; 16] && context.span != [0; 8]).then_some(context)
    }
}

fn lower_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}

/// What surrounds one call: for whom, by whom, until when. Cheap to clone: one count goes up.
#[derive(Clone, Debug)]
pub struct Cx {
    /// Shared by all clones; whoever states something else makes a copy of their own.
    surroundings: Arc<Surroundings>,
    /// By value, because the column states it for every call.
    deadline: Option<Timestamp>,
    /// By value too.
    call: Option<Arc<Call>>,
}

/// A call of a command that may change something. Its id is also that of the event that records its end.
#[derive(Debug)]
pub struct Call {
    id: Uuid,
    command: CommandId,
    started: Timestamp,
    marked: AtomicBool,
}

impl Call {
    /// A call that begins.
    pub fn new(ambient: &Ambient, command: CommandId, started: Timestamp) -> Self {
        Self { id: ambient.uuid_at(started), command, started, marked: AtomicBool::new(false) }
    }

    /// Unique.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// What was called.
    pub const fn command(&self) -> CommandId {
        self.command
    }

    /// When.
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// Notes that a store may keep a mark of this call, to be taken away when its end is recorded.
    pub fn mark(&self) {
        self.marked.store(true, Ordering::Release);
    }

    /// Whether a store may keep a mark of it.
    pub fn is_marked(&self) -> bool {
        self.marked.load(Ordering::Acquire)
    }
}

#[derive(Clone, Debug)]
struct Surroundings {
    ambient: Ambient,
    tenant: Option<TenantId>,
    principal: Principal,
    correlation: CorrelationId,
    trace: Option<TraceContext>,
    idempotency_key: Option<IdempotencyKey>,
    peer: Option<IpAddr>,
    recognized: Option<Arc<OnceLock<Arc<str>>>>,
}

impl Cx {
    /// A call by `principal`, on behalf of no tenant, with a fresh correlation id and no deadline.
    pub fn new(ambient: Ambient, principal: Principal) -> Self {
        let correlation = ambient.uuid().into();
        Self::correlated(ambient, principal, correlation)
    }

    /// A call by `principal` as part of a caller's request, on behalf of no tenant and with no deadline.
    pub fn correlated(ambient: Ambient, principal: Principal, correlation: CorrelationId) -> Self {
        let recognized = matches!(principal, Principal::Anonymous).then(Arc::default);
        let surroundings = Surroundings {
            correlation,
            ambient,
            tenant: None,
            principal,
            trace: None,
            idempotency_key: None,
            peer: None,
            recognized,
        };
        Self { surroundings: Arc::new(surroundings), deadline: None, call: None }
    }

    fn stating(mut self, state: impl FnOnce(&mut Surroundings)) -> Self {
        state(Arc::make_mut(&mut self.surroundings));
        self
    }

    /// On behalf of a tenant.
    #[must_use]
    pub fn with_tenant(self, tenant: TenantId) -> Self {
        self.stating(|it| it.tenant = Some(tenant))
    }

    /// As part of a caller's request.
    #[must_use]
    pub fn with_correlation(self, correlation: CorrelationId) -> Self {
        self.stating(|it| it.correlation = correlation)
    }

    /// As part of a trace.
    #[must_use]
    pub fn with_trace(self, trace: TraceContext) -> Self {
        self.stating(|it| it.trace = Some(trace))
    }

    /// To be stopped this long from now.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.deadline = self.now().checked_add(timeout).ok();
        self
    }

    /// To be stopped at this instant.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Timestamp) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// As this call of a command, or as none that changes anything.
    #[must_use]
    pub fn with_call(mut self, call: Option<Arc<Call>>) -> Self {
        self.call = call;
        self
    }

    /// Under a caller's idempotency key.
    #[must_use]
    pub fn with_idempotency_key(self, key: IdempotencyKey) -> Self {
        self.stating(|it| it.idempotency_key = Some(key))
    }

    /// From this address.
    #[must_use]
    pub fn with_peer(self, peer: IpAddr) -> Self {
        self.stating(|it| it.peer = Some(peer))
    }

    /// Notes whom a call by nobody known concerns, such as the account that someone signs in to. The audit shows it; it
    /// gives no right. The first note stays.
    pub fn recognize(&self, actor: &str) {
        if let Some(recognized) = &self.surroundings.recognized {
            let _ = recognized.set(actor.into());
        }
    }

    /// Whom the call was found to concern.
    pub fn recognized(&self) -> Option<&str> {
        self.surroundings.recognized.as_ref()?.get().map(AsRef::as_ref)
    }

    /// The address it came from, where it came from outside.
    pub fn peer(&self) -> Option<IpAddr> {
        self.surroundings.peer
    }

    /// The tenant on whose behalf the call runs.
    pub fn tenant(&self) -> Option<TenantId> {
        self.surroundings.tenant
    }

    /// Who calls.
    pub fn principal(&self) -> &Principal {
        &self.surroundings.principal
    }

    /// The request it belongs to.
    pub fn correlation(&self) -> &CorrelationId {
        &self.surroundings.correlation
    }

    /// The trace it belongs to.
    pub fn trace(&self) -> Option<TraceContext> {
        self.surroundings.trace
    }

    /// When it will be stopped.
    pub const fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// The call of a command that runs, where it may change something.
    pub fn call(&self) -> Option<&Call> {
        self.call.as_deref()
    }

    /// The caller's idempotency key.
    pub fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.surroundings.idempotency_key.as_ref()
    }

    /// Time and randomness.
    pub fn ambient(&self) -> &Ambient {
        &self.surroundings.ambient
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.ambient().now()
    }

    /// A fresh, time-ordered id.
    pub fn uuid(&self) -> Uuid {
        self.ambient().uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceContext::parse(good).unwrap().span, [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 2, 0xb7]);
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-ü+f92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_correlation_id_holds_nothing_that_could_forge_a_log_line() {
        assert!(CorrelationId::parse("order-17/3").is_ok());
        for bad in ["", "a b", "a\nb", "é", &"x".repeat(129)] {
            assert!(CorrelationId::parse(bad).is_err(), "{bad}");
        }
    }
}
