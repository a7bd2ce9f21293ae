//! Connections to a server: TCP, a tunnel if there is a proxy on the way, and TLS if the URL
//! says so.
//!
//! Resolving the name, TCP, the tunnel and TLS share one time limit.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::{BoxError, HandshakeDistrust, OutboundProxy, ServerStream, TlsOnPlainPort};

/// After how long without any data a connection is probed, how often it is probed from
/// then on, and how many probes may remain unanswered.
const PROBED_AFTER: Duration = Duration::from_secs(20);
const PROBED_EVERY: Duration = Duration::from_secs(10);
const PROBES: u32 = 4;

/// Makes connections to one server.
#[derive(Clone)]
pub struct ServerConnector {
    tcp: HttpConnector,
    tls: Option<OutboundTls>,
    proxy: Option<OutboundProxy>,
    limit: Duration,
}

/// The TLS settings, and the name that must be certified.
#[derive(Clone)]
pub struct OutboundTls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// No connection was made within the limit.
#[derive(Debug, thiserror::Error)]
#[error("the connection was not made in time")]
pub struct ConnectTimeout;

impl ServerConnector {
    /// Connects within `limit`, with TLS or without, as the URL requires.
    pub fn new(tls: Option<OutboundTls>, limit: Duration) -> Self {
        Self {
            tcp: tcp_within(limit),
            tls,
            proxy: None,
            limit,
        }
    }

    /// Connects through this proxy, if there is one.
    #[must_use]
    pub fn through(mut self, proxy: Option<OutboundProxy>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Whether an exchange without TLS failed because the server speaks TLS. A server
    /// that closed without an answer is asked once more ([`TlsOnPlainPort::is_why`]).
    pub async fn should_speak_tls(
        &self,
        target: &Uri,
        lost: &(dyn std::error::Error + Send + Sync + 'static),
    ) -> bool {
        self.tls.is_none() && TlsOnPlainPort::is_why(lost, self.opened(target)).await
    }

    /// Whether the server speaks TLS although this connector does not.
    pub async fn finds_tls(&self, target: &Uri) -> bool {
        self.tls.is_none() && TlsOnPlainPort::is_spoken_by(self.opened(target)).await
    }

    /// Why there was no handshake: one that met with silence is asked about in the open
    /// ([`HandshakeDistrust::or_plain`]).
    pub async fn explained(&self, why: HandshakeDistrust, target: &Uri) -> HandshakeDistrust {
        why.or_plain(target, self.opened(target)).await
    }

    /// A connection to the server on which nothing is said yet.
    async fn opened(&self, target: &Uri) -> Result<ServerStream, BoxError> {
        let mut tcp = self.tcp.clone();
        match &self.proxy {
            Some(proxy) => Ok(proxy.tunnel(tcp, target).await?),
            None => Ok(ServerStream::plain(
                tcp.call(target.clone()).await?.into_inner(),
            )),
        }
    }

    async fn connected(&self, target: &Uri) -> Result<ServerStream, BoxError> {
        let wire = self.opened(target).await?;
        match self.tls.clone() {
            Some(tls) => Ok(tls.secured(wire).await?),
            None => Ok(wire),
        }
    }
}

pub(crate) fn tcp_within(limit: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(limit));
    // The system detects a server that disappears without closing the connection: HTTP/2
    // has pings, but gRPC servers close connections of clients that send them often.
    tcp.set_keepalive(Some(PROBED_AFTER));
    tcp.set_keepalive_interval(Some(PROBED_EVERY));
    tcp.set_keepalive_retries(Some(PROBES));
    tcp
}

impl OutboundTls {
    /// Speaks TLS with these settings, to the server with this certified name.
    pub fn new(config: Arc<ClientConfig>, name: ServerName<'static>) -> Self {
        Self {
            connector: config.into(),
            name,
        }
    }

    /// TLS over a connection.
    ///
    /// # Errors
    ///
    /// The server is not the right one, or does not speak TLS.
    pub async fn secured(self, wire: ServerStream) -> Result<ServerStream, HandshakeDistrust> {
        let shaken = self
            .connector
            .connect(self.name, wire.below_tls())
            .into_fallible()
            .await;
        match shaken {
            Ok(stream) => Ok(ServerStream::Tls(Box::new(stream))),
            Err((error, wire)) => Err(match HandshakeDistrust::from_error(error) {
                HandshakeDistrust::Cut(error) if !wire.has_begun() => {
                    HandshakeDistrust::Silent(error)
                }
                distrust => distrust,
            }),
        }
    }
}

impl Service<Uri> for ServerConnector {
    type Response = TokioIo<ServerStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<ServerStream>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let connected = connector.connected(&target);
            let connected = tokio::time::timeout(connector.limit, connected).await;
            match connected.map_err(|_| ConnectTimeout)? {
                Ok(wire) => Ok(TokioIo::new(wire)),
                Err(error) => Err(match error.downcast() {
                    Ok(distrust) => connector.explained(*distrust, &target).await.into(),
                    Err(error) => error,
                }),
            }
        })
    }
}
