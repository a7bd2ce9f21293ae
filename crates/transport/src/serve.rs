//! The accept loop. It admits connections up to the limit, makes room for new ones,
//! survives the errors that `accept` may return, and drains on shutdown.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::accept::AcceptConnections;
use crate::buffers::BufferAccount;
use crate::connection_limit::{ConnectionLimit, NoPlace};
use crate::connection_state::{BusyRequests, ConnectionOrder, ConnectionState};
use crate::handshake::HandshakePolicy;
use crate::overload::{ThrottledWarning, reject};
use crate::refusal::RefusalHook;
use crate::{Listener, ListenerLimits, Peer, Request, connection};

/// How the connections ended when the listener was shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainOutcome {
    /// How many connections were still busy when [`ListenerLimits::drain_timeout`] had
    /// passed, and were cut.
    pub cut: usize,
}

/// How long to wait when `accept` fails because the system lacks a resource.
const PAUSE: Duration = Duration::from_millis(50);

/// How long to wait for connections that were cut to end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How many refused connections are answered at a time; more are just closed.
const MOST_REJECTIONS: usize = 64;
const MOST_SHARE_REJECTIONS: usize = 16;

/// Serves HTTP/1.1, 1.0 and 2 on `listener`, a TCP listener, a
/// [`SocketFile`](crate::SocketFile) or a [`Listener`], until `shutdown` is ready,
/// then drains.
///
/// `answer` is called with each request that passed the gate and with its
/// peer. If it panics, or takes longer than [`ListenerLimits::request_timeout`], the
/// peer gets a plain 500 or 503 problem. The target is in origin form, and
/// HTTP/1.1 requests have exactly one valid `Host`. CONNECT and `OPTIONS *` are not
/// served.
///
/// A GET over HTTP/1.1 that asks for another protocol than HTTP/2 carries an
/// [`OnUpgrade`](hyper::upgrade::OnUpgrade). If it is answered with 101 and an
/// `Upgrade` field, that yields the stream, of which nothing was read before; on any
/// other answer it yields nothing, and what the peer has sent is the next request.
/// Such a tunnel still counts as a connection, ends after
/// [`ListenerLimits::tunnel_idle_timeout`] without a byte, and is cut when the listener has
/// drained.
///
/// Draining: the listener closes, idle connections close at once, running requests
/// are answered with `Connection: close`, and connections that are left after
/// [`ListenerLimits::drain_timeout`] are cut. If the future is dropped, all connections are
/// cut.
pub async fn serve<F, Fut, B>(
    listener: impl Into<Listener>,
    limits: ListenerLimits,
    answer: F,
    shutdown: impl Future<Output = ()> + Send,
) -> DrainOutcome
where
    F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    serve_boxed(
        listener.into(),
        limits,
        boxed(answer),
        None,
        Box::pin(shutdown),
    )
    .await
}

/// Like [`serve`], but also calls `on_refusal` for each request that the service does not
/// answer: one that the gate refuses, that is overdue, or whose answer panicked; and for
/// each connection that is closed because of its TLS handshake or PROXY header. A
/// connection that is refused for lack of room has made no request.
pub async fn serve_told<F, Fut, B>(
    listener: impl Into<Listener>,
    limits: ListenerLimits,
    answer: F,
    on_refusal: Arc<RefusalHook>,
    shutdown: impl Future<Output = ()> + Send,
) -> DrainOutcome
where
    F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let told = Some(on_refusal);
    serve_boxed(
        listener.into(),
        limits,
        boxed(answer),
        told,
        Box::pin(shutdown),
    )
    .await
}

type BoxBodyError = Box<dyn Error + Send + Sync>;
type BoxServeFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type BoxAnswer = BoxServeFuture<'static, Response<UnsyncBoxBody<Bytes, BoxBodyError>>>;
type AnswerFn = Arc<dyn Fn(Request, Peer) -> BoxAnswer + Send + Sync>;

/// The answer function without its types: all that HTTP is made of would be compiled
/// once more for each listener of each program.
fn boxed<F, Fut, B>(answer: F) -> AnswerFn
where
    F: Fn(Request, Peer) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxBodyError>,
{
    Arc::new(move |request, peer| {
        let answer = answer(request, peer);
        Box::pin(async move {
            let unsync = |body: B| UnsyncBoxBody::new(body.map_err(Into::into));
            answer.await.map(unsync)
        })
    })
}

/// [`serve_on`] as it is compiled once, here: what an async function is made of is
/// compiled where it is first polled, or made an object.
fn serve_boxed(
    listener: Listener,
    limits: ListenerLimits,
    service: AnswerFn,
    on_refusal: Option<Arc<RefusalHook>>,
    shutdown: BoxServeFuture<'_, ()>,
) -> BoxServeFuture<'_, DrainOutcome> {
    let (socket, policy) = listener.parts();
    let answer = move |request, peer| service(request, peer);
    Box::pin(serve_on(
        socket, policy, limits, answer, on_refusal, shutdown,
    ))
}

