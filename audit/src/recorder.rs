use std::collections::VecDeque;
use std::fmt::Display;
use std::future::ready;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::{Event, Sink};

/// Where events are handed in. Clones feed the same task and the same sink.
///
/// Nothing here fails: what became of the events is seen by [`backlog`](Self::backlog), [`dropped`](Self::dropped),
/// [`failing`](Self::failing) and [`unsettled`](Self::unsettled).
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Message>,
    state: Arc<State>,
    settling: Duration,
}

/// How much may pile up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Events handed in and not yet looked at; [`Recorder::record`] waits for room.
    pub queue: usize,
    /// Events that wait for a failing sink.
    pub backlog: usize,
    /// What becomes of later ones.
    pub overflow: Overflow,
    /// Events offered to the sink at once.
    pub batch: usize,
    /// How long one attempt of the sink may take.
    pub patience: Duration,
    /// How long [`Recorder::settle`] waits for the sink.
    pub settling: Duration,
    /// The pause after the first failure; it doubles with each further one, up to a hundredfold.
    pub retry: Duration,
}

/// What becomes of events when the backlog is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// They are dropped and counted; nobody waits.
    Drop,
    /// Who hands one in waits until there is room. Only what cannot wait is dropped and counted: what is left when the task is
    /// to end, and reports of callers that went away.
    Block,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue: 1024,
            backlog: 100_000,
            overflow: Overflow::Drop,
            batch: 256,
            patience: Duration::from_secs(10),
            settling: Duration::from_secs(2),
            retry: Duration::from_millis(100),
        }
    }
}

enum Message {
    Report(Box<dyn Report>),
    Flush(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// What becomes an event. The recorder's task makes the event of it, so that whoever saw it happen need not.
pub trait Report: Send + 'static {
    /// The event.
    fn into_event(self: Box<Self>) -> Event;
}

impl Report for Event {
    fn into_event(self: Box<Self>) -> Event {
        *self
    }
}

/// Room in the queue for one report.
#[derive(Debug)]
#[must_use = "room that is not taken is given back"]
pub struct Room<'a> {
    /// None when the recorder has been closed.
    place: Option<mpsc::Permit<'a, Message>>,
    state: &'a State,
}

