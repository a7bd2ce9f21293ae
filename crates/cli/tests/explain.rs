//! Every refusal explained, against a real server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may panic, and this one has a table to show"
)]

mod support;

use std::process::{Command, Stdio};

use countersign_testing::recording::RecordingServer;
use countersign_testing::replies::{Reply, request, send};
use countersign_testing::waiting::eventually;
use http::Response;
use serde_json::{Value, json};
use support::{Account, Demo, Server};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Logs an account of `mypopup` in, and gives the pair.
async fn log_in(demo: &Demo, account: &Account) -> Value {
    let body = json!({ "username": account.login, "password": account.secret }).to_string();
    let login = send(demo.address(), request("POST", "/auth/login", &JSON, body)).await;
    assert_eq!(login.status, 200, "{}", login.text());
    login.json()["data"].clone()
}

/// A guarded request with a bearer.
async fn get(demo: &Demo, path: &str, token: &Value) -> Reply {
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    let request = request("GET", path, &[("authorization", &bearer)], "");
    send(demo.address(), request).await
}

/// What the admin API says of a refusal, by the id that the peer was given.
async fn kept(demo: &Demo, refused: &Reply) -> Value {
    let id = refused.header("x-countersign-refusal");
    assert!(!id.is_empty(), "{:?}", refused.outcome());
    let path = format!("/admin/v1/refusals/{id}");
    let bearer = format!("Bearer {}", demo.admin_key());
    let request = request("GET", &path, &[("authorization", &bearer)], "");
    let found = send(demo.admin(), request).await;
    assert_eq!(found.status, 200, "{}", found.text());
    found.json()
}

#[tokio::test]
async fn a_refusal_is_kept_wherever_it_was_refused() {
    let demo = Demo::start();
    let account = demo.account("mypopup", "demo");
    let pair = log_in(&demo, &account).await;

    let foreign = get(&demo, "/deposit/1", &pair["access_token"]).await;
    let seen = kept(&demo, &foreign).await;
    assert_eq!(
        (foreign.status.as_u16(), &seen["status"]),
        (401, &json!(401))
    );
    assert_eq!(
        (&seen["reason"], &seen["front"]),
        (&json!("wrong_api"), &json!("built-in"))
    );
    assert_eq!(seen["detail"], "the token belongs to the api mypopup");
    assert_eq!(seen["account"], account.client_id);
    assert_eq!(
        (&seen["method"], &seen["path"]),
        (&json!("GET"), &json!("/deposit/1"))
    );

    let unserved = get(&demo, "/nowhere", &pair["access_token"]).await;
    let seen = kept(&demo, &unserved).await;
    assert_eq!(
        (&seen["reason"], &seen["api"]),
        (&json!("path_unknown"), &Value::Null)
    );
    assert_eq!(seen["account"], account.client_id);

    let wrong = json!({ "username": account.login, "password": "guess" }).to_string();
    let login = send(demo.address(), request("POST", "/auth/login", &JSON, wrong)).await;
    let seen = kept(&demo, &login).await;
    assert_eq!(
        (&seen["reason"], &seen["front"]),
        (&json!("wrong_secret"), &json!("issuer"))
    );
    assert_eq!(seen["login"], account.login.as_str());

    let door = send(demo.address(), request("GET", "/", &[("host", "a b")], "")).await;
    let seen = kept(&demo, &door).await;
    assert_eq!(
        (&seen["front"], &seen["code"]),
        (&json!("door"), &json!("malformed"))
    );
    assert_eq!(seen["detail"], "The Host field is invalid.");
}

#[tokio::test]
async fn the_kind_of_a_token_and_a_slow_clock_are_told() {
    let demo = Demo::start();
    let pair = log_in(&demo, &demo.account("mypopup", "demo")).await;
    let refresh = get(&demo, "/api/v1/orders", &pair["refresh_token"]).await;
    let seen = kept(&demo, &refresh).await;
    assert_eq!(seen["reason"], "token_forged");
    assert_eq!(
        seen["detail"],
        "it is the refresh token, but the access token is expected"
    );

    let bearer = format!("Bearer {}", pair["refresh_token"].as_str().unwrap());
    let headers = [
        ("authorization", bearer.as_str()),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ];
    let request = request("GET", "/api/v1/orders", &headers, "");
    let slow = send(demo.address(), request).await;
    let detail = kept(&demo, &slow).await["detail"].clone();
    let detail = detail.as_str().unwrap();
    assert!(
        detail.contains("the caller's clock is ") && detail.ends_with(" s behind"),
        "{detail}"
    );
}

