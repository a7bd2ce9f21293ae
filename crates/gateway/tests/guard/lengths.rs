//! How long the content of a request is, and that there is none, is told to the
//! upstream as it came (RFC 9110 section 8.6).

use bytes::Bytes;
use countersign_testing::lighttpd::LighttpdServer;
use countersign_testing::raw::{exchange, status_and_body};
use countersign_testing::recording::{ReceivedRequest, ServerProtocol};
use countersign_testing::replies::Reply;
use http::{Request, Version};
use http_body::{Body, Frame};
use http_body_util::{Channel, Empty};

use crate::world::{MYPOPUP, NOW, Plan, REQUEST_ID, World, echo_speaking, echo_upstream};

const METHODS: [(&str, bool); 8] = [
    ("POST", true),
    ("PUT", true),
    ("PATCH", true),
    ("GET", false),
    ("HEAD", false),
    ("DELETE", false),
    ("OPTIONS", false),
    ("PROPFIND", false),
];

fn length(received: &ReceivedRequest) -> Vec<&str> {
    assert!(received.field("transfer-encoding").is_empty());
    received.field("content-length")
}

#[tokio::test]
async fn a_request_without_content_says_so_where_content_means_something() {
    let echo = echo_upstream();
    let world = Plan::new(MYPOPUP, &echo.url).build();
    let front = world.serve();
    let ask = async |method: &str, more: &str| {
        let request = format!(
            "{method} /api/v1/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             authorization: {}\r\n{more}",
            world.bearer()
        );
        ReceivedRequest::of_raw(&exchange(front.address, &request).await)
    };
    for (method, told) in METHODS.into_iter().filter(|it| it.0 != "HEAD") {
        let plain = ask(method, "\r\n").await;
        let expected: &[&str] = if told { &["0"] } else { &[] };
        assert_eq!(length(&plain), expected, "{method}");
        let kept = ask(method, "content-length: 0\r\n\r\n").await;
        assert_eq!(length(&kept), ["0"], "{method} with a length");
        let ended = ask(method, "transfer-encoding: chunked\r\n\r\n0\r\n\r\n").await;
        assert_eq!(ended.body, "", "{method} in no chunks");
        let long = ask(method, "content-length: 5\r\n\r\nhello").await;
        assert_eq!(length(&long), ["5"], "{method} with content");
        assert_eq!(long.body, "hello", "{method} with content");
        let chunks = "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        let chunked = ask(method, chunks).await;
        assert_eq!(chunked.body, "hello", "{method} in chunks");
        assert_eq!(chunked.field("content-length"), [""; 0], "{method}");
    }
}

/// What the upstream received of a request over HTTP/2.
async fn over_http_2<B>(world: &World, method: &str, told: Option<&str>, body: B) -> ReceivedRequest
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut request = Request::builder()
        .method(method)
        .uri("/api/v1/x")
        .version(Version::HTTP_2)
        .header("host", "a")
        .header("authorization", world.bearer());
    if let Some(length) = told {
        request = request.header("content-length", length);
    }
    let request = request.body(body).unwrap();
    let answer = world
        .gateway
        .forward(&world.api, request, world.client, REQUEST_ID, NOW)
        .await;
    ReceivedRequest::from_reply(&Reply::whole(answer.response).await.unwrap())
}

#[tokio::test]
async fn over_http_2_it_is_the_same() {
    for speech in [ServerProtocol::Http1, ServerProtocol::Http2] {
        let echo = echo_speaking(speech.clone());
        let mut plan = Plan::new(MYPOPUP, &echo.url);
        plan.settings.http2 = matches!(speech, ServerProtocol::Http2);
        let world = plan.build();
        for (method, told) in METHODS.into_iter().filter(|it| it.0 != "HEAD") {
            let plain = over_http_2(&world, method, None, Empty::new()).await;
            let expected: &[&str] = if told { &["0"] } else { &[] };
            assert_eq!(length(&plain), expected, "{method}");
            let kept = over_http_2(&world, method, Some("0"), Empty::new()).await;
            assert_eq!(length(&kept), ["0"], "{method} with a length");
            // The end comes in a frame of its own, behind the head.
            let (sender, late) = Channel::<Bytes>::new(1);
            drop(sender);
            let late = over_http_2(&world, method, None, late).await;
            assert_eq!(length(&late), expected, "{method} that ends late");
            let (mut sender, open) = Channel::<Bytes>::new(1);
            sender.send(Frame::data("hello".into())).await.unwrap();
            drop(sender);
            let open = over_http_2(&world, method, None, open).await;
            assert_eq!(open.body, "hello", "{method} of unknown length");
        }
    }
}

#[tokio::test]
async fn a_server_that_wants_a_length_gets_one() {
    let lighttpd = LighttpdServer::start();
    let mut plan = Plan::new(MYPOPUP, &lighttpd.url);
    plan.settings.url = format!("{}/length.sh", lighttpd.url).parse().unwrap();
    let world = plan.build();
    let front = world.serve();
    for (method, more) in [
        ("POST", ""),
        ("POST", "content-length: 0\r\n"),
        ("PUT", ""),
        ("PATCH", ""),
        ("GET", ""),
        ("DELETE", ""),
        ("DELETE", "content-length: 0\r\n"),
    ] {
        let request = format!(
            "{method} /api/v1/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             authorization: {}\r\n{more}\r\n",
            world.bearer()
        );
        let reply = exchange(front.address, &request).await;
        let (status, body) = status_and_body(&reply);
        assert_eq!(status, 200, "{method} {more}: {reply}");
        assert!(body.contains(&format!("{method} 0")), "{method}: {reply}");
    }
}
