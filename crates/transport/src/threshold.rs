//! What comes before HTTP on a connection: the header of a trusted proxy, the
//! handshake of TLS, and the signs of which HTTP it is.
//!
//! Each has [`Limits::header_read_timeout`]. Meanwhile the
//! connection holds its place in the crowd as one without a request, so that it
//! can be asked to make room, and delays nobody: each is in a task of its own.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use ipnet::IpNet;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsAcceptor;

use crate::http2::PREFACE;
use crate::link::{Link, Order};
use crate::refusal::Refusal;
use crate::stream::Stream;
use crate::tls::HTTP_2;
use crate::turned_away::part;
use crate::{Limits, Peer, proxy_protocol};

/// What a listener asks of a connection before it may speak HTTP.
#[derive(Clone, Default)]
pub(crate) struct Threshold {
    /// The proxies that are let in, where only they are.
    pub(crate) proxies: Option<Arc<[IpNet]>>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Whether HTTP/2 is spoken too.
    pub(crate) http2: bool,
}

/// A connection on which HTTP begins.
pub(crate) struct Entered<Io> {
    pub(crate) stream: Stream<Io>,
    pub(crate) http2: bool,
    pub(crate) peer: Peer,
    /// When the first request must have come.
    pub(crate) deadline: Instant,
}

impl Threshold {
    /// Whether HTTP begins with the first byte.
    pub(crate) fn is_open(&self) -> bool {
        self.proxies.is_none() && self.tls.is_none()
    }

    /// None if the connection has ended before HTTP began.
    pub(crate) async fn pass<Io>(
        &self,
        io: Io,
        peer: Peer,
        limits: &Limits,
        link: &Link,
    ) -> Option<Entered<Io>>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        match self.steps(io, peer, limits.header_read_timeout, link).await {
            Ok(entered) => Some(entered),
            Err(refusal) => {
                link.belongs_to(peer);
                refusal.and_then(|refusal| link.testify(refusal));
                None
            }
        }
    }

    async fn steps<Io>(
        &self,
        mut io: Io,
        mut peer: Peer,
        limit: Duration,
        link: &Link,
    ) -> Result<Entered<Io>, Ended>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        let mut deadline = Instant::now() + limit;
        if let Some(trusted) = &self.proxies {
            let introduced = Box::pin(introduced(trusted, &mut io, peer));
            let late = Some(Refusal::ProxyCutOff);
            peer = in_time(link, deadline, late, introduced).await?;
            deadline = Instant::now() + limit;
        }
        link.belongs_to(peer);
        let (stream, http2) = match &self.tls {
            Some(config) => {
                let handshake = Box::pin(handshake(Arc::clone(config), io, peer));
                let late = Some(Refusal::Handshake);
                let secured = in_time(link, deadline, late, handshake).await?;
                peer.tls = true;
                deadline = Instant::now() + limit;
                secured
            }
            None => self.in_the_open(io, deadline, link).await?,
        };
        Ok(Entered {
            stream,
            http2,
            peer,
            deadline,
        })
    }

    /// Without TLS a client that knows that HTTP/2 is spoken here begins with
    /// its preface (RFC 9113, section 3.3).
    async fn in_the_open<Io>(
        &self,
        mut io: Io,
        deadline: Instant,
        link: &Link,
    ) -> Result<(Stream<Io>, bool), Ended>
    where
        Io: AsyncRead + Unpin,
    {
        let mut begun = BytesMut::new();
        if !self.http2 {
            return Ok((Stream::plain(begun, io), false));
        }
        let looking = Box::pin(begins_http2(&mut io, &mut begun));
        let http2 = match in_time(link, deadline, None, looking).await {
            Err(None) if link.order() == Order::None && !begun.is_empty() => {
                link.refuse(Refusal::HeadTooSlow);
                false
            }
            known => known?,
        };
        Ok((Stream::plain(begun, io), http2))
    }
}

/// Why a connection does not come to HTTP: somebody should hear of it, or not.
type Ended = Option<Refusal>;

