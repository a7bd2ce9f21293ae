//! What lies unsent or unread has one bound, and who reads goes on.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame};
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use super::raw::{DATA, END_HEADERS, END_STREAM, HEADERS, Raw, SETTINGS, frame, get};
use crate::testing::{Client, House, text};
use crate::{ListenerLimits, Peer, Request, collect};

const WINDOW_UPDATE: u8 = 8;
const PIECE: usize = 8 * 1024;
const PIECES: usize = 128;
const MEGABYTE: usize = 1024 * 1024;

/// What a connection holds beside what is counted: the test's own pipe, and what h2
/// has made of a piece.
const PIPE: usize = 64 * 1024;

fn limits() -> ListenerLimits {
    ListenerLimits {
        max_buffered_bytes: MEGABYTE,
        write_timeout: Duration::from_secs(20),
        min_rate: 0,
        ..ListenerLimits::default()
    }
}

/// A megabyte in pieces, each of which is counted when it is asked for.
struct Pieces {
    left: usize,
    polled: Arc<AtomicUsize>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.polled.fetch_add(PIECE, Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; PIECE])))))
    }
}

/// A house that answers with a megabyte, and how much of these was asked for.
fn counting_house() -> (House, Arc<AtomicUsize>) {
    let polled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polled);
    let house = House::open(limits(), move |_: Request, _: Peer| {
        let polled = Arc::clone(&counted);
        async move {
            Response::new(Pieces {
                left: PIECES,
                polled,
            })
        }
    });
    (house, polled)
}

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// Asks over HTTP/1.1 and reads all.
async fn reads_all(house: &House) {
    let mut client = house.connect();
    client
        .send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .await;
    assert!(client.rest().await.len() > PIECES * PIECE);
}

/// A client whose windows are wide open, so that only its socket holds it back.
async fn greedy(house: &House, streams: u32) -> Raw {
    let mut raw = Raw::connect(house).await;
    let window = 0x7fff_0000_u32.to_be_bytes();
    let wide = [&[0, 4], &window[..]].concat();
    raw.send(&frame(SETTINGS, 0, 0, &wide)).await;
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &window)).await;
    for number in 0..streams {
        let stream = 2 * number + 1;
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &get()))
            .await;
    }
    settle().await;
    raw
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_reads_have_one_bound_and_who_reads_gets_his() {
    let (house, polled) = counting_house();
    let mut hoarders = Vec::new();
    for _ in 0..8 {
        hoarders.push(greedy(&house, 100).await);
    }
    let hoarded = polled.load(Relaxed);
    let beside = 8 * (PIPE + 4 * PIECE);
    assert!(hoarded <= MEGABYTE / 2 + beside, "{hoarded}");
    for _ in 0..3 {
        reads_all(&house).await;
    }
    sleep(Duration::from_secs(1)).await;
    let theirs = polled.load(Relaxed) - 3 * PIECES * PIECE;
    assert!(theirs <= MEGABYTE / 2 + beside, "{theirs}");
    sleep(limits().write_timeout).await;
    for hoarder in &mut hoarders {
        assert!(hoarder.stream.write_all(b"x").await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn over_http_1_too_answers_that_nobody_reads_have_one_bound() {
    let (house, polled) = counting_house();
    let mut hoarders: Vec<Client> = Vec::new();
    for _ in 0..100 {
        let mut hoarder = house.connect();
        hoarder.send(crate::testing::GET).await;
        settle().await;
        hoarders.push(hoarder);
    }
    let hoarded = polled.load(Relaxed);
    let beside = hoarders.len() * (PIPE + PIECE);
    assert!(hoarded <= MEGABYTE / 2 + beside, "{hoarded}");
    reads_all(&house).await;
}

#[tokio::test(start_paused = true)]
async fn who_begins_to_read_gets_all_that_was_held_back() {
    let (house, _) = counting_house();
    let mut hoarders = Vec::new();
    for _ in 0..8 {
        hoarders.push(greedy(&house, 3).await);
    }
    for hoarder in &mut hoarders {
        let (mut got, mut ended) = (0, 0);
        while ended < 3 {
            let frame = hoarder.frame().await.unwrap();
            if frame.kind == DATA {
                got += frame.payload.len();
                ended += usize::from(frame.flags & END_STREAM != 0);
            }
        }
        assert_eq!(got, 3 * PIECES * PIECE);
    }
}

#[tokio::test(start_paused = true)]
async fn the_service_is_called_for_those_requests_alone_that_have_begun() {
    let called = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&called);
    let house = House::open(limits(), move |_: Request, _: Peer| {
        counted.fetch_add(1, Relaxed);
        std::future::pending::<Response<http_body_util::Full<Bytes>>>()
    });
    let _hoarder = greedy(&house, 100).await;
    // The first takes nothing of what is shared, and each other one at least 24 KiB.
    let begun = called.load(Relaxed);
    assert!(
        (2..=1 + MEGABYTE / 2 / (24 * 1024)).contains(&begun),
        "{begun}"
    );
}

/// How much of a body the server takes that nobody there reads.
async fn push(raw: &mut Raw, most: usize) -> usize {
    settle().await;
    // The windows that the server offers hold once they are acknowledged.
    raw.send(&frame(SETTINGS, 1, 0, b"")).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &get())).await;
    let piece = frame(DATA, 0, 1, &[0; PIECE]);
    let mut pushed = 0;
    while pushed < most {
        let sent = timeout(Duration::from_secs(1), raw.stream.write_all(&piece));
        match sent.await {
            Ok(sent) => sent.expect("the connection was cut"),
            Err(_) => break,
        }
        pushed += PIECE;
    }
    pushed
}

