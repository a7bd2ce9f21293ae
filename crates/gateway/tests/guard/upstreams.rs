//! Upstreams that misbehave, and the connections to those that do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use countersign_domain::Reason;
use countersign_relay::UpstreamTimeouts;
use countersign_testing::listening::{free_port, listen, nowhere};
use countersign_testing::raw::{exchange, read_head, read_message};
use countersign_testing::recording::ReceivedRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

use crate::world::{APIRONE, B2BINPAY, Front, MYPOPUP, Plan, World, echo_upstream};

const PUBLIC: &str = "/api/v1/public";

/// What a [`Scripted`] upstream does once it has written its reply.
#[derive(Clone, Copy, PartialEq)]
pub enum Then {
    Close,
    Hold,
    Again,
}

/// An upstream that reads a head and writes these bytes.
pub struct Scripted {
    pub url: String,
    accepted: Arc<AtomicUsize>,
    /// Told when a held connection was closed by the other side.
    closed: mpsc::UnboundedReceiver<()>,
}

impl Scripted {
    pub fn start(reply: impl Into<Vec<u8>>, then: Then) -> Self {
        let reply: Arc<[u8]> = reply.into().into();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (tell, closed) = mpsc::unbounded_channel();
        let count = Arc::clone(&accepted);
        let listener = listen(move |stream| {
            count.fetch_add(1, Ordering::SeqCst);
            play(stream, Arc::clone(&reply), then, tell.clone())
        });
        Self {
            url: listener.url(),
            accepted,
            closed,
        }
    }
}

async fn play(
    mut stream: TcpStream,
    reply: Arc<[u8]>,
    then: Then,
    closed: mpsc::UnboundedSender<()>,
) {
    while read_head(&mut stream).await.is_some() {
        if stream.write_all(&reply).await.is_err() {
            break;
        }
        match then {
            Then::Close => return,
            Then::Again => {}
            Then::Hold => while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {},
        }
    }
    let _ = closed.send(());
}

pub fn impatient() -> UpstreamTimeouts {
    UpstreamTimeouts {
        connect: Duration::from_millis(300),
        response_head: Duration::from_millis(300),
        body_idle: Duration::from_millis(300),
        keep_alive: Duration::from_secs(5),
        ..UpstreamTimeouts::default()
    }
}

pub fn behind(dialect: &'static str, url: &str) -> (World, Front) {
    let mut plan = Plan::new(dialect, url);
    plan.settings.timeouts = impatient();
    let world = plan.build();
    let front = world.serve();
    (world, front)
}

fn reason(world: &World) -> Option<Reason> {
    world.last_outcome().err().map(|denied| denied.reason)
}

