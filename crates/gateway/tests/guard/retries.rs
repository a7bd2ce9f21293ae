//! A request is sent again only where nothing of it was sent, or where it may be and
//! was lost with a connection that was kept too long.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use countersign_testing::listening::listen;
use countersign_testing::raw::{content_length, exchange, field, read_head, status_and_body};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::upstreams::behind;
use crate::world::{Front, MYPOPUP, World};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What a [`Fickle`] upstream does with the requests of a connection, from the
/// first on.
#[derive(Clone, Copy, Debug)]
pub enum Does {
    /// Answers.
    Answers,
    /// Closes before it reads anything.
    Leaves,
    /// Closes when it has read the head.
    Reads,
    /// Closes with the body unread, which resets the connection.
    Resets,
    /// Closes within the head of its answer.
    Stutters,
    /// Closes after an interim answer.
    Hints,
    /// Closes within the body of its answer.
    BreaksOff,
}

/// An upstream that counts what reaches it by the request's mark.
pub struct Fickle {
    pub url: String,
    accepted: Arc<AtomicUsize>,
    seen: Arc<Mutex<HashMap<String, usize>>>,
}

impl Fickle {
    pub fn start(script: &'static [Does]) -> Self {
        Self::starting(script, script)
    }

    /// One that does something else on its first connection.
    fn starting(first: &'static [Does], script: &'static [Does]) -> Self {
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let accepted = Arc::new(AtomicUsize::new(0));
        let (count, connections) = (Arc::clone(&seen), Arc::clone(&accepted));
        let listener = listen(move |stream| {
            let script = match connections.fetch_add(1, Ordering::SeqCst) {
                0 => first,
                _ => script,
            };
            play(stream, script, Arc::clone(&count))
        });
        Self {
            url: listener.url(),
            accepted,
            seen,
        }
    }

    fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    fn times(&self, mark: &str) -> usize {
        self.seen.lock().unwrap().get(mark).copied().unwrap_or(0)
    }
}

