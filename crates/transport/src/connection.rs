//! One connection: its handshake, then hyper between the gate and the service, with
//! deadlines around it.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::answer::AnswerService;
use crate::connection_limit::ConnectionPlace;
use crate::connection_state::{ConnectionState, UpgradeState};
use crate::gate::RequestGate;
use crate::handshake::{HandshakePolicy, HttpConnection};
use crate::http1::Http1Connection;
use crate::watch::{ConnectionEnd, LINGER, PhaseWatch};
use crate::{ListenerLimits, Peer, Request, http2, tunnel};

/// hyper's own bound, up to which it needs no memory for the field list.
const HYPER_MAX_HEADERS: usize = 100;

/// Serves one connection to its end, when its place is given back.
pub(crate) async fn drive<Io, F, Fut, B>(
    io: Io,
    peer: Peer,
    policy: HandshakePolicy,
    limits: Arc<ListenerLimits>,
    place: ConnectionPlace,
    answer: F,
) where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request, Peer) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let Some(entered) = policy.pass(io, peer, &limits, &place).await else {
        return;
    };
    let state = Arc::clone(place.state());
    if entered.http2 {
        Box::pin(http2::drive(entered, limits, state, answer)).await;
    } else {
        drive_http1(entered, limits, state, answer).await;
    }
    drop(place);
}

async fn drive_http1<Io, F, Fut, B>(
    entered: HttpConnection<Io>,
    limits: Arc<ListenerLimits>,
    state: Arc<ConnectionState>,
    answer: F,
) where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request, Peer) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<B>> + 'static,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let gate = RequestGate::new(entered.stream, Arc::clone(&limits), Arc::clone(&state));
    let service = AnswerService {
        answer,
        peer: entered.peer,
        limits: Arc::clone(&limits),
        state: Arc::clone(&state),
    };
    let connection = builder(&limits).serve_connection(TokioIo::new(gate), service);
    let mut http1 = Http1Connection::new(connection, Arc::clone(&state));
    let idle = limits.tunnel_idle_timeout;
    let mut watch = PhaseWatch::new(entered.deadline, limits, Arc::clone(&state));
    let end = poll_fn(|context| watch.poll_to_end(context, Pin::new(&mut http1))).await;
    tracing::trace!(?end, %entered.peer.address, "connection ended");
    match (end, state.upgrade(), http1.into_unclosed()) {
        (ConnectionEnd::Closed, UpgradeState::Granted(tunnel), _) => {
            tunnel::keep(tunnel, state, idle).await;
        }
        (ConnectionEnd::Closed, _, Some(mut io)) => {
            let _ = timeout(LINGER, io.shutdown()).await;
        }
        _ => {}
    }
}

