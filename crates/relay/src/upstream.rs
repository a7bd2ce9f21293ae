//! An upstream: one origin, reached over pooled connections.
//!
//! A request is sent again if nothing of it was sent because a pooled connection turned
//! out to be closed. If some of it may have been sent, the error tells whether it was lost
//! with a reused connection, and the caller decides. While the upstream is known to be
//! down, requests are refused without trying it.

mod connection;
mod health;
mod response_head;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{Connected, capture_connection};
use hyper_util::client::{self, legacy::Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use self::connection::{ConnectionHistory, UpstreamConnector};
pub use self::health::{HealthCheck, UpstreamState};
use self::health::{HealthCheckTask, UpstreamHealth};
use crate::error::RelayError;
use crate::upload::Upload;
use countersign_outbound::{
    ConnectTimeout, H2, HTTP_1_1, HandshakeDistrust, OutboundProxy, OutboundTls, RootsFault,
    ServerConnector, ServerUrl, TrustedRoots, client_config, failure_help,
};

/// Roughly the longest header section of an answer that is read, in bytes: what arrives
/// in the same read is not cut off.
const LONGEST_HEAD: usize = 64 * 1024;

/// How long an upstream may take for each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// To send the head of its answer, counted from the end of the request, or from the
    /// last part of it that the upstream took.
    pub response_head: Duration,
    /// Between two parts of a body, in either direction.
    pub body_idle: Duration,
    /// Without any data in a tunnel, in either direction.
    pub tunnel_idle: Duration,
    /// How long an unused connection is kept. This should be shorter than the upstream
    /// keeps it, or requests run into connections that are being closed.
    pub keep_alive: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            response_head: Duration::from_secs(60),
            body_idle: Duration::from_secs(60),
            tunnel_idle: Duration::from_secs(300),
            // Node.js closes after five.
            keep_alive: Duration::from_secs(4),
        }
    }
}

/// Which `Host` an upstream receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamHost {
    /// Its own, from its URL.
    #[default]
    Upstream,
    /// The one that the client sent. Over HTTP/2, each host has its own connections.
    Client,
}

/// The settings of an upstream.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// Its address.
    pub url: ServerUrl,
    /// How long it may take.
    pub timeouts: UpstreamTimeouts,
    /// The authorities that may certify it, over https.
    pub roots: TrustedRoots,
    /// The proxy in front of it. Guarded upstreams have none.
    pub proxy: Option<OutboundProxy>,
    /// Whether it is offered HTTP/2 over TLS; without TLS, whether HTTP/2 is used with
    /// prior knowledge (RFC 9113 section 3.3).
    pub http2: bool,
    /// The `Host` of its requests.
    pub host: UpstreamHost,
    /// How its health is checked; `None` for no checks.
    pub health: Option<HealthCheck>,
}

impl UpstreamSettings {
    /// The upstream at this address, with defaults for everything else.
    pub fn new(url: ServerUrl) -> Self {
        Self {
            url,
            timeouts: UpstreamTimeouts::default(),
            roots: TrustedRoots::default(),
            proxy: None,
            http2: false,
            host: UpstreamHost::default(),
            health: None,
        }
    }
}

impl UpstreamSettings {
    /// Reports what [`Upstream::new`] would refuse, without a runtime.
    ///
    /// # Errors
    ///
    /// As [`Upstream::new`].
    pub fn check(&self) -> Result<(), UpstreamFault> {
        ConnectionPools::new(self)?;
        match &self.health {
            Some(check) => check.target(&self.url).map(|_| ()),
            None => Ok(()),
        }
    }
}

/// Why an upstream cannot be created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamFault {
    /// There is no authority to trust.
    #[error(transparent)]
    Roots(#[from] RootsFault),
    /// No certificate can be issued for the host.
    #[error("a certificate cannot be issued for {0:?}")]
    Name(String),
    /// The path of the health check is not valid.
    #[error("{0:?} is not a path")]
    HealthPath(String),
}

impl UpstreamFault {
    /// What to do about it, if there is something to do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::HealthPath(_) => Some("write one that begins with / and is plain ASCII"),
            Self::Roots(_) | Self::Name(_) => None,
        }
    }
}