#[tokio::test]
async fn refusals_outlive_the_server() {
    let demo = Demo::start();
    let refused = send(demo.address(), request("GET", "/api/v1/orders", &[], "")).await;
    let told = kept(&demo, &refused).await;
    let demo = demo.kill_and_restart();
    assert_eq!(kept(&demo, &refused).await, told);
}

/// A partner of the server below, and what it was given at its login.
struct Partner {
    account: Account,
    prefix: &'static str,
    pair: Value,
}

/// A cause of "partner X gets 401 since three o'clock", and how an operator
/// finds it without an id from the partner.
struct Case {
    cause: &'static str,
    login: &'static str,
    /// What the answer must say.
    says: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        cause: "expired",
        login: "expired",
        says: &["token_expired at brief", "Detail: expired ", " s ago"],
    },
    Case {
        cause: "clock",
        login: "clock",
        says: &[
            "token_expired at brief",
            "the caller's clock is ",
            " s behind",
        ],
    },
    Case {
        cause: "reuse",
        login: "reuse",
        says: &["reuse at pay", "An old refresh token was used again"],
    },
    Case {
        cause: "revoked",
        login: "revoked",
        says: &[" at pay", "sessions_ended by operator:admin"],
    },
    Case {
        cause: "disabled",
        login: "disabled",
        says: &[
            "account_disabled at pay",
            "account_disabled by operator:admin",
            "is disabled",
        ],
    },
    Case {
        cause: "address",
        login: "address",
        says: &[
            "address_denied at pay",
            "allowlist_changed by operator:admin",
            "192.0.2.0/24",
        ],
    },
    Case {
        cause: "budget",
        login: "budget",
        says: &["budget_spent at metered", "for all requests of its budget"],
    },
    Case {
        cause: "throttle",
        login: "throttle",
        says: &[
            "login_throttled at pay",
            "too many attempts to log in",
            "is active",
        ],
    },
    Case {
        cause: "key retired",
        login: "key",
        says: &[
            "key_retired at rotated",
            ", which was killed",
            "key_killed by operator:admin",
        ],
    },
    Case {
        cause: "wrong api",
        login: "wrong-api",
        says: &["wrong_api at pay", "the token belongs to the api gift"],
    },
    Case {
        cause: "proxy header",
        login: "proxy-header",
        says: &[
            "proxy_header_missing at edge",
            "without a header that it must send",
        ],
    },
    Case {
        cause: "path",
        login: "path",
        says: &[
            "path_unknown",
            "Nothing is served at this path",
            "/pay/nowhere",
        ],
    },
];

/// An operator who is told that a partner is refused need not look further than
/// `explain`.
#[tokio::test]
async fn each_cause_is_found_in_at_most_two_commands() {
    let server = Server::start(&configuration(&upstream()));
    produce_expired(&server).await;
    produce_reuse(&server).await;
    produce_operators_changes(&server).await;
    produce_strays(&server).await;
    produce_limits(&server).await;
    produce_killed_key(&server).await;
    let mut table = format!("{:<14}{:<10}{}\n", "cause", "commands", "the answer");
    for case in CASES {
        let said = explain(&server, &["--login", case.login, "--since", "1h"], "");
        for words in case.says {
            assert!(
                said.contains(words),
                "{}: no {words:?} in\n{said}",
                case.cause
            );
        }
        let answer = said.lines().find(|line| line.contains(case.says[0]));
        let answer = answer.unwrap_or_default();
        table.push_str(&format!("{:<14}{:<10}{answer}\n", case.cause, 1));
    }
    println!("{table}");
}

