//! Header fields: ours in, forged ones out, hop-by-hop ones dropped.

use bytes::Bytes;
use countersign_domain::revocation::RevocationNotice;
use countersign_domain::{Account, Reason};
use countersign_relay::{FieldShape, known_reserved_fields, reserved_shapes};
use countersign_testing::raw::exchange;
use countersign_testing::recording::{ReceivedRequest, RecordingServer};
use countersign_testing::replies::Reply;

use countersign_gateway::ApiSite;
use http::{Request, Version};
use http_body::Body;
use http_body_util::Empty;

use crate::world::{
    ACCOUNT, APIRONE, B2BINPAY, KEY, LOGIN, MYPOPUP, NOW, Plan, REQUEST_ID, SESSION, echo_upstream,
};

/// Every field that an upstream could take for one of ours, as `name: value`.
fn identity(received: &ReceivedRequest) -> Vec<String> {
    let plain = |name: &str| {
        name.to_lowercase()
            .replace(|c: char| !c.is_alphanumeric(), "-")
    };
    let names = received.names();
    let mut ours: Vec<String> = names
        .into_iter()
        .filter(|name| plain(name).starts_with("x-countersign"))
        .map(|name| format!("{name}: {}", received.field(name).join(" + ")))
        .collect();
    ours.sort();
    ours
}

fn expected(api: &str, login: &str, session: bool) -> Vec<String> {
    let mut expected = vec![
        format!("x-countersign-account: {ACCOUNT}"),
        format!("x-countersign-api: {api}"),
        format!("x-countersign-login: {login}"),
        format!("x-countersign-request-id: {REQUEST_ID}"),
    ];
    expected.extend(session.then(|| format!("x-countersign-session: {SESSION}")));
    expected
}

#[tokio::test]
async fn the_upstream_learns_who_calls() {
    for (dialect, path) in [
        (B2BINPAY, "/deposit".to_owned()),
        (MYPOPUP, "/api/v1/x".to_owned()),
        (APIRONE, format!("/api/v2/accounts/{LOGIN}/x")),
    ] {
        let echo = echo_upstream();
        let world = Plan::new(dialect, &echo.url).build();
        let front = world.serve();
        let response = front
            .get(&path, &[("authorization", &world.bearer())])
            .await;
        let received = ReceivedRequest::from_reply(&response);
        assert_eq!(identity(&received), expected(dialect, LOGIN, true));
        assert!(received.field("authorization").is_empty(), "{dialect}");
    }
}

#[tokio::test]
async fn a_static_key_has_no_session() {
    let echo = echo_upstream();
    let world = Plan::new(APIRONE, &echo.url).build();
    let front = world.serve();
    let target = format!("/api/v2/accounts/{LOGIN}/x?transfer-key={KEY}");
    let received = ReceivedRequest::from_reply(&front.get(&target, &[]).await);
    assert_eq!(identity(&received), expected(APIRONE, LOGIN, false));
}

#[tokio::test]
async fn forged_identity_is_stripped_in_every_alias_on_public_routes_too() {
    let echo = echo_upstream();
    let world = Plan::new(MYPOPUP, &echo.url).build();
    let front = world.serve();
    let bearer = world.bearer();
    let mut forged: Vec<(&str, &str)> = [
        "x-countersign-account",
        "X-Countersign-Account",
        "X-COUNTERSIGN-LOGIN",
        "x_countersign_account",
        "X_Countersign_Login",
        "x.countersign.account",
        "x-countersign_account",
        "x_countersign-session",
        "x.countersign_api",
        "x-countersign.request-id",
        "x~countersign~account",
        "x-countersign",
        "x-countersign-scope",
        "x_countersign_refusal",
    ]
    .map(|name| (name, "1"))
    .to_vec();
    forged.push(("x-countersign-account", "2"));
    let public = ReceivedRequest::from_reply(&front.get("/api/v1/public", &forged).await);
    assert_eq!(
        identity(&public),
        [
            format!("x-countersign-api: {MYPOPUP}"),
            format!("x-countersign-request-id: {REQUEST_ID}"),
        ]
    );
    forged.push(("authorization", &bearer));
    let guarded = ReceivedRequest::from_reply(&front.get("/api/v1/x", &forged).await);
    assert_eq!(identity(&guarded), expected(MYPOPUP, LOGIN, true));
    let public = ReceivedRequest::from_reply(&front.get("/api/v1/public", &forged).await);
    assert!(public.field("authorization").is_empty());
}

