//! Connections that switch to WebSocket (RFC 9110 section 7.8, RFC 6455).
//!
//! A request for an upgrade is judged like any other, and is forwarded with `Connection`
//! and `Upgrade` fields of our own. Only when the upstream has answered 101 with the
//! requested protocol is the client answered 101, and both connections become one tunnel;
//! no bytes pass before that. Any other response is an ordinary one.
//!
//! Only WebSocket is passed on, even if a client names other protocols beside it. After a
//! switch to `h2c`, for instance, requests would pass that nobody judges. Such an `Upgrade`
//! field is removed, as a server may ignore it, together with the fields of its handshake.
//!
//! Whoever opens a tunnel may end it: it passes a future that becomes ready when the
//! tunnel must end, with the reason.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::answer_body::AnswerBody;
use crate::error::RelayError;
use crate::headers;
use crate::upstream::UpstreamTimeouts;
use crate::upstream_metrics::UpstreamMetrics;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const UPGRADE: HeaderValue = HeaderValue::from_static("upgrade");

/// How many bytes are read at once.
const PIECE: usize = 16 * 1024;

/// Takes the future connection from a request that asks for WebSocket, if the listener
/// allows it.
pub fn asked_for_websocket<B: Body>(request: &mut Request<B>) -> Option<OnUpgrade> {
    let may = asks(request) && request.extensions().get::<OnUpgrade>().is_some();
    may.then(|| hyper::upgrade::on(request))
}

fn asks<B: Body>(request: &Request<B>) -> bool {
    let fields = request.headers();
    let mut options = headers::connection_options(fields).into_iter();
    request.version() == Version::HTTP_11
        && request.method() == Method::GET
        && request.body().is_end_stream()
        && options.any(|option| option == "upgrade")
        && names_websocket(fields)
}

/// Whether WebSocket is among the protocols in `Upgrade`.
fn names_websocket(fields: &HeaderMap) -> bool {
    let mut lines = fields.get_all(header::UPGRADE).iter();
    lines.any(|line| {
        let mut protocols = line.as_bytes().split(|byte| *byte == b',');
        protocols.any(|it| it.trim_ascii().eq_ignore_ascii_case(WEBSOCKET.as_bytes()))
    })
}

/// Removes the other fields of a handshake that is not forwarded: an upstream that looks
/// only at these would switch though nobody asked it to.
pub(crate) fn forget(fields: &mut HeaderMap) {
    for name in [
        header::SEC_WEBSOCKET_KEY,
        header::SEC_WEBSOCKET_VERSION,
        header::SEC_WEBSOCKET_PROTOCOL,
        header::SEC_WEBSOCKET_EXTENSIONS,
        header::SEC_WEBSOCKET_ACCEPT,
    ] {
        fields.remove(name);
    }
}

/// Writes the fields of the handshake, to the upstream or to the client.
pub(crate) fn set_upgrade_fields(fields: &mut HeaderMap) {
    // RFC 9110 section 7.8: "A sender of Upgrade MUST also send an "Upgrade" connection
    // option in the Connection header field".
    fields.insert(header::CONNECTION, UPGRADE);
    fields.insert(header::UPGRADE, WEBSOCKET);
}

/// Whether WebSocket is the only protocol in `Upgrade`.
pub(crate) fn is_websocket(fields: &HeaderMap) -> bool {
    let mut protocols = fields.get_all(header::UPGRADE).iter();
    let one = protocols.next().filter(|_| protocols.next().is_none());
    one.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes()))
}

/// The most tunnels that may be open at once.
const MOST: usize = 10_000;

/// How long to wait before the next attempt if no tunnel is free.
const SOON: Duration = Duration::from_secs(1);

/// Places for tunnels.
#[derive(Clone)]
pub struct TunnelSlots(Arc<Semaphore>);

