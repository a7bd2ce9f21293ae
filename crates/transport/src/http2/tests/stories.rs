use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ETAG, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep};

use super::raw::{
    CONTINUATION, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, Raw, frame, get,
};
use crate::testing::{House, hello, text};
use crate::{DrainOutcome, ListenerLimits, Peer, collect};

fn limits() -> ListenerLimits {
    ListenerLimits {
        max_connections: 3,
        header_read_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        body_timeout: Duration::from_secs(20),
        write_timeout: Duration::from_secs(20),
        request_timeout: Some(Duration::from_secs(100)),
        ..ListenerLimits::default()
    }
}

struct Client {
    sender: SendRequest<Full<Bytes>>,
    connection: JoinHandle<()>,
}

impl Client {
    async fn connect(house: &House) -> Self {
        Self::with_window(house, 65_535).await
    }

    /// One that takes so much of an answer before it has read it.
    async fn with_window(house: &House, window: u32) -> Self {
        let io = TokioIo::new(house.connect().stream);
        let mut builder = Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        builder.initial_stream_window_size(window);
        let (sender, connection) = builder.handshake(io).await.unwrap();
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        Self { sender, connection }
    }

    async fn ask(&mut self, path: &str) -> hyper::Result<Response<Incoming>> {
        let uri = format!("http://h{path}");
        let request = Request::get(uri).body(Full::default()).unwrap();
        self.sender.send_request(request).await
    }

    async fn get(&mut self) -> (StatusCode, String) {
        let response = self.ask("/").await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn closed(self) {
        self.connection.await.unwrap();
    }
}

fn ok(body: &str) -> (StatusCode, String) {
    (StatusCode::OK, body.to_owned())
}

/// Lets everything happen that needs no time.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// A house whose requests wait until they get a permit.
fn busy_house() -> (House, Arc<Semaphore>) {
    busy_house_with(limits())
}

fn busy_house_with(limits: ListenerLimits) -> (House, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&permits);
    let house = House::open(limits, move |_, _| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            text("done")
        }
    });
    (house, permits)
}

/// A client with a request that runs.
async fn running(house: &House) -> (Client, JoinHandle<hyper::Result<Response<Incoming>>>) {
    let client = Client::connect(house).await;
    let request = Request::get("http://h/").body(Full::default()).unwrap();
    let answer = tokio::spawn(client.sender.clone().send_request(request));
    settle().await;
    (client, answer)
}

#[tokio::test(start_paused = true)]
async fn the_service_sees_what_http_1_would_have_brought() {
    let house = House::open(limits(), |request: crate::Request, _| async move {
        let (head, _) = request.into_parts();
        let fields =
            ["host", "cookie"].map(|name| head.headers.get_all(name).iter().collect::<Vec<_>>());
        text(&format!("{:?} {} {fields:?}", head.version, head.uri))
    });
    let mut client = Client::connect(&house).await;
    let request = Request::get("http://api.example.com:8443/a?b=c")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(Full::default())
        .unwrap();
    let response = client.sender.send_request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let seen = r#"HTTP/2.0 /a?b=c [["api.example.com:8443"], ["a=1; b=2"]]"#;
    assert_eq!(String::from_utf8_lossy(&body), seen);
}

