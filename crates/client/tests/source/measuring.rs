//! What a source tells of itself in metrics, and the static key in a token's place.

use std::time::Duration;

use countersign_client::{ErrorKind, RequestCredential};
use countersign_domain::Refusal;
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::vendor::{Play, SECRET, START, Vendor, token};

#[tokio::test]
async fn renewals_failures_and_the_tokens_end_are_measured() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _measuring = metrics::set_default_local_recorder(&recorder);
    let vendor = Vendor::speaking("mypopup");
    let source = vendor.client().name("shop").build().unwrap();
    token(&source).await.unwrap();
    vendor.clock.advance(Duration::from_secs(700));
    vendor.play(Play::Lose);
    source.reserve(1).await.unwrap_err();
    let shown = recorder.handle().render();
    for line in [
        r#"countersign_client_renewals_total{profile="shop",operation="login",outcome="granted"} 1"#,
        r#"countersign_client_renewals_total{profile="shop",operation="refresh",outcome="lost"} 1"#,
        r#"countersign_client_failures_total{profile="shop",kind="unavailable"} 1"#,
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    let life = |metric: &str| {
        let metric = format!(r#"{metric}{{profile="shop"}} "#);
        let end = shown.lines().find_map(|line| line.strip_prefix(&metric));
        end.unwrap().parse::<i64>().unwrap() - START.as_seconds()
    };
    assert_eq!(
        life("countersign_client_token_expiry_seconds"),
        600,
        "as told"
    );
    let used = life("countersign_client_token_used_until_seconds");
    assert!((590..600).contains(&used), "{used}");
}

#[tokio::test]
async fn the_static_key_stands_in_for_a_token_that_cannot_be_had_for_now() {
    for (play, stands_in) in [
        (Play::Refuse(Refusal::Throttled), true),
        (Play::Refuse(Refusal::BadLogin), false),
    ] {
        let vendor = Vendor::speaking("apirone");
        let client = vendor
            .client()
            .login("apr-0123456789abcdef0123456789abcdef");
        let client = client.static_key(true).patience(Duration::from_millis(1));
        let source = client.build().unwrap();
        vendor.play(play);
        match source.credential().await {
            Ok(RequestCredential::StaticKey(key)) => assert!(stands_in && key.expose() == SECRET),
            Ok(RequestCredential::Token(_)) => unreachable!("the vendor gave none"),
            Err(error) => {
                let is_refused = matches!(error.kind, ErrorKind::Refused { .. });
                assert!(is_refused && !stands_in, "{error}");
            }
        }
        assert!(
            matches!(
                source.credential().await,
                Ok(RequestCredential::StaticKey(_))
            ) == stands_in
        );
    }
}
