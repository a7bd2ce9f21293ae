//! Whose `Host` the upstream gets, and what the client is told of its origin.

use countersign_gateway::ApiSite;
use countersign_relay::UpstreamHost;
use countersign_testing::recording::{ReceivedRequest, RecordingServer, ServerProtocol};
use http::Response;
use http_body_util::Full;

use crate::world::{MYPOPUP, Plan, echo_speaking};

const PUBLIC: &str = "/api/v1/public";

#[tokio::test]
async fn the_upstream_gets_its_own_host_or_the_clients() {
    for speech in [ServerProtocol::Http1, ServerProtocol::Http2] {
        for of in [UpstreamHost::Upstream, UpstreamHost::Client] {
            let echo = echo_speaking(speech.clone());
            let mut plan = Plan::new(MYPOPUP, &echo.url);
            plan.settings.host = of;
            let http2 = matches!(speech, ServerProtocol::Http2);
            plan.settings.http2 = http2;
            let front = plan.build().serve();
            let own = echo.url.trim_start_matches("http://");
            for asked in ["pay.example:8443", "pay.example", "[::1]:80"] {
                let received =
                    ReceivedRequest::from_reply(&front.get(PUBLIC, &[("host", asked)]).await);
                let told = match of {
                    UpstreamHost::Upstream => own,
                    UpstreamHost::Client => asked,
                };
                assert_eq!(received.field("host"), [told]);
                assert_eq!(received.field("x-forwarded-host"), [asked]);
                if http2 {
                    let target = format!("http://{told}{PUBLIC}");
                    assert_eq!(received.target, target);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_redirect_to_the_upstream_leads_to_where_the_client_asked() {
    let upstream = RecordingServer::start(|asked| {
        let own = asked.header("host");
        let redirect = Response::builder()
            .status(302)
            .header("location", format!("http://{own}/base/x?y#z"))
            .header("content-location", format!("//{own}/base/c"))
            .header("link", format!("<http://{own}/base/l>"));
        redirect.body(Full::default()).unwrap()
    });
    let own = upstream.address;
    for (tls, prefix, public) in [
        (false, "", "http://pay.example:8080"),
        (true, "", "https://pay.example:8080"),
        (true, "/pay", "https://pay.example:8080/pay"),
    ] {
        let mut plan = Plan::new(MYPOPUP, &format!("http://{own}/base"));
        plan.client.tls = tls;
        plan.site = ApiSite::parse::<&str>(&[], prefix).unwrap();
        let front = plan.build().serve();
        let fields = [("host", "pay.example:8080")];
        let response = front.get(PUBLIC, &fields).await;
        let told = |name: &str| response.headers[name].to_str().unwrap().to_owned();
        assert_eq!(told("location"), format!("{public}/x?y#z"));
        assert_eq!(told("content-location"), format!("{public}/c"));
        assert_eq!(told("link"), format!("<http://{own}/base/l>"));
    }
}
