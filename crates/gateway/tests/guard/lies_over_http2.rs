//! Upstreams that misbehave over HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use countersign_domain::Reason;
use countersign_testing::listening::listen;
use countersign_testing::raw::exchange;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use tokio::net::TcpStream;

use crate::upstreams::impatient;
use crate::world::{Front, MYPOPUP, Plan, World, echo_upstream};

const PUBLIC: &str = "/api/v1/public";

/// What an upstream does with each request.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// Resets the stream instead of an answer.
    Resets(h2::Reason),
    /// Ends the connection instead of an answer.
    Leaves,
    /// Says nothing.
    Stalls,
    /// Answers with a status that is none.
    Beyond,
    /// Answers 101, which HTTP/2 does not have.
    Switches,
    /// Sends a header section that is too long.
    Rambles,
    /// Sends interim answers without end.
    Hints,
    /// Promises more than it sends.
    SendsLess,
    /// Sends more than it promised.
    SendsMore,
    /// Stops within the body.
    StallsInBody,
    /// Resets the stream within the body.
    ResetsInBody,
    /// Ends the connection within the body.
    LeavesInBody,
    /// Answers well, with an identity among the trailers.
    Trails,
}

/// Starts an upstream, which counts what it is asked.
fn upstream(does: Does) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let listener = listen(move |stream| serve(stream, does, Arc::clone(&count)));
    (listener.url(), asked)
}

async fn serve(stream: TcpStream, does: Does, asked: Arc<AtomicUsize>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((_request, answer))) = connection.accept().await {
        asked.fetch_add(1, Ordering::SeqCst);
        match does {
            Does::Leaves => return,
            Does::LeavesInBody => {
                let _stream = begin(answer, 200, Some("9"));
                // Long enough for the head to be written, not for more.
                let flushed = tokio::time::timeout(impatient().body_idle / 3, connection.accept());
                let _ = flushed.await;
                return;
            }
            _ => drop(tokio::spawn(play(answer, does))),
        }
    }
}

fn begin(
    mut answer: SendResponse<Bytes>,
    status: u16,
    length: Option<&str>,
) -> h2::SendStream<Bytes> {
    let mut head = Response::builder().status(status);
    if let Some(length) = length {
        head = head.header("content-length", length);
    }
    let mut stream = answer.send_response(head.body(()).unwrap(), false).unwrap();
    stream.send_data("part".into(), false).unwrap();
    stream
}

async fn play(mut answer: SendResponse<Bytes>, does: Does) {
    let idle = std::future::pending::<()>();
    match does {
        Does::Resets(reason) => answer.send_reset(reason),
        Does::Beyond => drop(begin(answer, 999, None)),
        Does::Switches => drop(begin(answer, 101, None)),
        Does::Rambles => {
            let long = "x".repeat(10_000);
            let head = (0..20).fold(Response::builder(), |head, number| {
                head.header(format!("x-{number}"), long.as_str())
            });
            let _ = answer.send_response(head.body(()).unwrap(), true);
        }
        Does::Hints => loop {
            let hint = Response::builder().status(103).body(()).unwrap();
            if answer.send_informational(hint).is_err() {
                return;
            }
            tokio::task::yield_now().await;
        },
        Does::SendsLess => {
            let mut stream = begin(answer, 200, Some("9"));
            let _ = stream.send_data(Bytes::new(), true);
        }
        Does::SendsMore => {
            let mut stream = begin(answer, 200, Some("2"));
            let _ = stream.send_data("more".into(), true);
        }
        Does::StallsInBody => {
            let _stream = begin(answer, 200, Some("9"));
            idle.await;
        }
        Does::ResetsInBody => {
            let mut stream = begin(answer, 200, Some("9"));
            tokio::task::yield_now().await;
            stream.send_reset(h2::Reason::INTERNAL_ERROR);
        }
        Does::Trails => {
            let mut stream = begin(answer, 200, Some("4"));
            let mut trailers = HeaderMap::new();
            trailers.insert("x-countersign-account", "1".parse().unwrap());
            stream.send_trailers(trailers).unwrap();
        }
        Does::Stalls | Does::Leaves | Does::LeavesInBody => idle.await,
    }
}

fn behind(url: &str) -> (World, Front) {
    let mut plan = Plan::new(MYPOPUP, url);
    plan.settings.timeouts = impatient();
    plan.settings.http2 = true;
    let world = plan.build();
    let front = world.serve();
    (world, front)
}

#[tokio::test]
async fn an_upstream_without_a_good_head_is_refused_and_asked_once() {
    use Does::{Beyond, Hints, Leaves, Rambles, Resets, Stalls, Switches};
    for (does, status, reason) in [
        (
            Resets(h2::Reason::INTERNAL_ERROR),
            502,
            Reason::UpstreamFailed,
        ),
        (
            Resets(h2::Reason::ENHANCE_YOUR_CALM),
            502,
            Reason::UpstreamFailed,
        ),
        (Leaves, 502, Reason::UpstreamFailed),
        (Beyond, 502, Reason::UpstreamFailed),
        (Switches, 502, Reason::UpstreamFailed),
        (Rambles, 502, Reason::UpstreamFailed),
        (Stalls, 504, Reason::UpstreamTimeout),
        (Hints, 504, Reason::UpstreamTimeout),
    ] {
        let (url, asked) = upstream(does);
        let (world, front) = behind(&url);
        let response = front.get(PUBLIC, &[]).await;
        let denied = world.last_outcome().unwrap_err();
        assert_eq!(
            (response.status.as_u16(), denied.reason),
            (status, reason),
            "{does:?}: {denied:?}"
        );
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{does:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_the_connection_to_the_client() {
    use Does::{LeavesInBody, ResetsInBody, SendsLess, SendsMore, StallsInBody};
    for does in [
        LeavesInBody,
        ResetsInBody,
        SendsLess,
        SendsMore,
        StallsInBody,
    ] {
        let (url, asked) = upstream(does);
        let (_world, front) = behind(&url);
        // The connection is not asked to be closed, so it ends only by breaking.
        let request = format!("GET {PUBLIC} HTTP/1.1\r\nhost: a\r\n\r\n");
        let got = exchange(front.address, &request).await;
        let whole = got.contains("200 OK") && got.ends_with("partmore");
        assert!(!whole && !got.ends_with("0\r\n\r\n"), "{does:?}: {got:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{does:?}");
    }
}

#[tokio::test]
async fn trailers_of_the_upstream_do_not_go_on() {
    let (url, _) = upstream(Does::Trails);
    let (_world, front) = behind(&url);
    let request = format!(
        "GET {PUBLIC} HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: close, te\r\n\r\n"
    );
    let got = exchange(front.address, &request).await;
    assert!(
        got.ends_with("part") && !got.contains("x-countersign"),
        "{got:?}"
    );
}

#[tokio::test]
async fn an_upstream_that_speaks_http_1_after_all_is_a_bad_gateway() {
    let echo = echo_upstream();
    let (world, front) = behind(&echo.url);
    assert_eq!(front.get(PUBLIC, &[]).await.status, 502);
    assert_eq!(
        world.last_outcome().unwrap_err().reason,
        Reason::UpstreamFailed
    );
    assert_eq!(echo.count(), 0);
}