pub(crate) async fn serve_on<A, F, Fut, B>(
    mut listener: A,
    policy: HandshakePolicy,
    limits: ListenerLimits,
    answer: F,
    on_refusal: Option<Arc<RefusalHook>>,
    shutdown: impl Future<Output = ()> + Send,
) -> DrainOutcome
where
    A: AcceptConnections + Send,
    F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let acceptor = ConnectionAcceptor::new(policy, limits, on_refusal);
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = poll_fn(|context| listener.poll_accept(context)) => accepted,
        };
        match accepted {
            Ok((io, peer)) => acceptor.admit(io, peer, &answer),
            Err(error) => tokio::select! {
                () = &mut shutdown => break,
                () = acceptor.recover(&error) => {}
            },
        }
    }
    drop(listener);
    acceptor.drain().await
}

struct ConnectionAcceptor {
    policy: HandshakePolicy,
    limits: Arc<ListenerLimits>,
    connections: Arc<ConnectionLimit>,
    rejections: Arc<Semaphore>,
    share_rejections: Arc<Semaphore>,
    full_warning: ThrottledWarning,
    share_warning: ThrottledWarning,
    busy_requests: Arc<AtomicUsize>,
    buffers: Arc<BufferAccount>,
    on_refusal: Option<Arc<RefusalHook>>,
}

impl ConnectionAcceptor {
    fn new(
        policy: HandshakePolicy,
        limits: ListenerLimits,
        on_refusal: Option<Arc<RefusalHook>>,
    ) -> Self {
        Self {
            policy,
            on_refusal,
            connections: Arc::new(ConnectionLimit::new(&limits)),
            buffers: Arc::new(BufferAccount::new(limits.max_buffered_bytes)),
            limits: Arc::new(limits),
            busy_requests: Arc::default(),
            rejections: Arc::new(Semaphore::new(MOST_REJECTIONS)),
            share_rejections: Arc::new(Semaphore::new(MOST_SHARE_REJECTIONS)),
            full_warning: ThrottledWarning::default(),
            share_warning: ThrottledWarning::default(),
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
        let busy_requests = BusyRequests::new(Arc::clone(&self.busy_requests));
        let state = Arc::new(ConnectionState::new(
            self.on_refusal.clone(),
            busy_requests,
            Arc::new(self.buffers.connection()),
        ));
        let holder = self.policy.holder(peer.address.ip());
        let place = match self.connections.admit(state, holder) {
            Ok(place) => place,
            Err(why) => return self.reject(io, peer, why),
        };
        let (policy, limits) = (self.policy.clone(), Arc::clone(&self.limits));
        let connection = connection::drive(io, peer, policy, limits, place, answer.clone());
        tokio::spawn(connection);
    }

    fn reject<Io>(&self, io: Io, peer: Peer, why: NoPlace)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (warning, rejections) = match why {
            NoPlace::Full => (&self.full_warning, &self.rejections),
            NoPlace::ShareTaken => (&self.share_warning, &self.share_rejections),
        };
        if let Some(others) = warning.count() {
            match why {
                NoPlace::Full => {
                    tracing::warn!(%peer.address, others, "all connections are in use: connection refused");
                }
                NoPlace::ShareTaken => tracing::warn!(
                    %peer.address, others,
                    "this address has reached its limit of connections (max_connections_per_address): connection refused"
                ),
            }
        }
        if !self.policy.is_open() {
            return; // it could not read the answer
        }
        if let Ok(permit) = Arc::clone(rejections).try_acquire_owned() {
            tokio::spawn(async move {
                reject(io).await;
                drop(permit);
            });
        }
    }

    /// A connection that broke before it was accepted is ignored. After any other error,
    /// such as too many open files, `accept` would fail again at once.
    async fn recover(&self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::InvalidInput => tracing::debug!(%error, "a connection broke early"),
            _ => {
                tracing::error!(%error, "cannot accept connections");
                self.connections.make_room();
                sleep(PAUSE).await;
            }
        }
    }

    async fn drain(&self) -> DrainOutcome {
        self.connections.give_all(ConnectionOrder::Drain);
        if timeout(self.limits.drain_timeout, self.connections.emptied())
            .await
            .is_ok()
        {
            return DrainOutcome { cut: 0 };
        }
        let cut = self.connections.give_all(ConnectionOrder::Cut);
        let _ = timeout(LAST_WORDS, self.connections.emptied()).await;
        DrainOutcome { cut }
    }
}

