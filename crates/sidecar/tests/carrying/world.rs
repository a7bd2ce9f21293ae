//! One sidecar between a program and a sandbox.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use countersign_client::profile::AllowedRequest;
use countersign_client::{ManualClock, TokenSource};
use countersign_dialect::{Dialect, Secret};
use countersign_relay::{UpstreamSettings, UpstreamTimeouts};
use countersign_sandbox::Sandbox;
use countersign_sidecar::{SIDECAR, Sidecar, SidecarAddress, SidecarSetup, serve};
use countersign_testing::replies::{Reply, SendError, request, send_on};
use countersign_transport::{DrainOutcome, ListenerLimits};
use http::Request;
use http_body::Body;
use http_body_util::Full;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The life of an access token.
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// How a world differs from the usual one.
pub(crate) struct Plan {
    pub(crate) dialect: &'static str,
    /// The field that carries the token, instead of `Authorization: Bearer`.
    pub(crate) field: Option<&'static str>,
    /// Where requests go; to the sandbox by default.
    pub(crate) upstream: Option<String>,
    pub(crate) allow: Vec<AllowedRequest>,
    pub(crate) key: Option<&'static str>,
    /// Listens on a socket file.
    pub(crate) file: bool,
    pub(crate) static_key: bool,
    pub(crate) secret: Option<&'static str>,
    pub(crate) budget: Option<u32>,
    pub(crate) timeouts: UpstreamTimeouts,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            dialect: "b2binpay",
            field: None,
            upstream: None,
            allow: vec![],
            key: None,
            file: false,
            static_key: false,
            secret: None,
            budget: None,
            timeouts: UpstreamTimeouts::default(),
        }
    }
}

/// A sidecar, and the sandbox behind it, on one clock that stands still.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) sidecar: Arc<Sidecar>,
    clock: Arc<ManualClock>,
    pub(crate) address: SidecarAddress,
    stop: oneshot::Sender<()>,
    served: JoinHandle<DrainOutcome>,
    directory: tempfile::TempDir,
}

pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Plan {
    pub(crate) async fn open(self) -> World {
        let sandbox = Sandbox::speaking(self.dialect())
            .still()
            .budget(self.budget);
        let sandbox = sandbox.lifetimes(HOUR, 24 * HOUR);
        let sandbox = sandbox.start().await.unwrap();
        let clock = Arc::new(ManualClock::at(sandbox.now()));
        let directory = tempfile::tempdir().unwrap();
        let address = match self.file {
            true => SidecarAddress::File(directory.path().join("a.sock")),
            false => "127.0.0.1:0".parse().unwrap(),
        };
        let source = self.source(&sandbox, &clock);
        let upstream = self.upstream.as_deref().unwrap_or(sandbox.url());
        let setup = SidecarSetup {
            name: "pay".parse().unwrap(),
            source,
            dialect: sandbox.dialect().clone(),
            upstream: UpstreamSettings {
                timeouts: self.timeouts,
                ..UpstreamSettings::new(upstream.parse().unwrap())
            },
            allow: self.allow,
            key: self.key.map(Secret::from),
            access_log: false,
        };
        let sidecar = Arc::new(Sidecar::new(setup).unwrap());
        let bound = address.bind().await.unwrap();
        let address = bound.address().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let current = Arc::new(ArcSwap::new(sidecar.clone()));
        let served = tokio::spawn(serve(bound, current, ListenerLimits::default(), async {
            let _ = stopped.await;
        }));
        World {
            sandbox,
            sidecar,
            clock,
            address,
            stop,
            served,
            directory,
        }
    }

    fn dialect(&self) -> Arc<Dialect> {
        let mut source = Dialect::shipped(self.dialect).unwrap().to_owned();
        if let Some(field) = self.field {
            let usual = r#"header = "Authorization", value = "Bearer {access_token}""#;
            let other = format!(r#"header = {field:?}, value = "{{access_token}}""#);
            source = source.replace(usual, &other);
        }
        Arc::new(Dialect::compile(&source, self.dialect).unwrap())
    }

    fn source(&self, sandbox: &Sandbox, clock: &Arc<ManualClock>) -> TokenSource {
        let secret = self.secret.map(Secret::from);
        TokenSource::builder(sandbox.dialect().clone(), sandbox.url())
            .name("pay")
            .login(sandbox.login())
            .secret(secret.unwrap_or_else(|| sandbox.secret().clone()))
            .static_key(self.static_key)
            .budget(self.budget)
            .clock(clock.clone())
            .patience(Duration::from_millis(500))
            .build()
            .unwrap()
    }
}

impl World {
    pub(crate) async fn open() -> Self {
        Plan::default().open().await
    }

    /// Moves the vendor's clock and the client's.
    pub(crate) fn advance(&self, span: Duration) {
        self.sandbox.advance(span);
        self.clock.advance(span);
    }

    /// A connection of a program.
    pub(crate) async fn connect(&self) -> Box<dyn Wire> {
        match &self.address {
            SidecarAddress::Port(address) => Box::new(TcpStream::connect(address).await.unwrap()),
            SidecarAddress::File(path) => Box::new(UnixStream::connect(path).await.unwrap()),
        }
    }

    /// What a program calls the sidecar.
    pub(crate) fn host(&self) -> String {
        match &self.address {
            SidecarAddress::Port(address) => address.to_string(),
            SidecarAddress::File(_) => "anything".to_owned(),
        }
    }

    /// Sends a request on a connection of its own.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Reply {
        self.send_any(request).await
    }

    pub(crate) async fn send_any<B>(&self, request: Request<B>) -> Reply
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<SendError>,
    {
        let stream = self.connect().await;
        send_on(stream, &self.host(), request).await.unwrap()
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.send(request("GET", target, &[], "")).await
    }

    /// Lets running requests finish, and ends.
    pub(crate) async fn close(self) -> DrainOutcome {
        self.stop.send(()).unwrap();
        let served = self.served.await.unwrap();
        drop(self.directory);
        served
    }
}

/// The code of the sidecar's own problem; empty for an answer of the vendor.
pub(crate) fn code(reply: &Reply) -> &str {
    reply.header(SIDECAR.as_str())
}

pub(crate) fn outcome(reply: &Reply) -> (u16, &str) {
    (reply.status.as_u16(), code(reply))
}

pub(crate) fn allowed(entries: &[(&str, &str)]) -> Vec<AllowedRequest> {
    let entry = |(method, path): &(&str, &str)| AllowedRequest {
        method: Some(method.parse().unwrap()),
        path: (*path).to_owned(),
    };
    entries.iter().map(entry).collect()
}