fn builder(limits: &ListenerLimits) -> Builder {
    let mut builder = Builder::new();
    builder.max_header_size(limits.max_header_bytes);
    // A stand-in for a refused head has two fields.
    let max_headers = limits.max_headers.max(2);
    if max_headers != HYPER_MAX_HEADERS {
        builder.max_headers(max_headers);
    }
    builder.max_buf_size(limits.max_header_bytes.saturating_mul(2).max(64 * 1024));
    builder
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use http::Response;
    use http_body_util::{BodyExt, Full};
    use tokio::io::AsyncReadExt;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::collect;
    use crate::testing::{GET, House, hello, text};

    type BoxBody = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

    fn limits() -> ListenerLimits {
        ListenerLimits {
            header_read_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(20),
            request_timeout: Some(Duration::from_secs(100)),
            ..ListenerLimits::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_comes_a_byte_at_a_time_is_refused_when_its_time_is_up() {
        let house = House::open(limits(), hello);
        let mut client = house.connect();
        for byte in GET.chars().take(9) {
            client.send(&byte.to_string()).await;
            sleep(Duration::from_secs(1)).await;
        }
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.closes()), (408, true));
        assert_eq!(client.rest().await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_client_is_told_that_an_answer_of_unknown_length_ends_with_the_connection() {
        let house = House::open(limits(), |request: Request, _| async move {
            let known = request.uri().path() == "/known";
            let body = Full::new(Bytes::from_static(b"hello"));
            let body: BoxBody = match known {
                true => body.boxed(),
                false => body.map_frame(|frame| frame).boxed(),
            };
            Response::new(body)
        });
        let ask = |path: &str| {
            format!("GET {path} HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
        };
        let mut client = house.connect();
        client.send(&ask("/known")).await;
        assert!(!client.answer().await.closes());
        client.send(&ask("/")).await;
        let answer = client.answer().await;
        assert!(
            answer.closes() && !answer.head.contains("keep-alive"),
            "{}",
            answer.head
        );
        assert_eq!(client.rest().await, "hello");
        let mut client = house.connect();
        client.send(GET).await;
        assert!(
            !client.head().await.contains("close"),
            "HTTP/1.1 has chunks"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_head_has_its_own_time_from_its_first_byte() {
        let house = House::open(limits(), hello);
        let mut client = house.connect();
        assert_eq!(client.get().await.status, 200);
        sleep(Duration::from_secs(50)).await;
        client.send("GET /").await;
        sleep(Duration::from_secs(9)).await;
        client.send(" HTTP/1.1\r\nHost: h\r\n\r\nGET /").await;
        assert_eq!(client.answer().await.status, 200);
        assert_eq!(client.answer().await.status, 408);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_not_blamed_for_the_open_body_of_the_one_behind_it() {
        let house = House::open(limits(), |request: Request, _| async {
            match collect(request.into_body(), 100).await {
                Ok(body) => Response::new(Full::new(body)),
                Err(_) => text("no body"),
            }
        });
        let post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe";
        let mut client = house.connect();
        client.send(&format!("{GET}{GET}{post}")).await;
        for _ in 0..2 {
            let answer = client.answer().await;
            assert_eq!((answer.status, answer.closes()), (200, false));
        }
        client.send("llo").await;
        let answer = client.answer().await;
        assert_eq!((&*answer.body, answer.closes()), ("hello", false));
        assert_eq!(client.get().await.status, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_left_unread_behind_another_request_closes_still() {
        let house = House::open(limits(), hello);
        let mut client = house.connect();
        let post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\nhe";
        client.send(&format!("{GET}{post}")).await;
        assert!(!client.answer().await.closes());
        assert!(client.answer().await.closes());
        assert_eq!(client.rest().await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_head_of_a_head_request_has_no_body() {
        let house = House::open(limits(), hello);
        let mut client = house.connect();
        client.send("HEAD / HTTP/1.1\r\n").await;
        let rest = client.rest().await;
        assert!(
            rest.starts_with("HTTP/1.1 408 ") && rest.ends_with("\r\n\r\n"),
            "{rest}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_is_closed_without_a_word() {
        let house = House::open(limits(), hello);
        let opened = Instant::now();
        assert_eq!(house.connect().rest().await, "");
        assert_eq!(opened.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_after_its_time() {
        let house = House::open(limits(), hello);
        let mut client = house.connect();
        for _ in 0..3 {
            assert_eq!(client.get().await.status, 200);
            sleep(Duration::from_secs(59)).await;
        }
        assert_eq!(client.get().await.status, 200);
        let answered = Instant::now();
        assert_eq!(client.rest().await, "");
        assert_eq!(answered.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_long_is_not_idle() {
        let house = House::open(limits(), |_, _| async {
            sleep(Duration::from_secs(99)).await;
            text("late")
        });
        let mut client = house.connect();
        for _ in 0..3 {
            assert_eq!(client.get().await.body, "late");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_never_answered_gets_503() {
        let house = House::open(limits(), |_, _| pending::<Response<Full<Bytes>>>());
        let mut client = house.connect();
        let answer = client.get().await;
        assert_eq!((answer.status, answer.closes()), (503, true));
        assert!(answer.head.contains("retry-after: 1\r\n"));
        assert_eq!(client.rest().await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_request_timeout_a_request_may_wait_for_a_week() {
        let house = House::open(
            ListenerLimits {
                request_timeout: None,
                ..limits()
            },
            |_, _| async {
                sleep(Duration::from_secs(604_800)).await;
                text("at last")
            },
        );
        assert_eq!(house.connect().get().await.body, "at last");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_its_answer_is_cut() {
        let house = House::open(limits(), |_, _| async { text(&"x".repeat(1_000_000)) });
        let mut client = house.connect();
        client.send(GET).await;
        sleep(Duration::from_secs(21)).await;
        let got = client.rest().await.len();
        assert!((1..1_000_000).contains(&got), "{got}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_slowly_but_steadily_gets_all() {
        let house = House::open(limits(), |_, _| async { text(&"x".repeat(1_000_000)) });
        let mut client = house.connect();
        client.send(GET).await;
        let mut some = vec![0; 64 * 1024];
        let mut got = 0;
        while got < 1_000_000 {
            sleep(Duration::from_secs(15)).await;
            let size = client.stream.read(&mut some).await.unwrap();
            assert!(size > 0, "cut after {got} bytes");
            got += size;
        }
        assert_eq!(client.get().await.status, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_a_trickle_is_cut() {
        let house = House::open(limits(), |_, _| async { text(&"x".repeat(1_000_000)) });
        let mut client = house.connect();
        client.send(GET).await;
        let mut some = [0; 1000];
        let cut = async {
            while client.stream.read(&mut some).await.unwrap() > 0 {
                sleep(Duration::from_secs(15)).await;
            }
        };
        // At this rate the whole answer takes four hours.
        tokio::time::timeout(Duration::from_secs(3600), cut)
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_costs_the_peer_its_connection_and_nobody_else_anything() {
        let house = House::open(limits(), |request, _| async move {
            assert_eq!(request.uri().path(), "/");
            text("well")
        });
        let mut unlucky = house.connect();
        unlucky.send("GET /panic HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let answer = unlucky.answer().await;
        assert_eq!((answer.status, answer.closes()), (500, true));
        assert_eq!(unlucky.rest().await, "");
        assert_eq!(house.connect().get().await.body, "well");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_before_there_is_a_future_is_caught_too() {
        let house = House::open(limits(), |request, _| {
            assert_eq!(request.uri().path(), "/panic");
            pending::<Response<Full<Bytes>>>()
        });
        assert_eq!(house.connect().get().await.status, 500);
    }

    #[tokio::test(start_paused = true)]
    async fn an_interim_status_is_no_answer() {
        let house = House::open(limits(), |_, _| async {
            let mut response = text("");
            *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
            response
        });
        assert_eq!(house.connect().get().await.status, 500);
    }

    #[tokio::test(start_paused = true)]
    async fn head_is_answered_without_the_body_and_the_connection_stays() {
        let house = House::open(limits(), hello);
        let mut client = house.connect();
        client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        client.send(GET).await;
        let (first, second) = (client.head().await, client.answer().await);
        assert!(first.contains("content-length: 5\r\n"), "{first}");
        assert_eq!(second.body, "hello");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_on_after_a_refusal_still_gets_it_whole() {
        let house = House::open(limits(), hello);
        let mut client = house.connect();
        client.send("GET / HTTP/1.1\r\n\r\n").await;
        client.send(&"x".repeat(200_000)).await;
        assert_eq!(client.answer().await.status, 400);
        assert_eq!(client.rest().await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_neither_sends_on_nor_closes_is_left_behind() {
        let house = House::open(limits(), hello);
        let mut client = house.connect();
        client.send("GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 400);
        let served = house.shut();
        assert_eq!(served.await.unwrap().cut, 0);
    }
}
