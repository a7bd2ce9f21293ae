//! Bodies that pass as they come, and connections that become tunnels.

use std::time::Duration;

use bytes::Bytes;
use countersign_testing::raw::{RawClient, content_length, field};
use http::Request;
use http_body_util::{BodyExt, Channel};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::vendor::{Stream, Vendor};
use crate::world::{Plan, World};

async fn through(vendor: &Vendor) -> World {
    let plan = Plan {
        upstream: Some(vendor.url.clone()),
        ..Plan::default()
    };
    plan.open().await
}

/// Sends back each byte as it comes, as many as were announced.
async fn give_back(mut stream: Stream, length: usize) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut left, mut piece) = (length, vec![0; 64 * 1024]);
    while left > 0 {
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "{left} bytes did not come");
        stream.write_all(&piece[..read]).await.unwrap();
        left -= read;
    }
}

#[tokio::test]
async fn what_a_program_sends_goes_on_before_it_has_sent_all_and_comes_back_so() {
    const PIECE: usize = 256 * 1024;
    const PIECES: usize = 40;
    let vendor = Vendor::acting(|head, stream| give_back(stream, content_length(&head)));
    let world = through(&vendor).await;
    let (mut body, receiver) = Channel::<Bytes>::new(1);
    let request = Request::post("/upload")
        .header("host", world.host())
        .header("content-length", PIECE * PIECES)
        .body(receiver)
        .unwrap();
    let stream = TokioIo::new(world.connect().await);
    let (mut sender, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let sending = tokio::spawn(sender.send_request(request));
    let first = Bytes::from(vec![0; PIECE]);
    body.send_data(first).await.unwrap();
    let mut answer = sending.await.unwrap().unwrap().into_body();
    let mut got = 0;
    for number in 0..PIECES {
        let wanted = PIECE * (number + 1);
        while got < wanted {
            let piece = answer.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(piece.iter().all(|byte| usize::from(*byte) == number));
            got += piece.len();
        }
        if number + 1 < PIECES {
            let next = u8::try_from(number + 1).unwrap();
            body.send_data(vec![next; PIECE].into()).await.unwrap();
        }
    }
    assert_eq!(got, PIECE * PIECES);
}

#[tokio::test]
async fn a_body_that_trickles_goes_on_within_a_second() {
    let vendor = Vendor::acting(|_, mut stream| async move {
        let mut chunk = String::new();
        stream.read_line(&mut chunk).await.unwrap();
        stream.read_line(&mut chunk).await.unwrap();
        assert_eq!(chunk, "5\r\nhello\r\n");
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.read_line(&mut chunk).await.unwrap();
    });
    let world = through(&vendor).await;
    let mut stream = BufReader::new(world.connect().await);
    let head = format!(
        "POST /x HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        world.host()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = String::new();
    let answered = stream.read_line(&mut status);
    let waited = tokio::time::timeout(Duration::from_secs(20), answered).await;
    waited.expect("the vendor was not asked").unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK\r\n");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_the_whole() {
    let vendor = Vendor::answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let world = through(&vendor).await;
    let mut client = RawClient {
        stream: world.connect().await,
    };
    let head = format!("GET /x HTTP/1.1\r\nHost: {}\r\n\r\n", world.host());
    client.send(head).await;
    let all = client.rest().await;
    assert!(!all.ends_with("halfhalf"), "{all}");
}

#[tokio::test]
async fn a_web_socket_passes_with_a_token_of_ours() {
    let vendor = Vendor::acting(|head, mut stream| async move {
        assert!(
            head.contains("upgrade: websocket\r\n") && head.contains("authorization: bearer ey")
        );
        let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                        Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";
        stream.write_all(switched.as_bytes()).await.unwrap();
        let mut piece = [0; 1024];
        while let Ok(length @ 1..) = stream.read(&mut piece).await {
            stream.write_all(&piece[..length]).await.unwrap();
        }
    });
    let world = through(&vendor).await;
    let mut client = RawClient {
        stream: world.connect().await,
    };
    let head = format!(
        "GET /live HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        world.host()
    );
    client.send(head).await;
    let told = client.head().await;
    assert!(told.starts_with("HTTP/1.1 101 "), "{told}");
    assert_eq!(field(&told, "sec-websocket-accept"), Some("x"));
    for message in ["one", "another"] {
        client.send(message).await;
        assert_eq!(client.text(message.len()).await, message);
    }
}

#[tokio::test]
async fn a_web_socket_is_asked_for_again_where_its_token_was_not_taken() {
    let vendor = Vendor::answering("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
    let world = through(&vendor).await;
    let mut client = RawClient {
        stream: world.connect().await,
    };
    let head = format!(
        "GET /live HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        world.host()
    );
    client.send(head).await;
    assert_eq!(client.answer().await.status, 401);
    let asked = vendor.heads();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|head| head.contains("upgrade: websocket")));
}
