//! An upstream over TLS and over HTTP/2.
//!
//! The certificates in `certificates` share one key. `good` is what the
//! authority says of localhost; the others are named by what is odd in them.

use std::time::Duration;

use countersign_domain::{ApiName, Reason};
use countersign_gateway::GuardDenial;
use countersign_outbound::{RootsFault, TrustedRoots};
use countersign_relay::{Upstream, UpstreamFault, UpstreamSettings};
use countersign_testing::certificates::acceptor;
use countersign_testing::listening::listen;
use countersign_testing::recording::{ReceivedRequest, ServerProtocol};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::world::{MYPOPUP, Plan, World, echo_speaking};

const PUBLIC: &str = "/api/v1/public";
const AUTHORITY: &[u8] = include_bytes!("certificates/authority.pem");
const KEY: &[u8] = include_bytes!("certificates/upstream.key");
const GOOD: &[u8] = include_bytes!("certificates/good.pem");
const OTHER_NAME: &[u8] = include_bytes!("certificates/other-name.pem");
const STRANGER: &[u8] = include_bytes!("certificates/stranger.pem");
const EXPIRED: &[u8] = include_bytes!("certificates/expired.pem");

fn showing(certificate: &[u8], protocols: &[&str]) -> ServerProtocol {
    ServerProtocol::Tls(acceptor(certificate, KEY, protocols))
}

/// A gateway before this upstream, which trusts the authority alone.
fn before(url: &str, http2: bool) -> World {
    let mut plan = Plan::new(MYPOPUP, url);
    plan.settings.roots = TrustedRoots::Pem(AUTHORITY.to_vec());
    plan.settings.http2 = http2;
    plan.settings.timeouts.connect = Duration::from_millis(300);
    plan.build()
}

async fn asked(world: &World) -> ReceivedRequest {
    ReceivedRequest::from_reply(&world.serve().get(PUBLIC, &[]).await)
}

async fn refused(world: &World) -> (u16, GuardDenial) {
    let response = world.serve().get(PUBLIC, &[]).await;
    let denied = world.last_outcome().unwrap_err();
    (response.status.as_u16(), denied)
}

#[tokio::test]
async fn an_upstream_with_a_good_certificate_is_asked() {
    let echo = echo_speaking(showing(GOOD, &[]));
    for url in [echo.url.clone(), echo.url.replace("localhost", "127.0.0.1")] {
        let received = asked(&before(&url, false)).await;
        assert_eq!(received.version, "HTTP/1.1");
        assert_eq!(received.field("host"), [url.trim_start_matches("https://")]);
    }
}