#[tokio::test(start_paused = true)]
async fn bodies_that_nobody_reads_have_the_same_bound() {
    let house = House::open(limits(), |request: Request, _| async move {
        if request.version() == http::Version::HTTP_2 {
            std::future::pending::<()>().await;
        }
        let body = collect(request.into_body(), 2 * MEGABYTE).await;
        text(&body.unwrap().len().to_string())
    });
    let (mut pushed, mut hoarders) = (0, Vec::new());
    for _ in 0..8 {
        let mut raw = Raw::connect(&house).await;
        pushed += push(&mut raw, super::super::STREAM_WINDOW as usize).await;
        hoarders.push(raw);
    }
    let beside = 8 * (PIPE + 4 * PIECE);
    assert!(pushed <= MEGABYTE / 2 + beside, "{pushed}");
    let mut client = house.connect();
    let body = "x".repeat(MEGABYTE);
    let head = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {MEGABYTE}\r\n\r\n");
    client.send(&head).await;
    client.send(&body).await;
    assert_eq!(client.answer().await.body, MEGABYTE.to_string());
}

#[tokio::test(start_paused = true)]
async fn an_upload_may_have_so_much_under_way_as_a_long_way_needs() {
    let house = House::open(ListenerLimits::default(), |_: Request, _| {
        std::future::pending::<Response<http_body_util::Full<Bytes>>>()
    });
    let mut raw = Raw::connect(&house).await;
    let (mut stream, mut connection) = (65_535, 65_535);
    while let Ok(Some(frame)) = timeout(Duration::from_millis(1), raw.frame()).await {
        match frame.kind {
            SETTINGS => {
                for setting in frame.payload.chunks(6) {
                    let (name, value) = setting.split_at(2);
                    if name == [0, 4] {
                        stream = u32::from_be_bytes(value.try_into().unwrap());
                    }
                }
            }
            WINDOW_UPDATE => {
                assert_eq!(frame.stream, 0);
                connection += u32::from_be_bytes(frame.payload.try_into().unwrap());
            }
            _ => {}
        }
    }
    assert_eq!((stream, connection), (512 * 1024, 1024 * 1024));
    let pushed = push(&mut raw, stream as usize).await;
    assert_eq!(pushed, stream as usize, "all of it is taken");
    let word = timeout(Duration::from_secs(1), raw.word()).await;
    assert!(word.is_err(), "{word:?}");
}
