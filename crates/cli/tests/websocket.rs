//! WebSocket through the running server: asked for by a partner, switched by the
//! upstream, ended by a revocation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use serde_json::json;
use support::Server;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// An upstream that switches when it is asked to, and gives back what it then
/// gets.
async fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    url
}

async fn echo(stream: TcpStream) {
    let mut stream = BufReader::new(stream);
    let head = head(&mut stream).await.to_ascii_lowercase();
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

/// What comes up to an empty line.
async fn head(stream: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.unwrap() == 0 {
            break;
        }
    }
    head
}

async fn ask(server: &Server, token: &str, early: &str) -> (String, BufReader<TcpStream>) {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let mut stream = BufReader::new(stream);
    let request = format!(
        "GET /live HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: eA==\r\n\r\n{early}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    (head(&mut stream).await, stream)
}

#[tokio::test]
async fn a_websocket_passes_until_its_session_is_revoked() {
    let server = Server::start(&format!(
        "[apis.feed]\ndialect = 'mypopup'\nguards = ['/live']\nupstream = '{}'\n",
        upstream().await
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

    let (switched, mut stream) = ask(&server, &token, "early ").await;
    assert!(switched.starts_with("HTTP/1.1 101"), "{switched}");
    stream.write_all(b"and late").await.unwrap();
    let mut back = [0; 14];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"early and late");

    let (code, _) = server.operate(&["account", "disable", "partner"]);
    assert_eq!(code, Some(0));
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
}
