//! What operators can count, under the names that are documented.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use std::sync::Arc;

use bytes::Bytes;
use countersign_dialect::Dialect;
use countersign_domain::Timestamp;
use countersign_domain::key::{Key, KeyState};
use countersign_domain::{Algorithm, Kid};
use countersign_gateway::{
    Client, Gateway, GuardedApi, Routes, Rule, Slash, Upstream, UpstreamSettings, Uses, View,
};
use countersign_token::{Keychain, Material, Tokens};
use http::Request;
use http_body_util::Empty;
use metrics_exporter_prometheus::PrometheusBuilder;

fn api() -> GuardedApi {
    let dialect = Dialect::compile(Dialect::shipped("mypopup").unwrap(), "mypopup").unwrap();
    let dialect = Arc::new(dialect);
    let key = Key {
        kid: Kid("k".to_owned()),
        algorithm: Algorithm::Hs256,
        state: KeyState::Active,
        created_at: Timestamp::default(),
    };
    let keys = [(key, Material::generate(Algorithm::Hs256).unwrap())];
    let tokens = Tokens::new(Arc::clone(&dialect), &keys, Timestamp::default()).unwrap();
    let public = Rule {
        methods: Vec::new(),
        path: "/public".to_owned(),
        access: countersign_gateway::Access::Public,
        scopes: Vec::new(),
    };
    let routes = Routes::new(&["/*"], vec![public], Slash::Exact).unwrap();
    let name = "pay".parse().unwrap();
    let settings = UpstreamSettings::new("http://127.0.0.1:1".parse().unwrap());
    let upstream = Upstream::new(&name, settings).unwrap();
    GuardedApi::new(name, dialect, Keychain::new(tokens), routes).with_upstream(upstream)
}

#[tokio::test]
async fn requests_are_counted_by_api_and_outcome() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    metrics::set_global_recorder(recorder).unwrap();
    let api = api();
    let gateway = Gateway::new(Arc::new(View::new()), Arc::new(Uses::new(1, |_, _| {})));
    let client = Client {
        address: "127.0.0.1".parse().unwrap(),
        tls: false,
    };
    for path in ["/x", "/x", "/public", "/%2e%2e"] {
        let request = Request::builder()
            .uri(path)
            .body(Empty::<Bytes>::new())
            .unwrap();
        gateway
            .forward(&api, request, client, "id", Timestamp::default())
            .await;
    }
    let text = metrics.render();
    for line in [
        r#"countersign_guarded_requests_total{api="pay",outcome="token_missing"} 2"#,
        r#"countersign_guarded_requests_total{api="pay",outcome="path_ambiguous"} 1"#,
        r#"countersign_guarded_requests_total{api="pay",outcome="upstream_failed"} 1"#,
        r#"countersign_guarded_requests_total{api="pay",outcome="allowed"} 0"#,
        r#"countersign_upstream_duration_seconds_count{api="pay"} 1"#,
        r#"countersign_upstream_broken_total{api="pay"} 0"#,
        r#"countersign_upstream_up{api="pay"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}
