use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ALL_VERSIONS, ClientConfig};
use tempfile::tempdir;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use countersign_testing::certificates::MadeCertificate;

use super::*;
use crate::testing::{GET, House, TlsClient, Told, hello, text};
use crate::{DrainOutcome, ListenerTls};

fn limits() -> ListenerLimits {
    ListenerLimits {
        max_connections: 3,
        ..ListenerLimits::default()
    }
}

/// A house behind TLS, and what a client needs to be let in.
fn secured_house() -> (House, ClientConfig) {
    let directory = tempdir().unwrap();
    let pair = MadeCertificate::make(directory.path(), "server", 1);
    let tls = ListenerTls::load(&pair.certificate, &pair.key).unwrap();
    let policy = HandshakePolicy {
        tls: Some(tls.offering(false)),
        ..HandshakePolicy::default()
    };
    let house = House::behind(policy, limits(), hello);
    (house, pair.client(ALL_VERSIONS))
}

async fn secured(house: &House, config: &ClientConfig) -> TlsClient {
    house.connect().secured(config.clone()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn both_versions_are_spoken_and_the_service_is_told() {
    let directory = tempdir().unwrap();
    let pair = MadeCertificate::make(directory.path(), "server", 1);
    let tls = ListenerTls::load(&pair.certificate, &pair.key).unwrap();
    let policy = HandshakePolicy {
        tls: Some(tls.offering(false)),
        ..HandshakePolicy::default()
    };
    let house = House::behind(policy, limits(), |_, peer: Peer| async move {
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
    let pair = MadeCertificate::make(directory.path(), "server", 1);
    let tls = ListenerTls::load(&pair.certificate, &pair.key).unwrap();
    let policy = HandshakePolicy {
        tls: Some(tls.offering(true)),
        ..HandshakePolicy::default()
    };
    let who = |request: crate::Request, peer: Peer| async move {
        text(&format!("{:?} {}", request.version(), peer.tls))
    };
    let house = House::behind(policy, limits(), who);
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
    assert_eq!(house.shut().await.unwrap(), DrainOutcome { cut: 0 });
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
    let pair = MadeCertificate::make(directory.path(), "server", 1);
    let tls = ListenerTls::load(&pair.certificate, &pair.key).unwrap();
    let policy = HandshakePolicy {
        tls: Some(tls.offering(false)),
        ..HandshakePolicy::default()
    };
    // It fits into what TLS holds back, and not into the stream below.
    let answer = |_, _| async { text(&"x".repeat(100_000)) };
    let house = House::behind(policy, limits(), answer);
    let mut client = secured(&house, &pair.client(ALL_VERSIONS)).await;
    client.send(GET).await;
    let began = Instant::now();
    sleep(Duration::from_secs(29)).await;
    let served = house.shut();
    assert_eq!(served.await.unwrap(), DrainOutcome { cut: 0 });
    assert_eq!(began.elapsed(), limits().write_timeout);
}

// The PROXY protocol.

const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const FROM_192_0_2_1: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\0\x50\x01\xbb";

/// A house that says who asks, where the peers in `trusted` are proxies;
/// and what was refused at its door.
fn proxied_house(trusted: &str, tls: Option<&ListenerTls>) -> (House, Told) {
    let policy = HandshakePolicy {
        proxies: Some(Arc::new([trusted.parse().unwrap()])),
        tls: tls.map(|tls| tls.offering(false)),
        http2: false,
        exempt: None,
    };
    let who = |_, peer: Peer| async move {
        text(&format!("{} via {:?} {}", peer.address, peer.via, peer.tls))
    };
    House::start_reporting(policy, limits(), who)
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
    let pair = MadeCertificate::make(directory.path(), "server", 1);
    let tls = ListenerTls::load(&pair.certificate, &pair.key).unwrap();
    let (house, told) = proxied_house("127.0.0.0/8", Some(&tls));
    let mut client = house.connect();
    client.stream.write_all(FROM_192_0_2_1).await.unwrap();
    let config = pair.client(ALL_VERSIONS);
    let mut client = client.secured(config.clone()).await.unwrap();
    let said = "192.0.2.1:80 via Some(127.0.0.9:9) true";
    assert_eq!(client.get().await.body, said);
    assert!(house.connect().secured(config).await.is_err());
    assert_eq!(told.whys(), [TransportRefusal::ProxyVersion.detail()]);
}

#[tokio::test(start_paused = true)]
async fn what_a_proxy_must_not_say_closes_and_is_told() {
    for (said, refusal) in [
        (GET.as_bytes(), TransportRefusal::ProxyVersion),
        (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            TransportRefusal::ProxyVersion,
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\0",
            TransportRefusal::ProxyFamily,
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x01\0",
            TransportRefusal::ProxyLength,
        ),
        (&FROM_192_0_2_1[..20], TransportRefusal::ProxyCutOff),
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
    assert_eq!(told.whys(), [TransportRefusal::ProxyUntrusted.detail()]);
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
    assert_eq!(told.whys(), [TransportRefusal::ProxyCutOff.detail()]);
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
