//! Detects a server that speaks TLS, but was contacted without it. Some servers say so,
//! in an alert or with a 400. Most just close the connection, and are contacted once more
//! with TLS.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::ServerStream;

/// How long the second try may take.
const LIMIT: Duration = Duration::from_secs(2);

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
#[error("this port speaks TLS: write https://")]
pub struct SpeaksTls;

impl SpeaksTls {
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
    causes(error).any(|it| it.is::<SpeaksTls>())
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
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
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
        assert!(SpeaksTls::is_why(&closed(), connected(address)).await);
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
            let found = SpeaksTls::is_why(&closed(), connected(address)).await;
            assert_eq!(found, expected, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn one_that_says_nothing_is_not_waited_for() {
        let (_listener, address) = listening().await;
        tokio::time::pause();
        assert!(!SpeaksTls::is_why(&closed(), connected(address)).await);
    }

    #[tokio::test]
    async fn nobody_is_asked_where_an_answer_began() {
        let asked = async { unreachable!("it was asked") };
        let began = io::Error::new(io::ErrorKind::InvalidData, "no HTTP");
        assert!(!SpeaksTls::is_why::<io::Error>(&began, asked).await);
        let asked = async { unreachable!("it was asked") };
        let alert = io::Error::new(io::ErrorKind::InvalidData, SpeaksTls);
        assert!(SpeaksTls::is_why::<io::Error>(&alert, asked).await);
    }

    #[test]
    fn a_400_that_says_so_is_understood() {
        let nginx = b"<center>The plain HTTP request was sent to HTTPS port</center>";
        let caddy = b"Client sent an HTTP request to an HTTPS server.\n";
        let tomcat = b"Bad Request\r\nThis combination of host and port requires TLS.\r\n";
        let told = |status, body| SpeaksTls::is_told_in(status, body);
        assert!(told(StatusCode::BAD_REQUEST, tomcat));
        assert!(told(StatusCode::BAD_REQUEST, nginx) && told(StatusCode::BAD_REQUEST, caddy));
        assert!(!told(StatusCode::OK, nginx) && !told(StatusCode::BAD_REQUEST, b"bad"));
    }
}