impl Room<'_> {
    /// Hands in a report. When the recorder has been closed, it is dropped and counted.
    pub fn take(self, report: impl Report) {
        if let Some(place) = self.place {
            self.state.backlog.fetch_add(1, Ordering::Relaxed);
            place.send(Message::Report(Box::new(report)));
        } else {
            self.state.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[derive(Debug, Default)]
struct State {
    backlog: AtomicUsize,
    dropped: AtomicU64,
    unsettled: AtomicU64,
    is_failing: AtomicBool,
    /// Told when the task is to end, whoever waits.
    closing: Notify,
    failure: Mutex<Option<String>>,
}

impl Recorder {
    /// Starts the task that feeds `sink`, on the current runtime. It ends with [`close`](Self::close), or when the last
    /// clone is dropped.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or inside one without timers.
    pub fn start(sink: impl Sink, limits: Limits) -> Self {
        let (queue, inbox) = mpsc::channel(limits.queue);
        let state = Arc::new(State::default());
        let writer = Writer {
            sink,
            limits,
            inbox,
            state: state.clone(),
            waiting: Vec::new(),
            accepted: 0,
            settled: 0,
            flushes: VecDeque::new(),
            closers: Vec::new(),
            failures: 0,
        };
        tokio::spawn(writer.run());
        Self { queue, state, settling: limits.settling }
    }

    /// Hands in a report; waits while the queue is full: at most as long as the sink's attempt takes, or, where the backlog
    /// [blocks](Overflow::Block), as long as it is full. A report whose caller stops waiting is not recorded: a drop guard uses
    /// [`try_record`](Self::try_record).
    pub async fn record(&self, report: impl Report) {
        self.room().await.take(report);
    }

    /// Room for one report, once there is some.
    pub async fn room(&self) -> Room<'_> {
        let place = match self.queue.try_reserve() {
            Ok(place) => Some(place),
            Err(TrySendError::Closed(())) => None,
            Err(TrySendError::Full(())) => self.queue.reserve().await.ok(),
        };
        Room { place, state: &self.state }
    }

    /// Hands in a report if there is room for it at once, and gives it back if there is not.
    pub fn offer<R: Report>(&self, report: R) -> Option<R> {
        match self.queue.try_reserve() {
            Err(TrySendError::Full(())) => Some(report),
            place => {
                Room { place: place.ok(), state: &self.state }.take(report);
                None
            }
        }
    }

    /// Hands in a report without waiting. When the queue is full, it is dropped and counted.
    pub fn try_record(&self, report: impl Report) {
        Room { place: self.queue.try_reserve().ok(), state: &self.state }.take(report);
    }

    /// Waits until everything recorded before is written, or given up.
    pub async fn flush(&self) {
        self.ask(Message::Flush).await;
    }

    /// Waits until everything recorded before is written, and tells whether it is. It does not wait for a sink that fails,
    /// nor longer than [`Limits::settling`]: a failing sink changes no outcome.
    pub async fn settle(&self) -> bool {
        let failing = self.state.is_failing.load(Ordering::Relaxed);
        let settled = !failing
            && timeout(self.settling, self.flush()).await.is_ok()
            && !self.state.is_failing.load(Ordering::Relaxed);
        if !settled {
            self.state.unsettled.fetch_add(1, Ordering::Relaxed);
        }
        settled
    }

    /// Writes what is left, with one last attempt if the sink is failing, and ends the task. Later events are dropped.
    pub async fn close(&self) {
        self.state.closing.notify_one();
        self.ask(Message::Close).await;
    }

    async fn ask(&self, message: fn(oneshot::Sender<()>) -> Message) {
        let (reply, answer) = oneshot::channel();
        // A task that is gone has nothing left to write.
        if self.queue.send(message(reply)).await.is_ok() {
            let _ended = answer.await;
        }
    }

    /// Events handed in and not yet written.
    pub fn backlog(&self) -> usize {
        self.state.backlog.load(Ordering::Relaxed)
    }

    /// Events lost since the start: handed in when the queue or the backlog was full, or left when the task ended.
    pub fn dropped(&self) -> u64 {
        self.state.dropped.load(Ordering::Relaxed)
    }

    /// How often [`settle`](Self::settle) did not see its events written.
    pub fn unsettled(&self) -> u64 {
        self.state.unsettled.load(Ordering::Relaxed)
    }

    /// Why the last attempt of the sink failed; `None` when it succeeded.
    pub fn failing(&self) -> Option<String> {
        self.state.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The task behind the recorders. While the sink fails it goes on taking events in, so that callers do not wait for it before
/// the backlog is full.
struct Writer<S> {
    sink: S,
    limits: Limits,
    inbox: mpsc::Receiver<Message>,
    state: Arc<State>,
    waiting: Vec<Event>,
    /// How many events there have been, and how many of them are written or given up.
    accepted: u64,
    settled: u64,
    /// Who waits for how many of them.
    flushes: VecDeque<(u64, oneshot::Sender<()>)>,
    /// Answered by being dropped, when the task ends.
    closers: Vec<oneshot::Sender<()>>,
    failures: u32,
}

impl<S: Sink> Writer<S> {
    async fn run(mut self) {
        let mut messages = Vec::new();
        let mut pause = pin!(sleep(Duration::ZERO));
        loop {
            let failing = self.failures > 0;
            let blocked =
                self.limits.overflow == Overflow::Block && self.waiting.len() >= self.limits.backlog;
            tokio::select! {
                // In this order: a stream of events keeps the sink from neither its next chance nor its next batch.
                biased;
                () = &mut pause, if failing => {}
                () = self.state.closing.notified(), if blocked => {
                    self.limits.overflow = Overflow::Drop;
                    continue;
                }
                received = self.inbox.recv_many(&mut messages, self.limits.batch), if !blocked => {
                    if received == 0 {
                        break;
                    }
                    messages.drain(..).for_each(|message| self.take(message));
                    if failing {
                        continue;
                    }
                }
                () = ready(()), if !failing && !self.waiting.is_empty() => {}
            }
            self.write_batch().await;
            pause.set(sleep(self.pause()));
        }
        while self.write_batch().await {}
        self.give_up();
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Report(report) => {
                let event = report.into_event().fitted();
                trace(&event);
                if self.waiting.len() < self.limits.backlog || self.limits.overflow == Overflow::Block {
                    self.waiting.push(event);
                    self.accepted += 1;
                } else {
                    self.state.drop_events(1);
                }
            }
            Message::Flush(reply) => self.flushes.push_back((self.accepted, reply)),
            // What is already in the queue is still received; then `run` ends.
            Message::Close(reply) => {
                self.inbox.close();
                self.closers.push(reply);
            }
        }
    }

    /// Offers the sink one batch, and tells whether it took it and there is more. One batch at a time, so that a long
    /// backlog keeps no caller waiting either.
    async fn write_batch(&mut self) -> bool {
        if !self.waiting.is_empty() {
            let batch = &self.waiting[..self.waiting.len().min(self.limits.batch)];
            match timeout(self.limits.patience, self.sink.write(batch)).await {
                Ok(Ok(())) => self.written(batch.len()),
                Ok(Err(error)) => self.failed(&story(&error)),
                Err(elapsed) => self.failed(&elapsed),
            }
        }
        // Those for whom all is written; not those behind whose events others came.
        while let Some((_, reply)) = self.flushes.pop_front_if(|(awaited, _)| *awaited <= self.settled) {
            let _nobody_waits_any_more = reply.send(());
        }
        self.failures == 0 && !self.waiting.is_empty()
    }

    fn written(&mut self, count: usize) {
        self.waiting.drain(..count);
        self.settled += count as u64;
        self.state.backlog.fetch_sub(count, Ordering::Relaxed);
        if self.failures > 0 {
            tracing::info!("the audit sink works again");
            self.failures = 0;
            self.state.set_failure(None);
        }
    }

    fn failed(&mut self, error: &dyn Display) {
        if self.failures == 0 {
            tracing::error!(%error, "the audit sink fails; events are waiting");
        }
        self.failures = self.failures.saturating_add(1);
        self.state.set_failure(Some(error.to_string()));
    }

    fn pause(&self) -> Duration {
        self.limits.retry * 2_u32.saturating_pow(self.failures.saturating_sub(1)).min(100)
    }

    fn give_up(&mut self) {
        if !self.waiting.is_empty() {
            tracing::error!(events = self.waiting.len(), "audit events are lost");
            self.state.drop_events(self.waiting.len());
        }
    }
}

impl State {
    fn drop_events(&self, count: usize) {
        self.backlog.fetch_sub(count, Ordering::Relaxed);
        self.dropped.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn set_failure(&self, failure: Option<String>) {
        self.is_failing.store(failure.is_some(), Ordering::Relaxed);
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

pub(crate) fn trace(event: &Event) {
    tracing::info!(
        target: "audit",
        id = %event.id,
        event = &*event.name,
        time = %event.time,
        tenant = event.tenant,
        actor = event.actor,
        command = event.command.as_deref(),
        result = event.result.as_str(),
        error_code = event.error_code.as_deref(),
        correlation_id = event.correlation_id,
        trace_id = event.trace_id,
        span_id = event.span_id,
    );
}

/// The error and its causes on one line.
pub(crate) fn story(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |story, cause| format!("{story}: {cause}"))
}
