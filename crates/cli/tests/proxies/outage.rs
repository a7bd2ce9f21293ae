//! Countersign fails in every way, and nothing passes.

use crate::api::identity;
use crate::between::Seems;
use crate::programs::Proxy;
use crate::stage::{Account, PartnerRequest, Stage};
use crate::table::Results;

/// Gives what the proxy has written in its life.
pub(crate) async fn play(
    stage: Stage,
    partner: &Account,
    token: &str,
    results: &mut Results,
) -> String {
    let invoices = format!("/api/v2/accounts/{}/invoices", partner.login);
    let asked =
        PartnerRequest::get(format!("{invoices}?transfer-key={}", partner.secret)).bearing(token);
    for (case, seems) in [
        ("Countersign answers 500", Seems::Broken),
        ("Countersign answers garbage", Seems::Garbled),
        ("Countersign is slow", Seems::Slow),
    ] {
        stage.between.seem(seems);
        stage.between.connected();
        results.add(case, refused(&stage, &asked).await);
    }
    if stage.proxy == Proxy::Haproxy {
        waits_two_seconds_in_all(stage.between.connected());
    }
    strange(&stage, &asked, results).await;
    let down = stage.go_down().await;
    let told = down.ask(&asked).await.unwrap();
    assert!(told.status.is_server_error(), "{:?}", told.outcome());
    assert!(down.api.take().is_empty());
    results.add("Countersign is down", told.status.as_u16().to_string());
    down.stop()
}

async fn refused(stage: &Stage, asked: &PartnerRequest<'_>) -> String {
    let told = stage.ask(asked).await;
    assert!(told.status.is_server_error(), "{:?}", told.outcome());
    assert!(stage.api.take().is_empty());
    told.status.as_u16().to_string()
}

/// Where another answers 200 in Countersign's place, Traefik lets pass; then the
/// API is told of no caller.
async fn strange(stage: &Stage, asked: &PartnerRequest<'_>, results: &mut Results) {
    stage.between.seem(Seems::Strange);
    let case = "200 from a stranger";
    if stage.proxy == Proxy::Traefik {
        let spoofed = asked.clone().with("X-Countersign-Login", "evil");
        assert_eq!(stage.ask(&spoofed).await.status, 200);
        assert_eq!(identity(&stage.reached()), []);
        results.add(case, "passes, nobody named");
    } else {
        results.add(case, refused(stage, asked).await);
    }
}

/// HAProxy's HTTP client tries again by itself, each time for as long as the file
/// says.
fn waits_two_seconds_in_all(tries: u32) {
    let lua = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/forward-auth/countersign.lua"
    );
    let lua = std::fs::read_to_string(lua).unwrap();
    let one = lua
        .lines()
        .find_map(|it| it.strip_prefix("local TIMEOUT = "));
    let one: u32 = one.unwrap().parse().unwrap();
    assert_eq!(one * tries, 2_000, "{tries} tries");
}
