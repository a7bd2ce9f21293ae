//! Where calls go, and what a dialect's `present` sends with each token.

use countersign_domain::TokenOperation;
use countersign_sandbox::Sandbox;
use countersign_testing::recording::RecordingServer;
use countersign_testing::waiting::eventually;
use http::Response;

use crate::program::Home;

const DIALECT: &str = r#"
schema = 1
name = "acme"
serves = ["client"]

[credential]
extra = ["key", "org"]

[session]
refresh = "rotate"
login = "keeps"

[[login]]
path = "/login"
request.body = '{"login": "{login}", "password": "{secret}", "key": "{extra.key}"}'
reply.body = '{"token": "{access_token}", "ttl": "{access_expires_at:in}"}'

[guard]
present = [
    { header = "Authorization", value = "Bearer {access_token}" },
    { header = "X-Key", value = "{extra.key}" },
    { header = "X-Org", value = "{extra.org}" },
]
"#;

/// Gives a token named by the key of the login, and tells of other requests what
/// came in the headers.
fn vendor() -> String {
    let server = RecordingServer::start(|request| {
        let answer = match serde_json::from_slice::<serde_json::Value>(&request.body) {
            Ok(asked) => format!(
                r#"{{"token": "of-{}", "ttl": 600}}"#,
                asked["key"].as_str().unwrap()
            ),
            Err(_) => ["authorization", "x-key", "x-org"]
                .map(|name| request.header(name))
                .join(" "),
        };
        let json = Response::builder().header("content-type", "application/json");
        json.body(answer.into()).unwrap()
    });
    server.url
}

fn home(url: &str) -> Home {
    let home = Home::new();
    home.write("acme.toml", DIALECT);
    home.write("secret", "s");
    home.write("key", "from-file\n");
    home.profiles(&profile(url, ""));
    home
}

fn profile(url: &str, extra: &str) -> String {
    format!(
        "[acme]\ndialect = \"acme.toml\"\nurl = \"{url}\"\nlogin = \"l\"\n\
         secret_file = \"secret\"\nstore = \"memory\"\n[acme.extra]\n{extra}\n"
    )
}

#[tokio::test]
async fn the_sidecar_sends_them_wherever_they_are_kept() {
    let url = vendor();
    let home = home(&url);
    for (extra, sent) in [
        ("key = \"k1\"\norg = \"o1\"", "Bearer of-k1 k1 o1"),
        (
            "key = { file = \"key\" }\norg = { env = \"ACME_ORG\" }",
            "Bearer of-from-file from-file from-env",
        ),
        (
            "key = { command = [\"echo\", \"from-command\"] }\norg = \"o1\"",
            "Bearer of-from-command from-command o1",
        ),
    ] {
        home.profiles(&profile(&url, extra));
        let mut command = home.command(&["acme"]);
        let running = crate::program::Running::of(command.env("ACME_ORG", "from-env"));
        let carried = running.get("acme", "/orders").await;
        assert_eq!(
            (carried.status.as_u16(), &*carried.text()),
            (200, sent),
            "{extra}"
        );
    }
}

#[tokio::test]
async fn a_part_that_is_missing_is_named_and_nothing_is_sent_without_it() {
    let url = vendor();
    let home = home(&url);
    for (extra, named) in [
        ("key = \"k1\"", "extra.org is missing"),
        ("org = \"o1\"", "extra.key is missing"),
        ("key = { file = \"none\" }\norg = \"o1\"", "extra.key"),
        ("key = \"k\"\norg = { env = \"ACME_NONE\" }", "ACME_NONE"),
        ("key = \"k\"\norg = { command = [\"false\"] }", "extra.org"),
    ] {
        home.profiles(&profile(&url, extra));
        let running = home.start(&["acme"]);
        let refused = running.get("acme", "/orders").await;
        assert_eq!(refused.status, 502, "{extra}: {}", refused.text());
        assert!(
            refused.text().contains(named),
            "{extra}: {}",
            refused.text()
        );
    }
}

#[tokio::test]
async fn a_part_that_is_mended_is_used_without_a_restart() {
    let url = vendor();
    let home = home(&url);
    home.profiles(&profile(&url, "key = { file = \"later\" }\norg = \"o1\""));
    let running = home.start(&["acme"]);
    assert_eq!(running.get("acme", "/orders").await.status, 502);
    home.write("later", "k2");
    eventually("the part is used", async || {
        let carried = running.get("acme", "/orders").await;
        carried.text() == "Bearer of-k2 k2 o1"
    })
    .await;
}

#[tokio::test]
async fn tokens_come_from_one_server_and_calls_go_to_another() {
    let sandbox = Sandbox::shipped("mypopup").start().await.unwrap();
    let home = Home::new();
    let auth_url = format!("auth_url = {:?}", sandbox.url());
    let profile = home.profile("pay", &sandbox, &auth_url);
    let url = format!("\nurl = {:?}", sandbox.url());
    home.profiles(&profile.replacen(&url, &format!("\nurl = {:?}", vendor()), 1));
    let running = home.start(&["pay", "--logout-at-stop"]);
    let carried = running.get("pay", "/orders").await;
    assert!(
        carried.text().starts_with("Bearer eyJ"),
        "{}",
        carried.text()
    );
    running.stop().await;
    let asked = sandbox.requests().into_iter();
    let asked: Vec<_> = asked.map(|it| it.operation).collect();
    assert_eq!(asked, [TokenOperation::Login, TokenOperation::Logout]);
}
