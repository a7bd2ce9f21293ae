//! Whose `Host` the upstream gets, and what the client is told of its origin.

use countersign_gateway::ApiSite;
use countersign_relay::UpstreamHost;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::echo::Speech;
use crate::upstreams::read_head;
use crate::world::{Echo, MYPOPUP, Plan, Received};

const PUBLIC: &str = "/api/v1/public";

#[tokio::test]
async fn the_upstream_gets_its_own_host_or_the_clients() {
    for speech in [Speech::Http1, Speech::Http2] {
        for of in [UpstreamHost::Upstream, UpstreamHost::Client] {
            let echo = Echo::speaking(speech.clone()).await;
            let mut plan = Plan::new(MYPOPUP, &echo.url);
            plan.settings.host = of;
            let http2 = matches!(speech, Speech::Http2);
            plan.settings.http2 = http2;
            let front = plan.build().serve().await;
            let own = echo.url.trim_start_matches("http://");
            for asked in ["pay.example:8443", "pay.example", "[::1]:80"] {
                let received = Received::of(&front.get(PUBLIC, &[("host", asked)]).await);
                let told = match of {
                    UpstreamHost::Upstream => own,
                    UpstreamHost::Client => asked,
                };
                assert_eq!(received.field("host"), [told]);
                assert_eq!(received.field("x-forwarded-host"), [asked]);
                if http2 {
                    let target = format!("http://{told}{PUBLIC}");
                    assert_eq!(received.text("target"), target);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_redirect_to_the_upstream_leads_to_where_the_client_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    let reply = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{own}/base/x?y#z\r\n\
         content-location: //{own}/base/c\r\nlink: <http://{own}/base/l>\r\n\
         content-length: 0\r\n\r\n"
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let reply = reply.clone();
            tokio::spawn(async move {
                while read_head(&mut stream).await.is_some() {
                    stream.write_all(reply.as_bytes()).await.unwrap();
                }
            });
        }
    });
    for (tls, prefix, public) in [
        (false, "", "http://pay.example:8080"),
        (true, "", "https://pay.example:8080"),
        (true, "/pay", "https://pay.example:8080/pay"),
    ] {
        let mut plan = Plan::new(MYPOPUP, &format!("http://{own}/base"));
        plan.client.tls = tls;
        plan.site = ApiSite::parse::<&str>(&[], prefix).unwrap();
        let front = plan.build().serve().await;
        let fields = [("host", "pay.example:8080")];
        let response = front.get(PUBLIC, &fields).await;
        let told = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(told("location"), format!("{public}/x?y#z"));
        assert_eq!(told("content-location"), format!("{public}/c"));
        assert_eq!(told("link"), format!("<http://{own}/base/l>"));
    }
}
