use std::future::pending;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

use super::*;
use crate::testing::{Client, GET, House, text};
use crate::{DrainOutcome, ListenerLimits, Peer, Request};

const WISH: &str = "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";

fn limits() -> ListenerLimits {
    ListenerLimits {
        max_connections: 2,
        ..ListenerLimits::default()
    }
}

fn switching() -> Response<Full<Bytes>> {
    let mut response = text("this is not sent");
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("upgrade", "websocket".parse().unwrap());
    response
}

/// Echoes in a tunnel under `/echo`; says elsewhere what it was asked.
async fn echo(mut request: Request, _: Peer) -> Response<Full<Bytes>> {
    if request.uri().path() != "/echo" {
        return text(request.uri().path());
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let (mut reader, mut writer) = split(TokioIo::new(upgrade.await.unwrap()));
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
        let _ = writer.shutdown().await;
    });
    switching()
}

/// A client in a tunnel.
async fn tunnelled(house: &House) -> Client {
    let mut client = house.connect();
    client.send(WISH).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client
}

async fn echoes(client: &mut Client, said: &str) -> bool {
    if client.stream.write_all(said.as_bytes()).await.is_err() {
        return false;
    }
    let mut heard = vec![0; said.len()];
    client.stream.read_exact(&mut heard).await.is_ok() && heard == said.as_bytes()
}

