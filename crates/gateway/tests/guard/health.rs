//! An upstream that is down is not asked, and one that is up again is.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use countersign_domain::Reason;
use countersign_relay::{HealthCheck, UpstreamState};
use countersign_testing::listening::{listen, nowhere};
use countersign_testing::raw::read_head;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::tunnels::{SWITCHED, asking};
use crate::world::{Front, MYPOPUP, NOW, Plan, REQUEST_ID, World};

const PUBLIC: &str = "/api/v1/public";
/// What a [`Patient`] tells of a connection that ended.
const CLOSED: &str = "closed";

async fn status(front: &Front) -> u16 {
    front.get(PUBLIC, &[]).await.status.as_u16()
}

#[tokio::test]
async fn who_cannot_be_reached_is_not_tried_by_everybody() {
    let world = Plan::new(MYPOPUP, &nowhere()).build();
    let front = world.serve();
    for _ in 0..3 {
        assert_eq!(status(&front).await, 502);
    }
    assert_eq!(world.api.upstream_state(), Some(UpstreamState::Down));
    let refused = front.get(PUBLIC, &[]).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers["retry-after"], "1");
    let denied = world.last_outcome().unwrap_err();
    assert_eq!(denied.reason, Reason::UpstreamDown);
    assert!(denied.detail.is_some());
}

/// An upstream that tells of each check and answers as it is set to.
struct Patient {
    url: String,
    well: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    checked: mpsc::UnboundedReceiver<String>,
}

impl Patient {
    fn start() -> Self {
        let (well, asked) = (
            Arc::new(AtomicBool::new(true)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (tell, checked) = mpsc::unbounded_channel();
        let (is_well, count) = (Arc::clone(&well), Arc::clone(&asked));
        let listener =
            listen(move |stream| answer(stream, is_well.clone(), count.clone(), tell.clone()));
        Self {
            url: listener.url() + "/base",
            well,
            asked,
            checked,
        }
    }

    fn world(&self) -> World {
        let mut plan = Plan::new(MYPOPUP, &self.url);
        plan.settings.health = Some(HealthCheck {
            path: "/health?deep=1".to_owned(),
            interval: Duration::from_millis(20),
        });
        plan.build()
    }

    async fn checks(&mut self, count: usize) -> String {
        let mut last = String::new();
        for _ in 0..count {
            last = self.checked.recv().await.unwrap();
        }
        last
    }
}

async fn answer(
    mut stream: TcpStream,
    well: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    tell: mpsc::UnboundedSender<String>,
) {
    while let Some(head) = read_head(&mut stream).await {
        let is_check = head.contains("/health");
        let well = well.load(Ordering::SeqCst);
        let status = if well || !is_check {
            "200 OK"
        } else {
            "503 Ill"
        };
        let reply = match head.contains("upgrade: websocket") {
            true => SWITCHED.to_owned(),
            false => format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"),
        };
        stream.write_all(reply.as_bytes()).await.unwrap();
        match is_check {
            true => drop(tell.send(head)),
            false => drop(asked.fetch_add(1, Ordering::SeqCst)),
        }
    }
    let _ = tell.send(CLOSED.to_owned());
}

#[tokio::test]
async fn a_check_takes_an_upstream_down_and_up_again() {
    let mut upstream = Patient::start();
    let world = upstream.world();
    let front = world.serve();
    let head = upstream.checks(1).await;
    assert!(
        head.starts_with("GET /base/health?deep=1 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(!head.contains("x-countersign"), "{head}");
    assert_eq!(status(&front).await, 200);

    upstream.well.store(false, Ordering::SeqCst);
    // Two that it has answered, and a third that shows that both were heard.
    upstream.checks(4).await;
    assert_eq!(world.api.upstream_state(), Some(UpstreamState::Down));
    let before = upstream.asked.load(Ordering::SeqCst);
    let refused = front.get(PUBLIC, &[]).await;
    assert_eq!(refused.status, 503);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(upstream.asked.load(Ordering::SeqCst), before);

    upstream.well.store(true, Ordering::SeqCst);
    upstream.checks(3).await;
    assert_eq!(world.api.upstream_state(), Some(UpstreamState::Up));
    assert_eq!(status(&front).await, 200);
}

#[tokio::test]
async fn the_checks_end_with_the_upstream() {
    let mut upstream = Patient::start();
    let world = upstream.world();
    upstream.checks(2).await;
    drop(world);
    // Nobody holds the connection any more.
    let closed = async { while upstream.checks(1).await != CLOSED {} };
    tokio::time::timeout(Duration::from_secs(4), closed)
        .await
        .unwrap();
}

/// A reload makes another gateway in place of the one that opened the tunnel.
#[tokio::test]
async fn a_tunnel_does_not_keep_the_checks_going() {
    let mut upstream = Patient::start();
    let world = upstream.world();
    upstream.checks(2).await;
    let fields = format!("authorization: {}\r\n", world.bearer());
    let (mut client, stream) = tokio::io::duplex(4096);
    tokio::spawn(async move {
        let answer = service_fn(|request: Request<Incoming>| async {
            let forwarded =
                world
                    .gateway
                    .forward(&world.api, request, world.client, REQUEST_ID, NOW);
            Ok::<_, Infallible>(forwarded.await.response)
        });
        let served = hyper::server::conn::http1::Builder::new();
        let connection = served.serve_connection(TokioIo::new(stream), answer);
        connection.with_upgrades().await.unwrap();
    });
    client.write_all(asking(&fields).as_bytes()).await.unwrap();
    let mut head = [0; 12];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    let closed = async { while upstream.checks(1).await != CLOSED {} };
    tokio::time::timeout(Duration::from_secs(4), closed)
        .await
        .unwrap();
}
