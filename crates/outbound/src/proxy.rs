//! A proxy through which a server is reached, and the tunnel through it (CONNECT, RFC 9110
//! section 9.3.6).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::Scheme;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1::handshake;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tower_service::Service;

use crate::connect::tcp_within;
use crate::url::without_brackets;
use crate::{
    BoxError, ConnectTimeout, HTTP_1_1, OutboundTls, ServerStream, TrustedRoots, client_config,
};

/// A proxy on the way to a server.
#[derive(Clone)]
pub struct OutboundProxy {
    uri: Uri,
    source: &'static str,
    authorization: Option<HeaderValue>,
    tls: Option<OutboundTls>,
}

/// Why a proxy did not connect to the server.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The proxy cannot be reached.
    #[error("the proxy {0} cannot be reached")]
    Unreached(String, #[source] BoxError),
    /// The proxy requires credentials.
    #[error("the proxy {0} asks for a user and a password (407)")]
    Login(String),
    /// The proxy does not accept the credentials, which come from there.
    #[error("the proxy {0} does not accept the user and password of {1} (407)")]
    Rejected(String, &'static str),
    /// The proxy refuses.
    #[error("the proxy {0} does not connect to {1}: it answers {2}")]
    Refused(String, String, StatusCode),
    /// The answer is not that of a proxy.
    #[error("the proxy {0} does not answer as an HTTP proxy does")]
    Broken(String, #[source] BoxError),
}

impl ProxyError {
    /// What to do about it, if there is something to do.
    pub const fn help(&self) -> Option<&'static str> {
        match self {
            Self::Login(_) => Some("write them into its URL, as in http://user:password@host:port"),
            Self::Rejected(..) => Some(
                "correct them there; in a user and a password, @, :, /, #, ? and % are %40, %3A, %2F, \
                 %23, %3F and %25",
            ),
            Self::Unreached(..) | Self::Refused(..) | Self::Broken(..) => None,
        }
    }
}

impl OutboundProxy {
    /// The proxy there, which `source` names.
    pub(crate) fn new(
        uri: Uri,
        source: &'static str,
        authorization: Option<HeaderValue>,
    ) -> Result<Self, String> {
        let tls = match uri.scheme() == Some(&Scheme::HTTPS) {
            true => Some(tls(&uri)?),
            false => None,
        };
        Ok(Self {
            uri,
            source,
            authorization,
            tls,
        })
    }

    /// The source of the proxy: a variable, or a key in a file.
    pub fn source(&self) -> &'static str {
        self.source
    }

    /// What it is told of who asks.
    #[cfg(test)]
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// A connection to the server of `target` through the proxy, within `limit`.
    ///
    /// # Errors
    ///
    /// The proxy cannot be reached, or does not let us through.
    pub async fn connect(&self, target: &Uri, limit: Duration) -> Result<ServerStream, BoxError> {
        let tunnel = self.tunnel(tcp_within(limit), target);
        let tunnel = tokio::time::timeout(limit, tunnel).await;
        Ok(tunnel.map_err(|_| ConnectTimeout)??)
    }

    pub(crate) async fn tunnel(
        &self,
        mut tcp: HttpConnector,
        target: &Uri,
    ) -> Result<ServerStream, ProxyError> {
        let unreached = |error: BoxError| ProxyError::Unreached(self.to_string(), error);
        let stream = tcp.call(self.uri.clone()).await;
        let wire = ServerStream::plain(stream.map_err(|it| unreached(it.into()))?.into_inner());
        let wire = match self.tls.clone() {
            Some(tls) => tls.secured(wire).await.map_err(|it| unreached(it.into()))?,
            None => wire,
        };
        self.let_through(wire, &authority(target)).await
    }

    async fn let_through(
        &self,
        wire: ServerStream,
        target: &str,
    ) -> Result<ServerStream, ProxyError> {
        let broken = |error: BoxError| ProxyError::Broken(self.to_string(), error);
        let shaken = handshake(TokioIo::new(wire)).await;
        let (mut requests, connection) = shaken.map_err(|it| broken(it.into()))?;
        // It ends with the request, if that is given up.
        tokio::spawn(async { drop(connection.with_upgrades().await) });
        let request = self.request(target).map_err(|it| broken(it.into()))?;
        let answer = requests.send_request(request).await;
        let answer = answer.map_err(|it| broken(it.into()))?;
        match answer.status() {
            status if status.is_success() => (),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                return Err(match self.authorization {
                    None => ProxyError::Login(self.to_string()),
                    Some(_) => ProxyError::Rejected(self.to_string(), self.source),
                });
            }
            status => {
                let target = target.to_owned();
                return Err(ProxyError::Refused(self.to_string(), target, status));
            }
        }
        let upgraded = hyper::upgrade::on(answer).await;
        let upgraded = upgraded.map_err(|it| broken(it.into()))?;
        let parts = upgraded.downcast::<TokioIo<ServerStream>>();
        match parts {
            // In TLS the client speaks first: what came already is not the server's.
            Ok(parts) if parts.read_buf.is_empty() => Ok(parts.io.into_inner().anew()),
            _ => Err(broken("it says more than that it is connected".into())),
        }
    }

    fn request(&self, target: &str) -> Result<Request<Empty<Bytes>>, http::Error> {
        // RFC 9112 section 3.2: "A client MUST send a Host header field [...] in all HTTP/1.1
        // request messages."
        let mut request = Request::connect(target).header(HOST, target);
        if let Some(authorization) = &self.authorization {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        request.body(Empty::new())
    }
}

/// A proxy must be certified by an authority of the system; the authorities for the
/// server do not apply.
fn tls(proxy: &Uri) -> Result<OutboundTls, String> {
    let config = client_config(&TrustedRoots::System, &[HTTP_1_1]).map_err(|it| it.to_string())?;
    let name = without_brackets(proxy.host().unwrap_or_default());
    let name = ServerName::try_from(name.to_owned()).map_err(|it| it.to_string())?;
    Ok(OutboundTls::new(config, name))
}

// RFC 9112 section 3.2.3: "When making a CONNECT request to establish a tunnel through one or
// more proxies, a client MUST send only the host and port of the tunnel destination as the
// request-target. The client obtains the host and port from the target URI's authority
// component, except that it sends the scheme's default port if the target URI elides the
// port."
/// The host and port of a server.
fn authority(target: &Uri) -> String {
    let usual = match target.scheme() == Some(&Scheme::HTTP) {
        true => 80,
        false => 443,
    };
    let port = target.port_u16().unwrap_or(usual);
    format!("{}:{port}", target.host().unwrap_or_default())
}

/// Without user and password.
impl fmt::Display for OutboundProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, authority) = (self.uri.scheme_str(), self.uri.authority());
        let authority = authority.map_or("", |it| it.as_str());
        write!(f, "{}://{authority}", scheme.unwrap_or("http"))
    }
}

impl fmt::Debug for OutboundProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OutboundProxy")
            .field(&self.to_string())
            .finish()
    }
}
