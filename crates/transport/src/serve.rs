//! The accept loop: admits connections up to the limit, makes room, survives
//! what `accept` may fail with, and drains on shutdown.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::crowd::{Crowd, Place};
use crate::link::{Link, Order};
use crate::turned_away::turn_away;
use crate::{Limits, Request, connection};

/// Who is at the other end of a connection, as the kernel says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The address that connected.
    pub address: SocketAddr,
    /// Our own address that it connected to.
    pub local: SocketAddr,
}

/// What became of the connections when the listener was shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Connections that were still busy when [`Limits::drain_timeout`] had
    /// passed, and were cut.
    pub cut: usize,
}

/// How long to wait when `accept` fails for want of something.
const PAUSE: Duration = Duration::from_millis(50);

/// How long connections that were cut get to notice.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How many that found no place are told so at a time; more are just closed.
const TURNED_AWAY: usize = 64;

/// Serves HTTP/1.1 and 1.0 on `listener` until `shutdown` is ready, then drains.
///
/// `answer` is called with each request that passed the gate and with its
/// peer. If it panics, or takes longer than [`Limits::request_timeout`], the
/// peer gets a plain 500 or 503 problem. The target is in origin form, and
/// HTTP/1.1 requests have exactly one valid `Host`. Tunnels, `OPTIONS *` and upgrades
/// are not served.
///
/// Draining: the listener closes, idle connections close at once, requests
/// that run are answered with `Connection: close`, and what is left after
/// [`Limits::drain_timeout`] is cut. If the future is dropped, everything is
/// cut.
pub async fn serve<F, Fut, B>(
    listener: TcpListener,
    limits: Limits,
    answer: F,
    shutdown: impl Future<Output = ()> + Send,
) -> Served
where
    F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    serve_on(listener, limits, answer, shutdown).await
}

/// Where connections come from.
pub(crate) trait Accept {
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Self::Io, Peer)>>;
}

impl Accept for TcpListener {
    type Io = TcpStream;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, Peer)>> {
        let (stream, address) = ready!(TcpListener::poll_accept(self, context))?;
        // Answers are written whole; waiting to fill a segment only adds delay.
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        Poll::Ready(Ok((stream, Peer { address, local })))
    }
}

pub(crate) async fn serve_on<A, F, Fut, B>(
    mut listener: A,
    limits: Limits,
    answer: F,
    shutdown: impl Future<Output = ()> + Send,
) -> Served
where
    A: Accept + Send,
    F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let door = Door::new(limits);
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = poll_fn(|context| listener.poll_accept(context)) => accepted,
        };
        match accepted {
            Ok((io, peer)) => door.admit(io, peer, &answer),
            Err(error) => tokio::select! {
                () = &mut shutdown => break,
                () = door.recover(&error) => {}
            },
        }
    }
    drop(listener);
    door.drain().await
}

struct Door {
    limits: Arc<Limits>,
    crowd: Arc<Crowd>,
    turned_away: Arc<Semaphore>,
}

impl Door {
    fn new(limits: Limits) -> Self {
        Self {
            limits: Arc::new(limits),
            crowd: Arc::default(),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
        }
    }

    fn admit<Io, F, Fut, B>(&self, io: Io, peer: Peer, answer: &F)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        // One that was asked to make room goes in its own time; the newcomer need not wait.
        if self.crowd.size() >= self.limits.max_connections && !self.crowd.make_room() {
            return self.turn_away(io, peer);
        }
        let link = Arc::new(Link::new());
        let place = self.crowd.admit(Arc::clone(&link));
        let limits = Arc::clone(&self.limits);
        tokio::spawn(in_place(
            place,
            connection::drive(io, peer, limits, link, answer.clone()),
        ));
    }

    fn turn_away<Io>(&self, io: Io, peer: Peer)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        tracing::warn!(%peer.address, "no connection is free: turned away");
        if let Ok(permit) = Arc::clone(&self.turned_away).try_acquire_owned() {
            tokio::spawn(async move {
                turn_away(io).await;
                drop(permit);
            });
        }
    }

    /// A connection that broke before it was accepted is nothing. Anything else,
    /// such as running out of descriptors, would fail again at once.
    async fn recover(&self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::InvalidInput => tracing::debug!(%error, "a connection broke early"),
            _ => {
                tracing::error!(%error, "cannot accept connections");
                self.crowd.make_room();
                sleep(PAUSE).await;
            }
        }
    }

    async fn drain(&self) -> Served {
        self.crowd.give_all(Order::Drain);
        if timeout(self.limits.drain_timeout, self.crowd.emptied())
            .await
            .is_ok()
        {
            return Served { cut: 0 };
        }
        let cut = self.crowd.give_all(Order::Cut);
        let _ = timeout(LAST_WORDS, self.crowd.emptied()).await;
        Served { cut }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.crowd.give_all(Order::Cut);
    }
}

async fn in_place(place: Place, connection: impl Future<Output = ()>) {
    connection.await;
    drop(place);
}
