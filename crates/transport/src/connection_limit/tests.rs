use http::Response;
use http_body_util::Full;
use tokio::time::sleep;

use super::*;
use crate::handshake::HandshakePolicy;
use crate::http2::tests::raw::{DATA, END_HEADERS, HEADERS, Raw, field, frame, get};
use crate::testing::{Client, GET, House, text};
use crate::{Peer, Request, collect};

const POST: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n";

/// Eight connections, of which an address may hold three.
fn limits() -> ListenerLimits {
    ListenerLimits {
        max_connections: 8,
        max_connections_per_address: Some(3),
        min_rate: 1,
        request_timeout: None,
        ..ListenerLimits::default()
    }
}

/// Reads what is sent before it answers, and waits for ever for `/stay`.
async fn reads(request: Request, _: Peer) -> Response<Full<bytes::Bytes>> {
    if request.uri().path() == "/stay" {
        std::future::pending::<()>().await;
    }
    match collect(request.into_body(), 100_000).await {
        Ok(body) => text(&body.len().to_string()),
        Err(error) => text(&error.to_string()),
    }
}

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// A connection on which a request waits for the service.
async fn stays(house: &House, from: &str) -> Client {
    let mut client = house.connect_from(from);
    client.send("GET /stay HTTP/1.1\r\nHost: h\r\n\r\n").await;
    settle().await;
    client
}

/// A connection on which the service waits for a request.
async fn dribbles(house: &House, from: &str) -> Client {
    let mut client = house.connect_from(from);
    client.send(POST).await;
    settle().await;
    client
}

#[test]
fn one_subscriber_is_one_holder_however_the_address_is_written() {
    let holder = |address: &str| ConnectionHolder::new(address.parse().unwrap());
    assert_eq!(holder("::ffff:192.0.2.1"), holder("192.0.2.1"));
    assert_eq!(holder("2001:db8:0:1::1"), holder("2001:db8:0:1:ffff::9"));
    assert_ne!(holder("2001:db8:0:1::1"), holder("2001:db8:0:2::1"));
    assert_ne!(holder("192.0.2.1"), holder("192.0.2.2"));
    assert_ne!(holder("::192.0.2.1"), holder("192.0.2.1"));
}

