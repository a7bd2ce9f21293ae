//! What a client may say and change nothing by: the headers of every kind of
//! proxy, and Countersign's own.

use crate::api::identity;
use crate::stage::{Account, ELSEWHERE, PARTNER, PartnerRequest, Stage};
use crate::table::Results;

/// Each tells of a public path and a method that is public.
const FAMILIES: [(&str, &str); 11] = [
    ("X-Original-URI", "/public/rates"),
    ("X-Original-URL", "/public/rates"),
    ("X-Original-Method", "GET"),
    ("X-Forwarded-Uri", "/public/rates"),
    ("X-Forwarded-Method", "GET"),
    ("X-Forwarded-Path", "/public/rates"),
    ("X-Forwarded-Prefix", "/public"),
    ("X-Rewrite-URL", "/public/rates"),
    ("X-HTTP-Method-Override", "GET"),
    ("X-Envoy-Original-Path", "/public/rates"),
    ("x_original_uri", "/public/rates"),
];

const ADDRESSES: [&str; 5] = [
    "X-Forwarded-For",
    "X-Real-IP",
    "Forwarded",
    "X-Envoy-External-Address",
    "X-Client-IP",
];

const IDENTITY: [&str; 13] = [
    "X-Countersign-Account",
    "X-Countersign-Login",
    "X-Countersign-Session",
    "X-Countersign-Api",
    "X-Countersign-Request-Id",
    "X-Countersign-Uri",
    "X-Countersign-Refusal",
    "x-countersign-LOGIN",
    "X_Countersign_Login",
    "X-Countersign_Login",
    "X_COUNTERSIGN-ACCOUNT",
    "X_Countersign_Request_Id",
    "X-Countersign-Request_Id",
];

pub(crate) async fn play(
    stage: &Stage,
    partner: &Account,
    token: &str,
    bound: &Account,
    results: &mut Results,
) {
    let invoices = format!("/api/v2/accounts/{}/invoices", partner.login);
    for (name, value) in FAMILIES {
        path(stage, &invoices, token, name, value).await;
    }
    results.add("another path in headers", "no effect");
    address(stage, bound).await;
    results.add("another address in headers", "no effect");
    forged(stage, partner, &invoices, token).await;
    results.add("identity in headers", "no effect");
    hop_by_hop(stage, partner, &invoices, token).await;
    results.add("`Connection` names identity", "no effect");
}

async fn path(stage: &Stage, invoices: &str, token: &str, name: &str, value: &str) {
    let refused = PartnerRequest::get(invoices).with(name, value);
    let told = stage.ask(&refused).await;
    assert_eq!(told.status, 401, "{name}: {}", told.text());
    assert!(stage.api.take().is_empty(), "{name}");
    let allowed = refused.bearing(token);
    assert_eq!(stage.ask(&allowed).await.status, 200, "{name}");
    let reached = stage.reached();
    assert_eq!(reached.target, invoices, "{name}");
}

/// The account may call from elsewhere, and the partner is not there.
async fn address(stage: &Stage, bound: &Account) {
    let target = format!(
        "/api/v2/accounts/{}/x?transfer-key={}",
        bound.login, bound.secret
    );
    let from_home = PartnerRequest {
        from: "127.0.0.9",
        ..PartnerRequest::get(target.clone())
    };
    for name in ADDRESSES {
        for address in [PARTNER, ELSEWHERE] {
            let value = match name {
                "Forwarded" => format!("for={address}"),
                _ => address.to_owned(),
            };
            let told = stage.ask(&from_home.clone().with(name, value)).await;
            assert_eq!(told.status, 403, "{name}");
            assert!(stage.api.take().is_empty(), "{name}");
        }
    }
    let spoofed = PartnerRequest::get(target).with("X-Forwarded-For", "203.0.113.9");
    assert_eq!(stage.ask(&spoofed).await.status, 200);
    assert_eq!(stage.reached().header("x-forwarded-for"), PARTNER);
}

async fn forged(stage: &Stage, partner: &Account, invoices: &str, token: &str) {
    for name in IDENTITY {
        let asked = PartnerRequest::get(invoices)
            .bearing(token)
            .with(name, "evil");
        assert_eq!(stage.ask(&asked).await.status, 200, "{name}");
        let reached = stage.reached();
        assert_eq!(identity(&reached).len(), 5, "{name}: {reached:?}");
        assert_eq!(reached.header("x-countersign-login"), partner.login);
        let public = PartnerRequest::get("/public/rates").with(name, "evil");
        assert_eq!(stage.ask(&public).await.status, 200, "{name}");
        let reached = stage.reached();
        assert_eq!(identity(&reached).len(), 2, "{name}: {reached:?}");
        assert!(!format!("{reached:?}").contains("evil"), "{name}");
    }
}

/// A field that `Connection` names is for one connection (RFC 9110 section
/// 7.6.1): a proxy that drops it after it was set takes the identity away.
async fn hop_by_hop(stage: &Stage, partner: &Account, invoices: &str, token: &str) {
    for name in [
        "X-Countersign-Login",
        "X-Forwarded-For",
        "X-Forwarded-Uri",
        "X-Original-URI",
        "upgrade, X-Countersign-Login",
    ] {
        let asked = PartnerRequest::get(invoices)
            .bearing(token)
            .with("Connection", name);
        // Refusing it is as good as passing it on with the identity.
        if stage.ask(&asked).await.status == 200 {
            let reached = stage.reached();
            assert_eq!(reached.header("x-countersign-login"), partner.login);
        }
    }
}
