//! A request is sent again only where nothing of it was sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::upstreams::{behind, read_head};
use crate::world::{Front, MYPOPUP, World, raw, status_and_body};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What a [`Fickle`] upstream does with the requests of a connection, from the
/// first on.
#[derive(Clone, Copy, Debug)]
enum Does {
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
    /// Closes within the body of its answer.
    BreaksOff,
}

/// An upstream that counts what reaches it by the request's mark.
struct Fickle {
    url: String,
    accepted: Arc<AtomicUsize>,
    seen: Arc<Mutex<HashMap<String, usize>>>,
}

impl Fickle {
    async fn start(script: &'static [Does]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let accepted = Arc::new(AtomicUsize::new(0));
        let (count, connections) = (Arc::clone(&seen), Arc::clone(&accepted));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(play(stream, script, Arc::clone(&count)));
            }
        });
        Self {
            url,
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

async fn play(
    mut stream: TcpStream,
    script: &[Does],
    seen: Arc<Mutex<HashMap<String, usize>>>,
) -> Option<()> {
    for does in script {
        if matches!(does, Does::Leaves) {
            return None;
        }
        let head = read_head(&mut stream).await?;
        let mark = head.lines().find_map(|it| it.strip_prefix("x-mark: "))?;
        *seen.lock().unwrap().entry(mark.to_owned()).or_default() += 1;
        if !matches!(does, Does::Resets) {
            let length = head
                .lines()
                .find_map(|it| it.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |it| it.parse().unwrap());
            stream.read_exact(&mut vec![0; length]).await.ok()?;
        }
        let reply = match does {
            Does::Answers => OK,
            Does::Stutters => "HTTP/1.1 200 O",
            Does::BreaksOff => "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart",
            Does::Leaves | Does::Reads | Does::Resets => "",
        };
        stream.write_all(reply.as_bytes()).await.ok()?;
    }
    None
}

/// A client of one gateway.
struct Caller {
    world: World,
    front: Front,
}

impl Caller {
    async fn of(upstream: &Fickle) -> Self {
        let (world, front) = behind(MYPOPUP, &upstream.url).await;
        Self { world, front }
    }

    /// Sends a marked request; `None` if the answer broke off.
    async fn ask(&self, method: &str, mark: &str) -> Option<u16> {
        let body = if method == "POST" { "a body" } else { "" };
        let request = format!(
            "{method} /api/v1/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-mark: {mark}\r\n\
             authorization: {}\r\ncontent-length: {}\r\n\r\n{body}",
            self.world.bearer(),
            body.len()
        );
        let reply = raw(self.front.address, &request).await;
        let (status, body) = status_and_body(&reply);
        (status != 200 || body == "ok").then_some(status)
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
        for method in ["GET", "POST"] {
            let upstream = Fickle::start(script).await;
            let caller = Caller::of(&upstream).await;
            assert_eq!(caller.ask(method, "m").await, status, "{method} {script:?}");
            assert_eq!(upstream.times("m"), times, "{method} {script:?}");
        }
    }
}

#[tokio::test]
async fn what_was_sent_over_a_kept_connection_is_not_sent_again() {
    use Does::{Answers, BreaksOff, Reads, Resets, Stutters};
    for (script, status) in [
        (&[Answers, Reads][..], Some(502)),
        (&[Answers, Resets], Some(502)),
        (&[Answers, Stutters], Some(502)),
        (&[Answers, BreaksOff], None),
    ] {
        for method in ["GET", "POST"] {
            let mut kept = 0;
            for _ in 0..10 {
                let upstream = Fickle::start(script).await;
                let caller = Caller::of(&upstream).await;
                assert_eq!(caller.ask(method, "first").await, Some(200));
                let got = caller.ask(method, "second").await;
                assert_eq!(upstream.times("second"), 1, "{method} {script:?}");
                // The first may not have been given back in time.
                if upstream.connections() == 1 {
                    kept += 1;
                    assert_eq!(got, status, "{method} {script:?}");
                }
            }
            assert!(kept > 0, "no connection was kept");
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_is_gone_costs_no_request_and_doubles_none() {
    let upstream = Fickle::start(&[Does::Answers]).await;
    let caller = Caller::of(&upstream).await;
    let mut answered = 0;
    for round in 0..200 {
        let mark = round.to_string();
        let method = if round % 2 == 0 { "GET" } else { "POST" };
        answered += usize::from(caller.ask(method, &mark).await == Some(200));
        assert!(upstream.times(&mark) <= 1, "{mark} came twice");
    }
    // What is lost is what was on its way when the upstream closed.
    assert!(answered >= 190, "{answered}");
}
