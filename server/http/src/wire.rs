//! Bytes of a connection, with bounds in time, and a body for refusals that have none.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

use crate::{failure::Failure, seats::Seat};

/// How a refusal of the HTTP library begins: it has no body, and no correlation id. Ours have.
const REFUSED: &[u8] = b"HTTP/1.1 4";

/// A stream of bytes.
///
/// The time between requests, the rest of a request's head, once it has begun, and taking in an answer have their bounds;
/// and what the HTTP library refuses by itself, before a request is one, is answered with the error body like everything
/// else.
pub(crate) struct Wire<S> {
    stream: S,
    seat: Arc<Seat>,
    bounds: Bounds,
    /// When something was last to be written.
    written: Instant,
    /// Runs on while requests come and go: setting it again for each would cost more.
    idle: Option<Pin<Box<Sleep>>>,
    /// The number of the head that is arriving, and since when more of it is waited for.
    head: Option<(u64, Option<Instant>)>,
    /// Runs while a head does not go on arriving.
    slow_head: Option<Pin<Box<Sleep>>>,
    /// Runs while an answer is not taken in.
    slow_answer: Option<Pin<Box<Sleep>>>,
    /// Writes a refusal that was found without a body.
    refuse: Box<dyn Fn(StatusCode) -> Vec<u8> + Send>,
    /// What is left to write of one.
    refusal: Vec<u8>,
}

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Until it begins a request.
    pub(crate) idle: Duration,
    /// For the rest of a head, and to take in an answer.
    pub(crate) patience: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(
        stream: S,
        seat: Arc<Seat>,
        bounds: Bounds,
        refuse: impl Fn(StatusCode) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let refuse = Box::new(refuse);
        Self {
            stream,
            seat,
            bounds,
            written: Instant::now(),
            idle: None,
            head: None,
            slow_head: None,
            slow_answer: None,
            refuse,
            refusal: Vec::new(),
        }
    }

    /// Whether a head had begun, and its time is over.
    pub(crate) fn is_slow(&self) -> bool {
        let began = self.head.and_then(|(_, began)| began);
        began.is_some_and(|began| began.elapsed() >= self.bounds.patience)
    }

    /// The answer to a request that is none.
    pub(crate) fn refusal(&self, status: StatusCode) -> Vec<u8> {
        (self.refuse)(status)
    }

    /// Writes what is left of a refusal.
    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.refusal))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.refusal.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Nothing arrives; while the next request is waited for, that may be so only for so long.
    fn poll_idle(&mut self, cx: &mut Context<'_>, waits: bool) -> Poll<io::Result<()>> {
        let idle = self.bounds.idle;
        let timer = self.idle.get_or_insert_with(|| Box::pin(sleep(idle)));
        loop {
            ready!(timer.as_mut().poll(cx));
            let now = Instant::now();
            let end = if waits { self.written + idle } else { now + idle };
            if end <= now {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset(end);
        }
    }

    /// What is pending may be so only for so long.
    fn bounded<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.slow_answer = None;
            return written;
        }
        let patience = self.bounds.patience;
        let slow = self.slow_answer.get_or_insert_with(|| Box::pin(sleep(patience)));
        slow.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let expected = self.seat.expected_head();
        if self.head.is_some_and(|(number, _)| Some(number) != expected) {
            (self.head, self.slow_head) = (None, None);
        }
        let Some(number) = expected else {
            // The HTTP library may not ask again before the next request.
            return if read.is_pending() { self.poll_idle(cx, false) } else { read };
        };
        if buffer.filled().len() > before {
            self.head.get_or_insert((number, None));
        }
        match (read, &mut self.head) {
            // The HTTP library asks again at once for what is left of a head.
            (Poll::Pending, Some((_, began))) => {
                let end = *began.get_or_insert_with(Instant::now) + self.bounds.patience;
                let slow = self.slow_head.get_or_insert_with(|| Box::pin(sleep_until(end)));
                slow.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
            (Poll::Pending, None) => self.poll_idle(cx, true),
            (read, _) => read,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Some(status) = refused_without_body(bytes) {
            this.refusal = (this.refuse)(status);
            return Poll::Ready(Ok(bytes.len()));
        }
        this.written = Instant::now();
        let written = match this.poll_refusal(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.stream).poll_write(cx, bytes),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        this.bounded(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flushed = match this.poll_refusal(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.stream).poll_flush(cx),
            other => other,
        };
        this.bounded(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let ended = match this.poll_refusal(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.stream).poll_shutdown(cx),
            other => other,
        };
        this.bounded(cx, ended)
    }
}

/// The status of an answer that is nothing but a refusal by the HTTP library.
fn refused_without_body(bytes: &[u8]) -> Option<StatusCode> {
    let head = bytes.strip_prefix(REFUSED).filter(|_| bytes.ends_with(b"\r\n\r\n"))?;
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text));
    let status = StatusCode::from_bytes(&[b'4', *head.first()?, *head.get(1)?]).ok()?;
    (has(b"\r\ncontent-length: 0\r\n") && !has(b"\r\nx-correlation-id:")).then_some(status)
}

/// What was refused, by the status the HTTP library has for it.
pub(crate) fn refusal(status: StatusCode) -> Failure {
    match status {
        StatusCode::REQUEST_TIMEOUT => {
            Failure::request(status, "request_timeout", "the head of the request did not arrive in time")
        }
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Failure::request(
            status,
            "headers_too_large",
            "the head of the request is larger than this server takes, or has more fields",
        ),
        StatusCode::URI_TOO_LONG => {
            Failure::request(status, "uri_too_long", "the address is longer than this server takes")
        }
        _ => Failure::request(status, "malformed_request", "this is not a request of HTTP/1.1"),
    }
}