impl Drop for ConnectionAcceptor {
    fn drop(&mut self) {
        self.connections.give_all(ConnectionOrder::Cut);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;
    use tokio::time::Instant;

    use super::*;
    use crate::testing::{Client, GET, House, hello, text};

    fn limits() -> ListenerLimits {
        ListenerLimits {
            max_connections: 3,
            ..ListenerLimits::default()
        }
    }

    /// A house whose requests wait until they get a permit.
    fn busy_house() -> (House, Arc<Semaphore>) {
        let permits = Arc::new(Semaphore::new(0));
        let gate = Arc::clone(&permits);
        let house = House::open(limits(), move |_, _| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                text("done")
            }
        });
        (house, permits)
    }

    /// A connection on which a request runs.
    async fn running(house: &House) -> Client {
        let mut client = house.connect();
        client.send(GET).await;
        settle().await;
        client
    }

    /// Lets everything happen that needs no time.
    async fn settle() {
        sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_closes_idle_connections_at_once() {
        let house = House::open(limits(), hello);
        let (mut new, mut used, mut begun) = (house.connect(), house.connect(), house.connect());
        assert_eq!(used.get().await.status, 200);
        begun.send("GET / HT").await;
        settle().await;
        let signal = Instant::now();
        assert_eq!(house.shut().await.unwrap(), DrainOutcome { cut: 0 });
        assert_eq!(signal.elapsed(), Duration::ZERO);
        for client in [&mut new, &mut used, &mut begun] {
            assert_eq!(client.rest().await, "");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_lets_a_running_request_finish_and_says_close() {
        let (house, permits) = busy_house();
        let mut client = running(&house).await;
        let served = house.shut();
        settle().await;
        permits.add_permits(1);
        let answer = client.answer().await;
        assert_eq!((answer.body.as_str(), answer.closes()), ("done", true));
        assert_eq!(client.rest().await, "");
        assert_eq!(served.await.unwrap(), DrainOutcome { cut: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_cuts_what_does_not_finish_in_time() {
        let (house, _permits) = busy_house();
        let (mut first, mut second) = (running(&house).await, running(&house).await);
        let signal = Instant::now();
        assert_eq!(house.shut().await.unwrap(), DrainOutcome { cut: 2 });
        assert_eq!(signal.elapsed(), ListenerLimits::default().drain_timeout);
        assert_eq!(
            (first.rest().await, second.rest().await),
            (String::new(), String::new())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_the_server_cuts_everything() {
        let (house, _permits) = busy_house();
        let mut client = running(&house).await;
        house.served.abort();
        assert_eq!(client.rest().await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_limit_the_oldest_without_a_request_makes_room() {
        let house = House::open(limits(), hello);
        let (mut first, mut second, _third) = (house.connect(), house.connect(), house.connect());
        settle().await;
        let mut newcomer = house.connect();
        assert_eq!(newcomer.get().await.status, 200);
        assert_eq!(first.rest().await, "");
        assert_eq!(second.get().await.status, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_silent_connections_displaces_itself_and_not_those_in_use() {
        let house = House::open(limits(), hello);
        let mut client = house.connect();
        let mut flood = Vec::new();
        for _ in 0..1000 {
            flood.push(house.connect());
            assert_eq!(client.get().await.status, 200);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_have_been_used_lately_one_of_them_makes_room() {
        let house = House::open(limits(), hello);
        let mut clients = [house.connect(), house.connect(), house.connect()];
        for client in &mut clients {
            assert_eq!(client.get().await.status, 200);
        }
        assert_eq!(house.connect().get().await.status, 200);
        assert_eq!(clients[0].rest().await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_have_a_request_the_newcomer_is_told_to_come_later() {
        let (house, permits) = busy_house();
        let mut clients = [
            running(&house).await,
            running(&house).await,
            running(&house).await,
        ];
        let mut newcomer = house.connect();
        let answer = newcomer.get().await;
        assert_eq!((answer.status, answer.closes()), (503, true));
        assert!(answer.head.contains("retry-after: 1\r\n") && answer.body.ends_with('}'));
        assert_eq!(newcomer.rest().await, "");
        permits.add_permits(3);
        for client in &mut clients {
            assert_eq!(client.answer().await.body, "done");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn running_out_of_descriptors_makes_room_and_accepts_again_later() {
        let house = House::open(limits(), hello);
        let mut idle = house.connect();
        settle().await;
        house.fail_to_accept(io::Error::from_raw_os_error(24));
        let failed = Instant::now();
        let mut client = house.connect();
        assert_eq!(client.get().await.status, 200);
        assert_eq!(failed.elapsed(), PAUSE);
        assert_eq!(idle.rest().await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_broke_before_it_was_accepted_delays_nobody() {
        let house = House::open(limits(), hello);
        let failed = Instant::now();
        house.fail_to_accept(io::ErrorKind::ConnectionAborted.into());
        assert_eq!(house.connect().get().await.status, 200);
        assert_eq!(failed.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_signal_is_heard_while_accepting_fails() {
        let house = House::open(limits(), hello);
        house.fail_to_accept(io::Error::from_raw_os_error(24));
        settle().await;
        assert_eq!(house.shut().await.unwrap(), DrainOutcome { cut: 0 });
    }
}
