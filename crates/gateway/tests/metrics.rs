//! What operators can count, under the names that are documented.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use std::sync::Arc;

use bytes::Bytes;
use countersign_dialect::Dialect;
use countersign_domain::key::{KeyRecord, KeyState};
use countersign_domain::{Algorithm, ApiName, Kid};
use countersign_domain::{RouteRule, Routes, Timestamp, TrailingSlash};
use countersign_gateway::{ClientConnection, FirstUses, Gateway, GuardedApi, RevocationView};
use countersign_relay::{Upstream, UpstreamSettings};
use countersign_testing::listening::listen;
use countersign_testing::raw::read_head;
use countersign_token::{KeyMaterial, Keychain, Tokens};
use http::Request;
use http_body_util::Empty;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn api(name: &str, url: &str) -> GuardedApi {
    let dialect = Dialect::compile(Dialect::shipped("mypopup").unwrap(), "mypopup").unwrap();
    let dialect = Arc::new(dialect);
    let key = KeyRecord {
        kid: Kid("k".to_owned()),
        algorithm: Algorithm::Hs256,
        state: KeyState::Active,
        created_at: Timestamp::default(),
    };
    let keys = [(key, KeyMaterial::generate(Algorithm::Hs256).unwrap())];
    let tokens = Tokens::new(Arc::clone(&dialect), &keys, Timestamp::default()).unwrap();
    let public = RouteRule {
        methods: Vec::new(),
        path: "/public".to_owned(),
        access: countersign_domain::RouteAccess::Public,
        scopes: Vec::new(),
    };
    let routes = Routes::new(&["/*"], vec![public], TrailingSlash::Exact).unwrap();
    let name: ApiName = name.parse().unwrap();
    let settings = UpstreamSettings::new(url.parse().unwrap());
    let upstream = Upstream::new(name.as_str(), settings).unwrap();
    GuardedApi::new(name, dialect, Keychain::new(tokens), routes).with_upstream(upstream)
}

#[tokio::test]
async fn requests_are_counted_by_api_and_outcome() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    metrics::set_global_recorder(recorder).unwrap();
    let unreachable = api("pay", "http://127.0.0.1:1");
    let restless = api("restless", &restless());
    let gateway = Gateway::new(
        Arc::new(RevocationView::new()),
        Arc::new(FirstUses::new(1, |_, _| {})),
    );
    let client = ClientConnection {
        address: "127.0.0.1".parse().unwrap(),
        tls: false,
    };
    let ask = async |api: &GuardedApi, path: &str| {
        let request = Request::builder().uri(path);
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let answer = gateway.forward(api, request, client, "id", Timestamp::default());
        answer.await.response.status()
    };
    for path in ["/x", "/x", "/public", "/%2e%2e"] {
        ask(&unreachable, path).await;
    }
    for _ in 0..50 {
        assert_eq!(ask(&restless, "/public").await, 200);
    }
    let text = metrics.render();
    for line in [
        r#"countersign_guarded_requests_total{api="pay",outcome="token_missing"} 2"#,
        r#"countersign_guarded_requests_total{api="pay",outcome="path_ambiguous"} 1"#,
        r#"countersign_guarded_requests_total{api="pay",outcome="upstream_failed"} 1"#,
        r#"countersign_guarded_requests_total{api="pay",outcome="allowed"} 0"#,
        r#"countersign_upstream_duration_seconds_count{api="pay"} 1"#,
        r#"countersign_upstream_broken_total{api="pay"} 0"#,
        r#"countersign_upstream_retries_total{api="pay"} 0"#,
        r#"countersign_upstream_up{api="pay"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    let retries = r#"countersign_upstream_retries_total{api="restless"} "#;
    let retries = text.lines().find_map(|line| line.strip_prefix(retries));
    assert_ne!(retries.unwrap(), "0", "no connection was kept");
}

/// An upstream that closes a connection when its second request comes.
fn restless() -> String {
    let listener = listen(async |mut stream| {
        read_head(&mut stream).await.unwrap();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let _ = stream.read_u8().await;
    });
    listener.url()
}
