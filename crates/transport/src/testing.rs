//! A listener without a network, for tests in paused time: a test of a one-minute
//! timeout ends at once, and so does a wait for something that never happens.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Body;
use http_body_util::Full;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::accept::AcceptConnections;
use crate::handshake::HandshakePolicy;
use crate::serve::serve_on;
use crate::{
    DrainOutcome, ListenerLimits, OnRefusal, Peer, RefusedPageRequest, RefusedRequest, Request,
};

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// Longer than any limit of any test.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);

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
        let threshold = HandshakePolicy {
            http2: true,
            ..HandshakePolicy::default()
        };
        Self::behind(threshold, limits, answer)
    }

    pub(crate) fn behind<F, Fut, B>(
        threshold: HandshakePolicy,
        limits: ListenerLimits,
        answer: F,
    ) -> Self
    where
        F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::start_reporting(threshold, limits, answer).0
    }

    pub(crate) fn start_reporting<F, Fut, B>(
        threshold: HandshakePolicy,
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
            threshold,
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
        Client {
            stream,
            unread: Vec::new(),
        }
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
    fn listener(&self) -> Arc<OnRefusal> {
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

pub(crate) struct Client<Io = DuplexStream> {
    pub(crate) stream: Io,
    unread: Vec<u8>,
}

pub(crate) type TlsClient = Client<TlsStream<DuplexStream>>;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close\r\n")
    }
}

impl Client {
    /// Shakes hands.
    pub(crate) async fn secured(self, config: ClientConfig) -> io::Result<TlsClient> {
        let name = ServerName::try_from("h").unwrap();
        let connect = TlsConnector::from(Arc::new(config)).connect(name, self.stream);
        let unread = self.unread;
        connect.await.map(|stream| Client { stream, unread })
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Client<Io> {
    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// One answer with a `Content-Length` or without a body.
    pub(crate) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        let body = self.text(length).await;
        Answer {
            status: head[9..12].parse().unwrap(),
            head,
            body,
        }
    }

    /// So many bytes, whatever they are.
    pub(crate) async fn text(&mut self, length: usize) -> String {
        self.take_until(|bytes| (bytes.len() >= length).then_some(length))
            .await
    }

    pub(crate) async fn head(&mut self) -> String {
        self.take_until(|bytes| {
            bytes
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
                .map(|at| at + 4)
        })
        .await
    }

    /// Asks for the root and yields the answer.
    pub(crate) async fn get(&mut self) -> Answer {
        self.send(GET).await;
        self.answer().await
    }

    /// What comes until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        let read = self.stream.read_to_end(&mut self.unread);
        timeout(FOR_EVER, read)
            .await
            .expect("the server does not close")
            .unwrap();
        String::from_utf8(std::mem::take(&mut self.unread)).unwrap()
    }

    async fn take_until(&mut self, end: impl Fn(&[u8]) -> Option<usize>) -> String {
        loop {
            if let Some(end) = end(&self.unread) {
                return String::from_utf8(self.unread.drain(..end).collect()).unwrap();
            }
            let read = self.stream.read_buf(&mut self.unread);
            let read = timeout(FOR_EVER, read)
                .await
                .expect("the server does not answer")
                .unwrap();
            assert!(
                read > 0,
                "ended in {:?}",
                String::from_utf8_lossy(&self.unread)
            );
        }
    }
}
