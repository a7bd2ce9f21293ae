//! Verdicts as proxies ask for them.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use countersign_domain::revocation::RevocationNotice;
use countersign_domain::{Account, Allowlist, Reason};
use countersign_gateway::{
    ApiSite, FirstUses, ForwardAnswer, ForwardAuth, ProxyFamily, TrustedProxies, asked_api,
};
use countersign_testing::replies::Reply;
use http::request::Parts;
use http::{Request, Response};

use crate::world::{
    ACCOUNT, APIRONE, B2BINPAY, KEY, LOGIN, MYPOPUP, NOW, OTHER_LOGIN, Plan, REQUEST_ID, SESSION,
    World,
};

const PROXY: &str = "10.0.0.1";
const CLIENT: &str = "198.51.100.7";
const X_FORWARDED: [&str; 2] = ["x-forwarded-method", "x-forwarded-uri"];
const X_ORIGINAL: [&str; 2] = ["x-original-method", "x-original-uri"];

/// An api, and who gives verdicts on it.
struct Scene {
    world: World,
    forward: ForwardAuth,
    family: ProxyFamily,
}

fn scene(dialect: &'static str, family: ProxyFamily) -> Scene {
    scene_at(ApiSite::default(), dialect, family)
}

fn scene_at(site: ApiSite, dialect: &'static str, family: ProxyFamily) -> Scene {
    let mut plan = Plan::new(dialect, "http://127.0.0.1:1");
    plan.forward_auth = Some(family);
    plan.site = site;
    let world = plan.build();
    let used = std::sync::Arc::clone(&world.used);
    let uses = FirstUses::new(100, move |session, generation| {
        used.lock().unwrap().push((session, generation));
    });
    let trusted = TrustedProxies::parse(&["10.0.0.0/8"]).unwrap();
    let view = std::sync::Arc::clone(&world.view);
    Scene {
        forward: ForwardAuth::new(view, uses.into(), trusted),
        world,
        family,
    }
}

impl Scene {
    /// The check that a proxy of the family sends about a request.
    fn check(&self, method: &str, uri: &str, more: &[(&str, &str)]) -> Parts {
        let base = format!("/forward-auth/{}", self.world.api.name());
        let told = match self.family {
            ProxyFamily::Nginx | ProxyFamily::Haproxy => Some(X_ORIGINAL),
            ProxyFamily::Traefik | ProxyFamily::Caddy => Some(X_FORWARDED),
            ProxyFamily::Envoy => None,
        };
        let mut request = match told {
            Some([named, at]) => Request::get(base).header(named, method).header(at, uri),
            None => Request::builder().method(method).uri(base + uri),
        };
        request = request.header("x-forwarded-for", CLIENT);
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    async fn ask<'r>(&self, check: &'r Parts) -> ForwardAnswer<'r> {
        self.ask_from(PROXY, check).await
    }

    async fn ask_from<'r>(&self, peer: &str, check: &'r Parts) -> ForwardAnswer<'r> {
        let peer: IpAddr = peer.parse().unwrap();
        let api = &self.world.api;
        self.forward.answer(api, check, peer, REQUEST_ID, NOW).await
    }

    async fn reason(&self, check: &Parts) -> Reason {
        let answer = self.ask(check).await;
        assert_ne!(answer.response.status(), 200);
        answer.outcome.unwrap().unwrap_err().reason
    }

    /// What the built-in proxy answers to the same request.
    async fn built_in(&self, target: &str, fields: &[(&str, &str)]) -> Reply {
        self.world.serve().get(target, fields).await
    }

    fn refusal(&self, id: &str) -> Parts {
        let path = format!("/forward-auth/{}/refusal", self.world.api.name());
        let request = Request::get(path).header("x-countersign-refusal", id);
        request.body(()).unwrap().into_parts().0
    }
}

fn identity(response: &Response<Bytes>) -> Vec<(String, String)> {
    let fields = response.headers().iter();
    let text = |it: &http::HeaderValue| it.to_str().unwrap().to_owned();
    let named = fields.map(|(name, value)| (name.to_string(), text(value)));
    let mut named: Vec<_> = named.collect();
    named.sort();
    named
}

