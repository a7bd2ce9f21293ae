//! HTTP/2 with the whole listener: many requests at a time, on several threads.

use bytes::Bytes;
use countersign_transport::ListenerLimits;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::server::Server;

#[test]
fn a_thousand_requests_on_ten_connections_are_each_answered_with_their_own() {
    let server = Server::start(ListenerLimits::default());
    let address = server.address;
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mut connections = JoinSet::new();
        for number in 0..10 {
            let stream = TcpStream::connect(address).await.unwrap();
            connections.spawn(hundred(stream, number));
        }
        connections.join_all().await;
    });
    // The clients have gone, so none is in the way.
    assert_eq!(server.stop().cut, 0);
}

/// A hundred requests at a time on one connection.
async fn hundred(stream: TcpStream, connection: usize) {
    let io = TokioIo::new(stream);
    let (sender, driver) = handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(driver);
    let mut requests = JoinSet::new();
    for number in 0..100 {
        let path = format!("/{connection}/{number}");
        let body = "x".repeat(number * 100);
        let said = format!("POST {path} {body}").trim_end().to_owned();
        let request = Request::post(format!("http://h{path}"))
            .body(Full::<Bytes>::from(body))
            .unwrap();
        let mut sender = sender.clone();
        requests.spawn(async move {
            let answer = sender.send_request(request).await.unwrap();
            let heard = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(heard, said);
        });
    }
    requests.join_all().await;
}
