//! Every dialect that comes with the program has a sandbox.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_dialect::{Dialect, UnderstoodReply};
use countersign_domain::{Refusal, TokenOperation};
use countersign_relay::UpstreamSettings;
use countersign_sandbox::{RequestExpectations, Sandbox, SetupError};
use countersign_testing::recording::RecordingServer;
use http::Response;
use serde_json::Value;

use crate::client::{Client, exchange, reply};
use crate::{SECOND, start, still};

#[tokio::test]
async fn a_client_of_each_dialect_logs_in_refreshes_and_calls() {
    for (name, _) in Dialect::SHIPPED {
        let sandbox = still(name).await;
        let mut client = Client::logged_in(&sandbox).await;
        client.refresh().await.unwrap();
        let echoed = reply(&client.call().await);
        assert_eq!(echoed.status(), 200, "{name}");
        let echoed: Value = serde_json::from_slice(echoed.body()).unwrap();
        assert_eq!(echoed["path"], "/deposit/7", "{name}");
        assert_eq!(echoed["query"], "page=2", "{name}");
        let expected = RequestExpectations::new()
            .logins(1)
            .refreshes(1)
            .max_refused(0);
        assert_eq!(sandbox.check(&expected), Ok(()), "{name}");
    }
}

#[tokio::test]
async fn a_variant_with_rsa_signatures_gets_its_key_when_somebody_logs_in() {
    let sandbox = still("b2binpay").await;
    let mut v3 = Client::of(&sandbox).in_variant("v3");
    let granted = v3.login().await.unwrap();
    assert_eq!(granted.refresh_token, None);
    assert_eq!(v3.called().await, Ok(200));
    let mut v2 = Client::logged_in(&sandbox).await;
    assert_eq!(v2.refresh().await.map(drop), Ok(()));
}

#[tokio::test]
async fn lifetimes_and_budget_are_the_vendors_unless_they_are_said() {
    let preset = still("b2binpay").await;
    let granted = Client::of(&preset).login().await.unwrap();
    assert_eq!(granted.access_expires_at.since(preset.now()), SECOND * 180);

    let setup = Sandbox::shipped("b2binpay").still();
    let sandbox = start(setup.lifetimes(SECOND * 5, SECOND * 60).budget(Some(2))).await;
    let client = Client::logged_in(&sandbox).await;
    let granted = client.held.as_ref().unwrap();
    let life = granted.access_expires_at.since(sandbox.now());
    assert!(life > SECOND * 4 && life <= SECOND * 5, "{life:?}");
    for expected in [Ok(200), Ok(200), Err(Refusal::BadBearer)] {
        assert_eq!(client.called().await, expected);
    }
}

#[tokio::test]
async fn a_variant_has_its_own_life_and_budget() {
    let sandbox = still("b2binpay").await;
    let mut v3 = Client::of(&sandbox).in_variant("v3");
    let granted = v3.login().await.unwrap();
    let life = granted.access_expires_at.since(sandbox.now());
    assert!(life > SECOND * 3_598 && life <= SECOND * 3_600, "{life:?}");
    for _ in 0..41 {
        assert_eq!(v3.called().await, Ok(200));
    }
    let v2 = Client::logged_in(&sandbox).await;
    for _ in 0..40 {
        assert_eq!(v2.called().await, Ok(200));
    }
    assert_eq!(v2.called().await, Err(Refusal::BadBearer));
}

#[tokio::test]
async fn b2binpay_counts_every_login_of_an_address_and_no_refresh() {
    let sandbox = still("b2binpay").await;
    let mut client = Client::logged_in(&sandbox).await;
    for _ in 0..20 {
        client.refresh().await.unwrap();
    }
    let login = async || {
        let login = Client::of(&sandbox).login().await;
        login.map(drop).map_err(|refused| refused.refusal)
    };
    for _ in 1..15 {
        assert_eq!(login().await, Ok(()));
    }
    assert_eq!(login().await, Err(Refusal::Throttled));
    assert_eq!(client.refresh().await.map(drop), Ok(()));
    sandbox.advance(SECOND * 60);
    assert_eq!(login().await, Ok(()));

    let setup = Sandbox::shipped("b2binpay").still();
    let sandbox = start(setup.anonymous_per_minute(None)).await;
    for _ in 0..40 {
        let login = Client::of(&sandbox).login().await;
        assert_eq!(login.map(drop), Ok(()));
    }
}