fn named(fields: [(&str, &str); 6]) -> Vec<(String, String)> {
    let owned = fields.map(|(name, value)| (format!("x-countersign-{name}"), value.to_owned()));
    owned.into()
}

#[tokio::test]
async fn every_family_is_told_who_calls() {
    for (_, family) in ProxyFamily::NAMED {
        let scene = scene(MYPOPUP, family);
        let bearer = scene.world.bearer();
        let check = scene.check("POST", "/api/v1/x?a=%2F&b", &[("authorization", &bearer)]);
        let answer = scene.ask(&check).await;
        assert_eq!(answer.response.status(), 200, "{family:?}");
        assert!(answer.response.body().is_empty());
        let expected = named([
            ("account", &ACCOUNT.to_string()),
            ("api", "mypopup"),
            ("login", LOGIN),
            ("request-id", REQUEST_ID),
            ("session", &SESSION.to_string()),
            ("uri", "/api/v1/x?a=%2F&b"),
        ]);
        assert_eq!(identity(&answer.response), expected, "{family:?}");
        assert_eq!(*scene.world.used.lock().unwrap(), [(SESSION, 4)]);
        let original = answer.original.unwrap();
        assert_eq!(original.method, "POST");
        assert_eq!(original.path(), "/api/v1/x");
        assert_eq!(original.address.to_string(), CLIENT);
    }
}

#[tokio::test]
async fn a_static_key_opens_and_is_not_in_the_uri_that_is_told() {
    let scene = scene(APIRONE, ProxyFamily::Nginx);
    let path = format!("/api/v2/accounts/{LOGIN}/invoices");
    for (query, left) in [
        (format!("?transfer-key={KEY}"), ""),
        (format!("?a=1&transfer%2Dkey={KEY}&b"), "?a=1&b"),
    ] {
        let answer_to = scene.check("GET", &format!("{path}{query}"), &[]);
        let answer = scene.ask(&answer_to).await;
        let expected = named([
            ("account", &ACCOUNT.to_string()),
            ("api", "apirone"),
            ("login", LOGIN),
            ("request-id", REQUEST_ID),
            ("session", ""),
            ("uri", &format!("{path}{left}")),
        ]);
        assert_eq!(identity(&answer.response), expected);
    }
}

#[tokio::test]
async fn on_a_public_route_the_identity_is_told_empty() {
    let scene = scene(MYPOPUP, ProxyFamily::Caddy);
    let bearer = scene.world.bearer();
    let check = scene.check("GET", "/api/v1/public", &[("authorization", &bearer)]);
    let expected = named([
        ("account", ""),
        ("api", "mypopup"),
        ("login", ""),
        ("request-id", REQUEST_ID),
        ("session", ""),
        ("uri", "/api/v1/public"),
    ]);
    assert_eq!(identity(&scene.ask(&check).await.response), expected);
}