/// Connections to an upstream.
#[derive(Clone)]
struct ConnectionPools {
    /// The pooled connections.
    kept: HttpClient,
    /// A new connection for each request.
    fresh: HttpClient,
}

type HttpClient = Client<UpstreamConnector, Upload>;

/// There is no answer.
pub(crate) struct UnansweredRequest {
    /// Why.
    pub(crate) error: RelayError,
    /// Whether the request was sent over a reused connection, and lost with it before any
    /// part of an answer arrived. This happens with servers that close a connection while
    /// a request is on its way.
    pub(crate) lost: bool,
}

/// An upstream.
pub struct Upstream {
    url: ServerUrl,
    timeouts: UpstreamTimeouts,
    http2: bool,
    host: UpstreamHost,
    lines: ConnectionPools,
    /// For what HTTP/2 cannot do: switch protocols.
    http1: ConnectionPools,
    health: Arc<UpstreamHealth>,
    _checking: Option<HealthCheckTask>,
}

impl Upstream {
    /// The upstream, which is called `name` in logs and metrics. It must be created
    /// within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The roots cannot be read, no certificate can be issued for the host, or the health
    /// check has no path.
    pub fn new(name: &str, settings: UpstreamSettings) -> Result<Self, UpstreamFault> {
        let lines = ConnectionPools::new(&settings)?;
        let http1 = if settings.http2 {
            ConnectionPools::new(&UpstreamSettings {
                http2: false,
                ..settings.clone()
            })?
        } else {
            lines.clone()
        };
        let health = Arc::new(UpstreamHealth::new(name));
        let checking = match settings.health {
            Some(check) => Some(check.start(&settings.url, &lines.kept, &health)?),
            None => None,
        };
        Ok(Self {
            url: settings.url,
            timeouts: settings.timeouts,
            http2: settings.http2,
            host: settings.host,
            lines,
            http1,
            health,
            _checking: checking,
        })
    }

    /// How long it may take.
    pub fn timeouts(&self) -> &UpstreamTimeouts {
        &self.timeouts
    }

    /// Whether requests are sent to it at the moment.
    pub fn state(&self) -> UpstreamState {
        self.health.state()
    }

    /// The `Host` of its requests.
    pub fn host(&self) -> &HeaderValue {
        self.url.host()
    }

    /// Which `Host` it receives.
    pub fn host_of(&self) -> UpstreamHost {
        self.host
    }

    /// Whether HTTP/2 will be used, as far as is known beforehand.
    pub fn speaks_http2(&self) -> bool {
        self.http2
    }

    /// Its address.
    pub(crate) fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// The target of a request for `path` and `query`, with the host that is sent to the
    /// upstream if it is not its own: over HTTP/2 the host is part of the target.
    pub fn target_called(
        &self,
        host: Option<&HeaderValue>,
        path: &str,
        query: Option<&str>,
    ) -> Result<Uri, http::Error> {
        let target = self.url.target(path, query)?;
        let Some(host) = host.filter(|_| self.http2) else {
            return Ok(target);
        };
        let mut parts = target.into_parts();
        parts.authority = Some(Authority::try_from(host.as_bytes())?);
        Ok(Uri::from_parts(parts)?)
    }

    /// The target of a request for `path` and `query`.
    pub(crate) fn target(&self, path: &str, query: Option<&str>) -> Result<Uri, http::Error> {
        self.url.target(path, query)
    }

    /// Sends a request over a pooled connection, and waits for the head of the answer,
    /// which may be 101 if the request asks to `switch` to WebSocket.
    pub(crate) async fn send(
        &self,
        request: Request<Upload>,
        switch: bool,
    ) -> Result<Response<Incoming>, UnansweredRequest> {
        let within = self.timeouts.response_head;
        let client = &self.lines(switch).kept;
        self.send_over(client, request, switch, within).await
    }

    /// The same over a connection of its own, within this time.
    pub(crate) async fn send_anew(
        &self,
        request: Request<Upload>,
        switch: bool,
        within: Duration,
    ) -> Result<Response<Incoming>, UnansweredRequest> {
        let client = &self.lines(switch).fresh;
        self.send_over(client, request, switch, within).await
    }

    fn lines(&self, switch: bool) -> &ConnectionPools {
        if switch { &self.http1 } else { &self.lines }
    }

