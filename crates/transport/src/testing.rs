//! A listener without a network, for tests in paused time: a test of a one-minute
//! timeout ends at once, and so does a wait for something that never happens.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
pub(crate) use countersign_testing::raw::GET;
use countersign_testing::raw::RawClient;
use http::{HeaderMap, Response};
use http_body::Body;
use http_body_util::Full;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

use crate::accept::AcceptConnections;
use crate::handshake::HandshakePolicy;
use crate::serve::serve_on;
use crate::{
    DrainOutcome, ListenerLimits, Peer, RefusalHook, RefusedPageRequest, RefusedRequest, Request,
};

/// A client on a stream without a network.
pub(crate) type Client<Io = DuplexStream> = RawClient<Io>;

pub(crate) type TlsClient = Client<TlsStream<DuplexStream>>;

pub(crate) async fn hello(_: Request, _: Peer) -> Response<Full<Bytes>> {
    text("hello")
}

pub(crate) fn text(text: &str) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())))
}

type Accepted = io::Result<(DuplexStream, Peer)>;

struct Street(mpsc::UnboundedReceiver<Accepted>);

impl AcceptConnections for Street {
    type Io = DuplexStream;

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<Accepted> {
        Poll::Ready(ready!(self.0.poll_recv(context)).unwrap())
    }
}

pub(crate) struct House {
    street: mpsc::UnboundedSender<Accepted>,
    shutdown: oneshot::Sender<()>,
    pub(crate) served: JoinHandle<DrainOutcome>,
}

impl House {
    pub(crate) fn open<F, Fut, B>(limits: ListenerLimits, answer: F) -> Self
    where
        F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let policy = HandshakePolicy {
            http2: true,
            ..HandshakePolicy::default()
        };
        Self::behind(policy, limits, answer)
    }

    pub(crate) fn behind<F, Fut, B>(
        policy: HandshakePolicy,
        limits: ListenerLimits,
        answer: F,
    ) -> Self
    where
        F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::start_reporting(policy, limits, answer).0
    }

    pub(crate) fn start_reporting<F, Fut, B>(
        policy: HandshakePolicy,
        limits: ListenerLimits,
        answer: F,
    ) -> (Self, Told)
    where
        F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (street, accepted) = mpsc::unbounded_channel();
        let (shutdown, signal) = oneshot::channel::<()>();
        let closing = async {
            let _ = signal.await;
        };
        let told = Told::default();
        let on_refusal = Some(told.listener());
        let served = serve_on(
            Street(accepted),
            policy,
            limits,
            answer,
            on_refusal,
            closing,
        );
        let served = tokio::spawn(served);
        let house = Self {
            street,
            shutdown,
            served,
        };
        (house, told)
    }

    pub(crate) fn connect(&self) -> Client {
        self.connect_from("127.0.0.9")
    }

    pub(crate) fn connect_from(&self, address: &str) -> Client {
        let (io, stream) = duplex(64 * 1024);
        let address = SocketAddr::new(address.parse().unwrap(), 9);
        let peer = Peer::new(address, address);
        self.street.send(Ok((io, peer))).unwrap();
        Client { stream }
    }

    /// The next `accept` fails so.
    pub(crate) fn fail_to_accept(&self, error: io::Error) {
        self.street.send(Err(error)).unwrap();
    }

    /// Gives the shutdown signal.
    pub(crate) fn shut(self) -> JoinHandle<DrainOutcome> {
        self.shutdown.send(()).unwrap();
        self.served
    }
}

/// What was refused at a door.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<Heard>>>);

/// A refusal, with the page that asked.
type Heard = (RefusedRequest, Option<RefusedPageRequest>);

impl Told {
    fn listener(&self) -> Arc<RefusalHook> {
        let told = self.clone();
        Arc::new(move |refused, asked| {
            told.0.lock().unwrap().push((*refused, asked.cloned()));
            HeaderMap::new()
        })
    }

    pub(crate) fn whys(&self) -> Vec<&'static str> {
        let told = self.0.lock().unwrap();
        told.iter().map(|(refused, _)| refused.why).collect()
    }

    /// The pages that asked, and for what.
    pub(crate) fn pages(&self) -> Vec<String> {
        let told = self.0.lock().unwrap();
        let page = |asked: &RefusedPageRequest| {
            let [host, origin] = ["host", "origin"].map(|name| asked.headers()[name].to_str());
            let (host, origin) = (host.unwrap(), origin.unwrap());
            format!(" ({origin} asks {host} for {})", asked.uri().path())
        };
        let asked = told.iter().filter_map(|(_, asked)| asked.as_ref());
        asked.map(page).collect()
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        let told = self.0.lock().unwrap();
        let address = |(refused, _): &Heard| refused.peer.address.ip().to_string();
        told.iter().map(address).collect()
    }
}