async fn play(mut stream: TcpStream, script: &[Does], seen: Arc<Mutex<HashMap<String, usize>>>) {
    for does in script {
        if matches!(does, Does::Leaves) {
            return;
        }
        let Some(head) = read_head(&mut stream).await else {
            return;
        };
        let mark = field(&head, "x-mark").unwrap();
        *seen.lock().unwrap().entry(mark.to_owned()).or_default() += 1;
        if !matches!(does, Does::Resets) {
            let mut body = vec![0; content_length(&head)];
            if stream.read_exact(&mut body).await.is_err() {
                return;
            }
        }
        let reply = match does {
            Does::Answers => OK,
            Does::Stutters => "HTTP/1.1 200 O",
            Does::Hints => "HTTP/1.1 103 Early Hints\r\n\r\n",
            Does::BreaksOff => "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart",
            Does::Leaves | Does::Reads | Does::Resets => "",
        };
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A client of one gateway.
struct Caller {
    world: World,
    front: Front,
}

impl Caller {
    fn of(upstream: &Fickle) -> Self {
        let (world, front) = behind(MYPOPUP, &upstream.url);
        Self { world, front }
    }

    /// Sends a marked request; `None` if the answer broke off. A POST has a body.
    async fn ask(&self, method: &str, mark: &str) -> Option<u16> {
        let body = if method == "POST" { "a body" } else { "" };
        self.ask_with(method, mark, body).await
    }

    async fn ask_with(&self, method: &str, mark: &str, body: &str) -> Option<u16> {
        let request = format!(
            "{method} /api/v1/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-mark: {mark}\r\n\
             authorization: {}\r\ncontent-length: {}\r\n\r\n{body}",
            self.world.bearer(),
            body.len()
        );
        let reply = exchange(self.front.address, &request).await;
        let (status, body) = status_and_body(&reply);
        (method == "HEAD" || status != 200 || body == "ok").then_some(status)
    }
}

#[tokio::test]
async fn what_fails_on_a_new_connection_is_not_sent_again() {
    use Does::{BreaksOff, Leaves, Reads, Resets, Stutters};
    for (script, status, times) in [
        (&[Leaves][..], Some(502), 0),
        (&[Reads], Some(502), 1),
        (&[Resets], Some(502), 1),
        (&[Stutters], Some(502), 1),
        (&[BreaksOff], None, 1),
    ] {
        for method in ["GET", "PUT", "POST"] {
            let upstream = Fickle::start(script);
            let caller = Caller::of(&upstream);
            assert_eq!(caller.ask(method, "m").await, status, "{method} {script:?}");
            assert_eq!(upstream.times("m"), times, "{method} {script:?}");
        }
    }
}

/// How often a second request reached an upstream that does so to it, on a
/// connection that was kept, and what came of it.
async fn second(does: &'static [Does], method: &str, body: &str) -> (usize, Option<u16>) {
    // The first may not have been given back in time; then there is no kept one.
    for round in 0.. {
        assert!(round < 50, "no connection was kept");
        let upstream = Fickle::start(does);
        let caller = Caller::of(&upstream);
        assert_eq!(caller.ask("GET", "first").await, Some(200));
        let got = caller.ask_with(method, "second", body).await;
        let times = upstream.times("second");
        let connections = upstream.connections();
        if times == 2 || connections == 1 {
            assert_eq!(connections, times, "{method} {does:?}");
            return (times, got);
        }
    }
    unreachable!("it ends before")
}

#[tokio::test]
async fn what_is_lost_with_a_kept_connection_goes_once_more_if_that_does_no_harm() {
    use Does::{Answers, Reads, Resets};
    for does in [&[Answers, Reads][..], &[Answers, Resets]] {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
            let got = second(does, method, "").await;
            assert_eq!(got, (2, Some(200)), "{method} {does:?}");
        }
        // Of IANA's registry, beside those that RFC 9110 names.
        for method in ["PROPFIND", "REPORT", "SEARCH", "MKCALENDAR", "QUERY"] {
            let got = second(does, method, "").await;
            assert_eq!(got, (2, Some(200)), "{method} {does:?}");
        }
        for (method, body) in [
            ("POST", ""),
            ("POST", "a body"),
            ("PATCH", ""),
            ("LOCK", ""),
            ("PURGE", ""),
            ("PROPFIND", "a body"),
            ("PUT", "a body"),
            ("DELETE", "a body"),
            ("GET", "a body"),
        ] {
            let got = second(does, method, body).await;
            assert_eq!(got, (1, Some(502)), "{method} {body:?} {does:?}");
        }
    }
}

#[tokio::test]
async fn what_was_answered_in_part_is_not_sent_again() {
    use Does::{Answers, BreaksOff, Hints, Stutters};
    for (does, status) in [
        (&[Answers, Stutters][..], Some(502)),
        (&[Answers, Hints], Some(502)),
        (&[Answers, BreaksOff], None),
    ] {
        for (method, body) in [("GET", ""), ("POST", "a body")] {
            let got = second(does, method, body).await;
            assert_eq!(got, (1, status), "{method} {does:?}");
        }
    }
}

#[tokio::test]
async fn what_is_lost_twice_is_a_bad_gateway() {
    let upstream = Fickle::starting(&[Does::Answers, Does::Reads], &[Does::Reads]);
    let caller = Caller::of(&upstream);
    assert_eq!(caller.ask("GET", "first").await, Some(200));
    assert_eq!(caller.ask("GET", "second").await, Some(502));
    assert!(upstream.times("second") <= 2);
}

#[tokio::test]
async fn an_upstream_that_closes_after_each_answer_loses_no_request_and_gets_none_twice() {
    for script in [&[Does::Answers][..], &[Does::Answers, Does::Reads]] {
        let upstream = Fickle::start(script);
        let caller = Caller::of(&upstream);
        for round in 0..30 {
            let got = caller.ask("GET", &format!("get {round}")).await;
            assert_eq!(got, Some(200), "{script:?}");
        }
        for round in 0..30 {
            let mark = format!("post {round}");
            caller.ask("POST", &mark).await;
            assert!(upstream.times(&mark) <= 1, "{mark} came twice: {script:?}");
        }
    }
}
