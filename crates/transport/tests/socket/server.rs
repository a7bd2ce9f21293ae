//! A server for one test, on a port of its own, that says what it was asked.

use std::net::SocketAddr;

use bytes::Bytes;
use countersign_transport::{
    DrainOutcome, Listener, ListenerLimits, Peer, Request, collect, serve,
};
use http::Response;
use http_body_util::Full;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    served: JoinHandle<DrainOutcome>,
    runtime: Runtime,
}

impl Server {
    pub(crate) fn start(limits: ListenerLimits) -> Self {
        Self::behind(limits, |listener| listener)
    }

    pub(crate) fn behind(
        limits: ListenerLimits,
        set_up: impl FnOnce(Listener) -> Listener,
    ) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, signal) = oneshot::channel::<()>();
        let listener = set_up(Listener::new(listener));
        let served = runtime.spawn(serve(listener, limits, say, async {
            let _ = signal.await;
        }));
        Self {
            address,
            shutdown,
            served,
            runtime,
        }
    }

    pub(crate) fn stop(self) -> DrainOutcome {
        self.shutdown.send(()).unwrap();
        self.runtime.block_on(self.served).unwrap()
    }
}

/// Answers with method, target and body; 422 if the body cannot be had. Under
/// `/unread` the body is left alone.
async fn say(request: Request, _: Peer) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let mut said = format!("{} {}", head.method, head.uri).into_bytes();
    if head.uri.path() != "/unread" {
        match collect(body, 1 << 20).await {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => {
                said.push(b' ');
                said.extend_from_slice(&bytes);
            }
            Err(error) => {
                let mut response = Response::new(Full::new(Bytes::from(error.to_string())));
                *response.status_mut() = http::StatusCode::UNPROCESSABLE_ENTITY;
                return response;
            }
        }
    }
    Response::new(Full::new(Bytes::from(said)))
}