impl Default for TunnelSlots {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl TunnelSlots {
    /// Takes a place for the requested tunnel.
    pub fn take(&self, asked: Option<OnUpgrade>) -> Result<Option<TunnelSwitch>, RelayError> {
        let Some(client) = asked else {
            return Ok(None);
        };
        let place = Arc::clone(&self.0).try_acquire_owned();
        let place = place.map_err(|_| RelayError::NoRoom { retry_after: SOON })?;
        Ok(Some(TunnelSwitch { client, place }))
    }
}

/// The client's side of a tunnel, which is requested from the upstream.
pub struct TunnelSwitch {
    client: OnUpgrade,
    /// Its place among all tunnels, which is held until it ends.
    place: OwnedSemaphorePermit,
}

/// A tunnel that the upstream has agreed to.
pub(crate) struct Tunnel {
    pub(crate) meter: UpstreamMetrics,
    pub(crate) request_id: Box<str>,
    pub(crate) timeouts: UpstreamTimeouts,
    /// The fields of the answer to the client.
    pub(crate) fields: HeaderMap,
}

/// Why a tunnel ended.
#[derive(Debug, thiserror::Error)]
enum TunnelEnd {
    #[error("both sides closed it")]
    Closed,
    #[error("it was idle for too long")]
    Idle,
    #[error("one side closed the connection early: {0}")]
    Broken(io::Error),
    #[error("the connection was not switched")]
    Unopened,
    #[error("{0}")]
    Over(String),
}

impl Tunnel {
    /// Sends the client the upstream's answer, and joins both when it is written. The
    /// tunnel lives in a task of its own, until `over` at the latest.
    pub(crate) fn open(
        self,
        switch: TunnelSwitch,
        mut answered: Response<Incoming>,
        over: impl Future<Output: Display> + Send + 'static,
    ) -> Response<AnswerBody> {
        let upstream = hyper::upgrade::on(&mut answered);
        let mut response = Response::new(AnswerBody::whole(Bytes::new()));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = self.fields;
        set_upgrade_fields(response.headers_mut());
        let (meter, timeouts, request_id) = (self.meter, self.timeouts, self.request_id);
        tokio::spawn(async move {
            let open = meter.tunnel();
            let ended = run(switch.client, upstream, timeouts, over).await;
            let (api, request_id) = (&**meter.name(), &*request_id);
            tracing::info!(api, request_id, "a tunnel ended: {ended}");
            drop((open, switch.place));
        });
        response
    }
}

async fn run(
    client: OnUpgrade,
    upstream: OnUpgrade,
    timeouts: UpstreamTimeouts,
    over: impl Future<Output: Display>,
) -> TunnelEnd {
    let both = async { tokio::try_join!(client, upstream) };
    let both = tokio::time::timeout(timeouts.connect, both).await;
    let Ok(Ok((client, upstream))) = both else {
        return TunnelEnd::Unopened;
    };
    let (client, upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    tokio::select! {
        ended = join(client, upstream, timeouts.tunnel_idle) => ended,
        why = over => TunnelEnd::Over(why.to_string()),
    }
}

/// Passes on what arrives, in both directions. If one direction ends, this is passed on
/// too, and the other stays open.
async fn join<A, B>(one: A, other: B, idle: Duration) -> TunnelEnd
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let clock = TunnelClock::new();
    let (from_one, to_one) = tokio::io::split(one);
    let (from_other, to_other) = tokio::io::split(other);
    let both = async {
        tokio::try_join!(
            pour(from_one, to_other, &clock),
            pour(from_other, to_one, &clock),
        )
    };
    tokio::select! {
        done = both => done.map_or_else(TunnelEnd::Broken, |_| TunnelEnd::Closed),
        () = clock.still_for(idle) => TunnelEnd::Idle,
    }
}

async fn pour<R, W>(mut from: R, mut to: W, clock: &TunnelClock) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        clock.moved();
        let Some(read @ [_, ..]) = piece.get(..read) else {
            return to.shutdown().await;
        };
        to.write_all(read).await?;
        to.flush().await?;
        clock.moved();
    }
}

/// When something last moved, in either direction.
struct TunnelClock {
    began: Instant,
    moved_after: AtomicU64,
}

