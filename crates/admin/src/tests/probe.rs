//! The probes need no key.

use super::*;

fn bare(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn the_probes_answer_without_a_key_and_nothing_else_does() {
    let server = Server::start().await;
    let healthy = server.send(bare("/healthz")).await;
    assert_eq!(healthy.status, StatusCode::OK);
    assert_eq!(healthy.body, json!({ "status": "ok" }));
    let ready = server.send(bare("/readyz")).await;
    assert_eq!(
        (ready.status, &ready.body["status"]),
        (StatusCode::OK, &json!("ready"))
    );
    let metrics = server.send(bare("/metrics")).await;
    assert_eq!(metrics.text(), "up 1\n");
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for path in ["/", "/healthz/", "/admin", "/admin/v1/stats", "/anything"] {
        let reply = server.send(bare(path)).await;
        assert_eq!(reply.problem(), (401, "missing_key"), "{path}");
    }
}

#[tokio::test]
async fn a_node_that_drains_or_has_lost_its_store_wants_no_traffic() {
    let server = Server::start().await;
    let ask = async |standing: Result<(), &'static str>| {
        let service = probes(HealthProbes {
            store: server.state.store.clone(),
            standing: Arc::new(move || standing),
            degraded: Arc::new(|| None),
            metrics: Arc::new(String::new),
        });
        let response = service.oneshot(bare("/readyz")).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let (status, body) = ask(Err("draining")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, json!({ "status": "not ready", "reason": "draining" }));
    assert_eq!(ask(Ok(())).await.0, StatusCode::OK);
    server.state.store.clone().close().await;
    assert_eq!(ask(Ok(())).await.0, StatusCode::SERVICE_UNAVAILABLE);
    let stats = server.get("/admin/v1/stats").await;
    assert_eq!(stats.problem(), (503, "unavailable"));
    assert_eq!(stats.header("retry-after"), "1");
}

#[tokio::test]
async fn a_node_that_somebody_should_look_at_is_degraded_and_keeps_its_traffic() {
    let server = Server::start().await;
    let service = probes(HealthProbes {
        store: server.state.store.clone(),
        standing: Arc::new(|| Ok(())),
        degraded: Arc::new(|| Some("the clock".to_owned())),
        metrics: Arc::new(String::new),
    });
    let response = service.oneshot(bare("/readyz")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, json!({ "status": "degraded", "reason": "the clock" }));
}

#[tokio::test]
async fn a_probe_takes_no_other_method() {
    let server = Server::start().await;
    let post = Request::post("/healthz").body(Body::empty()).unwrap();
    let reply = server.send(post).await;
    assert_eq!(reply.problem(), (405, "method_not_allowed"));
    assert_eq!(reply.header("allow"), "GET,HEAD");
}
