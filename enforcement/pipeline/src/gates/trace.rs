use std::{sync::Arc, time::Duration};

use futures_util::future::Either;
use kernel::{Dispatch, Invocation, Registry};
use tracing::Instrument;

use super::Answer;
use crate::calls::Begun;

/// A span for every call, and a deadline: the caller's own, but none later than what claims and reservations outlive.
pub(crate) struct Trace<S> {
    pub(crate) registry: Arc<Registry>,
    pub(crate) timeout: Duration,
    pub(crate) inner: S,
}

impl<S: Dispatch<Begun>> Dispatch<Invocation> for Trace<S> {
    fn dispatch(&self, mut invocation: Invocation) -> impl Future<Output = Answer> + Send {
        let at = invocation.cx.now();
        let latest = at.checked_add(self.timeout).ok();
        if let Some(deadline) = invocation.cx.deadline().into_iter().chain(latest).min() {
            invocation.cx = invocation.cx.with_deadline(deadline);
        }
        let id = self.registry.entry(invocation.command).id().as_str();
        let span = tracing::info_span!(
            "command",
            otel.name = %format_args!("command {id}"),
            chancery.command.id = id,
            chancery.tenant.id = invocation.cx.tenant().map(tracing::field::display),
            chancery.decision = tracing::field::Empty,
            correlation = invocation.cx.correlation().as_str(),
        );
        let call = self.inner.dispatch(Begun { invocation, at });
        // Where nobody subscribes, a span is worth no state.
        if span.is_disabled() { Either::Left(call) } else { Either::Right(call.instrument(span)) }
    }
}
