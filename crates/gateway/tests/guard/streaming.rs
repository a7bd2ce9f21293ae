//! Bodies go through as they come, in both directions.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use countersign_testing::listening::listen;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::world::{MYPOPUP, Plan};

const PIECE: usize = 64 * 1024;
/// 20 MiB in all.
const PIECES: usize = 320;

/// An upstream that sends back each piece when it has come, and tells how much
/// it has got.
fn mirror() -> (String, mpsc::UnboundedReceiver<usize>) {
    let (tell, told) = mpsc::unbounded_channel();
    let listener = listen(move |stream| {
        let tell = tell.clone();
        let answer = service_fn(move |request| reflect(request, tell.clone()));
        let served = hyper::server::conn::http1::Builder::new();
        async move { drop(served.serve_connection(TokioIo::new(stream), answer).await) }
    });
    (listener.url(), told)
}

async fn reflect(
    request: Request<Incoming>,
    tell: mpsc::UnboundedSender<usize>,
) -> Result<Response<Channel<Bytes>>, Infallible> {
    let (mut sender, body) = Channel::new(1);
    let mut incoming = request.into_body();
    tokio::spawn(async move {
        let mut got = 0;
        while let Some(Ok(frame)) = incoming.frame().await {
            let data = frame.into_data().unwrap();
            got += data.len();
            let _ = tell.send(got);
            if sender.send_data(data).await.is_err() {
                return;
            }
        }
    });
    Ok(Response::new(body))
}

async fn read_to(stream: &mut (impl AsyncReadExt + Unpin), end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        text.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn the_first_piece_comes_back_before_the_second_is_sent() {
    let (url, mut told) = mirror();
    let world = Plan::new(MYPOPUP, &url).build();
    let front = world.serve();
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let head = format!(
        "POST /api/v1/x HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        world.bearer()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"5\r\nfirst\r\n").await.unwrap();
    assert_eq!(told.recv().await, Some(5));
    let head = read_to(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(read_to(&mut stream, "first\r\n").await, "5\r\nfirst\r\n");
    stream.write_all(b"6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(
        read_to(&mut stream, "0\r\n\r\n").await,
        "6\r\nsecond\r\n0\r\n\r\n"
    );
}

#[tokio::test]
async fn twenty_mebibytes_go_through_both_ways_and_come_back_whole() {
    let (url, _told) = mirror();
    let world = Plan::new(MYPOPUP, &url).build();
    let front = world.serve();
    let stream = TcpStream::connect(front.address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let head = format!(
        "POST /api/v1/x HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        world.bearer(),
        PIECE * PIECES
    );
    let sending = tokio::spawn(async move {
        writer.write_all(head.as_bytes()).await.unwrap();
        for number in 0..PIECES {
            let piece = [number as u8; PIECE];
            writer.write_all(&piece).await.unwrap();
        }
        writer
    });
    let mut reply = Vec::new();
    reader.read_to_end(&mut reply).await.unwrap();
    let _writer = sending.await.unwrap();
    let mut counts = [0_usize; 256];
    for byte in &reply {
        counts[usize::from(*byte)] += 1;
    }
    // What frames the chunks is ASCII, so only the greater numbers are exact.
    for (number, count) in counts.into_iter().enumerate().skip(128) {
        let pieces = (0..PIECES).filter(|piece| piece % 256 == number).count();
        assert_eq!(count, pieces * PIECE, "{number}");
    }
    assert!(reply.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_upstream_back() {
    let (url, mut told) = mirror();
    let world = Plan::new(MYPOPUP, &url).build();
    let front = world.serve();
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let head = format!(
        "POST /api/v1/x HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ncontent-length: 999999999\r\n\r\n",
        world.bearer()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut sent = 0;
    // Sends until nothing is taken any more, and never reads.
    let stalled = Duration::from_millis(500);
    while let Ok(written) = tokio::time::timeout(stalled, stream.write_all(&[b'x'; PIECE])).await {
        written.unwrap();
        sent += PIECE;
        assert!(sent < 64 << 20, "somebody buffers without bound");
    }
    let mut got = 0;
    while let Ok(more) = told.try_recv() {
        got = more;
    }
    assert!(got > 0 && got < 32 << 20, "{got}");
}
