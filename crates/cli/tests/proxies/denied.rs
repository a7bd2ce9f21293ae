//! What may not pass: the partner gets what Countersign's own proxy would say,
//! and the API nothing.

use countersign_testing::replies::Reply;
use countersign_testing::waiting::eventually;

use crate::stage::{Account, PartnerRequest, Stage};
use crate::table::Results;

/// Headers of a refusal that a dialect sets.
const SPELLED: [&str; 4] = ["content-type", "www-authenticate", "allow", "retry-after"];

pub(crate) async fn play(stage: &Stage, partner: &Account, token: &str, results: &mut Results) {
    let invoices = format!("/api/v2/accounts/{}/invoices", partner.login);
    let other = stage.account(&[]);
    let gone = stage.account(&[]);
    let of_gone = stage.token(&gone).await;
    stage.disable(&gone);
    let elsewhere = stage.account(&["127.0.0.3"]);
    let spent = stage.account_with(&["--budget", "1"]);
    let of_spent = stage.token(&spent).await;
    let at = |login: &str| format!("/api/v2/accounts/{login}/invoices");
    let wrong_key = format!("{invoices}?transfer-key={}", "A1b2".repeat(8));
    let key_elsewhere = format!("{}?transfer-key={}", at(&elsewhere.login), elsewhere.secret);
    let posted = PartnerRequest {
        method: "POST",
        body: "{}",
        ..PartnerRequest::get(invoices.clone())
    };
    let last = PartnerRequest::get(at(&spent.login)).bearing(&of_spent);
    assert_eq!(stage.ask(&last).await.status, 200);
    stage.reached();
    for (case, asked, status) in [
        ("budget spent", last, 401),
        (
            "scope missing",
            PartnerRequest::get(format!("/api/v2/accounts/{}/payouts", partner.login))
                .bearing(token),
            403,
        ),
        ("no bearer", PartnerRequest::get(invoices.clone()), 401),
        ("no bearer, POST", posted, 401),
        (
            "bad bearer",
            PartnerRequest::get(invoices.clone()).bearing("bad"),
            401,
        ),
        ("wrong static key", PartnerRequest::get(wrong_key), 401),
        (
            "disabled account",
            PartnerRequest::get(at(&gone.login)).bearing(&of_gone),
            401,
        ),
        (
            "address not allowed",
            PartnerRequest::get(key_elsewhere),
            403,
        ),
        (
            "another's path",
            PartnerRequest::get(at(&other.login)).bearing(token),
            403,
        ),
        (
            "path ambiguous",
            PartnerRequest::get(format!("{invoices};a")).bearing(token),
            400,
        ),
    ] {
        same_as_built_in(stage, case, &asked, status).await;
        results.add(case, status.to_string());
    }
    too_fast(stage).await;
    results.add("too fast", "429");
    unknown(stage, token).await;
    results.add("path unknown", "404");
    head(stage, &invoices).await;
    results.add("no bearer, HEAD", "401");
    two_bearers(stage, &invoices, token).await;
    results.add("two bearers", "refused");
    climbing(stage, &invoices, token).await;
    results.add("path that climbs", "refused");
}

/// An access token of one second, until it has run out.
pub(crate) async fn expired(stage: &Stage) {
    let partner = stage.account(&[]);
    let token = stage.token(&partner).await;
    let target = format!("/api/v2/accounts/{}/invoices", partner.login);
    let asked = PartnerRequest::get(target).bearing(&token);
    eventually("the token has run out", async || {
        stage.ask(&asked).await.status != 200
    })
    .await;
    stage.api.take();
    same_as_built_in(stage, "expired bearer", &asked, 401).await;
}

async fn same_as_built_in(stage: &Stage, case: &str, asked: &PartnerRequest<'_>, status: u16) {
    let told = stage.ask(asked).await;
    assert!(stage.api.take().is_empty(), "{case}");
    let same = stage.ask_built_in(asked).await;
    assert_eq!(told.status.as_u16(), status, "{case}: {}", told.text());
    assert_eq!(told.status, same.status, "{case}");
    assert_eq!(told.body, same.body, "{case}");
    for name in SPELLED {
        let values = |reply: &Reply| {
            let all = reply.headers.get_all(name).iter();
            all.map(|it| it.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(values(&told), values(&same), "{case}: {name}");
    }
    let id = told.header("x-countersign-refusal");
    assert_eq!(id.len(), 20, "{case}: a support id");
}

/// One request a second, and more than that.
async fn too_fast(stage: &Stage) {
    let hasty = stage.account_with(&["--requests-per-second", "1"]);
    let token = stage.token(&hasty).await;
    let target = format!("/api/v2/accounts/{}/invoices", hasty.login);
    let asked = PartnerRequest::get(target).bearing(&token);
    let mut told = stage.ask(&asked).await;
    while told.status == 200 {
        told = stage.ask(&asked).await;
    }
    let mut same = stage.ask_built_in(&asked).await;
    while same.status == 200 {
        same = stage.ask_built_in(&asked).await;
    }
    assert_eq!(told.status, 429, "{}", told.text());
    assert_eq!(
        (told.outcome(), told.header("retry-after")),
        (same.outcome(), "1")
    );
    assert_eq!(same.header("retry-after"), "1");
}

/// Straight at the server the path is of no api; the proxy asks for an api.
async fn unknown(stage: &Stage, token: &str) {
    let told = stage
        .ask(&PartnerRequest::get("/nowhere").bearing(token))
        .await;
    let said = r#"{"message":"Not found"}"#;
    assert_eq!(told.outcome(), (404, said.to_owned()));
    assert!(stage.api.take().is_empty());
}

async fn head(stage: &Stage, invoices: &str) {
    let asked = PartnerRequest {
        method: "HEAD",
        ..PartnerRequest::get(invoices)
    };
    let told = stage.ask(&asked).await;
    assert_eq!(told.outcome(), (401, String::new()));
    assert!(stage.api.take().is_empty());
}

/// Whoever took the first would let a client choose whom the API takes for it.
async fn two_bearers(stage: &Stage, invoices: &str, token: &str) {
    let asked = PartnerRequest::get(invoices)
        .bearing(token)
        .bearing("another");
    let told = stage.ask(&asked).await;
    assert!(told.status.is_client_error(), "{:?}", told.outcome());
    assert!(stage.api.take().is_empty());
}

/// Some proxies make paths plain before they ask and forward; then what was
/// judged is what is forwarded, and it is not another's.
async fn climbing(stage: &Stage, invoices: &str, token: &str) {
    for target in [
        "/public/../api/v2/accounts/x/invoices".to_owned(),
        "/public/%2e%2e/api/v2/accounts/x/invoices".to_owned(),
        "/public/..%2fapi/v2/accounts/x/invoices".to_owned(),
        "/public//../api".to_owned(),
        format!("{invoices}/..;/x"),
        "/auth/../public/../api/v2/accounts/x/y".to_owned(),
        "/auth/../forward-auth/shop".to_owned(),
    ] {
        let asked = PartnerRequest::get(target).bearing(token);
        let told = stage.ask(&asked).await;
        assert!(told.status.as_u16() >= 400, "{}", asked.target);
        assert!(stage.api.take().is_empty(), "{}", asked.target);
    }
}
