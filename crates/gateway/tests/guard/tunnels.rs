//! Connections that switch to WebSocket.

use std::time::Duration;

use countersign_domain::revocation::{Revocation, RevocationNotice};
use countersign_domain::{Account, Allowlist, CredentialId, Reason, Session, SessionId};
use countersign_testing::listening::listen;
use countersign_testing::raw::read_head;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::world::{ACCOUNT, Front, LOGIN, MYPOPUP, NOW, Plan, REQUEST_ID, SESSION, World};

/// What a good upstream answers to a request for WebSocket.
pub const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\
     upgrade: WebSocket\r\nsec-websocket-accept: yes\r\nx-countersign-account: forged\r\n\r\n";

/// An upstream that answers each head with the same bytes. After 101 it sends
/// back what comes, with the greater letters.
struct Loud {
    url: String,
    heads: mpsc::UnboundedReceiver<String>,
}

impl Loud {
    fn answering(answer: &'static str) -> Self {
        let (tell, heads) = mpsc::unbounded_channel();
        let listener = listen(move |stream| speak(stream, answer, tell.clone()));
        let url = listener.url();
        Self { url, heads }
    }

    /// The next head that it got.
    async fn head(&mut self) -> String {
        self.heads.recv().await.unwrap()
    }

    fn was_not_asked(&mut self) -> bool {
        self.heads.try_recv().is_err()
    }
}

async fn speak(mut stream: TcpStream, answer: &str, tell: mpsc::UnboundedSender<String>) {
    while let Some(head) = read_head(&mut stream).await {
        tell.send(head).unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        if answer.contains(" 101 ") {
            let mut piece = [0; 1024];
            while let Ok(read @ 1..) = stream.read(&mut piece).await {
                piece.make_ascii_uppercase();
                stream.write_all(&piece[..read]).await.unwrap();
            }
            return;
        }
    }
}

/// A request for WebSocket, with these fields besides.
pub fn asking(fields: &str) -> String {
    format!(
        "GET /api/v1/stream?a=1 HTTP/1.1\r\nhost: front.example\r\nconnection: keep-alive, Upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-key: k\r\nsec-websocket-version: 13\r\n{fields}\r\n"
    )
}

async fn connect(front: &Front, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// An open tunnel for the usual caller.
async fn tunnel(world: &World, front: &Front) -> TcpStream {
    let fields = format!("authorization: {}\r\n", world.bearer());
    let mut stream = connect(front, &asking(&fields)).await;
    let head = read_head(&mut stream).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream
}

async fn says(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Waits for the other side to end the tunnel.
async fn ends(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let over = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest));
    assert!(over.await.is_ok() && rest.is_empty());
}

#[tokio::test]
async fn both_sides_speak_once_the_upstream_has_switched() {
    for http2 in [false, true] {
        let mut upstream = Loud::answering(SWITCHED);
        let mut plan = Plan::new(MYPOPUP, &upstream.url);
        plan.settings.http2 = http2;
        let world = plan.build();
        let front = world.serve();
        let fields = format!(
            "authorization: {}\r\nx-countersign-account: 1\r\n",
            world.bearer()
        );
        let mut client = connect(&front, &asking(&fields)).await;
        let answer = read_head(&mut client).await.unwrap();
        let mut lines: Vec<&str> = answer
            .lines()
            .filter(|line| !line.starts_with("date"))
            .collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "",
                "HTTP/1.1 101 Switching Protocols",
                "connection: upgrade",
                "sec-websocket-accept: yes",
                "upgrade: websocket",
            ]
        );
        let head = upstream.head().await;
        for line in [
            "GET /api/v1/stream?a=1 HTTP/1.1",
            "connection: upgrade",
            "upgrade: websocket",
            "sec-websocket-key: k",
            "sec-websocket-version: 13",
            &format!("x-countersign-account: {ACCOUNT}"),
            &format!("x-countersign-session: {SESSION}"),
            &format!("x-countersign-request-id: {REQUEST_ID}"),
        ] {
            assert!(head.lines().any(|it| it == line), "{line} in {head}");
        }
        assert!(!head.contains("authorization"), "{head}");
        for text in ["hello", "and again"] {
            assert_eq!(says(&mut client, text).await, text.to_uppercase());
        }
        assert!(world.last_outcome().is_ok());
    }
}

#[tokio::test]
async fn who_may_not_pass_gets_the_refusal_and_the_upstream_hears_nothing() {
    let mut upstream = Loud::answering(SWITCHED);
    let world = Plan::new(MYPOPUP, &upstream.url).build();
    let front = world.serve();
    for fields in ["", "authorization: Bearer a.b.c\r\n"] {
        let mut client = connect(&front, &asking(fields)).await;
        let head = read_head(&mut client).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
        assert!(head.contains("x-countersign-refusal: req-7f3a"), "{head}");
    }
    assert!(upstream.was_not_asked());
}

#[tokio::test]
async fn an_upstream_that_does_not_switch_answers_as_always() {
    let refused = "HTTP/1.1 403 Forbidden\r\ncontent-length: 5\r\nx-why: origin\r\n\r\nnever";
    let mut upstream = Loud::answering(refused);
    let world = Plan::new(MYPOPUP, &upstream.url).build();
    let front = world.serve();
    let fields = format!("authorization: {}\r\n", world.bearer());
    // What the client sends too early is not passed on.
    let mut client = connect(&front, &(asking(&fields) + "\x01raw bytes\r\n\r\n")).await;
    let head = read_head(&mut client).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert!(head.contains("x-why: origin"), "{head}");
    let mut body = [0; 5];
    client.read_exact(&mut body).await.unwrap();
    assert_eq!(&body, b"never");
    upstream.head().await;
    front.get("/api/v1/public", &[]).await;
    let next = upstream.head().await;
    assert!(next.starts_with("GET /api/v1/public "), "{next}");
}

