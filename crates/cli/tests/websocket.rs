//! WebSocket through the running server: asked for by a partner, switched by the
//! upstream, ended by a revocation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use countersign_testing::listening::listen;
use countersign_testing::raw::{RawClient, read_head};
use serde_json::json;
use support::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An upstream that switches when it is asked to, and gives back what it then
/// gets.
async fn echo(mut stream: TcpStream) {
    let head = read_head(&mut stream).await.unwrap().to_ascii_lowercase();
    assert!(head.contains("upgrade: websocket\r\n") && !head.contains("authorization"));
    let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                    Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";
    stream.write_all(switched.as_bytes()).await.unwrap();
    let mut part = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut part).await {
        if stream.write_all(&part[..length]).await.is_err() {
            return;
        }
    }
}

async fn ask(server: &Server, token: &str, early: &str) -> (String, RawClient<TcpStream>) {
    let mut client = RawClient::connect(server.address()).await;
    let request = format!(
        "GET /live HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: eA==\r\n\r\n{early}"
    );
    client.send(request).await;
    (client.head().await, client)
}

#[tokio::test]
async fn a_websocket_passes_until_its_session_is_revoked() {
    let server = Server::start(&format!(
        "[apis.feed]\ndialect = 'mypopup'\nguards = ['/live']\nupstream = '{}'\n",
        listen(echo).url()
    ));
    let partner = server.account("feed", "partner", &[]);
    let body = json!({ "username": partner.login, "password": partner.secret }).to_string();
    let json = [("content-type", "application/json")];
    let login = server
        .send("127.0.0.1", "POST", "/auth/login", &json, &body)
        .await;
    let token = login.json()["data"]["access_token"]
        .as_str()
        .unwrap()
        .to_owned();

    let (refused, _) = ask(&server, "a.b.c", "early").await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");

    let (switched, mut client) = ask(&server, &token, "early ").await;
    assert!(switched.starts_with("HTTP/1.1 101"), "{switched}");
    client.send("and late").await;
    assert_eq!(client.text(14).await, "early and late");

    let (code, _) = server.operate(&["account", "disable", "partner"]);
    assert_eq!(code, Some(0));
    assert_eq!(client.rest().await, "");
}
