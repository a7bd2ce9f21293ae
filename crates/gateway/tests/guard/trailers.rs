//! Trailers go on where both sides speak HTTP/2, cleaned like other fields.

use bytes::Bytes;
use countersign_testing::listening::listen;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::world::{MYPOPUP, Plan, World};

/// Fields that no side may tell the other among trailers, and one that it may.
const TRAILING: [&str; 16] = [
    "x-checksum",
    "x-countersign-account",
    "x_countersign_login",
    "X.Countersign.Session",
    "x-forwarded-for",
    "x_real_ip",
    "forwarded",
    "authorization",
    "content-length",
    "content-type",
    "host",
    "te",
    "trailer",
    "keep-alive",
    "upgrade",
    "cookie",
];

fn trailers() -> HeaderMap {
    let fields = TRAILING.map(|name| (name.parse().unwrap(), "1".parse().unwrap()));
    // Over HTTP/2 some of them cannot be sent at all.
    let sendable =
        |name: &http::HeaderName| !["te", "keep-alive", "upgrade"].contains(&name.as_str());
    fields
        .into_iter()
        .filter(|(name, _)| sendable(name))
        .collect()
}

/// What a side got.
#[derive(Debug, Default)]
struct Got {
    te: Option<String>,
    trailers: Vec<String>,
}

fn names(trailers: Option<HeaderMap>) -> Vec<String> {
    let trailers = trailers.unwrap_or_default();
    let mut names: Vec<_> = trailers.keys().map(ToString::to_string).collect();
    names.sort();
    names
}

/// An upstream that answers one request with trailers, and tells what it got.
fn upstream() -> (String, mpsc::UnboundedReceiver<Got>) {
    let (tell, got) = mpsc::unbounded_channel();
    let listener = listen(move |stream| answer(stream, tell.clone()));
    (listener.url(), got)
}

async fn answer(stream: TcpStream, tell: mpsc::UnboundedSender<Got>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let (request, mut answer) = connection.accept().await.unwrap().unwrap();
    tokio::spawn(async move { while connection.accept().await.is_some() {} });
    let (parts, mut body) = request.into_parts();
    while body.data().await.is_some() {}
    let te = parts
        .headers
        .get("te")
        .map(|te| te.to_str().unwrap().to_owned());
    let received = body.trailers().await.unwrap();
    let mut stream = answer.send_response(Response::new(()), false).unwrap();
    stream.send_data("ok".into(), false).unwrap();
    stream.send_trailers(trailers()).unwrap();
    let trailers = names(received);
    tell.send(Got { te, trailers }).unwrap();
}

async fn client(world: &World) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(world.serve_as_listeners_do().await);
    let (client, connection) = h2::client::handshake(stream.await.unwrap()).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn trailers_go_both_ways_without_what_is_not_for_them() {
    let (url, mut got) = upstream();
    let mut plan = Plan::new(MYPOPUP, &url);
    plan.settings.http2 = true;
    plan.forward_authorization = true;
    let world = plan.build();
    let mut client = client(&world).await;
    let request = Request::post("http://a/api/v1/x")
        .header("authorization", world.bearer())
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (answer, mut upload) = client.send_request(request, false).unwrap();
    upload.send_data("hello".into(), false).unwrap();
    upload.send_trailers(trailers()).unwrap();
    let (parts, mut body) = answer.await.unwrap().into_parts();
    assert_eq!(parts.status, 200);
    while body.data().await.is_some() {}
    let kept = names(body.trailers().await.unwrap());
    let got = got.recv().await.unwrap();
    assert_eq!(got.te.as_deref(), Some("trailers"));
    assert_eq!(got.trailers, ["x-checksum"]);
    // Whence an answer came is not an identity: what is said of it is the upstream's.
    let expected = ["forwarded", "x-checksum", "x-forwarded-for", "x_real_ip"];
    assert_eq!(kept, expected);
}

#[tokio::test]
async fn who_does_not_ask_for_trailers_asks_for_none_upstream() {
    for te in [None, Some("gzip")] {
        let (url, mut got) = upstream();
        let mut plan = Plan::new(MYPOPUP, &url);
        plan.settings.http2 = true;
        let world = plan.build();
        let mut request = http::Request::builder()
            .uri("/api/v1/public")
            .version(http::Version::HTTP_2);
        if let Some(te) = te {
            request = request.header("te", te);
        }
        let request = request.body(http_body_util::Empty::<Bytes>::new()).unwrap();
        let (client, now) = (world.client, crate::world::NOW);
        let answer = world
            .gateway
            .forward(&world.api, request, client, "id", now);
        assert_eq!(answer.await.response.status(), 200);
        assert_eq!(got.recv().await.unwrap().te, None);
    }
}
