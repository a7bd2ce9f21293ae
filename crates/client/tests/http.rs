//! Requests to the vendor over real sockets: what is told of each way to fail.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use countersign_client::{HttpTransport, RequestDelivery, Transport, TransportError};
use countersign_outbound::TrustedRoots;
use countersign_testing::listening::{closing_tls, listen, nowhere};
use countersign_testing::raw::{RawMessage, read_message};
use http::{Request, Response};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

/// Asks a server that says this to each request, and gives what it was asked, too.
async fn asked(answer: &'static [u8]) -> (Result<Response<Bytes>, TransportError>, RawMessage) {
    let (url, mut requests) = answering(answer);
    let answer = send(&format!("{url}/base")).await;
    (answer, requests.recv().await.unwrap())
}

/// A server that says this to each request, and what it was asked.
fn answering(answer: &'static [u8]) -> (String, mpsc::UnboundedReceiver<RawMessage>) {
    let (tell, requests) = mpsc::unbounded_channel();
    let listener = listen(move |mut stream| {
        let tell = tell.clone();
        async move {
            let request = read_message(&mut stream).await.unwrap();
            // The client may have closed already.
            let _ = stream.write_all(answer).await;
            let _ = tell.send(request);
        }
    });
    (listener.url(), requests)
}

async fn send(url: &str) -> Result<Response<Bytes>, TransportError> {
    let server = url.parse().unwrap();
    let http = HttpTransport::new(&server, &TrustedRoots::System).unwrap();
    let target = server.target("/auth/login", Some("a=b")).unwrap();
    let request = Request::post(target).body(Bytes::from_static(b"{}"));
    http.send(request.unwrap()).await
}

#[tokio::test]
async fn a_request_is_written_as_servers_want_it_and_the_answer_read_whole() {
    let (answer, request) = asked(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc").await;
    assert_eq!(answer.unwrap().into_body(), "abc");
    let head = request.head.to_lowercase();
    assert!(
        head.starts_with("post /base/auth/login?a=b http/1.1\r\n"),
        "{head}"
    );
    for field in [
        "host: 127.0.0.1:",
        "content-length: 2",
        "user-agent: countersign/",
        "accept: */*",
        "accept-encoding: identity",
    ] {
        assert!(head.contains(field), "{field}: {head}");
    }
    assert_eq!(request.body, "{}");
}

#[tokio::test]
async fn a_request_without_a_body_says_so_where_a_body_means_something() {
    for (method, told) in [("POST", true), ("PUT", true), ("DELETE", false)] {
        let (url, mut requests) = answering(b"HTTP/1.1 204 No Content\r\n\r\n");
        let http = HttpTransport::new(&url.parse().unwrap(), &TrustedRoots::System).unwrap();
        let request = Request::builder().method(method).uri(&url);
        let answer = http.send(request.body(Bytes::new()).unwrap()).await;
        assert_eq!(answer.unwrap().status(), 204);
        let head = requests.recv().await.unwrap().head.to_lowercase();
        assert_eq!(head.contains("\r\ncontent-length: 0\r\n"), told, "{head}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (answer, _) = asked(
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    assert_eq!(answer.unwrap().status(), 307);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_told_with_its_status_and_type() {
    let half =
        b"HTTP/1.1 201 Created\r\ncontent-type: text/plain\r\ncontent-length: 30\r\n\r\nhalf";
    let error = asked(half).await.0.unwrap_err();
    assert!(error.message.contains("(201, text/plain)"), "{error}");
}

#[tokio::test]
async fn a_request_that_was_cut_off_may_have_been_acted_upon() {
    let large = Box::leak(
        [
            b"HTTP/1.1 200 OK\r\n\r\n".as_slice(),
            &[b'x'; (1 << 20) + 1],
        ]
        .concat()
        .into_boxed_slice(),
    );
    let cases: [&'static [u8]; 4] = [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n{\"half\":",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        large,
    ];
    for case in cases {
        let error = asked(case).await.0.unwrap_err();
        assert_eq!(error.delivery, RequestDelivery::MaybeSent, "{error}");
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let refused = send(&nowhere()).await.unwrap_err();
    let unnamed = send("http://no-such-host.invalid").await.unwrap_err();
    // It does not speak TLS.
    let plain = listen(async |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let plain = format!("https://{}", plain.address);
    let untrusted = send(&plain).await.unwrap_err();
    assert!(
        untrusted.message.ends_with("this port does not speak TLS"),
        "{untrusted}"
    );
    let help = untrusted.help.clone().unwrap();
    assert!(help.contains("write http,"), "{help}");
    for error in [refused, unnamed, untrusted] {
        assert_eq!(error.delivery, RequestDelivery::NotSent, "{error}");
        assert!(error.message.starts_with("no connection: "), "{error}");
    }
}

#[tokio::test]
async fn a_port_that_speaks_tls_is_named() {
    // What servers send to whom they do not understand: an alert (RFC 8446 section 6).
    for alert in [
        b"\x15\x03\x03\x00\x02\x02\x46",
        b"\x15\x03\x01\x00\x02\x02\x0a",
    ] {
        let error = asked(alert).await.0.unwrap_err();
        assert!(error.help.unwrap().contains("write https"));
    }
    // And most say nothing.
    let silent = format!("http://{}", closing_tls());
    let error = send(&silent).await.unwrap_err();
    assert_eq!(error.message, "no answer: this port speaks TLS");
    assert!(error.help.unwrap().contains("write https"));
}
