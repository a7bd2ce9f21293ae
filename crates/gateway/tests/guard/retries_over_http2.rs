//! Over HTTP/2 a request goes once more where the upstream goes away or refuses its
//! stream (RFC 9113 section 8.7).

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use countersign_testing::listening::listen;
use h2::server::SendResponse;
use http::Response;
use tokio::net::TcpStream;

use crate::world::{MYPOPUP, Plan};

/// What an upstream does with the second request of its first connection. All others
/// it answers.
#[derive(Clone, Copy, Debug)]
enum Does {
    Refuses,
    GoesAway,
    Leaves,
    Fails,
}

/// An upstream, and the requests that it got, each as its method and connection.
struct Restless {
    url: String,
    seen: Arc<Mutex<Vec<(String, usize)>>>,
}

impl Restless {
    fn start(does: Does) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        let mut connections = 0..;
        let listener = listen(move |stream| {
            let connection = connections.next().unwrap();
            serve(stream, connection, does, Arc::clone(&told))
        });
        Self {
            url: listener.url(),
            seen,
        }
    }
}

async fn serve(
    stream: TcpStream,
    number: usize,
    does: Does,
    seen: Arc<Mutex<Vec<(String, usize)>>>,
) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut count = 0;
    while let Some(Ok((request, mut answer))) = connection.accept().await {
        let asked = (request.method().to_string(), number);
        seen.lock().unwrap().push(asked);
        count += 1;
        if number > 0 || count == 1 {
            respond(answer);
            continue;
        }
        match does {
            Does::Refuses => answer.send_reset(h2::Reason::REFUSED_STREAM),
            Does::Fails => answer.send_reset(h2::Reason::INTERNAL_ERROR),
            Does::GoesAway => connection.abrupt_shutdown(h2::Reason::NO_ERROR),
            Does::Leaves => return,
        }
    }
}

fn respond(mut answer: SendResponse<Bytes>) {
    let head = Response::builder().status(200).body(()).unwrap();
    let mut body = answer.send_response(head, false).unwrap();
    body.send_data("ok".into(), true).unwrap();
}

#[tokio::test]
async fn what_an_upstream_refuses_or_goes_away_from_goes_once_more() {
    for (does, method, body, status) in [
        (Does::Refuses, "GET", "", 200),
        (Does::Refuses, "PUT", "", 200),
        (Does::Refuses, "DELETE", "", 200),
        (Does::Refuses, "POST", "", 502),
        (Does::Refuses, "PUT", "a body", 502),
        (Does::GoesAway, "GET", "", 200),
        (Does::GoesAway, "POST", "", 502),
        (Does::Leaves, "GET", "", 200),
        (Does::Leaves, "POST", "", 502),
        (Does::Fails, "GET", "", 502),
        (Does::Fails, "POST", "", 502),
    ] {
        let upstream = Restless::start(does);
        let mut plan = Plan::new(MYPOPUP, &upstream.url);
        plan.settings.http2 = true;
        let world = plan.build();
        let front = world.serve();
        let bearer = world.bearer();
        let fields = [("authorization", bearer.as_str())];
        let ask = async |method, body| front.send(method, "/api/v1/x", &fields, body).await.status;
        assert_eq!(ask("GET", "").await, 200);
        assert_eq!(ask(method, body).await, status, "{method} {does:?}");
        let mut expected = vec![("GET".to_owned(), 0), (method.to_owned(), 0)];
        expected.extend((status == 200).then(|| (method.to_owned(), 1)));
        assert_eq!(*upstream.seen.lock().unwrap(), expected, "{does:?}");
    }
}

#[tokio::test]
async fn a_stream_that_is_refused_on_a_new_connection_is_a_bad_gateway() {
    let listener = listen(async |stream| {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut answer))) = connection.accept().await {
            answer.send_reset(h2::Reason::REFUSED_STREAM);
        }
    });
    let mut plan = Plan::new(MYPOPUP, &listener.url());
    plan.settings.http2 = true;
    let world = plan.build();
    let front = world.serve();
    let got = front.send("GET", "/api/v1/public", &[], "").await;
    assert_eq!(got.status, 502);
}