#[tokio::test]
async fn a_doubled_slash_is_read_as_the_vendor_reads_it() {
    let sandbox = still("apirone").await;
    let client = Client::logged_in(&sandbox).await;
    let token = client.held.as_ref().unwrap().access_token.expose();
    let head = format!("GET /api//v2/accounts HTTP/1.1\r\nAuthorization: Bearer {token}\r\n");
    let echoed = reply(&exchange(sandbox.url(), &head, b"").await);
    assert_eq!(echoed.status(), 200);
    let echoed: Value = serde_json::from_slice(echoed.body()).unwrap();
    assert_eq!(echoed["path"], "/api/v2/accounts");
}

#[tokio::test]
async fn what_does_not_fit_together_is_told() {
    let told = |setup: countersign_sandbox::SandboxSetup| async {
        match setup.start().await {
            Err(error) => error.to_string(),
            Ok(_) => panic!("it started"),
        }
    };
    let unknown = told(Sandbox::shipped("b2binpya")).await;
    assert!(unknown.contains("b2binpay"), "{unknown}");
    let setup = || Sandbox::shipped("mypopup");
    let short = told(setup().access(SECOND / 2)).await;
    assert!(short.contains("whole seconds"), "{short}");
    let crossed = told(setup().refresh(SECOND)).await;
    assert!(crossed.contains("give both"), "{crossed}");
    let taken = still("mypopup").await;
    let address = taken.url().strip_prefix("http://").unwrap();
    let error = setup().listen(address.parse().unwrap()).start().await;
    assert!(matches!(error.err(), Some(SetupError::Listen { .. })));
}

/// The files of real vendors that are for clients only.
fn files_for_clients() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dialect/tests/catalogue");
    let entries = std::fs::read_dir(folder).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let is_for_clients = |path: &PathBuf| {
        let source = std::fs::read_to_string(path).unwrap_or_default();
        source.contains("serves = [\"client\"]")
    };
    let files: Vec<_> = files.filter(is_for_clients).collect();
    assert!(files.len() >= 10, "{files:?}");
    files
}

async fn sandbox_of(source: &str) -> Sandbox {
    let dialect = Dialect::compile(source, "acme.toml").map_err(|it| it.to_string());
    start(Sandbox::speaking(Arc::new(dialect.unwrap())).still()).await
}

#[tokio::test]
async fn a_dialect_for_clients_is_played_as_its_own_client_reads_it() {
    for file in files_for_clients() {
        let sandbox = sandbox_of(&std::fs::read_to_string(&file).unwrap()).await;
        let name = sandbox.dialect().name().to_owned();
        let mut client = Client::logged_in(&sandbox).await;
        assert_eq!(client.called().await, Ok(200), "{name}");
        let variant = sandbox.dialect().variants().next().unwrap();
        let refusal = format!("Each {} is refused", TokenOperation::Refresh.name());
        let unplayed = sandbox.not_played().iter();
        let is_refused = unplayed.clone().any(|it| it.starts_with(&refusal));
        if sandbox.dialect().refreshes(variant) {
            let told = client.refresh().await.map(drop).map_err(|it| it.refusal);
            let expected = match is_refused {
                true => Err(Refusal::BadRefresh),
                false => Ok(()),
            };
            assert_eq!(told, expected, "{name}");
        } else {
            assert_eq!(sandbox.not_played(), &[] as &[String], "{name}");
        }
        let logins = match is_refused {
            true => client.login().await.map(|_| 2),
            false => Ok(1),
        };
        assert_eq!(client.called().await, Ok(200), "{name}");
        let wrong = Client::of(&sandbox).with_secret("wrong").login().await;
        assert_eq!(wrong.unwrap_err().refusal, Refusal::BadLogin, "{name}");
        let expected = RequestExpectations::new().logins(logins.unwrap());
        assert_eq!(sandbox.check(&expected), Ok(()), "{name}");
    }
}

