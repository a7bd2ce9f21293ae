use std::net::TcpStream;

use crate::certificates::MadeCertificate;
use crate::listening::{listen, nowhere};
use crate::raw::{RawClient, exchange, read_message};
use crate::recording::{ReceivedRequest, RecordingServer, ServerProtocol};
use crate::replies::{request, send_from, send_on};

#[tokio::test]
async fn an_echo_tells_what_reached_it_and_remembers_it() {
    let server = RecordingServer::start(ReceivedRequest::echo);
    let asked = request("PUT", "/a?b", &[("x-c", "d"), ("x-c", "e")], "body");
    let reply = send_from("127.0.0.7", server.address, asked).await;
    let told = ReceivedRequest::from_reply(&reply.unwrap());
    let kept = server.take().remove(0);
    for received in [told, kept] {
        assert_eq!(received.field("x-c"), ["d", "e"]);
        assert_eq!((&*received.method, &*received.target), ("PUT", "/a?b"));
        assert_eq!(
            (&*received.version, received.text()),
            ("HTTP/1.1", "body".to_owned())
        );
    }
    assert_eq!((server.connections(), server.count()), (1, 0));
}

#[tokio::test]
async fn over_tls_only_who_trusts_the_certificate_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let [shown, other] =
        ["shown", "other"].map(|name| MadeCertificate::make(directory.path(), name, 2));
    let tls = ServerProtocol::Tls(shown.acceptor(&["http/1.1"]));
    let server = RecordingServer::speaking(tls, ReceivedRequest::echo);
    for (trusted, served) in [(&shown, true), (&other, false)] {
        let client = RawClient::connect(server.address).await;
        let secured = client.secured(trusted.client(rustls::ALL_VERSIONS)).await;
        assert_eq!(secured.is_ok(), served, "{secured:?}");
        if let Ok(client) = secured {
            let reply = send_on(client.stream, "h", request("GET", "/", &[], "")).await;
            assert_eq!(
                ReceivedRequest::from_reply(&reply.unwrap()).header("host"),
                "h"
            );
        }
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_message_ends_where_its_length_says() {
    let listener = listen(async |mut stream| {
        let first = read_message(&mut stream).await.unwrap();
        let second = read_message(&mut stream).await.unwrap();
        assert_eq!((&*first.body, &*second.body), ("hello", ""));
        let mut client = RawClient { stream };
        client
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokrest")
            .await;
    });
    let mut client = RawClient::connect(listener.address).await;
    client
        .send("POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, &*answer.body), (200, "ok"));
    assert_eq!(client.rest().await, "rest");
}

#[tokio::test]
async fn nobody_listens_where_nobody_should() {
    let nowhere = nowhere();
    let address = nowhere.strip_prefix("http://").unwrap();
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let listener = listen(async |stream| drop(stream));
    let address = listener.address;
    assert_eq!(exchange(address, "").await, "");
    listener.stop().await;
    assert!(TcpStream::connect(address).is_err());
}
