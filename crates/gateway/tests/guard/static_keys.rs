//! A static key in the query or the body, which the upstream never sees.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use countersign_dialect::{PresentedCredential, Secret};
use countersign_domain::revocation::{Revocation, RevocationNotice};
use countersign_domain::{Account, Allowlist, CredentialId, Reason};
use countersign_gateway::{CallerProof, GuardDenial, GuardedRequest, RevocationView, authorize};
use countersign_testing::raw::exchange;
use countersign_testing::recording::{ReceivedRequest, RecordingServer};
use http::{Method, Request};
use http_body::{Body, Frame};
use tokio::time::{Sleep, sleep};

use crate::world::{
    ACCOUNT, APIRONE, Front, KEY, LOGIN, NOW, OTHER_KEY, Plan, REQUEST_ID, SECOND_KEY,
    SECOND_LOGIN, SESSION, World, echo_upstream,
};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn apirone() -> (World, Front, RecordingServer) {
    let echo = echo_upstream();
    let world = Plan::new(APIRONE, &echo.url).build();
    let front = world.serve();
    (world, front, echo)
}

fn home(rest: &str) -> String {
    format!("/api/v2/accounts/{LOGIN}/{rest}")
}

#[tokio::test]
async fn a_key_in_the_query_opens_on_every_method_and_stays_here() {
    let (world, front, _echo) = apirone().await;
    for (query, left) in [
        (format!("transfer-key={KEY}"), ""),
        (format!("a=1&transfer-key={KEY}&b=%2F"), "?a=1&b=%2F"),
        (format!("transfer%2Dkey={KEY}&a"), "?a"),
    ] {
        for method in ["GET", "POST", "PATCH", "DELETE"] {
            let target = home(&format!("invoices?{query}"));
            let received = ReceivedRequest::from_reply(&front.send(method, &target, &[], "").await);
            assert_eq!(
                received.target,
                home(&format!("invoices{left}")),
                "{method}"
            );
        }
    }
    let permit = world.last_outcome().unwrap();
    let caller = permit.caller().unwrap();
    assert_eq!(
        (caller.account.number(), caller.proof),
        (ACCOUNT, CallerProof::StaticKey)
    );
}

#[tokio::test]
async fn a_key_that_is_not_good_is_refused_for_its_own_reason() {
    let (world, front, echo) = apirone().await;
    for (query, reason) in [
        (
            "transfer-key=AbCdEfGhIjKlMnOpQrStUvWxYz012346".to_owned(),
            Reason::StaticKeyWrong,
        ),
        (format!("transfer-key={OTHER_KEY}"), Reason::ForeignPath),
        (format!("transfer_key={KEY}"), Reason::TokenMissing),
        (format!("Transfer-Key={KEY}"), Reason::TokenMissing),
        ("transfer-key=".to_owned(), Reason::RequestMalformed),
        (
            format!("transfer-key={KEY}&transfer-key={KEY}"),
            Reason::RequestMalformed,
        ),
    ] {
        let response = front.get(&home(&format!("invoices?{query}")), &[]).await;
        assert_ne!(response.status, 200, "{query}");
        assert_eq!(world.last_outcome().unwrap_err().reason, reason, "{query}");
    }
    assert_eq!(echo.count(), 0);
}

#[tokio::test]
async fn a_key_follows_its_account_and_its_credential() {
    let (world, front, _echo) = apirone().await;
    let wallet = format!("/api/v2/wallets/{SECOND_LOGIN}/invoices?transfer-key={SECOND_KEY}");
    let received = ReceivedRequest::from_reply(&front.get(&wallet, &[]).await);
    assert_eq!(received.field("x-countersign-login"), [SECOND_LOGIN]);

    let account = world.account(ACCOUNT, LOGIN);
    let elsewhere = Allowlist::parse(&["192.0.2.1"]).unwrap();
    for (notice, reason) in [
        (
            RevocationNotice::Account(Account {
                allow: elsewhere,
                ..account.clone()
            }),
            Reason::AddressDenied,
        ),
        (
            RevocationNotice::Account(Account {
                active: false,
                ..account.clone()
            }),
            Reason::AccountDisabled,
        ),
        (
            RevocationNotice::Account(Account {
                api: "other".parse().unwrap(),
                ..account.clone()
            }),
            Reason::StaticKeyWrong,
        ),
    ] {
        world.tell(&[notice]);
        front.get(&wallet, &[]).await;
        assert_eq!(world.last_outcome().unwrap_err().reason, reason);
    }
    world.tell(&[RevocationNotice::Account(account)]);
    assert_eq!(front.get(&wallet, &[]).await.status, 200);
    world.tell(&[RevocationNotice::CredentialGone(CredentialId(3))]);
    front.get(&wallet, &[]).await;
    assert_eq!(
        world.last_outcome().unwrap_err().reason,
        Reason::StaticKeyWrong
    );
}