#[tokio::test]
async fn one_connection_over_tls_serves_many_requests() {
    for (protocols, http2) in [(&["http/1.1"][..], false), (&["h2"], true)] {
        let echo = echo_speaking(showing(GOOD, protocols));
        let front = before(&echo.url, http2).serve();
        for _ in 0..50 {
            assert_eq!(front.get(PUBLIC, &[]).await.status, 200);
        }
        assert_eq!(echo.connections(), 1);
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_who_it_should_be_is_never_asked() {
    for (certificate, told) in [
        (OTHER_NAME, "its certificate is for another name"),
        (
            STRANGER,
            "its certificate was issued by an authority that is not trusted",
        ),
        (EXPIRED, "its certificate has expired"),
    ] {
        let echo = echo_speaking(showing(certificate, &[]));
        let world = before(&echo.url, false);
        // Often, since it is there: nothing is held back.
        for _ in 0..5 {
            let (status, denied) = refused(&world).await;
            assert_eq!((status, denied.reason), (502, Reason::UpstreamFailed));
            let detail = denied.detail.unwrap();
            assert!(detail.contains(told), "{detail}");
        }
        assert_eq!(echo.count(), 0, "{told}");
    }
}

#[tokio::test]
async fn the_roots_of_the_system_do_not_vouch_for_a_strangers_upstream() {
    let echo = echo_speaking(showing(GOOD, &[]));
    let api: ApiName = MYPOPUP.parse().unwrap();
    let settings = UpstreamSettings::new(echo.url.parse().unwrap());
    // A system without roots refuses to begin.
    if let Err(fault) = Upstream::new(api.as_str(), settings.clone()) {
        assert!(matches!(fault, UpstreamFault::Roots(RootsFault::System(_))));
        return;
    }
    let mut plan = Plan::new(MYPOPUP, &echo.url);
    plan.settings = settings;
    let (status, denied) = refused(&plan.build()).await;
    assert_eq!(status, 502);
    assert!(
        denied
            .detail
            .unwrap()
            .contains("an authority that is not trusted")
    );
    assert_eq!(echo.count(), 0);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_well_says_how() {
    for (play, status, reason, told) in [
        (
            Play::Cut,
            502,
            Reason::UpstreamFailed,
            "it closed the connection during the TLS handshake",
        ),
        (
            Play::Plain,
            502,
            Reason::UpstreamFailed,
            "(write http, or name the port that does)",
        ),
        (
            Play::Stall,
            504,
            Reason::UpstreamTimeout,
            "the connection was not made in time",
        ),
    ] {
        let (got, denied) = refused(&before(&play.start(), false)).await;
        assert_eq!((got, denied.reason), (status, reason), "{told}");
        let detail = denied.detail.unwrap();
        assert!(detail.contains(told), "{detail}");
    }
}

#[tokio::test]
async fn an_upstream_that_speaks_tls_is_named_where_plain_http_is_configured() {
    let echo = echo_speaking(showing(GOOD, &[]));
    let plain = echo.url.replace("https://", "http://");
    let (status, denied) = refused(&before(&plain, false)).await;
    assert_eq!(status, 502);
    let detail = denied.detail.unwrap();
    assert!(
        detail.contains("this port speaks TLS (write https"),
        "{detail}"
    );
}

/// What an upstream does instead of a handshake.
#[derive(Clone, Copy)]
enum Play {
    Cut,
    Plain,
    Stall,
}

impl Play {
    fn start(self) -> String {
        let listener = listen(move |stream| self.play(stream));
        format!("https://{}", listener.address)
    }

    async fn play(self, mut stream: TcpStream) {
        use tokio::io::AsyncWriteExt;
        let mut hello = [0; 4096];
        let _ = stream.read(&mut hello).await;
        match self {
            Self::Cut => {}
            Self::Plain => {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
            Self::Stall => while matches!(stream.read(&mut hello).await, Ok(1..)) {},
        }
    }
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_wanted_and_offered() {
    for (offered, wanted, version) in [
        (&["h2", "http/1.1"][..], true, "HTTP/2.0"),
        (&["h2", "http/1.1"], false, "HTTP/1.1"),
        (&["http/1.1"], true, "HTTP/1.1"),
        (&[], true, "HTTP/1.1"),
    ] {
        let echo = echo_speaking(showing(GOOD, offered));
        let received = asked(&before(&echo.url, wanted)).await;
        assert_eq!(received.version, version, "{offered:?} {wanted}");
    }
    let echo = echo_speaking(ServerProtocol::Http2);
    let received = asked(&before(&echo.url, true)).await;
    assert_eq!(received.version, "HTTP/2.0");
}

#[tokio::test]
async fn over_http_2_bodies_and_fields_are_the_same() {
    let echo = echo_speaking(ServerProtocol::Http2);
    let world = before(&echo.url, true);
    let front = world.serve();
    let body = "x".repeat(200_000);
    let fields = [("authorization", &*world.bearer()), ("x-kept", "1")];
    let response = front.send("POST", "/api/v1/x?a=1", &fields, &body).await;
    assert!(!response.headers.contains_key("x-countersign-account"));
    let received = ReceivedRequest::from_reply(&response);
    assert_eq!(received.body, body);
    assert_eq!(received.field("x-kept"), ["1"]);
    assert_eq!(received.field("x-forwarded-for"), ["127.0.0.9"]);
    assert!(received.target.ends_with("/api/v1/x?a=1"));
    assert!(received.field("authorization").is_empty());
    assert!(received.field("connection").is_empty());
}

#[tokio::test]
async fn a_bad_file_of_authorities_is_told_before_anything_is_served() {
    let api: ApiName = MYPOPUP.parse().unwrap();
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let unended = &AUTHORITY[..AUTHORITY.len() / 2];
    for (pem, kind) in [
        (&b""[..], "no certificate"),
        (b"nothing of that kind", "no certificate"),
        (KEY, "no certificate"),
        (broken, "cannot be used"),
        (unended, "not a PEM file"),
    ] {
        let mut settings = UpstreamSettings::new("https://a.example".parse().unwrap());
        settings.roots = TrustedRoots::Pem(pem.to_vec());
        let fault = Upstream::new(api.as_str(), settings).err().unwrap();
        assert!(fault.to_string().contains(kind), "{fault}");
    }
}

#[tokio::test]
async fn a_name_that_no_certificate_can_have_is_told() {
    let api: ApiName = MYPOPUP.parse().unwrap();
    let mut settings = UpstreamSettings::new("https://a_b..c".parse().unwrap());
    settings.roots = TrustedRoots::Pem(AUTHORITY.to_vec());
    let fault = Upstream::new(api.as_str(), settings).err();
    assert_eq!(fault, Some(UpstreamFault::Name("a_b..c".to_owned())));
}
