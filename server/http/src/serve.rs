//! From a socket to requests: connections, one after the other and each on its own.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{Request, StatusCode},
};
use futures_util::{FutureExt as _, StreamExt as _, future::Either, stream::FuturesUnordered};
use hyper::{
    body::{Body as _, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kernel::{Ambient, CorrelationId};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    BoxFuture, Routes, Tls,
    failure::Failure,
    seats::{Seat, Seats},
    wire::{Bounds, Wire, refusal},
};

/// Largest head of a request: its first line and its fields.
const HEAD_BYTES: usize = 64 * 1024;

/// Most fields of a head.
const HEAD_FIELDS: usize = 100;

/// Files that are open besides connections: the database, the log, licenses.
const OTHER_FILES: u64 = 128;

/// How long, and how much, what a client still sends is read after the last answer: closed on it, a connection is reset, and
/// the answer may be lost.
const LINGERING: (Duration, u64) = (Duration::from_secs(2), 4 * 1024 * 1024);

/// How connections are taken, and what each may take up.
#[derive(Clone, Debug)]
pub struct Connections {
    /// Most at a time. For one more, the connection is closed that has waited longest for its client.
    pub most: u32,
    /// How long a connection without a request stays open.
    pub idle: Duration,
    /// How long a client may take to send the head of a request, for TLS to begin, and to take in an answer.
    pub patience: Duration,
    /// What TLS is served with. Not stated, it ends at the proxy before this server, or nowhere.
    pub tls: Option<Arc<Tls>>,
    /// Time and randomness.
    pub ambient: Ambient,
}

/// Serves HTTP/1.1 until `shutdown` resolves, then takes no more connections and gives running requests `grace` to finish.
/// What still runs after that ends with the runtime.
pub async fn serve(
    listener: TcpListener,
    routes: Routes,
    connections: Connections,
    shutdown: impl Future<Output = ()> + Send,
    grace: Duration,
) -> io::Result<()> {
    let seats = Seats::new(room(connections.most));
    let (stop, stopping) = watch::channel(false);
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The client's end: it went away before it was let in.
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                seats.make_room();
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(seat) = seats.take() else {
            turn_away(&stream, &connections);
            continue;
        };
        let _ = stream.set_nodelay(true);
        let guest = Guest { connections: connections.clone(), routes: routes.clone(), peer, seat };
        tokio::spawn(guest.served(stream, stopping.clone()));
    }
    drop((listener, stopping));
    stop.send_replace(true);
    if timeout(grace, stop.closed()).await.is_err() {
        tracing::warn!("requests were still running when the grace period ended");
    }
    Ok(())
}