#[tokio::test]
async fn an_upstream_that_switches_to_something_else_is_a_bad_gateway() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\nupgrade: h2c\r\n\r\n",
    ] {
        let upstream = Loud::answering(answer);
        let world = Plan::new(MYPOPUP, &upstream.url).build();
        let front = world.serve();
        let fields = format!("authorization: {}\r\n", world.bearer());
        let mut client = connect(&front, &asking(&fields)).await;
        let head = read_head(&mut client).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
        let denied = world.last_outcome().unwrap_err();
        assert_eq!(denied.reason, Reason::UpstreamFailed);
    }
}

#[tokio::test]
async fn another_protocol_is_not_asked_for() {
    let mut upstream = Loud::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let world = Plan::new(MYPOPUP, &upstream.url).build();
    let front = world.serve();
    let request = "GET /api/v1/public HTTP/1.1\r\nhost: a\r\nconnection: Upgrade, HTTP2-Settings\r\n\
                   upgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
    let mut client = connect(&front, request).await;
    let answer = read_head(&mut client).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let head = upstream.head().await;
    for name in ["upgrade", "connection", "http2-settings"] {
        assert!(!head.contains(name), "{head}");
    }
}

#[tokio::test]
async fn the_bearer_goes_on_where_it_is_asked_for() {
    let mut upstream = Loud::answering(SWITCHED);
    let mut plan = Plan::new(MYPOPUP, &upstream.url);
    plan.forward_authorization = true;
    let world = plan.build();
    let front = world.serve();
    tunnel(&world, &front).await;
    let head = upstream.head().await;
    assert!(head.contains(&format!("authorization: {}\r\n", world.bearer())));
}

#[tokio::test]
async fn a_tunnel_ends_when_what_let_it_through_is_taken_back() {
    let until = NOW + Duration::from_secs(100);
    let upstream = Loud::answering(SWITCHED);
    let mut ending = tokio::task::JoinSet::new();
    for taken_back in 0..4 {
        let world = Plan::new(MYPOPUP, &upstream.url).build();
        let notice = match taken_back {
            0 => RevocationNotice::Revoked(Revocation::Session {
                session: SESSION,
                until,
            }),
            1 => RevocationNotice::Account(Account {
                active: false,
                ..world.account(ACCOUNT, LOGIN)
            }),
            2 => RevocationNotice::Account(Account {
                allow: Allowlist::parse(&["192.0.2.1"]).unwrap(),
                ..world.account(ACCOUNT, LOGIN)
            }),
            _ => RevocationNotice::CredentialGone(CredentialId(1)),
        };
        ending.spawn(async move {
            let front = world.serve();
            let mut client = tunnel(&world, &front).await;
            assert_eq!(says(&mut client, "hello").await, "HELLO");
            world.tell(&[notice]);
            ends(&mut client).await;
        });
    }
    while let Some(ended) = ending.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn a_tunnel_does_not_mind_what_others_lose() {
    let upstream = Loud::answering(SWITCHED);
    let world = Plan::new(MYPOPUP, &upstream.url).build();
    let front = world.serve();
    let mut client = tunnel(&world, &front).await;
    let other = Session {
        id: SessionId([0xcd; 16]),
        ..world.session()
    };
    let fields = format!("authorization: Bearer {}\r\n", world.tokens_of(&other).0);
    let mut others = connect(&front, &asking(&fields)).await;
    read_head(&mut others).await.unwrap();
    world.tell(&[
        RevocationNotice::Revoked(Revocation::Session {
            session: other.id,
            until: NOW + Duration::from_secs(100),
        }),
        RevocationNotice::CredentialGone(CredentialId(3)),
    ]);
    // The first tunnel is judged before the second, each time.
    ends(&mut others).await;
    assert_eq!(says(&mut client, "still").await, "STILL");
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_ends() {
    let upstream = Loud::answering(SWITCHED);
    let mut plan = Plan::new(MYPOPUP, &upstream.url);
    plan.settings.timeouts.tunnel_idle = Duration::from_millis(300);
    let world = plan.build();
    let front = world.serve();
    let mut client = tunnel(&world, &front).await;
    ends(&mut client).await;
}

#[tokio::test]
async fn a_handshake_that_names_other_protocols_too_goes_on_as_websocket() {
    for protocols in [
        "websocket, h2c",
        "h2c,WebSocket",
        "h2c\r\nupgrade: websocket",
    ] {
        let mut upstream = Loud::answering(SWITCHED);
        let world = Plan::new(MYPOPUP, &upstream.url).build();
        let front = world.serve();
        let bearer = format!("authorization: {}\r\n", world.bearer());
        let request = asking(&bearer);
        let request = request.replace("upgrade: websocket", &format!("upgrade: {protocols}"));
        let mut client = connect(&front, &request).await;
        let answer = read_head(&mut client).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{protocols}: {answer}");
        assert!(answer.contains("\r\nupgrade: websocket\r\n"), "{answer}");
        let head = upstream.head().await;
        assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
        assert!(!head.contains("h2c"), "{head}");
        assert_eq!(says(&mut client, "hello").await, "HELLO");
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_leaves_nothing_behind() {
    let mut upstream = Loud::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let world = Plan::new(MYPOPUP, &upstream.url).build();
    let front = world.serve();
    let request = "GET /api/v1/public HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\n\
                   upgrade: h2c\r\nsec-websocket-key: k\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-protocol: a\r\nsec-websocket-extensions: b\r\n\r\n";
    let mut client = connect(&front, request).await;
    let answer = read_head(&mut client).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let head = upstream.head().await;
    assert!(
        !head.contains("sec-websocket") && !head.contains("upgrade"),
        "{head}"
    );
}