#[tokio::test]
async fn a_logout_in_a_dialect_for_clients_ends_the_session() {
    for file in files_for_clients() {
        let sandbox = sandbox_of(&std::fs::read_to_string(&file).unwrap()).await;
        if sandbox.dialect().logout_scope().is_none() {
            continue;
        }
        let client = Client::logged_in(&sandbox).await;
        let name = sandbox.dialect().name();
        let answer = reply(&client.send(TokenOperation::Logout).await);
        let understood = client.understand(TokenOperation::Logout, &answer);
        assert_eq!(understood, UnderstoodReply::Done, "{name}");
        assert!(client.called().await.is_err(), "{name}");
    }
}

/// The least that a file for clients says.
const LEAST: &str = r#"
    schema = 1
    name = "acme"
    serves = ["client"]
    [session]
    refresh = "none"
    login = "keeps"
    [credential]
    extra = ["app_key"]
    [[login]]
    path = "/token"
    request.media = "application/vnd.acme+json"
    request.body = '{"id": "{login}", "key": "{secret}", "app": "{extra.app_key}"}'
    reply.success = { "/status/code" = 0, "/ok" = true }
    reply.body = '{"ok": false, "token": "{access_token}", "org": "{extra.org}"}'
    [guard]
    present = [{ header = "X-Org", value = "{extra.org}" }, { header = "X-Auth", value = "{access_token}" }]
    [errors]
    [refusals]
"#;

#[tokio::test]
async fn what_a_file_for_clients_leaves_open_is_made_up_and_told() {
    for (expiry, life, told) in [
        ("access = \"30m\"", 30 * 60, None),
        ("sliding = \"5m\"", 5 * 60, Some("5m after it was issued")),
        (
            "access = \"jwt\"",
            10 * 60,
            Some("how long an access token lives"),
        ),
    ] {
        let source = LEAST.replace("\"app_key\"", "\"app_key\", \"org\"");
        let sandbox = sandbox_of(&format!("{source}\n[expiry]\n{expiry}")).await;
        let mut client = Client::of(&sandbox);
        let granted = client.login().await.unwrap();
        let span = granted.access_expires_at.since(sandbox.now());
        assert_eq!(
            span.as_secs() + u64::from(span.subsec_nanos() > 0),
            life,
            "{expiry}"
        );
        assert_eq!(granted.extra["org"].expose(), "sandbox");
        assert_eq!(client.called().await, Ok(200), "{expiry}");
        let made_up = sandbox.made_up().join("\n");
        for said in [
            "Every value of `extra.app_key`",
            "for `extra.org`",
            "are those of RFC 6749",
        ]
        .into_iter()
        .chain(told)
        {
            assert!(made_up.contains(said), "{said}: {made_up}");
        }
        assert_eq!(sandbox.not_played(), &[] as &[String]);
        sandbox.advance(SECOND * u32::try_from(life).unwrap());
        assert_eq!(client.called().await, Err(Refusal::BadBearer), "{expiry}");
    }
}

#[tokio::test]
async fn a_server_can_stand_behind_the_guard() {
    let upstream = RecordingServer::start(|_| Response::new(r#"{"data": []}"#.into()));
    let url = upstream.url.parse().unwrap();
    let setup = Sandbox::shipped("mypopup").still();
    let sandbox = start(setup.upstream(UpstreamSettings::new(url))).await;
    let client = Client::logged_in(&sandbox).await;
    let answered = reply(&client.call().await);
    assert_eq!(answered.body().as_ref(), b"{\"data\": []}");
    let received = upstream.take().remove(0);
    let asked = (&*received.method, &*received.target);
    assert_eq!(asked, ("GET", "/deposit/7?page=2"));
    assert!(received.field("authorization").is_empty());
    sandbox.advance(crate::HOUR);
    assert_eq!(client.called().await, Err(Refusal::BadBearer));
}