/// How many connections there may be with the files this process may open, of which it takes as many as it can have.
fn room(most: u32) -> usize {
    let wanted = u64::from(most) + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let mut files = current.unwrap_or(u64::MAX);
    if files < wanted {
        let raised = maximum.unwrap_or(u64::MAX).min(wanted);
        if setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_ok() {
            files = raised;
        }
    }
    let room = wanted.min(files).saturating_sub(OTHER_FILES).max(1);
    if room < u64::from(most) {
        tracing::warn!(
            room,
            most,
            "there is room for fewer connections: this process may open too few files"
        );
    }
    usize::try_from(room).unwrap_or(usize::MAX)
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// There is no seat: said to those who can read it.
fn turn_away(stream: &TcpStream, connections: &Connections) {
    if connections.tls.is_none() {
        let message = "there are more connections than this server takes";
        let failure = Failure::new("too_many_connections", kernel::Category::Unavailable, message);
        // Fits into the buffer of a socket that is new.
        let _ = stream.try_write(&raw(&failure, &connections.ambient));
    }
}

/// A refusal as bytes, for where there is no request to answer.
fn raw(failure: &Failure, ambient: &Ambient) -> Vec<u8> {
    failure.raw(&CorrelationId::from(ambient.uuid()))
}

/// A connection.
struct Guest {
    connections: Connections,
    routes: Routes,
    peer: SocketAddr,
    seat: Arc<Seat>,
}

impl Guest {
    async fn served(self, stream: TcpStream, mut stopping: watch::Receiver<bool>) {
        let patience = self.connections.patience;
        // Before the first byte there is nothing to hold memory for.
        let mut first = [0];
        let speaks = tokio::select! {
            speaks = timeout(self.connections.idle, stream.peek(&mut first)) => matches!(speaks, Ok(Ok(1))),
            () = self.seat.asked_to_leave() => false,
            _ = stopping.wait_for(|stop| *stop) => false,
        };
        if !speaks {
            return;
        }
        let Some(tls) = self.connections.tls.clone() else {
            return self.conversation(stream, stopping).await;
        };
        let secured = tokio::select! {
            secured = timeout(patience, tls.accept(stream)) => secured,
            () = self.seat.asked_to_leave() => return,
        };
        match secured {
            Ok(Ok(stream)) => self.conversation(stream, stopping).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS did not begin"),
            Err(_) => tracing::debug!("TLS did not begin in time"),
        }
    }

    /// Boxed before it is waited for: a connection that says nothing has no room for it.
    fn conversation<S>(self, stream: S, stopping: watch::Receiver<bool>) -> BoxFuture<'static, ()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Box::pin(self.converse(stream, stopping))
    }

    async fn converse<S>(self, stream: S, mut stopping: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { connections, routes, peer, seat } = self;
        let bounds = Bounds { idle: connections.idle, patience: connections.patience };
        let ambient = connections.ambient;
        let wire = Wire::new(stream, Arc::clone(&seat), bounds, move |status| {
            tracing::debug!(%status, "what arrived is no request");
            raw(&refusal(status), &ambient)
        });
        let (routes, seat) = (&routes, &seat);
        let service = service_fn(move |request: Request<Incoming>| {
            seat.has_head();
            let request = request.map(|incoming| Arriving::new(incoming, seat));
            // Not boxed: a connection that has begun to speak keeps room for an answer, and no request asks for it anew.
            routes.answer(peer, request).inspect(|_| seat.waits())
        });
        let mut http = http1::Builder::new();
        http.header_read_timeout(None)
            .max_headers(HEAD_FIELDS)
            .max_header_size(HEAD_BYTES)
            .max_buf_size(HEAD_BYTES);
        let mut connection = http.serve_connection(TokioIo::new(wire), service);
        let left = seat.asked_to_leave().map(|()| End::Now);
        let stopped = stopping.wait_for(|stop| *stop).map(|_| End::Soon);
        // Each is asked when it has something to say, and not with every request.
        let mut ends = FuturesUnordered::from_iter([Either::Left(left), Either::Right(stopped)]);
        let mut stops = false;
        loop {
            tokio::select! {
                // What a client has sent comes before what would end its connection.
                biased;
                _ = &mut connection => break,
                Some(end) = ends.next() => match end {
                    End::Now => return,
                    End::Soon => {
                        stops = true;
                        Pin::new(&mut connection).graceful_shutdown();
                    }
                },
            }
        }
        let parts = connection.into_parts();
        let mut wire = parts.io.into_inner();
        if wire.is_slow() && !parts.read_buf.is_empty() {
            let late = wire.refusal(StatusCode::REQUEST_TIMEOUT);
            let _ = wire.write_all(&late).await;
        }
        if !stops {
            linger(wire, seat).await;
        }
    }
}

/// What ends a connection from without.
enum End {
    /// Somebody else needs its room.
    Now,
    /// The server stops; what runs may finish.
    Soon,
}

/// Lets a client finish what it was saying, so that it gets to read what it was answered.
async fn linger(mut wire: impl AsyncRead + AsyncWrite + Unpin, seat: &Seat) {
    let (time, most) = LINGERING;
    let reading = async {
        wire.shutdown().await?;
        tokio::io::copy(&mut wire.take(most), &mut tokio::io::sink()).await
    };
    tokio::select! {
        _ = timeout(time, reading) => {}
        () = seat.asked_to_leave() => {}
    }
}

/// The body of a request. Once all of it is there, the server works for its connection.
pub(crate) struct Arriving {
    incoming: Incoming,
    seat: Arc<Seat>,
}

impl Arriving {
    fn new(incoming: Incoming, seat: &Arc<Seat>) -> Self {
        if incoming.is_end_stream() {
            seat.works();
        }
        Self { incoming, seat: Arc::clone(seat) }
    }
}

impl hyper::body::Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.incoming.is_end_stream() {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        if frame.is_none() || self.incoming.is_end_stream() {
            self.seat.works();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