/// Several apis that speak alike, each below its prefix; `edge` is behind a
/// proxy at 127.0.0.9.
fn configuration(upstream: &RecordingServer) -> String {
    let api = |name: &str, more: &str| {
        format!(
            "[apis.{name}]\ndialect = 'mypopup'\nprefix = '/{name}'\nguards = ['/api/*']\n{more}\n"
        )
    };
    let forwarded = format!("upstream = '{}'\n", upstream.url);
    [
        "[server]\ntrusted_proxies = ['127.0.0.9']\n".to_owned(),
        api("pay", &forwarded),
        api("gift", &forwarded),
        api("brief", &format!("{forwarded}access = '1s'")),
        api("metered", &format!("{forwarded}budget = 2")),
        api("rotated", &forwarded),
        api("edge", "forward_auth = 'nginx'"),
    ]
    .concat()
}

/// An upstream that answers every request alike.
fn upstream() -> RecordingServer {
    RecordingServer::start(|_| Response::default())
}

impl Partner {
    async fn log_in(server: &Server, api: &'static str, login: &str) -> Self {
        let account = server.account(api, login, &[]);
        let mut partner = Self {
            account,
            prefix: api,
            pair: Value::Null,
        };
        let login = partner.try_login(server).await;
        assert_eq!(login.status, 200, "{}", login.text());
        partner.pair = login.json()["data"].clone();
        partner
    }

    async fn try_login(&self, server: &Server) -> Reply {
        let Account { login, secret, .. } = &self.account;
        let body = json!({ "username": login, "password": secret }).to_string();
        let path = format!("/{}/auth/login", self.prefix);
        server.send("127.0.0.1", "POST", &path, &JSON, &body).await
    }

    async fn refresh(&self, server: &Server, token: &Value) -> Reply {
        let body = json!({ "refresh_token": token }).to_string();
        let path = format!("/{}/auth/refresh", self.prefix);
        server.send("127.0.0.1", "POST", &path, &JSON, &body).await
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.pair["access_token"].as_str().unwrap())
    }

    async fn get(&self, server: &Server, path: &str) -> u16 {
        let headers = [("authorization", self.bearer())];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let reply = server.send("127.0.0.1", "GET", path, &headers, "").await;
        reply.status.as_u16()
    }
}