#[tokio::test]
async fn connection_options_take_nothing_of_ours_away() {
    let echo = echo_upstream();
    let world = Plan::new(MYPOPUP, &echo.url).build();
    let front = world.serve();
    let request = format!(
        "GET /api/v1/x HTTP/1.1\r\nhost: front.example\r\nauthorization: {}\r\n\
         connection: close, X-Countersign-Account, authorization, host\r\n\
         connection: x-private ,x-forwarded-for,x-countersign-login\r\n\
         x-private: 1\r\nx-kept: 1\r\nkeep-alive: timeout=5\r\nproxy-connection: keep-alive\r\nte: trailers\r\n\
         trailer: x-countersign-account\r\nupgrade: websocket\r\nproxy-authorization: Basic YTpi\r\n\
         proxy-authenticate: Basic\r\nexpect: 100-continue\r\nx-countersign-account: 1\r\n\r\n",
        world.bearer()
    );
    let reply = exchange(front.address, &request).await;
    let reply = reply
        .strip_prefix("HTTP/1.1 100 Continue\r\n\r\n")
        .unwrap_or(&reply);
    let received = ReceivedRequest::of_raw(reply);
    assert_eq!(identity(&received), expected(MYPOPUP, LOGIN, true));
    assert_eq!(received.field("x-kept"), ["1"]);
    assert_eq!(received.field("x-forwarded-for"), ["127.0.0.9"]);
    let mut others = received.names();
    others.retain(|name| !name.starts_with("x-countersign") && !name.starts_with("x-forwarded"));
    others.sort_unstable();
    assert_eq!(others, ["host", "x-kept"]);
}

#[tokio::test]
async fn trailers_do_not_go_on() {
    let echo = echo_upstream();
    let world = Plan::new(MYPOPUP, &echo.url).build();
    let front = world.serve();
    let request = format!(
        "POST /api/v1/x HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\nconnection: close\r\n\
         trailer: x-countersign-account\r\ntransfer-encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\nx-countersign-account: 1\r\n\r\n",
        world.bearer()
    );
    let received = ReceivedRequest::of_raw(&exchange(front.address, &request).await);
    assert_eq!(received.body, "hello");
    assert!(received.trailers.is_empty());
    assert_eq!(received.field("transfer-encoding"), ["chunked"]);
}

#[tokio::test]
async fn whence_a_request_came_is_for_us_to_say() {
    let echo = echo_upstream();
    let world = Plan::new(MYPOPUP, &echo.url).build();
    let front = world.serve();
    for lies in lies().chunks(40) {
        let mut fields: Vec<_> = lies.iter().map(|name| (&**name, "203.0.113.1")).collect();
        fields.push(("host", "partner.example"));
        let received = ReceivedRequest::from_reply(&front.get("/api/v1/public", &fields).await);
        told_ours_alone(&received, &echo);
    }
}

/// The four fields in which the guard tells the way of a request, and none else.
fn told_ours_alone(received: &ReceivedRequest, echo: &RecordingServer) {
    for (name, values) in [
        ("x-forwarded-for", &["127.0.0.9"][..]),
        ("x-forwarded-host", &["partner.example"]),
        ("x-forwarded-proto", &["http"]),
        ("host", &[echo.url.trim_start_matches("http://")]),
    ] {
        assert_eq!(received.field(name), values, "{name}");
    }
    let mut names = received.names();
    names.retain(|name| !name.starts_with("x-countersign"));
    names.sort_unstable();
    let ours = [
        "host",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    ];
    assert_eq!(names, ours);
}

/// What a client could say of itself, in the spellings that some upstream reads.
fn lies() -> Vec<String> {
    let unknown = reserved_shapes().filter_map(|shape| match shape {
        FieldShape::Is(_) => None,
        FieldShape::Begins(start) => Some(format!("{start}-acme")),
        FieldShape::Ends(end) => Some(format!("acme-{end}")),
        FieldShape::Has(part) => Some(format!("acme-{part}-acme")),
    });
    let spelled = known_reserved_fields().flat_map(|name| {
        let aliases = ["-", "_", ".", "~"].map(|separator| name.replace('-', separator));
        let some = name.replacen('-', "_", 1);
        let more = [name.to_uppercase(), some];
        aliases.into_iter().chain(more)
    });
    let framing = ["Content_Length", "Transfer_Encoding"].map(str::to_owned);
    spelled.chain(unknown).chain(framing).collect()
}

#[tokio::test]
async fn the_upstream_is_told_what_the_client_spoke_and_asked_for() {
    let echo = echo_upstream();
    let mut plan = Plan::new(MYPOPUP, &echo.url);
    plan.client.tls = true;
    plan.client.address = "::ffff:192.0.2.7".parse().unwrap();
    plan.site = ApiSite::parse::<&str>(&[], "/pay/v1").unwrap();
    let front = plan.build().serve();
    let lie = [("x-forwarded-prefix", "/elsewhere")];
    let received = ReceivedRequest::from_reply(&front.get("/api/v1/public", &lie).await);
    assert_eq!(received.field("x-forwarded-prefix"), ["/pay/v1"]);
    assert_eq!(received.field("x-forwarded-proto"), ["https"]);
    assert_eq!(received.field("x-forwarded-for"), ["192.0.2.7"]);
}

