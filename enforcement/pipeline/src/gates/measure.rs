use std::sync::Arc;

use jiff::Timestamp;
use kernel::{CommandIndex, Cx, Dispatch, TraceContext};

use super::Answer;
use crate::{
    calls::Begun,
    observe::{Ended, Ending, Observe},
};

/// Gives each call a span of its own in its trace, and tells the observer how it ended. A call that is cancelled ends too.
pub(crate) struct Measure<S> {
    pub(crate) observer: Arc<dyn Observe>,
    pub(crate) inner: S,
}

impl<S: Dispatch<Begun>> Dispatch<Begun> for Measure<S> {
    fn dispatch(&self, mut call: Begun) -> impl Future<Output = Answer> + Send {
        let Begun { invocation, at } = &mut call;
        let parent = invocation.cx.trace();
        if let Some(own) = own_span(parent, &*self.observer, &invocation.cx) {
            invocation.cx = invocation.cx.clone().with_trace(own);
        }
        let mut running = Running {
            observer: &*self.observer,
            command: invocation.command,
            cx: invocation.cx.clone(),
            parent,
            started: *at,
            ending: Ending::Cancelled,
        };
        let call = self.inner.dispatch(call);
        async move {
            let answer = call.await;
            running.see(&answer);
            answer
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

struct Running<'o> {
    observer: &'o dyn Observe,
    command: CommandIndex,
    cx: Cx,
    parent: Option<TraceContext>,
    started: Timestamp,
    ending: Ending,
}

impl Running<'_> {
    fn see(&mut self, answer: &Answer) {
        self.ending = Ending::of(answer);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Self { command, cx, parent, started, ending, .. } = self;
        self.observer.ended(&Ended {
            command: *command,
            cx,
            parent: *parent,
            started: *started,
            ending: *ending,
        });
    }
}
