//! What it serves, and what it refuses to start with.

use std::os::unix::fs::PermissionsExt;

use countersign_domain::TokenOperation;
use countersign_sandbox::{RequestExpectations, RevocationTarget, Sandbox, VendorFault};
use countersign_testing::replies::request;

use crate::program::Home;

#[tokio::test]
async fn several_profiles_are_served_on_a_socket_file_and_a_port() {
    let pay = Sandbox::shipped("b2binpay").start().await.unwrap();
    let cards = Sandbox::shipped("mypopup").start().await.unwrap();
    let home = Home::new();
    home.profiles(&format!(
        "{}{}",
        home.profile("pay", &pay, ""),
        home.profile("cards", &cards, "")
    ));
    let running = home.start(&["pay", "cards=127.0.0.1:0"]);
    let file = home.path("countersign/pay.sock");
    assert_eq!(running.listen("pay"), format!("unix:{}", file.display()));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for _ in 0..3 {
        let paid = running.get("pay", "/deposit/").await;
        assert_eq!(paid.status, 200, "{}", paid.text());
        let carded = running.get("cards", "/api/v1/orders").await;
        assert_eq!(carded.status, 200, "{}", carded.text());
    }
    let once = RequestExpectations::new()
        .logins(1)
        .max_refused(0)
        .no_expired();
    assert_eq!(pay.check(&once), Ok(()));
    assert_eq!(cards.check(&once), Ok(()));
    let (code, log) = running.stop().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!file.exists());
}

#[tokio::test]
async fn the_log_of_a_busy_life_has_no_secret_and_no_token() {
    const KEY: &str = "PLANTED-KEY-0123456789";
    let sandbox = Sandbox::shipped("apirone").start().await.unwrap();
    let home = Home::new();
    home.write("key", KEY);
    let more = "static_key = true\nkey_file = \"key\"";
    home.profiles(&home.profile("wallet", &sandbox, more));
    let arguments = ["wallet=127.0.0.1:0", "--logout-at-stop", "--access-log"];
    let running = home.start(&arguments);
    let send = async |target: &str, key: &str| {
        let fields = [
            ("x-countersign-key", key),
            ("authorization", "Bearer PLANTED-BEARER"),
        ];
        let request = request("GET", target, &fields, "");
        crate::program::send(&running.listen("wallet"), request).await
    };
    let path = format!("/api/v2/accounts/{}/x", sandbox.login());
    let planted = format!("{path}?transfer-key=PLANTED-IN-QUERY");
    assert_eq!(send(&planted, KEY).await.status, 200);
    assert_eq!(send(&planted, "PLANTED-WRONG-KEY-1").await.status, 403);
    sandbox.fault(VendorFault::revoke(RevocationTarget::Account).on(TokenOperation::Guard));
    send(&path, KEY).await;
    sandbox.fault(VendorFault::status(503).on(TokenOperation::Login).times(2));
    sandbox.fault(VendorFault::lost_reply().on(TokenOperation::Guard));
    send(&planted, KEY).await;
    send(&path, KEY).await;
    let (_, log) = running.stop().await;
    assert!(log.contains("DEBUG"), "the log says little: {log}");
    let requests: Vec<_> = log
        .lines()
        .filter(|it| it.contains("answered_by"))
        .collect();
    assert_eq!(requests.len(), 5, "each request once: {log}");
    let told = |request: &&str| request.contains("GET") && request.contains(&path);
    assert!(requests.iter().all(told), "{requests:?}");
    for part in ["200", "403", "vendor", "sidecar"] {
        assert!(
            requests.iter().any(|it| it.contains(part)),
            "{part}: {requests:?}"
        );
    }
    for secret in ["PLANTED", sandbox.secret().expose(), "eyJ"] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}

#[tokio::test]
async fn what_cannot_be_served_does_not_start() {
    let sandbox = Sandbox::shipped("b2binpay").start().await.unwrap();
    let home = Home::new();
    home.write("short", "key");
    home.profiles(&format!(
        "{}{}{}",
        home.profile("pay", &sandbox, ""),
        home.profile("shut", &sandbox, "key_file = \"short\""),
        home.profile("open", &sandbox, "listen = \"0.0.0.0:9001\"")
    ));
    for (arguments, code, words) in [
        (&["pay=0.0.0.0:0"][..], 64, "other machines can reach"),
        (&["open"], 64, "other machines can reach"),
        (&["pay=9001"], 64, "is not an address"),
        (&["pya"], 64, "pay"),
        (&["pay", "pay=127.0.0.1:0"], 64, "named twice"),
        (&["shut"], 64, "contains no key"),
        (&["pay=/dev/null"], 69, "is not a socket"),
        (&["pay=/nowhere/pay.sock"], 69, "/nowhere/pay.sock"),
    ] {
        let (found, told) = home.fail(arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {told}");
        assert!(told.contains(words), "{arguments:?}: {told}");
    }
    let running = home.start(&["pay"]);
    let (code, told) = home.fail(&["pay"]);
    assert_eq!(code, Some(69), "{told}");
    assert!(told.contains("in use"), "{told}");
    assert_eq!(running.get("pay", "/deposit/").await.status, 200);
}