#[tokio::test]
async fn what_http_2_spells_otherwise_goes_on_as_http_1_has_it() {
    let echo = echo_upstream();
    let world = Plan::new(MYPOPUP, &echo.url).build();
    let request = Request::get("https://partner.example/api/v1/public")
        .version(Version::HTTP_2)
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x_countersign_account", "1")
        .header("te", "trailers")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let answer = world
        .gateway
        .forward(&world.api, request, world.client, REQUEST_ID, NOW)
        .await;
    let received = ReceivedRequest::from_reply(&Reply::whole(answer.response).await.unwrap());
    assert_eq!(received.field("cookie"), ["a=1; b=2"]);
    assert_eq!(received.field("x-forwarded-host"), ["partner.example"]);
    assert_eq!(received.target, "/api/v1/public");
    assert_eq!(identity(&received).len(), 2);
    assert!(received.field("te").is_empty());
}

#[tokio::test]
async fn the_bearer_goes_on_only_where_it_is_asked_for_and_was_looked_at() {
    let echo = echo_upstream();
    let mut plan = Plan::new(APIRONE, &echo.url);
    plan.forward_authorization = true;
    let world = plan.build();
    let front = world.serve();
    let (bearer, basic) = (world.bearer(), "Basic YTpi".to_owned());
    let guarded = format!("/api/v2/accounts/{LOGIN}/x");
    let by_key = format!("{guarded}?transfer-key={KEY}");
    let public = format!("/api/v2/accounts/{LOGIN}/transfer");
    for (target, sent, goes_on) in [
        (&guarded, &bearer, true),
        (&by_key, &bearer, true),
        (&by_key, &basic, false),
        (&public, &bearer, false),
        (&public, &basic, false),
    ] {
        let response = front.get(target, &[("authorization", sent)]).await;
        let received = ReceivedRequest::from_reply(&response);
        let expected: &[&str] = if goes_on { &[sent] } else { &[] };
        assert_eq!(received.field("authorization"), expected, "{target} {sent}");
        assert!(!received.target.contains(KEY), "{target}");
    }
}

#[tokio::test]
async fn a_login_cannot_end_its_field_or_be_read_in_two_ways() {
    let echo = echo_upstream();
    let world = Plan::new(MYPOPUP, &echo.url).build();
    let front = world.serve();
    let bearer = world.bearer();
    for (name, encoded) in [
        ("partner@example.com", "partner@example.com"),
        ("J\u{fc}rgen K", "J%C3%BCrgen%20K"),
        ("a\r\nx-admin: 1", "a%0D%0Ax-admin:%201"),
        ("100%20", "100%2520"),
        ("\u{1b}[31m\0", "%1B[31m%00"),
    ] {
        world.tell(&[RevocationNotice::Account(Account {
            name: name.to_owned(),
            ..world.account(ACCOUNT, name)
        })]);
        let received = ReceivedRequest::from_reply(
            &front.get("/api/v1/x", &[("authorization", &bearer)]).await,
        );
        assert_eq!(received.field("x-countersign-login"), [encoded]);
        assert!(received.field("x-admin").is_empty());
    }
}

#[tokio::test]
async fn the_client_gets_no_identity_fields_from_the_upstream() {
    let echo = echo_upstream();
    let world = Plan::new(MYPOPUP, &echo.url).build();
    let front = world.serve();
    let response = front.get("/api/v1/public", &[]).await;
    assert_eq!(response.headers["x-upstream"], "echo");
    assert!(!response.headers.contains_key("x-countersign-account"));
}

#[tokio::test]
async fn a_refusal_carries_its_support_id_and_to_head_no_body() {
    let echo = echo_upstream();
    let world = Plan::new(MYPOPUP, &echo.url).build();
    let front = world.serve();
    let refused = front.get("/api/v1/x", &[]).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.headers["x-countersign-refusal"], REQUEST_ID);
    assert!(
        refused
            .text()
            .contains("Authentication required or failed.")
    );
    assert_eq!(
        world.last_outcome().unwrap_err().reason,
        Reason::TokenMissing
    );
    let head = Request::head("/api/v1/x")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let answer = world
        .gateway
        .forward(&world.api, head, world.client, REQUEST_ID, NOW)
        .await;
    assert_eq!(answer.response.status(), 401);
    assert!(answer.response.body().is_end_stream());
    assert_eq!(echo.count(), 0);
}