impl TunnelClock {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            moved_after: AtomicU64::new(0),
        }
    }

    fn moved(&self) {
        let after = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_after.store(after, Ordering::Relaxed);
    }

    async fn still_for(&self, limit: Duration) {
        loop {
            let moved = Duration::from_millis(self.moved_after.load(Ordering::Relaxed));
            let over = self.began + moved + limit;
            if over <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(over).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;

    const IDLE: Duration = Duration::from_secs(10);

    /// The two ends of a tunnel.
    fn tunnel() -> (DuplexStream, DuplexStream, JoinHandle<TunnelEnd>) {
        let (client, near_client) = duplex(64);
        let (upstream, near_upstream) = duplex(64);
        let ended = tokio::spawn(join(near_client, near_upstream, IDLE));
        (client, upstream, ended)
    }

    #[tokio::test]
    async fn what_comes_goes_on_both_ways_however_much() {
        let (client, mut upstream, ended) = tunnel();
        let (mut from_client, mut to_upstream) = tokio::io::split(client);
        let sent = vec![7; 100_000];
        let sending = sent.clone();
        tokio::spawn(async move {
            to_upstream.write_all(&sending).await.unwrap();
            to_upstream.shutdown().await.unwrap();
        });
        let mut got = Vec::new();
        upstream.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, sent);
        upstream.write_all(b"late").await.unwrap();
        drop(upstream);
        let mut answer = String::new();
        from_client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "late", "one way was closed, the other was not");
        assert!(matches!(ended.await.unwrap(), TunnelEnd::Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_is_still_only_when_both_ways_are() {
        let (mut client, mut upstream, ended) = tunnel();
        for _ in 0..5 {
            tokio::time::advance(IDLE - Duration::from_secs(1)).await;
            client.write_all(b"x").await.unwrap();
            assert_eq!(upstream.read_u8().await.unwrap(), b'x');
        }
        assert!(!ended.is_finished());
        tokio::time::advance(IDLE + Duration::from_secs(1)).await;
        assert!(matches!(ended.await.unwrap(), TunnelEnd::Idle));
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    #[test]
    fn who_finds_no_place_for_a_tunnel_is_told_when_to_come_again() {
        let places = TunnelSlots(Arc::new(Semaphore::new(0)));
        let asked = Some(hyper::upgrade::on(Request::new(())));
        let refused = places.take(asked).err();
        assert_eq!(refused, Some(RelayError::NoRoom { retry_after: SOON }));
        assert!(places.take(None).is_ok(), "who asks for none needs none");
    }

    #[test]
    fn only_websocket_is_asked_for() {
        let asked = |version, method, fields: &[(&str, &str)], body: &'static str| {
            let mut request = Request::builder().version(version).method(method);
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let body = http_body_util::Full::new(Bytes::from_static(body.as_bytes()));
            asks(&request.body(body).unwrap())
        };
        let good = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
        ];
        let (http_1, get) = (Version::HTTP_11, "GET");
        let upgrade = ("connection", "upgrade");
        assert!(asked(http_1, get, &good, ""));
        for fields in [
            &[upgrade, ("upgrade", "h2c, websocket")][..],
            &[upgrade, ("upgrade", "WebSocket,h2c")],
            &[upgrade, ("upgrade", "websocket"), ("upgrade", "h2c")],
        ] {
            assert!(asked(http_1, get, fields, ""), "{fields:?}");
        }
        assert!(!asked(http_1, "POST", &good, ""));
        assert!(!asked(http_1, get, &good, "body"));
        assert!(!asked(Version::HTTP_10, get, &good, ""));
        assert!(!asked(Version::HTTP_2, get, &good, ""));
        for fields in [
            &[("upgrade", "websocket")][..],
            &[upgrade],
            &[("connection", "keep-alive"), ("upgrade", "websocket")],
            &[upgrade, ("upgrade", "h2c")],
            &[upgrade, ("upgrade", "h2c, websocket2")],
            &[upgrade, ("upgrade", "websocket/13")],
            &[upgrade, ("upgrade", "")],
        ] {
            assert!(!asked(http_1, get, fields, ""), "{fields:?}");
        }
    }
}
