use std::{sync::Arc, time::Duration};

use kernel::{Dispatch, Invocation, Registry};
use tracing::Instrument;

use super::Answer;

/// A span for every call, and a deadline: the caller's own, but none later than what claims and reservations outlive.
pub(crate) struct Trace<S> {
    pub(crate) registry: Arc<Registry>,
    pub(crate) timeout: Duration,
    pub(crate) inner: S,
}

impl<S: Dispatch<Invocation>> Dispatch<Invocation> for Trace<S> {
    async fn dispatch(&self, mut invocation: Invocation) -> Answer {
        let stated = invocation.cx.deadline();
        invocation.cx = invocation.cx.with_timeout(self.timeout);
        if let Some(earlier) = stated.filter(|stated| Some(*stated) < invocation.cx.deadline()) {
            invocation.cx = invocation.cx.with_deadline(earlier);
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
        self.inner.dispatch(invocation).instrument(span).await
    }
}