#[tokio::test]
async fn a_key_in_a_json_body_opens_and_the_rest_stays_as_it_was() {
    let (_world, front, _echo) = apirone().await;
    let target = home("transfer");
    for (sent, left) in [
        (format!(r#"{{"transfer-key":"{KEY}"}}"#), "{}"),
        (
            format!(r#"{{"a" : 1.50 ,"transfer-key":"{KEY}", "b":"\u00fc"}}"#),
            r#"{"a" : 1.50 ,"b":"\u00fc"}"#,
        ),
    ] {
        let received =
            ReceivedRequest::from_reply(&front.send("POST", &target, &[JSON], &sent).await);
        let body = &received.body;
        assert_eq!(body, left);
        assert_eq!(received.field("content-length"), [body.len().to_string()]);
    }
    for media in [
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/vnd.api+json",
    ] {
        let sent = format!(r#"{{"transfer-key":"{KEY}"}}"#);
        let response = front
            .send("PATCH", &target, &[("content-type", media)], &sent)
            .await;
        assert_eq!(ReceivedRequest::from_reply(&response).body, "{}", "{media}");
    }
}

#[tokio::test]
async fn a_body_without_one_good_key_does_not_open() {
    let (world, front, echo) = apirone().await;
    let good = format!(r#"{{"transfer-key":"{KEY}"}}"#);
    let cases = [
        (JSON.1, format!(r#"{{"a":{good}}}"#), Reason::TokenMissing),
        (JSON.1, format!("[{good}]"), Reason::TokenMissing),
        (
            JSON.1,
            r#"{"transfer-key":7}"#.to_owned(),
            Reason::RequestMalformed,
        ),
        (
            JSON.1,
            r#"{"transfer-key":"no"}"#.to_owned(),
            Reason::StaticKeyWrong,
        ),
        (
            JSON.1,
            format!(r#"{{"transfer-key":"{OTHER_KEY}"}}"#),
            Reason::ForeignPath,
        ),
        (
            JSON.1,
            format!(r#"{{"transfer_key":"{KEY}"}}"#),
            Reason::TokenMissing,
        ),
        (
            JSON.1,
            format!(r#"{{"transfer-key":"{KEY}","transfer\u002dkey":"{KEY}"}}"#),
            Reason::RequestMalformed,
        ),
        (JSON.1, good[1..].to_owned(), Reason::RequestMalformed),
        (JSON.1, String::new(), Reason::TokenMissing),
        ("text/plain", good.clone(), Reason::TokenMissing),
        (
            "application/x-www-form-urlencoded",
            format!("transfer-key={KEY}"),
            Reason::TokenMissing,
        ),
    ];
    for (media, body, reason) in cases {
        front
            .send("POST", &home("transfer"), &[("content-type", media)], &body)
            .await;
        assert_eq!(
            world.last_outcome().unwrap_err().reason,
            reason,
            "{media} {body}"
        );
    }
    let coded = [JSON, ("content-encoding", "gzip")];
    front.send("POST", &home("transfer"), &coded, &good).await;
    assert_eq!(
        world.last_outcome().unwrap_err().reason,
        Reason::TokenMissing
    );
    assert_eq!(echo.count(), 0);
}

#[tokio::test]
async fn a_bearer_decides_and_the_keys_beside_it_stay_here() {
    let (world, front, _echo) = apirone().await;
    let bearer = world.bearer();
    let target = home(&format!("transfer?transfer-key={OTHER_KEY}&a=1"));
    let body = format!(r#"{{"transfer-key":"{OTHER_KEY}","a":1}}"#);
    let fields = [JSON, ("authorization", bearer.as_str())];
    let received = ReceivedRequest::from_reply(&front.send("POST", &target, &fields, &body).await);
    assert_eq!(received.target, home("transfer?a=1"));
    assert_eq!(received.body, r#"{"a":1}"#);
    assert!(!received.field("x-countersign-session").is_empty());

    let good = home(&format!("transfer?transfer-key={KEY}"));
    let bad_bearer = [("authorization", "Bearer a.b.c")];
    assert_eq!(front.send("POST", &good, &bad_bearer, "").await.status, 401);
}

#[tokio::test]
async fn on_a_public_route_keys_are_not_looked_at_and_stay_here() {
    let (_world, front, _echo) = apirone().await;
    let target = home("transfer?transfer-key=no&transfer-key=no&a=1");
    let received = ReceivedRequest::from_reply(&front.get(&target, &[]).await);
    assert_eq!(received.target, home("transfer?a=1"));
    let body = r#"{"transfer-key":"no","a":1}"#;
    let received =
        ReceivedRequest::from_reply(&front.send("PUT", &home("transfer"), &[JSON], body).await);
    assert_eq!(received.body, r#"{"a":1}"#);
}

#[tokio::test]
async fn a_key_in_the_query_and_another_in_the_body_are_two_callers() {
    let (world, front, _echo) = apirone().await;
    let target = home(&format!("transfer?transfer-key={KEY}"));
    let same = format!(r#"{{"transfer-key":"{KEY}","a":1}}"#);
    let received = ReceivedRequest::from_reply(&front.send("POST", &target, &[JSON], &same).await);
    assert_eq!(received.body, r#"{"a":1}"#);
    let other = format!(r#"{{"transfer-key":"{OTHER_KEY}","a":1}}"#);
    assert_eq!(
        front.send("POST", &target, &[JSON], &other).await.status,
        400
    );
    assert_eq!(
        world.last_outcome().unwrap_err().reason,
        Reason::RequestMalformed
    );
}

#[tokio::test]
async fn a_large_body_is_refused_only_where_a_key_in_it_would_have_to_decide() {
    let (world, front, _echo) = apirone().await;
    let large = |key: &str| format!(r#"{{"a":"{}","transfer-key":"{key}"}}"#, "x".repeat(70_000));
    let refused = front
        .send("POST", &home("transfer"), &[JSON], &large(KEY))
        .await;
    assert_eq!(refused.status, 413);
    assert_eq!(
        world.last_outcome().unwrap_err().reason,
        Reason::RequestTooLarge
    );

    let bearer = world.bearer();
    let fields = [JSON, ("authorization", bearer.as_str())];
    let body = large("x");
    let received =
        ReceivedRequest::from_reply(&front.send("POST", &home("transfer"), &fields, &body).await);
    assert_eq!(received.body, body);
    let received =
        ReceivedRequest::from_reply(&front.send("PUT", &home("transfer"), &[JSON], &body).await);
    assert_eq!(received.body, body, "on a public route");
}

#[tokio::test]
async fn a_large_body_of_unknown_length_is_put_together_again() {
    let (world, front, _echo) = apirone().await;
    let chunk = "y".repeat(0x8000);
    let chunks = format!("8000\r\n{chunk}\r\n").repeat(5);
    let request = |field: &str| {
        format!(
            "POST {} HTTP/1.1\r\nhost: a\r\n{field}connection: close\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n",
            home("transfer")
        )
    };
    let bearer = format!("authorization: {}\r\n", world.bearer());
    let received = ReceivedRequest::of_raw(&exchange(front.address, &request(&bearer)).await);
    assert_eq!(received.body, chunk.repeat(5));
}

#[tokio::test]
async fn the_largest_body_that_is_looked_into_has_64_kib() {
    let (_world, front, _echo) = apirone().await;
    let around = format!(r#"{{"transfer-key":"{KEY}","a":""}}"#).len();
    for (size, status) in [(64 * 1024, 200), (64 * 1024 + 1, 413)] {
        let body = format!(
            r#"{{"transfer-key":"{KEY}","a":"{}"}}"#,
            "x".repeat(size - around)
        );
        assert_eq!(body.len(), size);
        let response = front.send("POST", &home("transfer"), &[JSON], &body).await;
        assert_eq!(response.status, status, "{size}");
    }
}

#[tokio::test]
async fn no_credential_is_found_in_an_answer_or_an_outcome() {
    let (world, front, _echo) = apirone().await;
    let token = world.token();
    let bearer = format!("Bearer {token}");
    let forged = format!("{bearer}x");
    let good = format!("transfer?transfer-key={KEY}");
    let foreign = format!("transfer?transfer-key={OTHER_KEY}");
    let twice = format!("transfer?transfer-key={KEY}&transfer-key={KEY}");
    let body = format!(r#"{{"transfer-key":"{KEY}","transfer-key":"{KEY}"}}"#);
    let mut seen = String::new();
    for (rest, authorization) in [
        (&good, ""),
        (&foreign, ""),
        (&twice, ""),
        (&good, bearer.as_str()),
        (&good, forged.as_str()),
    ] {
        let fields = [JSON, ("authorization", authorization)];
        for body in ["", body.as_str()] {
            let response = front.send("POST", &home(rest), &fields, body).await;
            seen.push_str(&format!("{response:?} {:?}", world.last_outcome()));
        }
    }
    assert!(
        seen.contains("StaticKey") && seen.contains("TokenForged"),
        "{seen}"
    );
    for secret in [KEY, OTHER_KEY, token.as_str()] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
}

#[tokio::test]
async fn a_body_is_looked_into_under_every_type_that_the_dialect_takes_json_under() {
    let (world, front, _echo) = apirone().await;
    let bearer = world.bearer();
    let form = Some("application/x-www-form-urlencoded");
    for media in [None, Some(""), form, Some("Application/JSON; a=b")] {
        for (authorization, key) in [(None, KEY), (Some(&bearer), "K")] {
            let mut fields = Vec::new();
            fields.extend(media.map(|media| ("content-type", media)));
            fields.extend(authorization.map(|bearer| ("authorization", bearer.as_str())));
            let sent = format!(" \r\n{{\"a\":1,\"transfer-key\":\"{key}\"}}");
            let reply = front.send("POST", &home("transfer"), &fields, &sent).await;
            let left = ReceivedRequest::from_reply(&reply);
            assert_eq!(left.body, " \r\n{\"a\":1}", "{media:?}");
        }
    }
}

#[tokio::test]
async fn a_body_that_need_not_be_json_goes_on_as_it_is_unless_it_is() {
    let (world, front, _echo) = apirone().await;
    let bearer = world.bearer();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let long = format!("a={}", "x".repeat(70_000));
    for body in ["a=1&b=2", "", "  ", "{", "{a}=1", "[1]", &long] {
        let fields = [form, ("authorization", bearer.as_str())];
        let reply = front.send("POST", &home("transfer"), &fields, body).await;
        assert_eq!(ReceivedRequest::from_reply(&reply).body, body);
        front.send("POST", &home("transfer"), &[form], body).await;
        let denied = world.last_outcome().unwrap_err();
        assert_eq!(denied.reason, Reason::TokenMissing, "{body}");
    }
    let twice = format!(r#"{{"transfer-key":"{KEY}","transfer-key":"{KEY}"}}"#);
    let large = format!(r#"{{"transfer-key":"{KEY}","a":"{long}"}}"#);
    for (body, reason) in [
        (twice, Reason::RequestMalformed),
        (large, Reason::RequestTooLarge),
    ] {
        front.send("POST", &home("transfer"), &[form], &body).await;
        assert_eq!(world.last_outcome().unwrap_err().reason, reason);
    }
}

#[tokio::test]
async fn a_coded_body_in_which_a_key_could_hide_does_not_go_on() {
    let (world, front, echo) = apirone().await;
    let bearer = world.bearer();
    for media in ["application/json", "application/x-www-form-urlencoded", ""] {
        for coding in ["gzip", "identity, gzip", "x"] {
            let fields = [
                ("content-type", media),
                ("content-encoding", coding),
                ("authorization", bearer.as_str()),
            ];
            front.send("POST", &home("transfer"), &fields, "{}").await;
            let denied = world.last_outcome().unwrap_err();
            assert_eq!(denied.reason, Reason::RequestMalformed, "{media} {coding}");
            assert_eq!(denied.account.map(|id| id.number()), Some(ACCOUNT));
        }
    }
    assert_eq!(echo.count(), 0);
    for (media, coding, body) in [
        ("application/json", "gzip", ""),
        ("application/json", "Identity", "{}"),
        ("image/png", "gzip", "{}"),
    ] {
        let fields = [
            ("content-type", media),
            ("content-encoding", coding),
            ("authorization", bearer.as_str()),
        ];
        let reply = front.send("POST", &home("transfer"), &fields, body).await;
        assert_eq!(reply.status, 200, "{media} {coding}");
    }
}

/// A body whose sender loses its session while it is read.
struct Revoking(Arc<RevocationView>, Option<&'static str>);

impl Body for Revoking {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let until = NOW + Duration::from_secs(60);
        let ended = Revocation::Session {
            session: SESSION,
            until,
        };
        self.0.apply(&RevocationNotice::Revoked(ended), NOW);
        let piece = self.1.take().map(Bytes::from);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[tokio::test]
async fn a_session_that_is_revoked_while_the_body_is_read_does_not_pass() {
    let (world, _front, echo) = apirone().await;
    let request = Request::post(home("transfer"))
        .header(JSON.0, JSON.1)
        .header("authorization", world.bearer())
        .body(Revoking(Arc::clone(&world.view), Some(r#"{"a":1}"#)))
        .unwrap();
    let forwarded = world
        .gateway
        .forward(&world.api, request, world.client, REQUEST_ID, NOW);
    let denied = forwarded.await.outcome.unwrap_err();
    assert_eq!(denied.reason, Reason::SessionRevoked);
    assert_eq!(denied.session, Some(SESSION));
    assert_eq!(echo.count(), 0);
}

/// A body that comes in pieces, four seconds apart.
struct Slow {
    pieces: std::vec::IntoIter<&'static str>,
    pause: Pin<Box<Sleep>>,
}

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.pause.as_mut().poll(context));
        self.pause = Box::pin(sleep(Duration::from_secs(4)));
        let piece = self.pieces.next().map(Bytes::from);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_runs_out_while_the_body_is_read_does_not_pass() {
    let world = Plan::new(APIRONE, "http://127.0.0.1:1").build();
    for (pieces, outcome) in [(20, Reason::UpstreamFailed), (30, Reason::TokenExpired)] {
        let mut body = vec!["{}"];
        body.resize(pieces, " ");
        let request = Request::post(home("transfer"))
            .header(JSON.0, JSON.1)
            .header("authorization", world.bearer())
            .body(Slow {
                pieces: body.into_iter(),
                pause: Box::pin(sleep(Duration::ZERO)),
            })
            .unwrap();
        let forwarded = world
            .gateway
            .forward(&world.api, request, world.client, REQUEST_ID, NOW);
        let denied = forwarded.await.outcome.unwrap_err();
        assert_eq!(denied.reason, outcome, "{pieces} pieces");
    }
}

#[tokio::test]
async fn on_a_public_route_no_body_is_refused_for_what_is_in_it() {
    let (_world, front, _echo) = apirone().await;
    let gzip = ("content-encoding", "gzip");
    let differing = format!("transfer?transfer-key={KEY}");
    for (rest, fields, body, left) in [
        (&*differing, &[JSON][..], r#"{"transfer-key":"no"}"#, "{}"),
        (
            "transfer",
            &[JSON],
            r#"{"transfer-key":7,"a":1}"#,
            r#"{"a":1}"#,
        ),
        ("transfer", &[JSON], r#"{"a":"#, r#"{"a":"#),
        ("transfer", &[JSON], "\u{feff}{}", "\u{feff}{}"),
        ("transfer", &[JSON, gzip], "\x1f", "\x1f"),
    ] {
        let reply = front.send("PUT", &home(rest), fields, body).await;
        let received = ReceivedRequest::from_reply(&reply);
        assert_eq!(received.target, home("transfer"), "{body}");
        assert_eq!(received.body, left);
    }
}

#[tokio::test]
async fn a_network_that_guesses_keys_is_throttled_and_its_neighbour_s_key_is_not() {
    let world = Plan::new(APIRONE, "http://127.0.0.1:1").build();
    let path = home("invoices");
    let ask = |key: &str, address: &str| {
        let key = Secret::from(key.to_owned());
        let asked = GuardedRequest {
            method: &Method::GET,
            path: &path,
            presented: PresentedCredential::StaticKey(key),
            address: address.parse().unwrap(),
        };
        authorize(&world.api, &world.view, &asked, NOW)
    };
    let reason = |denied: &GuardDenial| (denied.reason, denied.retry_after);
    for _ in 0..300 {
        let denied = ask("guess", "127.0.0.9").unwrap_err();
        assert_eq!(reason(&denied), (Reason::StaticKeyWrong, None));
    }
    let denied = ask("guess", "127.0.0.9").unwrap_err();
    let wait = Duration::from_millis(200);
    assert_eq!(reason(&denied), (Reason::LoginThrottled, Some(wait)));
    assert!(ask(KEY, "127.0.0.9").is_ok());
    let elsewhere = ask("guess", "127.0.0.8").unwrap_err();
    assert_eq!(elsewhere.reason, Reason::StaticKeyWrong);
}
