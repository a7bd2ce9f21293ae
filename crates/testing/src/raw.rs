//! HTTP/1.1 as bytes: a connection to say anything on, and what comes back, as it came.
//!
//! Heads are read byte by byte, so nothing behind them is taken.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The plainest request.
pub const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// Longer than any limit of any test. In paused time a wait for what never comes
/// ends at once.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);

/// Sends bytes from 127.0.0.1 on a connection of its own, and gives what comes back
/// until that ends.
pub async fn exchange(to: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut client = RawClient::connect(to).await;
    client.send(request).await;
    client.rest().await
}

/// A client that sends what it is told to.
#[derive(Debug)]
pub struct RawClient<Io> {
    /// The connection.
    pub stream: Io,
}

/// A head, and the body that its `Content-Length` announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMessage {
    /// The status of an answer; 0 for a request.
    pub status: u16,
    /// All up to the empty line, which it includes.
    pub head: String,
    /// What came after it.
    pub body: String,
}

impl RawClient<TcpStream> {
    /// A connection from 127.0.0.1.
    pub async fn connect(to: SocketAddr) -> Self {
        Self::connect_from("127.0.0.1", to).await.unwrap()
    }

    /// A connection from an address of the loopback network.
    ///
    /// # Errors
    /// If there is none.
    pub async fn connect_from(source: &str, to: SocketAddr) -> io::Result<Self> {
        let source: IpAddr = source.parse().unwrap();
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        let stream = socket.connect(to).await?;
        Ok(Self { stream })
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> RawClient<Io> {
    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next head.
    pub async fn head(&mut self) -> String {
        let head = in_time(read_head(&mut self.stream)).await;
        head.expect("it ended within a head")
    }

    /// The next answer, with the body that it announces.
    pub async fn answer(&mut self) -> RawMessage {
        let answer = in_time(read_message(&mut self.stream)).await;
        answer.expect("it ended within an answer")
    }

    /// Asks for the root, and gives the answer.
    pub async fn get(&mut self) -> RawMessage {
        self.send(GET).await;
        self.answer().await
    }

    /// So many bytes, whatever they are.
    pub async fn text(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        in_time(self.stream.read_exact(&mut bytes)).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// What comes until the other side closes. A reset is an end as well.
    pub async fn rest(&mut self) -> String {
        lossy(&self.rest_bytes().await)
    }

    /// The same, byte for byte.
    pub async fn rest_bytes(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = in_time(self.stream.read_to_end(&mut rest)).await;
        rest
    }

    /// Shakes hands with the server of the name `h`.
    ///
    /// # Errors
    /// If the server closes, or is not trusted.
    pub async fn secured(self, config: ClientConfig) -> io::Result<RawClient<TlsStream<Io>>> {
        let name = ServerName::try_from("h").unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, self.stream);
        connecting.await.map(|stream| RawClient { stream })
    }
}

async fn in_time<T>(waited: impl Future<Output = T>) -> T {
    let waited = timeout(FOR_EVER, waited).await;
    waited.expect("the other side neither answers nor closes")
}

/// Reads to the end of a head; `None` if the connection ends before.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(lossy(&head))
}

/// Reads a head and the body that its `Content-Length` announces; `None` if the
/// connection ends before.
pub async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> Option<RawMessage> {
    let head = read_head(stream).await?;
    let mut body = vec![0; content_length(&head)];
    stream.read_exact(&mut body).await.ok()?;
    Some(RawMessage::new(head, &body))
}

/// As [`read_head`], without a runtime.
pub fn read_head_blocking(stream: &mut impl io::Read) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(lossy(&head))
}

/// As [`read_message`], without a runtime.
pub fn read_message_blocking(stream: &mut impl io::Read) -> Option<RawMessage> {
    let head = read_head_blocking(stream)?;
    let mut body = vec![0; content_length(&head)];
    stream.read_exact(&mut body).ok()?;
    Some(RawMessage::new(head, &body))
}

impl RawMessage {
    fn new(head: String, body: &[u8]) -> Self {
        Self {
            status: status(&head),
            head,
            body: lossy(body),
        }
    }

    /// The value of a field of the head; empty if it is not there.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        field(&self.head, name).unwrap_or_default()
    }

    /// Whether it is the last of its connection.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.field("connection") == "close"
    }
}

/// The status of an answer's head; 0 if it has none.
#[must_use]
pub fn status(head: &str) -> u16 {
    let status = head.split(' ').nth(1);
    status.and_then(|it| it.parse().ok()).unwrap_or(0)
}

/// The status of an answer, and what comes after its head.
#[must_use]
pub fn status_and_body(reply: &str) -> (u16, &str) {
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status(reply), body)
}

/// The value of a field, in whatever case its name is written.
#[must_use]
pub fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut fields = head.split("\r\n").filter_map(|line| line.split_once(": "));
    let found = fields.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value)
}

/// The length that a head announces; 0 if it announces none.
#[must_use]
pub fn content_length(head: &str) -> usize {
    field(head, "content-length").map_or(0, |it| it.parse().unwrap())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
