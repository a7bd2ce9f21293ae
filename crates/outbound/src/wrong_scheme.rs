//! Detects a server that was contacted with the wrong scheme.
//!
//! One that speaks TLS, but was contacted without it, may say so, in an alert or with a 400.
//! Most just close the connection, and are contacted once more with TLS. One that speaks plain
//! HTTP and receives a `ClientHello` may answer with a 400, or just close the connection, and is
//! contacted once more without TLS. Nothing that is sent a second time contains a secret.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{BoxError, ServerStream};

/// How long the second try may take.
const LIMIT: Duration = Duration::from_secs(2);

/// The longest page of a 400 that is read.
const LONGEST_PAGE: usize = 16 * 1024;

/// What TLS servers answer to plain HTTP: nginx, Go (and so Caddy), Apache httpd and
/// Tomcat, in this order.
const WRITE_HTTPS: [&[u8]; 4] = [
    b"plain HTTP request was sent to HTTPS port",
    b"Client sent an HTTP request to an HTTPS server",
    b"speaking plain HTTP to an SSL-enabled server port",
    b"combination of host and port requires TLS",
];

/// A server that was contacted without TLS speaks TLS.
#[derive(Debug, thiserror::Error)]
#[error("this port speaks TLS")]
pub struct TlsOnPlainPort;

impl TlsOnPlainPort {
    /// What to do about it.
    pub const HELP: &str = "write https:// instead of http://";

    /// Whether an answer that arrived without TLS says that the port is for TLS.
    pub fn is_told_in(status: StatusCode, body: &[u8]) -> bool {
        let says = |words: &&[u8]| body.windows(words.len()).any(|part| part == *words);
        status == StatusCode::BAD_REQUEST && WRITE_HTTPS.iter().any(says)
    }

    /// Whether an exchange without TLS failed because the server speaks TLS: according to
    /// the alert that arrived, or, if nothing arrived, to its answer to a `ClientHello`
    /// on another connection, which the caller opens. That takes two seconds at most.
    pub async fn is_why<E>(
        lost: &(dyn Error + Send + Sync + 'static),
        again: impl Future<Output = Result<ServerStream, E>>,
    ) -> bool {
        if is_alert(lost) {
            return true;
        }
        is_silence(lost) && Self::is_spoken_by(again).await
    }

    /// Whether a server answers a `ClientHello`, within two seconds.
    pub async fn is_spoken_by<E>(connected: impl Future<Output = Result<ServerStream, E>>) -> bool {
        let asked = async {
            match connected.await {
                Ok(wire) => greeted(wire).await.unwrap_or(false),
                Err(_) => false,
            }
        };
        tokio::time::timeout(LIMIT, asked).await.unwrap_or(false)
    }
}

/// Whether a server answers plain HTTP, within two seconds, and not to say that it speaks TLS.
pub(crate) async fn answers_plain_http<E>(
    target: &Uri,
    connected: impl Future<Output = Result<ServerStream, E>>,
) -> bool {
    let asked = async {
        match connected.await {
            Ok(wire) => answered(target, wire).await.unwrap_or(false),
            Err(_) => false,
        }
    };
    tokio::time::timeout(LIMIT, asked).await.unwrap_or(false)
}

async fn answered(target: &Uri, wire: ServerStream) -> Result<bool, BoxError> {
    let (mut requests, connection) = handshake(TokioIo::new(wire)).await?;
    let host = target.authority().map_or("", |it| it.as_str());
    // A body that it answers tells what it thinks, unlike that of a HEAD.
    let request = Request::get("/").header(HOST, host);
    let request = request.header(CONNECTION, "close");
    let request = request.body(Empty::<Bytes>::new())?;
    // It ends with the request, if that is given up.
    tokio::spawn(async { drop(connection.await) });
    let (head, body) = requests.send_request(request).await?.into_parts();
    if head.status != StatusCode::BAD_REQUEST {
        return Ok(true);
    }
    let body = Limited::new(body, LONGEST_PAGE).collect().await?;
    Ok(!TlsOnPlainPort::is_told_in(head.status, &body.to_bytes()))
}

/// Whether a TLS record comes back: a handshake, or an alert (RFC 8446 section 5.1).
async fn greeted(mut wire: ServerStream) -> io::Result<bool> {
    wire.write_all(&client_hello()?).await?;
    let mut begin = [0; 2];
    match wire.read_exact(&mut begin).await {
        Ok(_) => Ok(begin == [0x16, 0x03]),
        Err(error) => Ok(is_alert(&error)),
    }
}

/// It names no server and trusts nobody: only the first bytes of the answer are read.
fn client_hello() -> io::Result<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let hello = ClientConnection::new(Arc::new(config), name);
    let mut bytes = Vec::new();
    hello.map_err(io::Error::other)?.write_tls(&mut bytes)?;
    Ok(bytes)
}