#[tokio::test]
async fn an_upstream_without_a_good_head_is_a_bad_gateway() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let long = format!("{ok}a: {}\r\n\r\n", "x".repeat(200_000));
    let many = format!("{ok}{}\r\n", "a: b\r\n".repeat(200));
    let flood = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".repeat(100);
    let waiting = "HTTP/1.1 100 Continue\r\n\r\n".repeat(100);
    for (reply, then) in [
        ("", Then::Close),
        ("garbage garbage garbage\r\n\r\n", Then::Hold),
        ("<html>no HTTP at all</html>", Then::Close),
        ("\0\0\0\0\0\0\0\0\r\n\r\n", Then::Hold),
        ("HTTP/1.1 200 O", Then::Close),
        ("HTTP/1.1 200 OK\r\ncontent-", Then::Close),
        ("HTTP/1.1 200 OK\r\na b: c\r\n\r\n", Then::Hold),
        ("HTTP/1.1 200 OK\r\n: c\r\n\r\n", Then::Hold),
        ("HTTP/1.1 200 OK\r\na: \x01\r\n\r\n", Then::Hold),
        ("HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n", Then::Hold),
        ("HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", Then::Hold),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", Then::Hold),
        ("HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\n", Then::Hold),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            Then::Hold,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            Then::Hold,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            Then::Hold,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nx",
            Then::Close,
        ),
        ("HTTP/2 200 OK\r\n\r\n", Then::Hold),
        (
            "HTTP/1.1 999 Beyond\r\ncontent-length: 0\r\n\r\n",
            Then::Hold,
        ),
        (
            "HTTP/1.1 600 Beyond\r\ncontent-length: 0\r\n\r\n",
            Then::Hold,
        ),
        (
            "HTTP/1.1 099 Before\r\ncontent-length: 0\r\n\r\n",
            Then::Hold,
        ),
        ("HTTP/1.1 20 Short\r\n\r\n", Then::Hold),
        (
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            Then::Hold,
        ),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", Then::Close),
        (&long, Then::Hold),
        (&many, Then::Hold),
        (&flood, Then::Hold),
        (&waiting, Then::Hold),
    ] {
        let upstream = Scripted::start(reply, then);
        let (world, front) = behind(MYPOPUP, &upstream.url);
        let reply = &reply[..reply.len().min(60)];
        let response = front.get(PUBLIC, &[]).await;
        assert_eq!(response.status, 502, "{reply:?}");
        assert_eq!(reason(&world), Some(Reason::UpstreamFailed), "{reply:?}");
        assert!(world.last_outcome().unwrap_err().detail.is_some());
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_told_in_the_words_of_the_dialect() {
    let url = nowhere();
    for (dialect, path, told) in [
        (MYPOPUP, PUBLIC, r#""error":"#),
        (B2BINPAY, "/public/x", r#""errors":["#),
        (APIRONE, "/api/v2/accounts/a/transfer", r#""message":"#),
    ] {
        let (world, front) = behind(dialect, &url);
        let response = front.get(path, &[]).await;
        assert_eq!(response.status, 502, "{dialect}");
        let body = response.text().replace(": ", ":");
        assert!(body.contains(told), "{dialect}: {body}");
        assert_eq!(reason(&world), Some(Reason::UpstreamFailed));
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_a_gateway_timeout_in_the_words_of_the_dialect() {
    let upstream = Scripted::start("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2", Then::Hold);
    for (dialect, path, told) in [
        (MYPOPUP, PUBLIC, r#""error":"#),
        (B2BINPAY, "/public/x", r#""errors":["#),
        (APIRONE, "/api/v2/accounts/a/transfer", r#""message":"#),
    ] {
        let (world, front) = behind(dialect, &upstream.url);
        let response = front.get(path, &[]).await;
        assert_eq!(response.status, 504, "{dialect}");
        let body = response.text().replace(": ", ":");
        assert!(body.contains(told), "{dialect}: {body}");
        assert_eq!(reason(&world), Some(Reason::UpstreamTimeout));
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_accept_is_a_gateway_timeout() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Fills the queue: whoever comes now is not answered at all.
    let connect = || tokio::time::timeout(Duration::from_millis(50), TcpStream::connect(address));
    let mut queued = Vec::new();
    while let Ok(connected) = connect().await {
        queued.push(connected.unwrap());
        assert!(queued.len() < 100, "the queue does not fill");
    }
    let (world, front) = behind(MYPOPUP, &format!("http://{address}"));
    assert_eq!(front.get(PUBLIC, &[]).await.status, 504);
    assert_eq!(reason(&world), Some(Reason::UpstreamTimeout));
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".repeat(20);
    let upstream = Scripted::start(
        format!(
            "HTTP/1.1 100 Continue\r\n\r\n{interim}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        ),
        Then::Again,
    );
    let (_world, front) = behind(MYPOPUP, &upstream.url);
    for _ in 0..2 {
        let response = front.get(PUBLIC, &[]).await;
        assert_eq!(
            (response.status.as_u16(), &response.body[..]),
            (200, &b"ok"[..])
        );
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_the_connection_to_the_client() {
    for (reply, then) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart",
            Then::Close,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart",
            Then::Hold,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
            Then::Close,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
            Then::Hold,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\nzz\r\n",
            Then::Hold,
        ),
    ] {
        let upstream = Scripted::start(reply, then);
        let (_world, front) = behind(MYPOPUP, &upstream.url);
        // The connection is not asked to be closed, so it ends only by breaking.
        let got = exchange(
            front.address,
            "GET /api/v1/public HTTP/1.1\r\nhost: a\r\n\r\n",
        )
        .await;
        assert!(
            got.contains("part") && !got.ends_with("0\r\n\r\n"),
            "{reply:?}: {got:?}"
        );
        assert!(!got.contains("connection: close"), "{got:?}");
    }
}

#[tokio::test]
async fn more_than_the_promised_length_reaches_nobody() {
    let upstream = Scripted::start(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        Then::Again,
    );
    let (_world, front) = behind(MYPOPUP, &upstream.url);
    for _ in 0..5 {
        let response = front.get(PUBLIC, &[]).await;
        assert_ne!(&response.body[..], b"evil");
    }
}

#[tokio::test]
async fn a_length_beside_chunks_does_not_cut_the_answer() {
    let both = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n\
                5\r\nwhole\r\n0\r\n\r\n";
    let upstream = Scripted::start(both, Then::Again);
    let (_world, front) = behind(MYPOPUP, &upstream.url);
    let response = front.get(PUBLIC, &[]).await;
    assert_eq!(response.body, "whole");
    assert!(!response.headers.contains_key("content-length"));

    let heads = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n";
    let upstream = Scripted::start(heads, Then::Again);
    let (_world, front) = behind(MYPOPUP, &upstream.url);
    let response = front.send("HEAD", PUBLIC, &[], "").await;
    assert!(!response.headers.contains_key("content-length"));
}

#[tokio::test]
async fn an_answer_has_the_length_of_what_follows() {
    for (reply, length) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Some("0")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Some("2")),
        ("HTTP/1.1 204 No Content\r\n\r\n", None),
        ("HTTP/1.1 204 No Content\r\ncontent-length: 7\r\n\r\n", None),
    ] {
        let upstream = Scripted::start(reply, Then::Hold);
        let (_world, front) = behind(MYPOPUP, &upstream.url);
        let response = front.get(PUBLIC, &[]).await;
        let told = response.headers.get("content-length");
        assert_eq!(told.map(|told| told.to_str().unwrap()), length, "{reply:?}");
    }
}

#[tokio::test]
async fn head_and_304_keep_the_length_of_what_does_not_follow() {
    let upstream = Scripted::start(
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 77\r\netag: \"x\"\r\n\r\n",
        Then::Again,
    );
    let (_world, front) = behind(MYPOPUP, &upstream.url);
    let response = front.get(PUBLIC, &[]).await;
    assert_eq!((response.status.as_u16(), response.body.len()), (304, 0));

    let upstream = Scripted::start("HTTP/1.1 200 OK\r\ncontent-length: 77\r\n\r\n", Then::Again);
    let (_world, front) = behind(MYPOPUP, &upstream.url);
    for _ in 0..2 {
        let response = front.send("HEAD", PUBLIC, &[], "").await;
        assert_eq!(response.headers["content-length"], "77");
        assert_eq!(response.body.len(), 0);
    }
    assert_eq!(upstream.accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn fields_for_the_upstreams_connection_do_not_reach_the_client() {
    let upstream = Scripted::start(
        "HTTP/1.0 200 OK\r\nconnection: keep-alive, x-private\r\nx-private: 1\r\nkeep-alive: timeout=9\r\nproxy-authenticate: Basic\r\n\
         upgrade: h2c\r\ntrailer: x-countersign-login\r\nx_countersign_login: forged\r\nx-kept: 1\r\ndate: then\r\nserver: theirs\r\ncontent-length: 2\r\n\r\nok",
        Then::Close,
    );
    let (_world, front) = behind(MYPOPUP, &upstream.url);
    let response = front.get(PUBLIC, &[]).await;
    let mut names: Vec<_> = response.headers.keys().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(names, ["content-length", "date", "server", "x-kept"]);
}

#[tokio::test]
async fn a_field_that_comes_twice_goes_on_twice() {
    let upstream = Scripted::start(
        "HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 0\r\n\r\n",
        Then::Again,
    );
    let (_world, front) = behind(MYPOPUP, &upstream.url);
    let response = front.get(PUBLIC, &[]).await;
    let cookies: Vec<_> = response.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);

    let echo = echo_upstream();
    let (_world, front) = behind(MYPOPUP, &echo.url);
    let received = front.get(PUBLIC, &[("accept", "a"), ("accept", "b")]).await;
    assert_eq!(
        ReceivedRequest::from_reply(&received).field("accept"),
        ["a", "b"]
    );
}

#[tokio::test]
async fn an_upstream_that_resets_an_upload_does_not_leave_the_client_hanging() {
    let listener = listen(async |mut stream| {
        read_head(&mut stream).await;
        // Unread bytes turn the close into a reset.
    });
    let (world, front) = behind(MYPOPUP, &listener.url());
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let head = format!(
        "POST /api/v1/x HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ncontent-length: 9999999\r\n\r\n",
        world.bearer()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    tokio::spawn(async move { while writer.write_all(&[b'x'; 1000]).await.is_ok() {} });
    let mut status = [0; 12];
    reader.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 502");
    assert_eq!(reason(&world), Some(Reason::UpstreamFailed));
}

#[tokio::test]
async fn an_upstream_that_answers_before_the_upload_ends_is_heard() {
    let upstream = Scripted::start(
        "HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig",
        Then::Hold,
    );
    let (world, front) = behind(MYPOPUP, &upstream.url);
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let head = format!(
        "POST /api/v1/x HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ncontent-length: 999\r\n\r\nonly this",
        world.bearer()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = read_message(&mut stream).await.unwrap();
    assert_eq!((reply.status, &*reply.body), (413, "big"));
    assert!(world.last_outcome().is_ok());
}

#[tokio::test]
async fn a_client_that_stops_uploading_is_to_blame_itself() {
    let upstream = Scripted::start("", Then::Hold);
    let (world, front) = behind(MYPOPUP, &upstream.url);
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let head = format!(
        "POST /api/v1/x HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ncontent-length: 999\r\n\r\nonly this",
        world.bearer()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 400");
    assert_eq!(reason(&world), Some(Reason::RequestCutOff));
}

#[tokio::test]
async fn an_upstream_that_stops_taking_an_upload_is_a_gateway_timeout() {
    let (listener, address) = free_port();
    let (world, front) = behind(MYPOPUP, &format!("http://{address}"));
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let head = format!(
        "POST /api/v1/x HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ncontent-length: 99999999\r\n\r\n",
        world.bearer()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    tokio::spawn(async move { while writer.write_all(&[b'x'; 64_000]).await.is_ok() {} });
    // Accepted by the system alone: nobody ever reads.
    let mut status = [0; 12];
    reader.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 504");
    assert_eq!(reason(&world), Some(Reason::UpstreamTimeout));
    drop(listener);
}

#[tokio::test]
async fn a_client_that_goes_takes_its_request_to_the_upstream_with_it() {
    for reply in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart"] {
        let mut upstream = Scripted::start(reply, Then::Hold);
        let world = Plan::new(MYPOPUP, &upstream.url).build();
        let front = world.serve();
        let mut stream = TcpStream::connect(front.address).await.unwrap();
        stream
            .write_all(b"GET /api/v1/public HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        while upstream.accepted.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        if !reply.is_empty() {
            stream.read_u8().await.unwrap();
        }
        drop(stream);
        let told = tokio::time::timeout(Duration::from_secs(4), upstream.closed.recv()).await;
        assert_eq!(told, Ok(Some(())), "{reply:?}");
    }
}

#[tokio::test]
async fn a_thousand_requests_need_one_connection() {
    let echo = echo_upstream();
    let (_world, front) = behind(MYPOPUP, &echo.url);
    for _ in 0..1_000 {
        assert_eq!(front.get(PUBLIC, &[]).await.status, 200);
    }
    assert_eq!(echo.count(), 1_000);
    assert_eq!(echo.connections(), 1);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_is_replaced() {
    let upstream = Scripted::start(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        Then::Close,
    );
    let (_world, front) = behind(MYPOPUP, &upstream.url);
    for round in 1..=20 {
        assert_eq!(front.get(PUBLIC, &[]).await.status, 200, "{round}");
        // The reply and the end of the connection may be seen apart.
        while upstream.accepted.load(Ordering::SeqCst) < round {
            tokio::task::yield_now().await;
        }
    }
}