/// The peer, as the proxy that it is says.
async fn introduced<Io>(trusted: &[IpNet], io: &mut Io, peer: Peer) -> Result<Peer, Ended>
where
    Io: AsyncRead + Unpin,
{
    let address = peer.address.ip().to_canonical();
    if !trusted.iter().any(|network| network.contains(&address)) {
        return Err(Some(Refusal::ProxyUntrusted));
    }
    Ok(match proxy_protocol::read(io).await.map_err(Some)? {
        None => peer,
        Some(client) => Peer {
            address: client,
            via: Some(peer.address),
            ..peer
        },
    })
}

async fn handshake<Io>(
    config: Arc<ServerConfig>,
    io: Io,
    peer: Peer,
) -> Result<(Stream<Io>, bool), Ended>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let accept = TlsAcceptor::from(config).accept(io).into_fallible();
    match accept.await {
        Ok(stream) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
            Ok((Stream::tls(stream), http2))
        }
        Err((error, _)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(None),
        Err((error, io)) => {
            tracing::debug!(%error, %peer.address, "no TLS handshake");
            // With the end it hears that it is not understood.
            part(io).await;
            Err(Some(Refusal::Handshake))
        }
    }
}

/// Reads until it is clear whether these are the bytes of HTTP/2; so much of
/// HTTP/1.1 is read as has come.
async fn begins_http2<Io>(io: &mut Io, begun: &mut BytesMut) -> Result<bool, Ended>
where
    Io: AsyncRead + Unpin,
{
    begun.reserve(1024);
    loop {
        // An end or an error shows again to whoever reads on.
        let more = io.read_buf(begun).await.unwrap_or_default();
        let common = begun.len().min(PREFACE.len());
        if more == 0 || begun[..common] != PREFACE[..common] {
            return Ok(false);
        }
        if common == PREFACE.len() {
            return Ok(true);
        }
    }
}

