//! A server whose configuration and certificate change while it runs, and one
//! that is started by systemd.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use std::os::unix::net::UnixDatagram;

use countersign_domain::Timestamp;
use countersign_testing::replies::{request, send};
use serde_json::json;
use support::Server;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// The life of a refresh token, in seconds.
const WEEK: u64 = 7 * 86_400;

const ONE: &str = "[apis.one]\ndialect = 'mypopup'\n";

/// Two apis that speak alike, one below a prefix.
const TWO: &str = "[apis.one]\ndialect = 'mypopup'\naccess = '5m'\n\
                   [apis.two]\ndialect = 'mypopup'\nprefix = '/two'\n";

fn credentials(account: &support::Account) -> String {
    json!({ "username": account.login, "password": account.secret }).to_string()
}

#[tokio::test]
async fn a_configuration_that_is_right_is_put_in_place_and_one_that_is_wrong_is_not() {
    let server = Server::start(ONE);
    let partner = credentials(&server.account("one", "partner", &[]));
    let login = async |path: &str| {
        server
            .send("127.0.0.1", "POST", path, &JSON, &partner)
            .await
    };
    // From the end of the access token to that of the refresh token.
    let rest = async || {
        let data = &login("/auth/login").await.json()["data"];
        let time = |name: &str| data[name].as_str().unwrap().parse::<Timestamp>();
        let end = time("refresh_expires_at").unwrap();
        WEEK - end.since(time("access_expires_at").unwrap()).as_secs()
    };
    assert_eq!(rest().await, 3600);
    assert_eq!(login("/two/auth/login").await.status, 404);

    server.reload(TWO, "the configuration was read again").await;
    assert_eq!(rest().await, 300);
    assert_eq!(
        login("/two/auth/login").await.status,
        401,
        "it is of another api"
    );
    let second = credentials(&server.account("two", "second", &[]));
    let reply = server.send("127.0.0.1", "POST", "/two/auth/login", &JSON, &second);
    assert_eq!(reply.await.status, 200);

    let wrong = TWO.replace("'5m'", "'5x'").replace("prefix", "prefx");
    server
        .reload(&wrong, "the configuration stays as it was")
        .await;
    assert_eq!(rest().await, 300);
    let log = server.log();
    assert!(
        log.contains("countersign.toml:3:10") && log.contains("prefx"),
        "{log}"
    );

    server
        .reload("[apis", "the configuration stays as it was")
        .await;
    std::fs::remove_file(server.file("countersign.toml")).unwrap();
    assert_eq!(rest().await, 300);
}

/// An editor or `cp` empties a file before it writes it anew.
#[tokio::test]
async fn a_file_that_is_empty_for_a_moment_takes_no_api_away() {
    let server = Server::start(ONE);
    let partner = credentials(&server.account("one", "partner", &[]));
    for empty in ["", "[server]\nlog = 'text'\n"] {
        let stays = "the configuration stays as it was: the configuration has no api";
        server.reload(empty, stays).await;
        let reply = server.send("127.0.0.1", "POST", "/auth/login", &JSON, &partner);
        assert_eq!(reply.await.status, 200, "{empty:?}");
    }
}

/// What `--config <(…)` leaves behind is a pipe that nobody writes to.
#[tokio::test]
async fn a_pipe_is_not_waited_for() {
    let server = Server::start(ONE);
    let file = server.file("countersign.toml");
    std::fs::remove_file(&file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.unwrap().success());
    server
        .hang_up("is not a file, so it cannot be read again")
        .await;
    std::fs::remove_file(&file).unwrap();
    server.reload(TWO, "the configuration was read again").await;
}

#[tokio::test]
async fn a_session_and_its_tokens_live_through_a_reload() {
    let server = Server::start(ONE);
    let partner = credentials(&server.account("one", "partner", &[]));
    let reply = server
        .send("127.0.0.1", "POST", "/auth/login", &JSON, &partner)
        .await;
    let refresh = json!({ "refresh_token": reply.json()["data"]["refresh_token"] }).to_string();
    server.reload(TWO, "the configuration was read again").await;
    let again = server
        .send("127.0.0.1", "POST", "/auth/refresh", &JSON, &refresh)
        .await;
    assert_eq!(again.status, 200, "{}", again.text());
}

#[tokio::test]
async fn what_a_reload_cannot_change_is_told() {
    let server = Server::start(ONE);
    let other = format!("[server]\nlog = 'json'\nidle_timeout = '1s'\n{ONE}");
    server
        .reload(&other, "the configuration was read again")
        .await;
    let log = server.log();
    assert!(
        log.contains("key=\"server.log\"") && log.contains("needs a restart"),
        "{log}"
    );
}

#[tokio::test]
async fn systemd_is_told_when_it_serves_reloads_and_stops() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("countersign.toml"), ONE).unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let told = || {
        let mut message = [0; 256];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let server = Server::run(directory, &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert_eq!(told(), "READY=1\n");
    server.signal("HUP");
    let reloading = told();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(told(), "READY=1\n");
    server.signal("TERM");
    assert_eq!(told(), "STOPPING=1\n");
    assert_eq!(server.ended().0, Some(0));
}

#[tokio::test]
async fn the_probes_move_to_a_listener_of_their_own() {
    let server = Server::start(&format!("[server]\nprobe_listen = '127.0.0.1:0'\n{ONE}"));
    let asked = request("GET", "/healthz", &[], "");
    let reply = send(server.admin(), asked).await;
    assert_eq!(
        reply.status, 401,
        "the admin listener has the admin API only"
    );
    let probes = server
        .probes
        .as_ref()
        .unwrap()
        .strip_prefix("http://")
        .unwrap();
    for path in ["/healthz", "/readyz", "/metrics"] {
        let asked = request("GET", path, &[], "");
        let reply = send(probes.parse().unwrap(), asked).await;
        assert_eq!(reply.status, 200, "{path}");
    }
    let asked = request("GET", "/admin/v1/stats", &[], "");
    let reply = send(probes.parse().unwrap(), asked).await;
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn keys_that_change_around_a_reload_hold_for_issuer_and_guard() {
    let one = "[apis.pay]\ndialect = 'b2binpay'\n";
    let server = Server::start(one);
    let keys = async || {
        let path = "/.well-known/countersign/pay/jwks.json";
        let reply = server.send("127.0.0.1", "GET", path, &[], "").await;
        assert_eq!(reply.header("content-type"), "application/jwk-set+json");
        reply.json()["keys"].as_array().unwrap().len()
    };
    assert_eq!(keys().await, 1);
    server
        .reload(
            &format!("{one}access = '2m'\n"),
            "the configuration was read again",
        )
        .await;
    let key = server.admin_key();
    let headers = [JSON[0], ("authorization", &*format!("Bearer {key}"))];
    let publish = json!({ "api": "pay", "algorithm": "RS256" }).to_string();
    let asked = request("POST", "/admin/v1/keys", &headers, publish);
    let reply = send(server.admin(), asked).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(keys().await, 2);
    server.reload(one, "the configuration was read again").await;
    assert_eq!(keys().await, 2);
}