/// Runs `countersign explain` for people, with this on standard input. What would be
/// refused exits 77.
fn explain(server: &Server, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .arg("explain")
        .args(arguments)
        .env("COUNTERSIGN_ADMIN_URL", &server.admin)
        .env("COUNTERSIGN_ADMIN_KEY_FILE", server.file("data/admin.key"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8(output.stdout).unwrap();
    let refused = said.contains("would be refused: ");
    let code = if refused { 77 } else { 0 };
    assert_eq!(output.status.code(), Some(code), "{said}{complaint}");
    assert_eq!(complaint.contains("would be refused: "), refused);
    said
}

/// Tokens that run out, one of them with a caller whose clock is slow.
async fn produce_expired(server: &Server) {
    let expired = Partner::log_in(server, "brief", "expired").await;
    let clock = Partner::log_in(server, "brief", "clock").await;
    let path = "/brief/api/orders";
    let refused = async || expired.get(server, path).await == 401;
    eventually("the token runs out", refused).await;
    let bearer = clock.bearer();
    let slow = [
        ("authorization", bearer.as_str()),
        ("date", "Fri, 01 May 2026 12:00:00 GMT"),
    ];
    let refused = async || {
        let reply = server.send("127.0.0.1", "GET", path, &slow, "").await;
        reply.status == 401
    };
    eventually("the other one, too", refused).await;
}

/// A refresh token of two generations ago.
async fn produce_reuse(server: &Server) {
    let partner = Partner::log_in(server, "pay", "reuse").await;
    let old = partner.pair["refresh_token"].clone();
    let mut token = old.clone();
    for _ in 0..2 {
        let next = partner.refresh(server, &token).await;
        assert_eq!(next.status, 200, "{}", next.text());
        token = next.json()["data"]["refresh_token"].clone();
    }
    assert_eq!(partner.refresh(server, &old).await.status, 401);
    assert_eq!(partner.refresh(server, &token).await.status, 401);
}

/// What an operator did to a partner.
async fn produce_operators_changes(server: &Server) {
    let changes: [(&str, &[&str], u16); 3] = [
        ("revoked", &["session", "end-all"], 401),
        ("disabled", &["account", "disable"], 401),
        ("address", &["account", "allow"], 403),
    ];
    for (login, command, status) in changes {
        let partner = Partner::log_in(server, "pay", login).await;
        assert_eq!(partner.get(server, "/pay/api/orders").await, 200);
        let mut command = command.to_vec();
        command.push(login);
        if login == "address" {
            command.push("192.0.2.0/24");
        }
        let (code, done) = server.operate(&command);
        assert_eq!(code, Some(0), "{done}");
        assert_eq!(
            partner.get(server, "/pay/api/orders").await,
            status,
            "{login}"
        );
        partner.try_login(server).await;
    }
}

/// Requests that went to the wrong place, or came the wrong way.
async fn produce_strays(server: &Server) {
    let stray = Partner::log_in(server, "gift", "wrong-api").await;
    assert_eq!(stray.get(server, "/pay/api/orders").await, 401);

    let path = Partner::log_in(server, "pay", "path").await;
    assert_eq!(path.get(server, "/pay/nowhere").await, 404);

    let proxied = Partner::log_in(server, "edge", "proxy-header").await;
    let bearer = proxied.bearer();
    let of_another_proxy = [
        ("authorization", bearer.as_str()),
        ("x-forwarded-method", "GET"),
        ("x-forwarded-uri", "/edge/api/orders"),
        ("x-forwarded-for", "127.0.0.1"),
    ];
    let reply = server.send(
        "127.0.0.9",
        "GET",
        "/forward-auth/edge",
        &of_another_proxy,
        "",
    );
    assert_eq!(reply.await.status, 403);
}

/// Too many requests with one token, and too many logins.
async fn produce_limits(server: &Server) {
    let partner = Partner::log_in(server, "metered", "budget").await;
    let path = "/metered/api/orders";
    for expected in [200, 200, 401] {
        assert_eq!(partner.get(server, path).await, expected);
    }
    let account = server.account("pay", "throttle", &[]);
    let guess = json!({ "username": account.login, "password": "guess" }).to_string();
    let throttled = async || {
        let login = server.send("127.0.0.1", "POST", "/pay/auth/login", &JSON, &guess);
        login.await.status == 429
    };
    eventually("guesses are throttled", throttled).await;
}

/// A key that an operator killed, by both kinds of token that it signed.
async fn produce_killed_key(server: &Server) {
    let partner = Partner::log_in(server, "rotated", "key").await;
    let key = std::fs::read_to_string(server.file("data/admin.key")).unwrap();
    let bearer = format!("Bearer {}", key.trim());
    let headers = [("authorization", bearer.as_str()), JSON[0]];
    let keys = request("GET", "/admin/v1/keys?api=rotated", &headers, "");
    let keys = send(server.admin(), keys).await.json();
    let active = keys["items"].as_array().unwrap().iter();
    let mut active = active.filter(|it| it["state"] == "active" && it["purpose"] == "signing");
    let kid = active.next().unwrap()["kid"].as_str().unwrap();
    let killed = json!({ "state": "killed" }).to_string();
    let kill = request("PATCH", &format!("/admin/v1/keys/{kid}"), &headers, killed);
    let killed = send(server.admin(), kill).await;
    assert_eq!(killed.status, 200, "{}", killed.text());
    assert_eq!(partner.get(server, "/rotated/api/orders").await, 401);
    let refresh = partner
        .refresh(server, &partner.pair["refresh_token"])
        .await;
    assert_eq!(refresh.status, 401);
}

#[tokio::test]
async fn a_dry_run_says_what_the_guard_would_decide_and_spends_nothing() {
    let server = Server::start(&configuration(&upstream()));
    let partner = Partner::log_in(&server, "pay", "acme").await;
    let token = partner.pair["access_token"].as_str().unwrap();
    let dry = |from: &str, path: &str| {
        let arguments = ["--token", "-", "--from", from, "GET", path];
        explain(&server, &arguments, &format!("{token}\n"))
    };
    let good = dry("127.0.0.1", "/pay/api/orders");
    assert!(good.contains("The request would pass."), "{good}");
    assert!(
        good.contains("protected") && good.contains("expires in "),
        "{good}"
    );
    let elsewhere = dry("127.0.0.1", "/gift/api/orders");
    assert!(
        elsewhere.contains("would be refused: wrong_api"),
        "{elsewhere}"
    );
    assert!(elsewhere.contains("at pay"), "{elsewhere}");
    let ambiguous = dry("127.0.0.1", "/pay/api/../orders");
    assert!(
        ambiguous.contains("would be refused: path_ambiguous"),
        "{ambiguous}"
    );

    let (code, _) = server.operate(&["account", "allow", "acme", "192.0.2.0/24"]);
    assert_eq!(code, Some(0));
    let outside = dry("198.51.100.1", "/pay/api/orders");
    assert!(
        outside.contains("198.51.100.1 is not in 192.0.2.0/24"),
        "{outside}"
    );
    assert!(outside.contains("The caller would get 403"), "{outside}");
    assert!(dry("192.0.2.9", "/pay/api/orders").contains("would pass"));

    let (code, _) = server.operate(&["session", "end-all", "acme"]);
    assert_eq!(code, Some(0));
    let ended = dry("192.0.2.9", "/pay/api/orders");
    assert!(
        ended.contains("NO") && ended.contains("was ended at"),
        "{ended}"
    );
    let (_, listed) = server.operate(&["explain", "--login", "acme"]);
    assert_eq!(listed["causes"], json!([]), "a dry run is not a refusal");
    assert!(!server.log().contains(token), "the token is not logged");
}

/// What the server answers to a request without a credential: its status, what it may be
/// asked by instead, and its body.
async fn answered(server: &Server, method: &str, path: &str) -> (u16, String, String) {
    let reply = send(server.address(), request(method, path, &[], "")).await;
    let allow = reply.header("allow").to_owned();
    (reply.status.as_u16(), allow, reply.text())
}

/// What a dry run says that it would answer; status 200 if it would pass.
fn dry_run(server: &Server, method: &str, path: &str) -> (u16, String, String) {
    let (code, verdict) = server.operate(&["explain", "--from", "127.0.0.1", method, path]);
    let told = &verdict["refusal"];
    if verdict["verdict"] == "allowed" {
        assert_eq!((code, told), (Some(0), &Value::Null), "{method} {path}");
        return (200, String::new(), String::new());
    }
    assert_eq!(code, Some(77), "{method} {path}");
    let fields = told["headers"].as_array().unwrap().iter();
    let allow = fields.clone().find(|field| field[0] == "allow");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let status = told["status"].as_u64().unwrap();
    (
        u16::try_from(status).unwrap(),
        allow.map_or_else(String::new, |field| text(&field[1])),
        text(&told["body"]),
    )
}

/// Of one api and of several: token endpoints, guarded paths, public keys, verdicts, and
/// paths of nobody, each by several methods.
#[tokio::test]
async fn a_dry_run_says_what_the_server_answers() {
    let upstream = upstream();
    let alone = format!(
        "[apis.pay]\ndialect = 'b2binpay'\nguards = ['/deposit/*']\nupstream = '{}'\n",
        upstream.url
    );
    let issuer = "[apis.pay]\ndialect = 'b2binpay'\n".to_owned();
    let apis = [
        (alone, "", "/token/", "/deposit/1"),
        (issuer, "", "/token/", "/deposit/1"),
        (
            configuration(&upstream),
            "/pay",
            "/auth/login",
            "/api/orders",
        ),
    ];
    for (configuration, prefix, endpoint, guarded) in apis {
        let server = Server::start(&configuration);
        let below = [endpoint, guarded, "/nowhere", "/a/../b", "//", "/"];
        let below = below.map(|path| format!("{prefix}{path}"));
        let outside = [
            "/",
            "/nowhere",
            "/pay",
            "/.well-known/countersign/pay/jwks.json",
            "/.well-known/countersign/nobody/jwks.json",
            "/forward-auth/pay",
            "/forward-auth/nobody",
        ];
        let paths = below.into_iter().chain(outside.map(str::to_owned));
        for path in paths {
            for method in ["GET", "POST", "HEAD", "PUT", "OPTIONS", "TRACE", "get"] {
                let (status, allow, body) = answered(&server, method, &path).await;
                let dry = dry_run(&server, method, &path);
                if method == "POST" && path == format!("{prefix}{endpoint}") {
                    // What is answered here depends on the body.
                    assert_eq!(dry.0, 200, "{method} {path}");
                    continue;
                }
                // What passes has the answer's own body and fields.
                let answer = match status {
                    200 => (200, String::new(), String::new()),
                    refused => (refused, allow, body),
                };
                assert_eq!(dry, answer, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_dry_run_tells_what_is_left_of_a_budget() {
    let server = Server::start(&configuration(&upstream()));
    let partner = Partner::log_in(&server, "metered", "acme").await;
    let token = partner.pair["access_token"].as_str().unwrap();
    let path = "/metered/api/orders";
    let dry = || {
        let arguments = ["--token", "-", "--from", "127.0.0.1", "GET", path];
        explain(&server, &arguments, &format!("{token}\n"))
    };
    let unused = dry();
    assert!(unused.contains("2 requests; none was made"), "{unused}");
    assert_eq!(partner.get(&server, path).await, 200);
    for _ in 0..3 {
        assert!(
            dry().contains("1 of 2 requests are left"),
            "it spends nothing"
        );
    }
    assert_eq!(partner.get(&server, path).await, 200);
    let spent = dry();
    assert!(spent.contains("would be refused: budget_spent"), "{spent}");
}

#[tokio::test]
async fn a_support_id_is_explained_in_words() {
    let server = Server::start(&configuration(&upstream()));
    let partner = Partner::log_in(&server, "pay", "acme").await;
    let path = "/pay/auth/logout";
    let bearer = partner.bearer();
    let headers = [("authorization", bearer.as_str()), JSON[0]];
    let logout = server.send("127.0.0.1", "POST", path, &headers, "{}").await;
    assert_eq!(logout.status, 200, "{}", logout.text());
    let late = server
        .send("127.0.0.1", "GET", "/pay/api/orders", &headers, "")
        .await;
    let id = late.header("x-countersign-refusal");
    let said = explain(&server, &[id], "");
    let shortened = explain(&server, &[&format!("{}…", &id[..12])], "");
    assert_eq!(shortened, said);
    for words in [
        "epoch_passed",
        "401 bad_bearer",
        "ended at ",
        ": logout",
        "log in again",
    ] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
    let (code, unknown) = server.operate(&["explain", "0123456789"]);
    assert_eq!(code, Some(1), "{unknown}");
    for words in [
        &["explain"] as &[_],
        &["explain", ""],
        &["explain", "…"],
        &["explain", "GET", "/"],
        &["explain", "--login", "a", "b"],
    ] {
        assert_eq!(server.operate(words).0, Some(64), "{words:?}");
    }
}

/// What a peer sent stands in a line as it is, quoted once; and none can forge a line.
#[tokio::test]
async fn json_log_lines_hold_plain_strings() {
    let configuration = configuration(&upstream());
    let server = Server::start(&configuration.replace("[server]", "[server]\nlog = 'json'"));
    let login = "ac\"me\r\n{\"level\":\"ERROR\"}\u{1b}[31m";
    let body = json!({ "username": login, "password": "guess" }).to_string();
    let path = "/pay/auth/login";
    let wrong = server.send("127.0.0.1", "POST", path, &JSON, &body).await;
    let id = wrong.header("x-countersign-refusal").to_owned();
    let lost = server.send("127.0.0.1", "GET", "/lost", &[], "").await;
    let lost_id = lost.header("x-countersign-refusal").to_owned();
    let logged = async || server.log().contains(&id) && server.log().contains(&lost_id);
    eventually("both are logged", logged).await;
    let log = server.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}")))
        .collect();
    let of = |id: &str| lines.iter().find(|line| line["request"] == id).unwrap();
    let refused = of(&id);
    assert_eq!(
        (&refused["login"], &refused["path"]),
        (&json!(login), &json!(path))
    );
    assert_eq!(
        refused["detail"].as_str().unwrap_or_default().find('"'),
        None
    );
    assert_eq!(of(&lost_id)["path"], "/lost");
    assert!(!log.contains('\u{1b}'), "{log:?}");
}
