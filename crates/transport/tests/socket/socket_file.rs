//! The listener on a socket file.

use std::time::Duration;

use bytes::Bytes;
use countersign_transport::{ListenerLimits, Peer, Request, SocketFile, serve};
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: anything\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    shutdown.send(()).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("127.0.0.1:0"), "{rest}");
    assert_eq!(served.await.unwrap().cut, 0);
    assert!(!path.exists());
}