    async fn send_over(
        &self,
        client: &HttpClient,
        mut request: Request<Upload>,
        switch: bool,
        within: Duration,
    ) -> Result<Response<Incoming>, UnansweredRequest> {
        let began = Instant::now();
        self.health.admit(began)?;
        let progress = request.body().progress();
        let flooded = response_head::count_interim(&mut request);
        let connection = self.http2.then(|| capture_connection(&mut request));
        let mut answer = client.request(request);
        let answered = tokio::select! {
            answered = &mut answer => answered,
            () = flooded.notified() => Err(RelayError::Failed("it sent too many interim answers".to_owned()))?,
            () = progress.upstream_stalls(within) => {
                // Over HTTP/2 others would wait on the same connection.
                if let Some(connection) = connection {
                    connection.connection_metadata().iter().for_each(Connected::poison);
                }
                Err(RelayError::Timeout("no answer in time".to_owned()))?
            }
        };
        match answered {
            Ok(response) => {
                self.health.reached();
                if let Some(told) = response.extensions().get::<ConnectionHistory>() {
                    told.end_request();
                }
                Ok(response_head::settle(response, switch)?)
            }
            Err(error) if progress.client_failed() => Err(RelayError::ClientGone(chain(&error)))?,
            Err(error) => Err(UnansweredRequest {
                error: self.blame(&error),
                lost: connection::is_lost(&error, began),
            }),
        }
    }

    /// Who is at fault that no answer arrived; recorded if it is the upstream.
    fn blame(&self, error: &client::legacy::Error) -> RelayError {
        let told = chain(error);
        if error.is_connect() && !is_distrusted(error) {
            self.health.unreachable(&told, Instant::now());
        }
        match timed_out(error) {
            true => RelayError::Timeout(told),
            false => RelayError::Failed(told),
        }
    }
}

impl From<RelayError> for UnansweredRequest {
    fn from(error: RelayError) -> Self {
        Self { error, lost: false }
    }
}

impl ConnectionPools {
    fn new(settings: &UpstreamSettings) -> Result<Self, UpstreamFault> {
        let (url, limits) = (&settings.url, settings.timeouts);
        let tls = match url.is_https() {
            true => Some(tls(settings)?),
            false => None,
        };
        let h2_alone = settings.http2 && tls.is_none();
        let target = url.target("/", None);
        let target = target.map_err(|_| UpstreamFault::Name(url.to_string()))?;
        let connector = ServerConnector::new(tls, limits.connect).through(settings.proxy.clone());
        let dialer = UpstreamConnector::new(connector, target, h2_alone);
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits.keep_alive)
            .http1_max_buf_size(LONGEST_HEAD)
            .http2_max_header_list_size(LONGEST_HEAD as u32)
            .http2_only(h2_alone)
            .set_host(false);
        Ok(Self {
            kept: builder.build(dialer.clone()),
            fresh: builder.pool_max_idle_per_host(0).build(dialer),
        })
    }
}

fn tls(settings: &UpstreamSettings) -> Result<OutboundTls, UpstreamFault> {
    let protocols: &[&[u8]] = match settings.http2 {
        true => &[H2, HTTP_1_1],
        false => &[HTTP_1_1],
    };
    let config = client_config(&settings.roots, protocols)?;
    let name = settings.url.name();
    let certified = ServerName::try_from(name.to_owned());
    let certified = certified.map_err(|_| UpstreamFault::Name(name.to_owned()))?;
    Ok(OutboundTls::new(config, certified))
}

fn timed_out(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| match cause.downcast_ref::<io::Error>() {
        Some(cause) => cause.kind() == io::ErrorKind::TimedOut,
        None => cause.is::<ConnectTimeout>(),
    })
}

/// Whether the upstream could be reached, but is not the one that it should be.
fn is_distrusted(error: &(dyn Error + 'static)) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<HandshakeDistrust>())
        .any(HandshakeDistrust::is_of_the_certificate)
}

/// The error and its causes in one line, with what to do about it, if there is something to do.
fn chain(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    let texts = texts.join(": ");
    match failure_help(error) {
        Some(help) => format!("{texts} ({help})"),
        None => texts,
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}