#[tokio::test(start_paused = true)]
async fn a_granted_wish_makes_a_tunnel() {
    let house = House::open(limits(), echo);
    let mut client = house.connect();
    client.send(WISH).await;
    let head = client.head().await;
    assert_eq!(head.matches("connection: ").count(), 1, "{head}");
    assert!(head.contains("\r\nconnection: upgrade\r\n"), "{head}");
    assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"));
    for said in ["hello", "GET / HTTP/9.9\n\n\0", &"x".repeat(60_000)] {
        assert!(echoes(&mut client, said).await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_before_the_101_is_held_back_and_then_raw() {
    let permits = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&permits);
    let (asked, mut requests) = mpsc::unbounded_channel();
    let house = House::open(limits(), move |request: Request, peer| {
        let gate = Arc::clone(&gate);
        asked.send(request.uri().path().to_owned()).unwrap();
        async move {
            gate.acquire().await.unwrap().forget();
            echo(request, peer).await
        }
    });
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut client = house.connect();
    client.send(&format!("{WISH}{smuggled}")).await;
    sleep(Duration::from_secs(1)).await;
    client.send("\x01raw").await;
    sleep(Duration::from_secs(1)).await;
    permits.add_permits(9);
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    let heard = client.text(smuggled.len() + 4).await;
    assert_eq!(heard, format!("{smuggled}\x01raw"));
    assert_eq!(requests.recv().await.unwrap(), "/echo");
    assert!(requests.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn after_any_other_answer_the_peer_speaks_http_still() {
    let house = House::open(limits(), echo);
    let wish = WISH.replace("/echo", "/no");
    let mut client = house.connect();
    client.send(&format!("{wish}{wish}{GET}")).await;
    assert_eq!(client.answer().await.body, "/no");
    assert_eq!(client.answer().await.body, "/no");
    assert_eq!(client.answer().await.body, "/");
    client.send(&wish).await;
    client.send("\x01raw\r\n\r\n").await;
    assert_eq!(client.answer().await.body, "/no");
    let refused = client.answer().await;
    assert_eq!((refused.status, refused.closes()), (400, true));
    assert_eq!(client.rest().await, "");
}

#[tokio::test(start_paused = true)]
async fn a_wish_behind_another_request_is_granted_when_its_turn_comes() {
    let house = House::open(limits(), echo);
    let mut client = house.connect();
    client.send(&format!("{GET}{WISH}raw")).await;
    assert_eq!(client.answer().await.body, "/");
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(client.text(3).await, "raw");
}

#[tokio::test(start_paused = true)]
async fn who_did_not_ask_is_not_switched() {
    for wish in [
        "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: x-upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET /echo HTTP/1.0\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: H2C\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c, h2\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2\r\nUpgrade: h2c\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
        "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let house = House::open(limits(), |_, _| async { switching() });
        let mut client = house.connect();
        client.send(wish).await;
        assert_eq!(client.answer().await.status, 500, "{wish}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_several_protocols_may_be_switched_to_one() {
    for protocols in [
        "websocket, h2c",
        "h2c,websocket",
        "h2c\r\nUpgrade: websocket",
        "websocket\r\nUpgrade: websocket",
    ] {
        let house = House::open(limits(), echo);
        let mut client = house.connect();
        let wish = WISH.replace("Upgrade: websocket", &format!("Upgrade: {protocols}"));
        client.send(&wish).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{protocols}: {head}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_101_that_names_no_protocol_is_no_answer() {
    let house = House::open(limits(), |_, _| async {
        let mut response = switching();
        response.headers_mut().remove("upgrade");
        response
    });
    let mut client = house.connect();
    client.send(WISH).await;
    assert_eq!(client.answer().await.status, 500);
    assert_eq!(client.rest().await, "");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_declines_gets_no_stream_ever() {
    let (told, mut outcome) = mpsc::unbounded_channel();
    let house = House::open(limits(), move |mut request: Request, _| {
        let told = told.clone();
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move { told.send(upgrade.await.is_ok()) });
        async { text("no") }
    });
    let mut client = house.connect();
    client.send(&WISH.replace("keep-alive", "close")).await;
    assert_eq!(client.answer().await.body, "no");
    assert_eq!(client.rest().await, "");
    assert_eq!(outcome.recv().await, Some(false));
}

#[tokio::test(start_paused = true)]
async fn one_direction_may_end_before_the_other() {
    let house = House::open(limits(), echo);
    let mut client = tunnelled(&house).await;
    client.send("the last word").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "the last word");
    assert_eq!(house.shut().await.unwrap(), DrainOutcome { cut: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_without_a_byte_is_ended_in_its_time() {
    let house = House::open(limits(), echo);
    let mut client = tunnelled(&house).await;
    for _ in 0..5 {
        sleep(limits().tunnel_idle_timeout - Duration::from_secs(1)).await;
        assert!(echoes(&mut client, "still here").await);
    }
    let last = Instant::now();
    assert_eq!(client.rest().await, "");
    assert_eq!(last.elapsed(), limits().tunnel_idle_timeout);
    assert_eq!(house.shut().await.unwrap(), DrainOutcome { cut: 0 });
}

#[tokio::test(start_paused = true)]
async fn to_flush_without_a_byte_is_no_flow() {
    let house = House::open(limits(), |mut request: Request, _| {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            while stream.flush().await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        async { switching() }
    });
    let mut client = tunnelled(&house).await;
    let began = Instant::now();
    assert_eq!(client.rest().await, "");
    let idle = limits().tunnel_idle_timeout;
    assert!(began.elapsed() <= idle + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_goes_on_while_the_listener_drains_and_is_cut_then() {
    let house = House::open(limits(), echo);
    let mut client = tunnelled(&house).await;
    let signal = Instant::now();
    let served = house.shut();
    sleep(limits().drain_timeout - Duration::from_secs(1)).await;
    assert!(echoes(&mut client, "still here").await);
    assert_eq!(served.await.unwrap(), DrainOutcome { cut: 1 });
    assert_eq!(signal.elapsed(), limits().drain_timeout);
    assert_eq!(client.rest().await, "");
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_keeps_its_place_as_long_as_it_lasts() {
    let house = House::open(limits(), echo);
    let (mut first, mut second) = (tunnelled(&house).await, tunnelled(&house).await);
    assert_eq!(house.connect().get().await.status, 503);
    assert!(echoes(&mut first, "here").await && echoes(&mut second, "here").await);
    drop(second);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(house.connect().get().await.status, 200);
    assert!(echoes(&mut first, "here").await);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_want_its_tunnel_closes_it() {
    let house = House::open(limits(), |_, _| async { switching() });
    let mut client = tunnelled(&house).await;
    assert_eq!(client.rest().await, "");
    assert_eq!(house.shut().await.unwrap(), DrainOutcome { cut: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_before_the_verdict_ends_the_request() {
    struct Told(mpsc::UnboundedSender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (told, mut dropped) = mpsc::unbounded_channel();
    let house = House::open(limits(), move |_, _| {
        let told = Told(told.clone());
        async move {
            let _told = told;
            pending::<Response<Full<Bytes>>>().await
        }
    });
    let mut client = house.connect();
    client.send(WISH).await;
    sleep(Duration::from_millis(1)).await;
    drop(client);
    dropped.recv().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_whose_peer_takes_nothing_is_cut() {
    let house = House::open(limits(), |mut request: Request, _| {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            while stream.write_all(&[0; 4096]).await.is_ok() {}
        });
        async { switching() }
    });
    let client = tunnelled(&house).await;
    sleep(limits().write_timeout + Duration::from_secs(1)).await;
    assert_eq!(house.shut().await.unwrap(), DrainOutcome { cut: 0 });
    drop(client);
}
