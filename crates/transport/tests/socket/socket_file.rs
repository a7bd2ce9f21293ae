//! The listener on a socket file.

use std::time::Duration;

use bytes::Bytes;
use countersign_testing::raw::{GET, RawClient};
use countersign_transport::{ListenerLimits, Peer, Request, SocketFile, serve};
use http::Response;
use http_body_util::Full;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

async fn say_who(_: Request, peer: Peer) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from(peer.address.to_string())))
}

#[tokio::test]
async fn http_is_served_on_a_socket_file_until_it_is_shut() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let file = SocketFile::bind(&path).await.unwrap();
    let (shutdown, signal) = oneshot::channel::<()>();
    let limits = ListenerLimits {
        drain_timeout: Duration::from_secs(5),
        ..ListenerLimits::default()
    };
    let served = tokio::spawn(serve(file, limits, say_who, async {
        let _ = signal.await;
    }));
    let stream = UnixStream::connect(&path).await.unwrap();
    let mut client = RawClient { stream };
    client.send(GET).await;
    assert_eq!(client.text(15).await, "HTTP/1.1 200 OK");
    shutdown.send(()).unwrap();
    let rest = client.rest().await;
    assert!(rest.ends_with("127.0.0.1:0"), "{rest}");
    assert_eq!(served.await.unwrap().cut, 0);
    assert!(!path.exists());
}