#[tokio::test]
async fn the_partner_is_told_what_the_built_in_proxy_would_tell() {
    for dialect in [MYPOPUP, B2BINPAY, APIRONE] {
        for (_, family) in ProxyFamily::NAMED {
            let scene = scene(dialect, family);
            for (target, bearer) in [
                ("/api/v1/x", "Bearer bad"),
                ("/deposit/x", "Basic YTpi"),
                ("/api/v2/accounts/x/y", "Bearer e30.e30.e30"),
                ("/nowhere", "Bearer bad"),
                ("/deposit/../x", "Bearer bad"),
            ] {
                let fields = [("authorization", bearer)];
                let check = scene.check("GET", target, &fields);
                let mut told = scene.ask(&check).await.response;
                if family == ProxyFamily::Nginx {
                    assert!([401, 403].contains(&told.status().as_u16()));
                    assert!(told.body().is_empty());
                    assert_eq!(told.headers().len(), 1, "{:?}", told.headers());
                    let asked = scene.refusal(REQUEST_ID);
                    let again = scene.ask(&asked).await;
                    assert_eq!(again.outcome, None, "it was logged before");
                    told = again.response;
                }
                let same = scene.built_in(target, &fields).await;
                assert_eq!(told.status(), same.status, "{family:?} {target}");
                assert_eq!(told.body(), &same.body, "{family:?} {target}");
                for (name, value) in told.headers() {
                    assert_eq!(same.headers.get(name), Some(value), "{name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_refused_head_has_no_body() {
    let scene = scene(MYPOPUP, ProxyFamily::Traefik);
    let check = scene.check("HEAD", "/api/v1/x", &[]);
    let response = scene.ask(&check).await.response;
    assert_eq!(
        (response.status().as_u16(), response.body().len()),
        (401, 0)
    );
}

#[tokio::test]
async fn only_trusted_proxies_are_answered() {
    let scene = scene(MYPOPUP, ProxyFamily::Traefik);
    let bearer = scene.world.bearer();
    let check = scene.check("GET", "/api/v1/x", &[("authorization", &bearer)]);
    let answer = scene.ask_from("192.0.2.1", &check).await;
    assert_eq!(answer.response.status(), 403);
    let media = &answer.response.headers()["content-type"];
    assert_eq!(media, "application/problem+json");
    let denied = answer.outcome.unwrap().unwrap_err();
    assert_eq!(denied.reason, Reason::ProxyUntrusted);
    assert!(answer.original.is_none());
}

#[tokio::test]
async fn an_api_without_a_proxy_of_its_own_gives_no_verdicts() {
    let mut scene = scene(MYPOPUP, ProxyFamily::Traefik);
    scene.world = Plan::new(MYPOPUP, "http://127.0.0.1:1").build();
    let bearer = scene.world.bearer();
    let check = scene.check("GET", "/api/v1/x", &[("authorization", &bearer)]);
    assert_eq!(scene.reason(&check).await, Reason::PathUnknown);
}

#[tokio::test]
async fn a_header_that_is_missing_repeated_or_of_another_family_is_denied() {
    for (_, family) in ProxyFamily::NAMED {
        let scene = scene(MYPOPUP, family);
        let bearer = scene.world.bearer();
        let bearer = ("authorization", bearer.as_str());
        let check = || scene.check("GET", "/api/v1/x", &[bearer]);
        let (own, foreign) = match family {
            ProxyFamily::Nginx | ProxyFamily::Haproxy => (&X_ORIGINAL[..], &X_FORWARDED[..]),
            ProxyFamily::Traefik | ProxyFamily::Caddy => (&X_FORWARDED[..], &X_ORIGINAL[..]),
            ProxyFamily::Envoy => (&[][..], &X_ORIGINAL[..]),
        };
        for name in own.iter().chain(&["x-forwarded-for"]) {
            let mut without = check();
            let value = without.headers.remove(*name).unwrap();
            let reason = scene.reason(&without).await;
            assert_eq!(reason, Reason::ProxyHeaderMissing, "{name}");
            for empty in ["", "  "] {
                without.headers.insert(*name, empty.parse().unwrap());
                let reason = scene.reason(&without).await;
                assert_eq!(reason, Reason::ProxyHeaderMissing, "{name}");
            }
            let mut twice = check();
            twice.headers.append(*name, value);
            assert_eq!(scene.reason(&twice).await, Reason::ProxyHeaders, "{name}");
        }
        let urls = ["x-rewrite-url", "x-original-url", "x-envoy-original-path"];
        for name in foreign.iter().chain(&urls) {
            for spelled in [
                (*name).to_owned(),
                name.replace('-', "_"),
                name.replace('-', "."),
            ] {
                let spoofed = [bearer, (&spelled, "/api/v1/public")];
                let spoofed = scene.check("GET", "/api/v1/x", &spoofed);
                let reason = scene.reason(&spoofed).await;
                assert_eq!(reason, Reason::ProxyHeaders, "{spelled}");
            }
        }
        for name in own {
            let alias = name.replace('-', "_");
            let spoofed = scene.check("GET", "/api/v1/x", &[bearer, (&alias, "/api/v1/public")]);
            assert_eq!(
                scene.reason(&spoofed).await,
                Reason::ProxyHeaders,
                "{alias}"
            );
        }
    }
}

#[tokio::test]
async fn what_a_proxy_owes_and_does_not_send_is_not_the_partners_fault() {
    for (_, family) in ProxyFamily::NAMED {
        let scene = scene(MYPOPUP, family);
        let bearer = scene.world.bearer();
        let mut check = scene.check("GET", "/api/v1/x", &[("authorization", &bearer)]);
        check.headers.remove("x-forwarded-for");
        let mut answer = scene.ask(&check).await;
        let denied = answer.outcome.take().unwrap().unwrap_err();
        let detail = "x-forwarded-for is missing from the proxy's check";
        assert_eq!(denied.detail.as_deref(), Some(detail));
        let mut told = answer.response;
        if family == ProxyFamily::Nginx {
            assert_eq!(told.status(), 403, "nginx knows no other");
            told = scene.ask(&scene.refusal(REQUEST_ID)).await.response;
        }
        assert_eq!(told.status(), 503, "{family:?}");
        assert!(told.headers().contains_key("retry-after"), "{family:?}");
        assert!(!told.body().is_empty(), "{family:?}");
    }
}

#[tokio::test]
async fn a_check_of_another_kind_of_proxy_is_not_the_partners_fault() {
    for (_, family) in ProxyFamily::NAMED {
        let scene = scene(MYPOPUP, family);
        for (_, other) in ProxyFamily::NAMED {
            let asks = Scene {
                family: other,
                ..self::scene(MYPOPUP, other)
            };
            let check = asks.check("GET", "", &[]);
            let told = |family| match family {
                ProxyFamily::Nginx | ProxyFamily::Haproxy => 0,
                ProxyFamily::Traefik | ProxyFamily::Caddy => 1,
                ProxyFamily::Envoy => 2,
            };
            if told(family) != told(other) {
                let reason = scene.reason(&check).await;
                assert_eq!(reason, Reason::ProxyHeaderMissing, "{family:?} {other:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_check_that_carries_our_own_headers_is_denied() {
    for (_, family) in ProxyFamily::NAMED {
        let scene = scene(MYPOPUP, family);
        let bearer = scene.world.bearer();
        for name in [
            "x-countersign-login",
            "x-countersign-account",
            "x-countersign-api",
            "x-countersign-session",
            "x-countersign-request-id",
            "x-countersign-uri",
            "x-countersign-refusal",
            "x-countersign-other",
            "x-countersign",
            "x_countersign_login",
            "x.countersign.login",
            "x-countersign_login",
            "x~countersign-login",
        ] {
            let fields = [("authorization", bearer.as_str()), (name, "root")];
            for target in ["/api/v1/x", "/api/v1/public"] {
                let check = scene.check("GET", target, &fields);
                let reason = scene.reason(&check).await;
                assert_eq!(reason, Reason::ProxyHeaders, "{family:?} {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_path_below_the_apis_is_for_envoy_alone() {
    let scene = scene(MYPOPUP, ProxyFamily::Caddy);
    let bearer = scene.world.bearer();
    let mut check = scene.check("GET", "/api/v1/x", &[("authorization", &bearer)]);
    for below in ["/", "/refusal", "/api/v1/x"] {
        check.uri = format!("/forward-auth/mypopup{below}").parse().unwrap();
        assert_eq!(scene.reason(&check).await, Reason::PathUnknown, "{below}");
    }
}

#[tokio::test]
async fn what_readers_of_a_uri_disagree_about_is_denied() {
    let scene = scene(MYPOPUP, ProxyFamily::Haproxy);
    let bearer = scene.world.bearer();
    for uri in [
        "api/v1/x",
        "http://host/api/v1/x",
        "//host/api/v1/x",
        "/api/v1/public/../x",
        "/api/v1/x#/../../public",
        "/api/v1/x?a#b",
        "/api/v1/x b",
        "/api/v1/x?a b",
        "/api/v1/%2e%2e/x",
        "/api/v1/é",
        "/api/v1/x?é",
        "/api/v1/public/..%3f/x",
        "/api/v1/x%23y",
        "/api/v1/public/%e2%80%a6/x",
    ] {
        let check = scene.check("GET", uri, &[("authorization", &bearer)]);
        assert_eq!(scene.reason(&check).await, Reason::PathAmbiguous, "{uri}");
    }
}

#[tokio::test]
async fn a_doubled_slash_is_refused_even_where_the_dialect_merges_it() {
    for family in [ProxyFamily::Nginx, ProxyFamily::Haproxy, ProxyFamily::Caddy] {
        let scene = scene(B2BINPAY, family);
        let bearer = scene.world.bearer();
        for uri in ["//deposit/1", "/deposit//1", "/deposit/1//", "//"] {
            let check = scene.check("GET", uri, &[("authorization", &bearer)]);
            assert_eq!(scene.reason(&check).await, Reason::PathAmbiguous, "{uri}");
        }
    }
}

#[tokio::test]
async fn the_method_that_is_told_is_judged() {
    let scene = scene(MYPOPUP, ProxyFamily::Nginx);
    for (method, reason) in [
        ("POST", Reason::TokenMissing),
        ("get", Reason::MethodUnknown),
        ("CONNECT", Reason::MethodUnknown),
        ("TRACE", Reason::MethodUnknown),
        ("TRACK", Reason::MethodUnknown),
        ("G T", Reason::ProxyHeaders),
        ("", Reason::ProxyHeaderMissing),
    ] {
        let check = scene.check(method, "/api/v1/public", &[]);
        assert_eq!(scene.reason(&check).await, reason, "{method:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_after_a_change_of_proxies_too() {
    let mut scene = scene(MYPOPUP, ProxyFamily::Nginx);
    let check = scene.check("GET", "/api/v1/x", &[]);
    assert_eq!(scene.reason(&check).await, Reason::TokenMissing);
    let others = TrustedProxies::parse(&["10.0.0.0/8", "192.0.2.0/24"]).unwrap();
    scene.forward = scene.forward.trusting(others);
    let asked = scene.refusal(REQUEST_ID);
    let told = scene.ask_from("192.0.2.1", &asked).await;
    assert_eq!(told.response.status(), 401);
    assert!(!told.response.body().is_empty());
}

#[tokio::test]
async fn a_path_is_judged_below_the_prefix_and_told_with_it() {
    let site = ApiSite::parse::<&str>(&[], "/gift").unwrap();
    let scene = scene_at(site, MYPOPUP, ProxyFamily::Caddy);
    let bearer = scene.world.bearer();
    let check = scene.check("GET", "/gift/api/v1/x?a=1", &[("authorization", &bearer)]);
    let answer = scene.ask(&check).await;
    assert_eq!(answer.response.status(), 200);
    assert_eq!(
        answer.response.headers()["x-countersign-uri"],
        "/gift/api/v1/x?a=1"
    );
    for beside in ["/api/v1/x", "/gifts/api/v1/x", "/gift%2fapi/v1/x"] {
        let check = scene.check("GET", beside, &[("authorization", &bearer)]);
        assert_eq!(scene.reason(&check).await, Reason::PathUnknown, "{beside}");
    }
}

#[tokio::test]
async fn the_address_is_the_one_that_the_proxy_saw() {
    let scene = scene(MYPOPUP, ProxyFamily::Envoy);
    scene.world.tell(&[RevocationNotice::Account(Account {
        allow: Allowlist::parse(&[CLIENT]).unwrap(),
        ..scene.world.account(ACCOUNT, LOGIN)
    })]);
    let bearer = scene.world.bearer();
    for (told, reason) in [
        (format!("203.0.113.9, {CLIENT}"), None),
        (
            format!("{CLIENT}, 203.0.113.9"),
            Some(Reason::AddressDenied),
        ),
        (
            format!("{CLIENT}, unknown"),
            Some(Reason::AddressUnreadable),
        ),
    ] {
        let mut check = scene.check("GET", "/api/v1/x", &[("authorization", &bearer)]);
        let told = told.parse().unwrap();
        check.headers.insert("x-forwarded-for", told);
        let refused = scene.ask(&check).await.outcome.unwrap().err();
        assert_eq!(refused.map(|denied| denied.reason), reason);
    }
}

#[tokio::test]
async fn a_path_of_which_http2_has_cut_something_off_is_not_judged() {
    for (_, family) in ProxyFamily::NAMED {
        let scene = scene(MYPOPUP, family);
        let bearer = scene.world.bearer();
        let mut check = scene.check("GET", "/api/v1/x", &[("authorization", &bearer)]);
        check.version = http::Version::HTTP_2;
        let refused = scene.ask(&check).await.outcome.unwrap().err();
        // The others tell it in a header.
        let expected = (family == ProxyFamily::Envoy).then_some(Reason::ProxyHeaderMissing);
        assert_eq!(refused.map(|denied| denied.reason), expected, "{family:?}");
    }
}

#[tokio::test]
async fn another_login_in_the_path_is_forbidden() {
    let scene = scene(APIRONE, ProxyFamily::Traefik);
    let bearer = scene.world.bearer();
    let path = format!("/api/v2/accounts/{OTHER_LOGIN}/invoices");
    let check = scene.check("GET", &path, &[("authorization", &bearer)]);
    assert_eq!(scene.reason(&check).await, Reason::ForeignPath);
}

#[tokio::test]
async fn a_refusal_that_is_not_known_is_no_success() {
    let scene = scene(MYPOPUP, ProxyFamily::Nginx);
    let check = scene.check("GET", "/api/v1/x", &[]);
    assert_eq!(scene.ask(&check).await.response.status(), 401);
    for id in ["", "another"] {
        let asked = scene.refusal(id);
        assert_eq!(scene.ask(&asked).await.response.status(), 503);
    }
    let mut twice = scene.refusal(REQUEST_ID);
    let id = REQUEST_ID.parse().unwrap();
    twice.headers.append("x-countersign-refusal", id);
    assert_eq!(scene.ask(&twice).await.response.status(), 503);
    let asked = scene.refusal(REQUEST_ID);
    let stranger = scene.ask_from("192.0.2.1", &asked).await;
    assert_eq!(stranger.response.status(), 403);
    let api = &scene.world.api;
    let late = NOW + Duration::from_secs(60);
    let proxy = PROXY.parse().unwrap();
    let late = scene
        .forward
        .answer(api, &asked, proxy, "other", late)
        .await;
    assert_eq!(late.response.status(), 503);
    assert_eq!(
        scene.ask(&asked).await.response.status(),
        503,
        "it is told once"
    );
}

#[test]
fn the_path_names_the_api() {
    for (path, api) in [
        ("/forward-auth/shop", Some("shop")),
        ("/forward-auth/shop/deposit/1", Some("shop")),
        ("/forward-auth/", Some("")),
        ("/forward-auth", None),
        ("/deposit/forward-auth/shop", None),
    ] {
        assert_eq!(asked_api(path), api);
    }
}

#[tokio::test]
async fn an_account_that_is_too_fast_is_throttled_here_too() {
    let scene = scene(MYPOPUP, ProxyFamily::Caddy);
    let mut account = scene.world.account(ACCOUNT, LOGIN);
    account.limits.requests_per_second = Some(1);
    scene.world.tell(&[RevocationNotice::Account(account)]);
    let bearer = scene.world.bearer();
    let check = scene.check("GET", "/api/v1/x", &[("authorization", &bearer)]);
    let mut answers = Vec::new();
    while answers.last() != Some(&429) && answers.len() < 10 {
        answers.push(scene.ask(&check).await.response.status().as_u16());
    }
    assert_eq!((answers[0], answers.last()), (200, Some(&429)));
    assert_eq!(scene.reason(&check).await, Reason::RequestsThrottled);
}