#[tokio::test(start_paused = true)]
async fn an_address_with_its_share_is_turned_away_and_others_are_not() {
    for (one, same, other) in [
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
    ] {
        let house = House::open(limits(), reads);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(stays(&house, one).await);
        }
        let refused = house.connect_from(same).get().await;
        assert_eq!((refused.status, refused.closes()), (503, true));
        assert_eq!(house.connect_from(other).get().await.status, 200);
        drop(held.pop());
        settle().await;
        assert_eq!(house.connect_from(same).get().await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_with_its_share_gives_up_what_it_does_not_use() {
    let house = House::open(limits(), reads);
    let _busy = (
        stays(&house, "192.0.2.1").await,
        stays(&house, "192.0.2.1").await,
    );
    let mut stranger = house.connect_from("192.0.2.2");
    let mut idle = house.connect_from("192.0.2.1");
    assert_eq!(idle.get().await.status, 200);
    assert_eq!(house.connect_from("192.0.2.1").get().await.status, 200);
    assert_eq!(idle.rest().await, "");
    assert_eq!(
        stranger.get().await.status,
        200,
        "it is none of the stranger's"
    );
}

#[tokio::test(start_paused = true)]
async fn the_slowest_half_sent_request_makes_room_for_a_stranger() {
    let house = House::open(limits(), reads);
    let mut crowd = Vec::new();
    for number in 0..8 {
        crowd.push(dribbles(&house, ["192.0.2.1", "192.0.2.2", "192.0.2.3"][number % 3]).await);
    }
    for round in 0..5 {
        sleep(Duration::from_secs(1)).await;
        for (number, client) in crowd.iter_mut().enumerate() {
            let slow = number == 4;
            client
                .send(&"x".repeat(if slow { 10 } else { 1000 + round }))
                .await;
        }
    }
    let mut stranger = house.connect_from("192.0.2.9");
    assert_eq!(stranger.get().await.status, 200);
    let displaced = crowd[4].answer().await;
    assert_eq!((displaced.status, displaced.closes()), (503, true));
    for (number, mut client) in crowd.into_iter().enumerate() {
        if number != 4 {
            client.send(&"x".repeat(60_000 - 5 * 1000 - 10)).await;
            assert_eq!(client.answer().await.status, 200, "{number}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_half_sent_requests_leaves_every_stranger_a_place() {
    let house = House::open(limits(), reads);
    let mut crowd = Vec::new();
    for number in 0..200 {
        crowd.push(dribbles(&house, &format!("192.0.2.{}", number % 4)).await);
        let stranger = format!("198.51.100.{number}");
        assert_eq!(house.connect_from(&stranger).get().await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_displaces_an_address_that_holds_no_more_than_itself() {
    let house = House::open(limits(), reads);
    let mut crowd = Vec::new();
    for number in 0..8 {
        crowd.push(dribbles(&house, &format!("192.0.2.{}", number / 2)).await);
    }
    let mut refused = house.connect_from("192.0.2.0");
    assert_eq!(refused.get().await.status, 503);
    assert_eq!(house.connect_from("192.0.2.9").get().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn what_runs_or_is_answered_is_not_displaced() {
    let house = House::open(limits(), reads);
    let mut crowd = Vec::new();
    for number in 0..8 {
        crowd.push(stays(&house, &format!("192.0.2.{}", number % 4)).await);
    }
    assert_eq!(house.connect_from("192.0.2.9").get().await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn over_http_2_too_half_sent_requests_make_room() {
    let house = House::open(limits(), reads);
    let (mut crowd, mut busy) = (Vec::new(), Vec::new());
    for number in 0..8 {
        let mut raw = Raw::connect_from(&house, &format!("192.0.2.{}", number % 4)).await;
        raw.send(&frame(HEADERS, END_HEADERS, 1, &get())).await;
        raw.send(&frame(DATA, 0, 1, b"x")).await;
        if number != 3 {
            // One that runs beside it: closing would take that too.
            let stay = [
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/stay"),
                (":authority", "h"),
            ];
            let stay = stay.map(|(name, value)| field(name.as_bytes(), value.as_bytes()));
            raw.send(&frame(HEADERS, END_HEADERS | 1, 3, &stay.concat()))
                .await;
            busy.push(raw);
        } else {
            crowd.push(raw);
        }
        settle().await;
    }
    assert_eq!(house.connect_from("192.0.2.9").get().await.status, 200);
    for raw in &mut crowd {
        raw.rest().await;
    }
    // The newcomer's own place is free again; after it only those are left that run.
    let _again = stays(&house, "192.0.2.9").await;
    assert_eq!(house.connect_from("192.0.2.10").get().await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn the_requests_of_one_address_do_not_take_all_that_may_run() {
    let house = House::open(limits(), reads);
    let stay = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/stay"),
        (":authority", "h"),
    ];
    let stay = stay.map(|(name, value)| field(name.as_bytes(), value.as_bytes()));
    let stay = stay.concat();
    let mut raw = Raw::connect_from(&house, "192.0.2.1").await;
    // The first, and three more that the address may have.
    for number in 0..4 {
        raw.send(&frame(HEADERS, END_HEADERS | 1, 2 * number + 1, &stay))
            .await;
    }
    raw.send(&frame(HEADERS, END_HEADERS | 1, 9, &get())).await;
    let refused = raw.word().await.unwrap();
    assert_eq!((refused.stream, refused.status()), (9, 503));
    let mut other = Raw::connect_from(&house, "192.0.2.2").await;
    other.send(&frame(HEADERS, END_HEADERS | 1, 1, &stay)).await;
    other
        .send(&frame(HEADERS, END_HEADERS | 1, 3, &get()))
        .await;
    let served = other.word().await.unwrap();
    assert_eq!((served.stream, served.status()), (3, 200));
}

fn exempting(proxies: Option<&str>) -> HandshakePolicy {
    HandshakePolicy {
        proxies: proxies.map(|network| [network.parse().unwrap()].into()),
        http2: true,
        exempt: Some(Arc::new(|address: IpAddr| address.is_loopback())),
        ..HandshakePolicy::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_trusted_proxy_holds_as_much_as_the_listener_has() {
    let house = House::behind(exempting(None), limits(), reads);
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(stays(&house, "::ffff:127.0.0.1").await);
    }
    assert_eq!(house.connect_from("127.0.0.1").get().await.status, 503);
    drop(held.pop());
    settle().await;
    assert_eq!(house.connect_from("127.0.0.1").get().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn behind_the_proxy_protocol_the_named_client_has_the_share() {
    let named = |last: u8| {
        let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
        header.extend([192, 0, 2, last, 192, 0, 2, 99, 0, 80, 1, 187]);
        header
    };
    let house = House::behind(exempting(Some("127.0.0.0/8")), limits(), reads);
    let mut held = Vec::new();
    for last in [1, 1, 1, 1, 2] {
        let mut client = house.connect_from("127.0.0.1");
        tokio::io::AsyncWriteExt::write_all(&mut client.stream, &named(last))
            .await
            .unwrap();
        client
            .send(if held.len() < 3 {
                "GET /stay HTTP/1.1\r\nHost: h\r\n\r\n"
            } else {
                GET
            })
            .await;
        settle().await;
        held.push(client);
    }
    let statuses = [held[3].answer().await.status, held[4].answer().await.status];
    assert_eq!(statuses, [503, 200]);
}