fn is_alert(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|it| it.is::<TlsOnPlainPort>())
}

/// Whether the connection was closed instead of sending an answer.
fn is_silence(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        let http = cause.downcast_ref::<hyper::Error>();
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        http.is_some_and(|it| it.is_incomplete_message() || it.is_closed() || it.is_canceled())
            || matches!(
                io,
                Some(
                    io::ErrorKind::ConnectionReset
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::BrokenPipe
                        | io::ErrorKind::UnexpectedEof
                )
            )
    })
}

/// An error and its causes.
pub(crate) fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |it| cause_of(*it))
}

/// The error inside an `io::Error` is not its `source`.
fn cause_of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    let io = error.downcast_ref::<io::Error>();
    match io.and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use rustls::ServerConfig;
    use rustls::server::{ClientHello, ResolvesServerCert};
    use rustls::sign::CertifiedKey;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::{HandshakeDistrust, OutboundTls, TrustedRoots};

    /// A server without any certificate, which refuses every name.
    #[derive(Debug)]
    struct Nobody;

    impl ResolvesServerCert for Nobody {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            None
        }
    }

    async fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    async fn connected(address: SocketAddr) -> io::Result<ServerStream> {
        Ok(ServerStream::plain(TcpStream::connect(address).await?))
    }

    fn closed() -> io::Error {
        io::Error::other(io::Error::from(io::ErrorKind::ConnectionReset))
    }

    #[tokio::test]
    async fn a_server_that_speaks_tls_is_found_by_asking_as_tls_does() {
        let (listener, address) = listening().await;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Nobody));
        let tls = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = tls.accept(stream).await;
        });
        assert!(TlsOnPlainPort::is_why(&closed(), connected(address)).await);
    }

    #[tokio::test]
    async fn one_that_shakes_hands_does_and_one_that_closes_or_speaks_http_does_not() {
        let cases: [(&'static [u8], bool); 4] = [
            (b"\x16\x03\x03\x00\x7a", true),
            (b"\x15\x03\x01\x00\x02\x02\x28", true),
            (b"", false),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", false),
        ];
        for (answer, expected) in cases {
            let (listener, address) = listening().await;
            tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 2048]).await;
                let _ = stream.write_all(answer).await;
            });
            let found = TlsOnPlainPort::is_why(&closed(), connected(address)).await;
            assert_eq!(found, expected, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn one_that_says_nothing_is_not_waited_for() {
        let (_listener, address) = listening().await;
        tokio::time::pause();
        assert!(!TlsOnPlainPort::is_why(&closed(), connected(address)).await);
    }

    #[tokio::test]
    async fn nobody_is_asked_where_an_answer_began() {
        let asked = async { unreachable!("it was asked") };
        let began = io::Error::new(io::ErrorKind::InvalidData, "no HTTP");
        assert!(!TlsOnPlainPort::is_why::<io::Error>(&began, asked).await);
        let asked = async { unreachable!("it was asked") };
        let alert = io::Error::new(io::ErrorKind::InvalidData, TlsOnPlainPort);
        assert!(TlsOnPlainPort::is_why::<io::Error>(&alert, asked).await);
    }

    /// Whether a port that cuts a handshake without a word and answers so in the open is
    /// found to speak plain HTTP, and what it was asked.
    async fn found_plain(answer: &'static [u8]) -> (bool, String) {
        let (listener, address) = listening().await;
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 2048];
            let read = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer).await.unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        let target = Uri::from_static("https://api.example:8443/token/?planted");
        let silent = HandshakeDistrust::Silent(closed());
        let found = silent.or_plain(&target, connected(address)).await;
        let found = matches!(found, HandshakeDistrust::NoTls(_));
        (found, asked.await.unwrap())
    }

    #[tokio::test]
    async fn plain_http_is_found_by_a_request_that_holds_nothing() {
        let cases: [(&'static [u8], bool); 6] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true),
            (b"HTTP/1.0 404 Not Found\r\n\r\n", true),
            (b"HTTP/1.1 400 Bad Request\r\n\r\nno such host", true),
            (
                b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.",
                false,
            ),
            (b"SSH-2.0-OpenSSH_9.2\r\n", false),
            (b"", false),
        ];
        for (answer, expected) in cases {
            let (found, asked) = found_plain(answer).await;
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(answer));
            let plain = "GET / HTTP/1.1\r\nhost: api.example:8443\r\nconnection: close\r\n\r\n";
            assert_eq!(asked, plain);
        }
    }

    #[tokio::test]
    async fn who_says_nothing_in_the_open_is_not_waited_for() {
        let (_listener, address) = listening().await;
        tokio::time::pause();
        let silent = HandshakeDistrust::Silent(closed());
        let target = Uri::from_static("https://api.example");
        let found = silent.or_plain(&target, connected(address)).await;
        assert!(matches!(found, HandshakeDistrust::Silent(_)), "{found:?}");
    }

    #[tokio::test]
    async fn only_who_cut_a_handshake_without_a_word_is_asked_in_the_open() {
        let cases: [(&'static [u8], &str); 3] = [
            (b"", "Silent("),
            (b"\x16\x03\x03", "Cut("),
            (
                b"\x15\x03\x03\x00\x02\x02\x28",
                "Handshake(Custom { kind: InvalidData, error: AlertReceived(HandshakeFailure)",
            ),
        ];
        for (answer, expected) in cases {
            let (listener, address) = listening().await;
            tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 2048]).await;
                let _ = stream.write_all(answer).await;
            });
            let name = ServerName::try_from("localhost").unwrap();
            let config = crate::client_config(&TrustedRoots::System, &[]).unwrap();
            let wire = connected(address).await.unwrap();
            let cut = OutboundTls::new(config, name).secured(wire).await;
            let cut = cut.map(|_| ()).unwrap_err();
            assert!(format!("{cut:?}").starts_with(expected), "{cut:?}");
            if !answer.is_empty() {
                let asked = async { unreachable!("it was asked") };
                let target = Uri::from_static("https://localhost");
                let _ = cut.or_plain::<io::Error>(&target, asked).await;
            }
        }
    }

    #[test]
    fn a_400_that_says_so_is_understood() {
        let nginx = b"<center>The plain HTTP request was sent to HTTPS port</center>";
        let caddy = b"Client sent an HTTP request to an HTTPS server.\n";
        let tomcat = b"Bad Request\r\nThis combination of host and port requires TLS.\r\n";
        let told = |status, body| TlsOnPlainPort::is_told_in(status, body);
        assert!(told(StatusCode::BAD_REQUEST, tomcat));
        assert!(told(StatusCode::BAD_REQUEST, nginx) && told(StatusCode::BAD_REQUEST, caddy));
        assert!(!told(StatusCode::OK, nginx) && !told(StatusCode::BAD_REQUEST, b"bad"));
    }
}
