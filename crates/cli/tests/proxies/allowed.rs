//! What may pass, and what the API learns of it.

use crate::api::identity;
use crate::programs::Proxy;
use crate::stage::{Account, PARTNER, PartnerRequest, Stage};
use crate::table::Results;

pub(crate) async fn play(stage: &Stage, partner: &Account, token: &str, results: &mut Results) {
    let home = format!("/api/v2/accounts/{}", partner.login);
    bearer(stage, partner, &home, token).await;
    results.add("bearer", "200");
    static_key(stage, partner, &home).await;
    results.add("static key in the query", "200");
    let hidden = matches!(stage.proxy, Proxy::Nginx | Proxy::Haproxy | Proxy::Envoy);
    let left = if hidden { "no" } else { "yes" };
    results.add("static key reaches the API", left);
    public(stage).await;
    results.add("public route", "200");
}

async fn bearer(stage: &Stage, partner: &Account, home: &str, token: &str) {
    for method in ["GET", "POST", "DELETE"] {
        let asked = PartnerRequest {
            method,
            body: if method == "POST" { "{\"a\": 1}" } else { "" },
            ..PartnerRequest::get(format!("{home}/a%20b/c?x=1%2F&y")).bearing(token)
        };
        let reply = stage.ask(&asked).await;
        assert_eq!(reply.outcome(), (200, "reached".to_owned()), "{method}");
        let reached = stage.reached();
        assert_eq!(reached.method, method);
        assert_eq!(reached.target, asked.target);
        assert_eq!(reached.body, asked.body);
        let identity = identity(&reached);
        let named: Vec<&str> = identity.iter().map(|(name, _)| name.as_str()).collect();
        let names = ["account", "api", "login", "request-id", "session"];
        assert_eq!(named, names.map(|name| format!("x-countersign-{name}")));
        assert_eq!(reached.header("x-countersign-login"), partner.login);
        assert_eq!(reached.header("x-countersign-api"), "shop");
        assert_eq!(reached.header("authorization"), "", "the token stays here");
        assert_eq!(reached.header("x-forwarded-for"), PARTNER);
    }
}

async fn static_key(stage: &Stage, partner: &Account, home: &str) {
    let key = &partner.secret;
    let asked = PartnerRequest::get(format!("{home}/invoices?a=%2F&transfer-key={key}&b"));
    assert_eq!(stage.ask(&asked).await.status, 200);
    let reached = stage.reached();
    assert_eq!(reached.header("x-countersign-login"), partner.login);
    assert_eq!(reached.header("x-countersign-session"), "");
    let stripped = format!("{home}/invoices?a=%2F&b");
    match stage.proxy {
        Proxy::Caddy | Proxy::Traefik => assert_eq!(reached.target, asked.target),
        _ => assert_eq!(reached.target, stripped),
    }
}

async fn public(stage: &Stage) {
    let reply = stage.ask(&PartnerRequest::get("/public/rates")).await;
    assert_eq!(reply.status, 200);
    let identity = identity(&stage.reached());
    let named: Vec<&str> = identity.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, ["x-countersign-api", "x-countersign-request-id"]);
}