/// Ends `step` if it is `late`, or if the connection is asked to go.
async fn in_time<T>(
    link: &Link,
    deadline: Instant,
    late: Ended,
    step: impl Future<Output = Result<T, Ended>>,
) -> Result<T, Ended> {
    let (mut step, mut alarm) = (pin!(step), pin!(sleep_until(deadline)));
    poll_fn(|context| {
        link.listen(context.waker());
        if link.order() != Order::None {
            return Poll::Ready(Err(None));
        }
        if let Poll::Ready(done) = step.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        alarm.as_mut().poll(context).map(|()| Err(late))
    })
    .await
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper::client::conn::http2::handshake;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use rustls::{ALL_VERSIONS, ClientConfig};
    use tempfile::tempdir;
    use tokio::io::AsyncWriteExt;
    use tokio::time::sleep;

    use super::*;
    use crate::certificates::Pair;
    use crate::testing::{GET, House, TlsClient, Told, hello, text};
    use crate::{Served, Tls};

    fn limits() -> Limits {
        Limits {
            max_connections: 3,
            ..Limits::default()
        }
    }

    /// A house behind TLS, and what a client needs to be let in.
    fn secured_house() -> (House, ClientConfig) {
        let directory = tempdir().unwrap();
        let pair = Pair::make(directory.path(), "server", 1);
        let tls = Tls::load(&pair.certificate, &pair.key).unwrap();
        let threshold = Threshold {
            tls: Some(tls.offering(false)),
            ..Threshold::default()
        };
        let house = House::behind(threshold, limits(), hello);
        (house, pair.client(ALL_VERSIONS))
    }

    async fn secured(house: &House, config: &ClientConfig) -> TlsClient {
        house.connect().secured(config.clone()).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn both_versions_are_spoken_and_the_service_is_told() {
        let directory = tempdir().unwrap();
        let pair = Pair::make(directory.path(), "server", 1);
        let tls = Tls::load(&pair.certificate, &pair.key).unwrap();
        let threshold = Threshold {
            tls: Some(tls.offering(false)),
            ..Threshold::default()
        };
        let house = House::behind(threshold, limits(), |_, peer: Peer| async move {
            text(&peer.tls.to_string())
        });
        for version in ALL_VERSIONS {
            let mut client = secured(&house, &pair.client(&[*version])).await;
            assert_eq!(client.get().await.body, "true");
            assert_eq!(client.get().await.body, "true");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_protocol_that_is_served_is_offered() {
        let (house, mut config) = secured_house();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = secured(&house, &config).await;
        let chosen = client.stream.get_ref().1.alpn_protocol();
        assert_eq!(chosen, Some(&b"http/1.1"[..]));
        config.alpn_protocols = vec![b"h2".to_vec()];
        assert!(house.connect().secured(config).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn http_2_is_agreed_upon_where_it_is_served() {
        let directory = tempdir().unwrap();
        let pair = Pair::make(directory.path(), "server", 1);
        let tls = Tls::load(&pair.certificate, &pair.key).unwrap();
        let threshold = Threshold {
            tls: Some(tls.offering(true)),
            ..Threshold::default()
        };
        let who = |request: crate::Request, peer: Peer| async move {
            text(&format!("{:?} {}", request.version(), peer.tls))
        };
        let house = House::behind(threshold, limits(), who);
        let mut config = pair.client(ALL_VERSIONS);
        assert_eq!(
            secured(&house, &config).await.get().await.body,
            "HTTP/1.1 true"
        );
        config.alpn_protocols = vec![b"h2".to_vec()];
        let io = TokioIo::new(secured(&house, &config).await.stream);
        let (mut sender, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("https://h/").body(Full::<Bytes>::default());
        let answer = sender.send_request(request.unwrap()).await.unwrap();
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(said, "HTTP/2.0 true");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_stalls_or_trickles_is_ended_in_its_time() {
        let (house, _) = secured_house();
        let began = Instant::now();
        let (mut silent, mut slow) = (house.connect(), house.connect());
        for byte in *b"\x16\x03\x01\x00\xff\x01" {
            slow.stream.write_all(&[byte]).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!((silent.rest().await, slow.rest().await), Default::default());
        assert_eq!(began.elapsed(), limits().header_read_timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_over_tls_is_refused_in_its_time() {
        let (house, config) = secured_house();
        let mut client = secured(&house, &config).await;
        for byte in GET.chars().take(9) {
            client.send(&byte.to_string()).await;
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(client.answer().await.status, 408);
        assert_eq!(client.rest().await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_to_upgrade_that_is_not_granted_does_not_spoil_the_end() {
        let (house, config) = secured_house();
        for protocol in ["h2c", "websocket"] {
            let mut client = secured(&house, &config).await;
            let head = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, upgrade\r\nUpgrade: ";
            client.send(&format!("{head}{protocol}\r\n\r\n")).await;
            assert_eq!(client.answer().await.status, 200);
            // A client takes an end without a word of TLS for an attack.
            assert_eq!(client.rest().await, "");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_makes_room_for_the_next_connection() {
        let (house, config) = secured_house();
        let mut used = secured(&house, &config).await;
        let mut stalled = Vec::new();
        for _ in 0..100 {
            stalled.push(house.connect());
            assert_eq!(used.get().await.status, 200);
        }
        assert_eq!(secured(&house, &config).await.get().await.status, 200);
        assert_eq!(stalled.remove(0).rest().await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_ends_handshakes_at_once() {
        let (house, _) = secured_house();
        let mut stalled = house.connect();
        sleep(Duration::from_millis(1)).await;
        let signal = Instant::now();
        assert_eq!(house.shut().await.unwrap(), Served { cut: 0 });
        assert_eq!(stalled.rest().await, "");
        assert_eq!(signal.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn plain_http_is_answered_with_a_clean_close() {
        let (house, _) = secured_house();
        let mut client = house.connect();
        client.send(GET).await;
        let said = client.rest().await;
        assert!(said.is_empty() || said.starts_with('\x15'), "{said:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_is_cut_under_tls_too() {
        let directory = tempdir().unwrap();
        let pair = Pair::make(directory.path(), "server", 1);
        let tls = Tls::load(&pair.certificate, &pair.key).unwrap();
        let threshold = Threshold {
            tls: Some(tls.offering(false)),
            ..Threshold::default()
        };
        // It fits into what TLS holds back, and not into the stream below.
        let answer = |_, _| async { text(&"x".repeat(100_000)) };
        let house = House::behind(threshold, limits(), answer);
        let mut client = secured(&house, &pair.client(ALL_VERSIONS)).await;
        client.send(GET).await;
        let began = Instant::now();
        sleep(Duration::from_secs(29)).await;
        let served = house.shut();
        assert_eq!(served.await.unwrap(), Served { cut: 0 });
        assert_eq!(began.elapsed(), limits().write_timeout);
    }

    // The PROXY protocol.

    const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    const FROM_192_0_2_1: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\0\x50\x01\xbb";

    /// A house that says who asks, where the peers in `trusted` are proxies;
    /// and what was refused at its door.
    fn proxied_house(trusted: &str, tls: Option<&Tls>) -> (House, Told) {
        let threshold = Threshold {
            proxies: Some(Arc::new([trusted.parse().unwrap()])),
            tls: tls.map(|tls| tls.offering(false)),
            http2: false,
        };
        let who = |_, peer: Peer| async move {
            text(&format!("{} via {:?} {}", peer.address, peer.via, peer.tls))
        };
        House::told(threshold, limits(), who)
    }

    #[tokio::test(start_paused = true)]
    async fn the_client_of_a_trusted_proxy_is_the_peer() {
        let (house, _) = proxied_house("127.0.0.0/8", None);
        let mut client = house.connect();
        client.stream.write_all(FROM_192_0_2_1).await.unwrap();
        let said = "192.0.2.1:80 via Some(127.0.0.9:9) false";
        assert_eq!(client.get().await.body, said);
        assert_eq!(client.get().await.body, said);
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_may_speak_for_itself() {
        let (house, _) = proxied_house("127.0.0.0/8", None);
        let mut client = house.connect();
        client.stream.write_all(LOCAL).await.unwrap();
        assert_eq!(client.get().await.body, "127.0.0.9:9 via None false");
    }

    #[tokio::test(start_paused = true)]
    async fn the_header_comes_before_tls() {
        let directory = tempdir().unwrap();
        let pair = Pair::make(directory.path(), "server", 1);
        let tls = Tls::load(&pair.certificate, &pair.key).unwrap();
        let (house, told) = proxied_house("127.0.0.0/8", Some(&tls));
        let mut client = house.connect();
        client.stream.write_all(FROM_192_0_2_1).await.unwrap();
        let config = pair.client(ALL_VERSIONS);
        let mut client = client.secured(config.clone()).await.unwrap();
        let said = "192.0.2.1:80 via Some(127.0.0.9:9) true";
        assert_eq!(client.get().await.body, said);
        assert!(house.connect().secured(config).await.is_err());
        assert_eq!(told.whys(), [Refusal::ProxyVersion.detail()]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_proxy_must_not_say_closes_and_is_told() {
        for (said, refusal) in [
            (GET.as_bytes(), Refusal::ProxyVersion),
            (
                b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
                Refusal::ProxyVersion,
            ),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\0", Refusal::ProxyFamily),
            (
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x01\0",
                Refusal::ProxyLength,
            ),
            (&FROM_192_0_2_1[..20], Refusal::ProxyCutOff),
        ] {
            let (house, told) = proxied_house("127.0.0.0/8", None);
            let mut client = house.connect();
            client.stream.write_all(said).await.unwrap();
            client.stream.shutdown().await.unwrap();
            assert_eq!(client.rest().await, "");
            assert_eq!(told.whys(), [refusal.detail()]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_no_trusted_proxy_is_not_listened_to() {
        let (house, told) = proxied_house("10.0.0.0/8", None);
        let mut client = house.connect();
        client.stream.write_all(FROM_192_0_2_1).await.unwrap();
        assert_eq!(client.rest().await, "");
        assert_eq!(told.whys(), [Refusal::ProxyUntrusted.detail()]);
        assert_eq!(told.addresses(), ["127.0.0.9"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_trickles_is_ended_in_its_time() {
        let (house, told) = proxied_house("127.0.0.0/8", None);
        let began = Instant::now();
        let mut client = house.connect();
        for byte in &FROM_192_0_2_1[..9] {
            client.stream.write_all(&[*byte]).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(client.rest().await, "");
        assert_eq!(began.elapsed(), limits().header_read_timeout);
        assert_eq!(told.whys(), [Refusal::ProxyCutOff.detail()]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_request_is_told_with_the_address_of_the_client() {
        let (house, told) = proxied_house("127.0.0.0/8", None);
        let mut client = house.connect();
        client.stream.write_all(FROM_192_0_2_1).await.unwrap();
        client.send("GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 400);
        assert_eq!(told.addresses(), ["192.0.2.1"]);
    }
}
