//! One connection to the transport, in memory.

use std::time::Duration;

use bytes::Bytes;
use countersign_transport::{ListenerLimits, Peer, Request, fuzzing};
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Nothing here waits for anything but for tasks to run.
const TOO_LONG: Duration = Duration::from_secs(5);

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
}

/// Serves a connection while `client` is at its other end.
pub fn converse<F, Fut>(answer: F, client: impl AsyncFnOnce(DuplexStream))
where
    F: Fn(Request, Peer) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let (near, far) = duplex(1024 * 1024);
    let (ended, over) = oneshot::channel();
    let serving = fuzzing::serve_stream(far, ListenerLimits::default(), answer, over);
    let talking = async {
        client(near).await;
        let _ = ended.send(());
    };
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let both = async { tokio::join!(serving, talking) };
            timeout(TOO_LONG, both).await.expect("an end in time");
        });
    });
}

/// Reads until `enough` has been read, or the end.
pub async fn hear(stream: &mut DuplexStream, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut heard = Vec::new();
    while !enough(&heard) {
        match stream.read_buf(&mut heard).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    heard
}
