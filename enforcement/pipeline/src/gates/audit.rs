use std::sync::Arc;

use audit::Recorder;
use descriptors::{
    access::{Access, Audience},
    route::{HttpRoute, Method},
};
use kernel::{Call, CommandIndex, Cx, Dispatch, Entry, Registry, TraceContext};

use super::{
    Answer,
    told::{Report, Told},
};
use crate::{
    calls::Begun,
    observe::{Ended, Observe},
};

/// Gives each call a span of its own in its trace, and tells its outcome once: the observer and the log. Changes none. A
/// call that is cancelled has an outcome too.
pub(crate) struct Audit<S> {
    registry: Arc<Registry>,
    kinds: Box<[Kind]>,
    recorder: Recorder,
    observer: Arc<dyn Observe>,
    inner: S,
}

impl<S: Dispatch<Begun>> Dispatch<Begun> for Audit<S> {
    #[expect(clippy::manual_async_fn, reason = "an `async fn` keeps its argument twice while it runs")]
    fn dispatch(&self, mut call: Begun) -> impl Future<Output = Answer> + Send {
        async move {
            let mut running = self.begin(&mut call);
            let answer = self.inner.dispatch(call).await;
            running.end(Told::of(&answer));
            let kind = self.kinds[running.command.get()];
            if answer.is_ok() && kind == Kind::Glance {
                running.report = None;
                return answer;
            }
            let room = self.recorder.room().await;
            if let Some(report) = running.report.take() {
                room.take(report);
            }
            // Whoever is told of a change finds it in the log, whatever happens to this process (decision 11).
            if answer.is_ok() && kind == Kind::Change {
                self.recorder.settle().await;
            }
            answer
        }
    }
}

impl<S> Audit<S> {
    pub(crate) fn new(
        registry: Arc<Registry>,
        recorder: Recorder,
        observer: Arc<dyn Observe>,
        inner: S,
    ) -> Self {
        let kinds = registry.entries().map(|(_, entry)| Kind::of(entry)).collect();
        Self { registry, kinds, recorder, observer, inner }
    }
}

impl<S> Audit<S> {
    fn begin(&self, call: &mut Begun) -> Running<'_> {
        let Begun { invocation, at } = call;
        let id = self.registry.entry(invocation.command).id();
        // What its handler commits is marked as this call's, until its event is written. A look inside a change is neither.
        let changing = (self.kinds[invocation.command.get()] == Kind::Change)
            .then(|| Arc::new(Call::new(invocation.cx.ambient(), id, *at)));
        if changing.is_some() || invocation.cx.call().is_some() {
            invocation.cx = invocation.cx.clone().with_call(changing);
        }
        let parent = invocation.cx.trace();
        if let Some(own) = own_span(parent, &*self.observer, &invocation.cx) {
            invocation.cx = invocation.cx.clone().with_trace(own);
        }
        Running {
            recorder: &self.recorder,
            observer: &*self.observer,
            command: invocation.command,
            parent,
            report: Some(Report {
                id,
                cx: invocation.cx.clone(),
                started: *at,
                ended: *at,
                told: Told::Cancelled,
            }),
            seen: false,
        }
    }
}

fn own_span(parent: Option<TraceContext>, observer: &dyn Observe, cx: &Cx) -> Option<TraceContext> {
    let span = || cx.ambient().bytes();
    match parent {
        Some(parent) => Some(TraceContext { span: span(), ..parent }),
        None if observer.traces() => Some(TraceContext { trace: cx.ambient().bytes(), span: span() }),
        None => None,
    }
}

/// A call whose outcome is not told yet. Dropped so, it was cancelled, and that is told.
struct Running<'a> {
    recorder: &'a Recorder,
    observer: &'a dyn Observe,
    command: CommandIndex,
    parent: Option<TraceContext>,
    /// None once it is told.
    report: Option<Report>,
    /// Whether the observer has been told.
    seen: bool,
}

impl Running<'_> {
    /// Learns how it ended, and tells the observer.
    fn end(&mut self, told: Told) {
        let Some(report) = &mut self.report else { return };
        report.told = told;
        report.ended = report.cx.now();
        self.seen = true;
        self.observer.ended(&Ended {
            command: self.command,
            cx: &report.cx,
            parent: self.parent,
            started: report.started,
            ended: report.ended,
            ending: report.told.ending(),
        });
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.seen {
            self.end(Told::Cancelled);
        }
        if let Some(report) = self.report.take() {
            self.recorder.try_record(report);
        }
    }
}

/// What a success of a command comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Something was changed.
    Change,
    /// Something was looked at.
    Look,
    /// Something was looked at that anyone may see, any number of times.
    Glance,
}

impl Kind {
    /// A command whose own route is a GET changes nothing; of others nothing of the kind is known.
    fn of(entry: &Entry) -> Self {
        let Some(contract) = entry.contract() else { return Self::Change };
        let route = contract.facet::<HttpRoute>();
        if route.is_none_or(|route| route.method() != Method::GET) {
            return Self::Change;
        }
        let public = contract.facet::<Access>().is_some_and(|access| access.audience() == Audience::Public);
        if public { Self::Glance } else { Self::Look }
    }
}