#[tokio::test(start_paused = true)]
async fn requests_run_side_by_side() {
    let (house, permits) = busy_house();
    let (client, first) = running(&house).await;
    let request = Request::get("http://h/").body(Full::default()).unwrap();
    let second = tokio::spawn(client.sender.clone().send_request(request));
    settle().await;
    permits.add_permits(2);
    for answer in [first, second] {
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_never_answered_gets_503_and_the_others_go_on() {
    let house = House::open(limits(), |request: crate::Request, _| async move {
        if request.uri().path() == "/never" {
            pending::<()>().await;
        }
        text("hello")
    });
    let mut client = Client::connect(&house).await;
    let asked = Instant::now();
    let never = client.ask("/never").await.unwrap();
    assert_eq!(
        (never.status().as_u16(), asked.elapsed().as_secs()),
        (503, 100)
    );
    assert_eq!(client.get().await, ok("hello"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_its_request_only() {
    let house = House::open(limits(), |request: crate::Request, _| async move {
        assert_eq!(request.uri().path(), "/");
        text("well")
    });
    let mut client = Client::connect(&house).await;
    assert_eq!(client.ask("/panic").await.unwrap().status(), 500);
    assert_eq!(client.get().await, ok("well"));
}

#[tokio::test(start_paused = true)]
async fn an_interim_status_is_no_answer() {
    let house = House::open(limits(), |_, _| async {
        let mut response = text("");
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response
    });
    assert_eq!(Client::connect(&house).await.get().await.0, 500);
}

/// Says what collecting up to eight bytes came to.
async fn report(request: crate::Request, _: Peer) -> Response<Full<Bytes>> {
    text(&format!("{:?}", collect(request.into_body(), 8).await))
}

#[tokio::test(start_paused = true)]
async fn bodies_have_their_limits() {
    let house = House::open(limits(), report);
    let mut client = Client::connect(&house).await;
    for (body, outcome) in [
        ("", r#"Ok(b"")"#),
        ("12345678", r#"Ok(b"12345678")"#),
        ("123456789", "Err(TooLarge)"),
    ] {
        let request = Request::post("http://h/").body(Full::from(body)).unwrap();
        let answer = client.sender.send_request(request).await.unwrap();
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(said, outcome);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_pauses_for_too_long_times_out() {
    let house = House::open(limits(), report);
    let mut raw = Raw::connect(&house).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &get())).await;
    let began = Instant::now();
    assert_eq!(raw.word().await.unwrap().status(), 200);
    assert_eq!(began.elapsed(), limits().body_timeout);
}

/// A body that says something after a pause, and then ends with trailers.
struct Late {
    pause: Pin<Box<Sleep>>,
    rest: Vec<Frame<Bytes>>,
}

impl Body for Late {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.pause.as_mut().poll(context));
        Poll::Ready(self.rest.pop().map(Ok))
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_may_pause_while_it_is_being_answered_and_ends_with_its_trailers() {
    let house = House::open(limits(), |request: crate::Request, _| async {
        Response::new(request.into_body())
    });
    let mut builder = Builder::new(TokioExecutor::new());
    let builder = builder.timer(TokioTimer::new());
    let io = TokioIo::new(house.connect().stream);
    let (mut sender, connection) = builder.handshake(io).await.unwrap();
    tokio::spawn(connection);
    let trailers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("7"))]);
    let late = Late {
        pause: Box::pin(sleep(10 * limits().body_timeout)),
        rest: vec![
            Frame::trailers(trailers.clone()),
            Frame::data("late".into()),
        ],
    };
    let request = Request::post("http://h/").body(late).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.trailers(), Some(&trailers));
    assert_eq!(body.to_bytes(), "late");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let house = House::open(limits(), hello);
    let opened = Instant::now();
    let mut raw = Raw::connect(&house).await;
    let words = raw.rest().await;
    assert!(words[&GOAWAY] > 0);
    // It does not say that it has heard, so it is waited for.
    assert_eq!(opened.elapsed().as_secs(), 12);
}

#[tokio::test(start_paused = true)]
async fn the_preface_has_the_time_of_a_head() {
    let house = House::open(limits(), hello);
    let opened = Instant::now();
    let mut client = house.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM").await;
    assert_eq!(client.answer().await.status, 408);
    assert_eq!(opened.elapsed().as_secs(), 10);
    // An unfinished method that might become the preface is none.
    let mut client = house.connect();
    client.send("P").await;
    client.send("OST / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_its_time() {
    let house = House::open(limits(), hello);
    let mut client = Client::connect(&house).await;
    for _ in 0..3 {
        assert_eq!(client.get().await, ok("hello"));
        sleep(Duration::from_secs(59)).await;
    }
    assert_eq!(client.get().await, ok("hello"));
    let answered = Instant::now();
    client.closed().await;
    assert_eq!(answered.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_without_a_word_is_noticed() {
    let (house, _permits) = busy_house();
    let mut raw = Raw::connect(&house).await;
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get()))
        .await;
    let asked = Instant::now();
    let words = raw.rest().await;
    assert_eq!((words[&PING], asked.elapsed().as_secs()), (1, 40));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_is_not_worked_on() {
    let (told, mut dropped) = mpsc::unbounded_channel();
    let house = House::open(limits(), move |_, _| {
        let told = Told(told.clone());
        async move {
            let _told = told;
            pending::<Response<Full<Bytes>>>().await
        }
    });
    let (client, answer) = running(&house).await;
    answer.abort();
    dropped.recv().await.unwrap();
    let (second, answer) = running(&house).await;
    second.connection.abort();
    dropped.recv().await.unwrap();
    drop((client, answer));
}

/// Tells that it was dropped.
struct Told(mpsc::UnboundedSender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_running_requests_finish_and_takes_no_more() {
    let (house, permits) = busy_house();
    let (mut client, answer) = running(&house).await;
    let idle = Client::connect(&house).await;
    let signal = Instant::now();
    let served = house.shut();
    idle.closed().await;
    settle().await;
    assert!(client.ask("/").await.is_err());
    permits.add_permits(1);
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "done"
    );
    assert_eq!(served.await.unwrap(), DrainOutcome { cut: 0 });
    assert!(signal.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn shutdown_cuts_what_does_not_finish_in_time() {
    let (house, _permits) = busy_house();
    let (_client, answer) = running(&house).await;
    let signal = Instant::now();
    assert_eq!(house.shut().await.unwrap(), DrainOutcome { cut: 1 });
    assert_eq!(signal.elapsed(), limits().drain_timeout);
    assert!(answer.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn only_a_connection_without_a_request_makes_room() {
    let (house, permits) = busy_house();
    let (_busy, answer) = running(&house).await;
    let idle = Client::connect(&house).await;
    let (_other, _) = running(&house).await;
    let (_newcomer, newcomers) = running(&house).await;
    idle.closed().await;
    permits.add_permits(3);
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    assert_eq!(newcomers.await.unwrap().unwrap().status(), 200);
}

/// Answers with a megabyte in one piece, or says hello.
async fn megabyte(request: crate::Request, _: Peer) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/long" => text(&"x".repeat(1_000_000)),
        _ => text("hello"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_is_reset_and_the_others_go_on() {
    let house = House::open(limits(), megabyte);
    let mut client = Client::with_window(&house, 1_000).await;
    let long = client.ask("/long").await.unwrap();
    for _ in 0..3 {
        sleep(Duration::from_secs(10)).await;
        assert_eq!(client.get().await, ok("hello"));
    }
    assert!(long.into_body().collect().await.is_err());
    assert_eq!(client.get().await, ok("hello"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_taken_slowly_but_steadily_comes_whole() {
    let house = House::open(limits(), megabyte);
    let mut client = Client::connect(&house).await;
    let mut body = client.ask("/long").await.unwrap().into_body();
    let mut got = 0;
    while let Some(frame) = body.frame().await {
        let size = frame.unwrap().into_data().unwrap().len();
        got += size;
        // Two kilobytes a second. Half a window at a time is given back.
        sleep(Duration::from_millis(size as u64 / 2)).await;
    }
    assert_eq!(got, 1_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_at_all_is_cut() {
    let house = House::open(limits(), megabyte);
    let mut raw = Raw::connect(&house).await;
    // So large a window that only the socket holds it back.
    let window = 0x7fff_0000_u32.to_be_bytes();
    raw.send(&frame(
        super::raw::SETTINGS,
        0,
        0,
        &[&[0, 4], &window[..]].concat(),
    ))
    .await;
    raw.send(&frame(8, 0, 0, &window)).await;
    let long = [
        super::raw::field(b":method", b"GET"),
        super::raw::field(b":scheme", b"http"),
        super::raw::field(b":path", b"/long"),
        super::raw::field(b":authority", b"h"),
    ];
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &long.concat()))
        .await;
    settle().await;
    sleep(Duration::from_secs(21)).await;
    assert!(raw.stream.write_all(b"x").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn more_streams_than_allowed_are_refused() {
    let (house, _permits) = busy_house();
    let mut raw = Raw::connect(&house).await;
    for number in 0..=limits().max_streams {
        raw.send(&frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            2 * number + 1,
            &get(),
        ))
        .await;
    }
    let word = raw.word().await.unwrap();
    // REFUSED_STREAM, of the last.
    assert_eq!((word.kind, word.code(), word.stream), (RST_STREAM, 7, 201));
}

/// A head that grows from few bytes, as one does that refers to the dynamic
/// table, does not grow once for each stream.
#[tokio::test(start_paused = true)]
async fn the_heads_of_all_requests_are_bounded_together() {
    let (house, permits) = busy_house_with(ListenerLimits {
        max_connections: 20,
        ..limits()
    });
    let client = Client::connect(&house).await;
    let ask = |value: usize| {
        let request = Request::get("http://h/").header("cookie", "c".repeat(value));
        let request = request.body(Full::default()).unwrap();
        tokio::spawn(client.sender.clone().send_request(request))
    };
    let mut running = Vec::new();
    for _ in 0..8 {
        running.push(ask(limits().max_header_bytes - 1_000));
        settle().await;
    }
    let refused = ask(20_000).await.unwrap().unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    drop(refused);
    // What is small goes on, and with what is over there is room again.
    running.push(ask(10));
    settle().await;
    permits.add_permits(9);
    for answer in running {
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
    permits.add_permits(1);
    assert_eq!(ask(20_000).await.unwrap().unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_requests_leaves_each_connection_its_first() {
    let (house, permits) = busy_house();
    let (crowd, other) = (Client::connect(&house).await, Client::connect(&house).await);
    let ask = |client: &Client| {
        let request = Request::get("http://h/").body(Full::default()).unwrap();
        tokio::spawn(client.sender.clone().send_request(request))
    };
    let mut running = Vec::new();
    for _ in 0..=limits().max_connections {
        running.push(ask(&crowd));
        settle().await;
    }
    let refused = ask(&crowd).await.unwrap().unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    drop(refused);
    running.push(ask(&other));
    settle().await;
    assert_eq!(
        ask(&other).await.unwrap().unwrap().status(),
        503,
        "its second"
    );
    permits.add_permits(running.len());
    for answer in running {
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
}

fn given_up(stream: u32) -> Vec<u8> {
    let mut frames = frame(HEADERS, END_HEADERS | END_STREAM, stream, &get());
    frames.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    frames
}

#[tokio::test(start_paused = true)]
async fn resets_in_one_breath_end_the_connection() {
    let (house, _permits) = busy_house();
    let mut raw = Raw::connect(&house).await;
    let flood: Vec<u8> = (0..500)
        .flat_map(|number| given_up(2 * number + 1))
        .collect();
    raw.send(&flood).await;
    let word = raw.word().await.unwrap();
    // ENHANCE_YOUR_CALM.
    assert_eq!((word.kind, word.code()), (GOAWAY, 11));
}

#[tokio::test(start_paused = true)]
async fn resets_that_each_reach_the_service_end_the_connection_too() {
    let (house, _permits) = busy_house();
    let mut raw = Raw::connect(&house).await;
    let mut reached = 0;
    for number in 0..500 {
        let frames = given_up(2 * number + 1);
        let (request, reset) = frames.split_at(frames.len() - 13);
        raw.send(request).await;
        settle().await;
        if raw.stream.write_all(reset).await.is_err() {
            break;
        }
        settle().await;
        reached += 1;
    }
    assert_eq!(reached, limits().max_streams + 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_answers_may_give_some_up() {
    let house = House::open(limits(), |request: crate::Request, _| async move {
        if request.uri().path() != "/" {
            pending::<()>().await;
        }
        text("hello")
    });
    let mut client = Client::connect(&house).await;
    for _ in 0..500 {
        let request = Request::get("http://h/slow").body(Full::default()).unwrap();
        let slow = tokio::spawn(client.sender.clone().send_request(request));
        settle().await;
        slow.abort();
        assert_eq!(client.get().await, ok("hello"));
    }
}

#[tokio::test(start_paused = true)]
async fn continuations_without_an_end_end_the_connection() {
    for payload in [&b""[..], &[0x88; 100]] {
        let house = House::open(limits(), hello);
        let mut raw = Raw::connect(&house).await;
        raw.send(&frame(HEADERS, END_STREAM, 1, &get())).await;
        for _ in 0..10_000 {
            raw.send(&frame(CONTINUATION, 0, 1, payload)).await;
        }
        let word = raw.word().await.unwrap();
        assert_eq!(word.kind, GOAWAY, "{word:?}");
        raw.rest().await;
        assert_eq!(Client::connect(&house).await.get().await, ok("hello"));
    }
}
