//! Profiles that are wrong beside others, and session files that are damaged.

use countersign_domain::TokenOperation;
use countersign_sandbox::{RequestExpectations, Sandbox};
use countersign_testing::waiting::eventually;

use crate::program::Home;

/// Profiles that cannot be used, each for another reason.
fn wrong(home: &Home) -> Vec<String> {
    let profile = |dialect: &str, more: &str| {
        format!(
            "[gift]\ndialect = '{dialect}'\nurl = 'http://127.0.0.1:9'\nlogin = 'a'\n\
             store = 'memory'\n{more}\n"
        )
    };
    home.write("broken.toml", "schema = 1\nname = 'x'\nnonsense = 1\n");
    vec![
        profile("./none.toml", ""),
        profile("./broken.toml", ""),
        profile("mypopu", ""),
        profile("mypopup", "colour = 'red'"),
        profile("mypopup", "roots = 'none.pem'"),
        profile("mypopup", "key_file = 'none.key'"),
        profile("mypopup", "proxy = 'not a proxy'"),
        "[gift]\nurl = nonsense\n".to_owned(),
    ]
}

#[tokio::test]
async fn one_that_is_wrong_at_the_start_is_not_served_and_stops_no_other() {
    let pay = Sandbox::shipped("mypopup").start().await.unwrap();
    let home = Home::new();
    for wrong in wrong(&home) {
        home.profiles(&format!("{wrong}{}", home.profile("pay", &pay, "")));
        let running = home.start(&["gift", "pay", "--probe-listen", "127.0.0.1:0"]);
        let carried = running.get("pay", "/api/v1/orders").await;
        assert_eq!(carried.status, 200, "{wrong}: {}", carried.text());
        let ready = running.probe("/readyz").await;
        assert_eq!(ready.status, 200, "{wrong}: {}", ready.text());
        let degraded = ready.text().contains(r#""degraded""#) && ready.text().contains("gift: ");
        assert!(degraded, "{wrong}: {}", ready.text());
        let (code, log) = running.stop().await;
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("this profile is not served"), "{wrong}: {log}");
        let (code, told) = home.fail(&["gift"]);
        assert_eq!(code, Some(64), "{wrong}: {told}");
        assert!(told.contains("gift"), "{wrong}: {told}");
    }
}

#[tokio::test]
async fn one_that_goes_wrong_stays_as_it_was_and_lets_others_change() {
    let pay = Sandbox::shipped("mypopup").start().await.unwrap();
    let gift = Sandbox::shipped("mypopup").start().await.unwrap();
    let home = Home::new();
    let good = home.profile("gift", &gift, "");
    home.profiles(&format!("{good}{}", home.profile("pay", &pay, "")));
    let running = home.start(&["gift", "pay", "--probe-listen", "127.0.0.1:0"]);
    let all_carry = async |expected: u16, reason: &str| {
        let carried = running.get("pay", "/api/v1/orders").await;
        assert_eq!(carried.status, expected, "{reason}: {}", carried.text());
        let carried = running.get("gift", "/api/v1/orders").await;
        assert_eq!(carried.status, 200, "{reason}: {}", carried.text());
    };
    all_carry(200, "before").await;
    for (nth, wrong) in wrong(&home).iter().enumerate() {
        let (more, expected) = match nth % 2 {
            0 => ("allow = [\"GET /elsewhere\"]", 403),
            _ => ("", 200),
        };
        home.profiles(&format!("{wrong}{}", home.profile("pay", &pay, more)));
        // The last that a reload says; the profile that stays is told before.
        running.hang_up("the profiles were read again").await;
        all_carry(expected, wrong).await;
        let ready = running.probe("/readyz").await;
        let told = ready.text().contains(r#""degraded""#)
            && ready.text().contains("gift: the profile is wrong now")
            && !ready.text().contains("pay: ");
        assert!(ready.status == 200 && told, "{wrong}: {}", ready.text());
    }
    home.profiles(&format!("{good}{}", home.profile("pay", &pay, "")));
    running.hang_up("the profiles were read again").await;
    let ready = running.probe("/readyz").await;
    assert!(ready.text().contains(r#""ready""#), "{}", ready.text());
    let once = RequestExpectations::new().logins(1);
    assert_eq!(gift.check(&once), Ok(()), "its session went on");
}

#[tokio::test]
async fn a_damaged_session_file_is_set_aside_at_a_start_and_while_it_runs() {
    let sandbox = Sandbox::shipped("mypopup").start().await.unwrap();
    let home = Home::new();
    let profile = home.profile("pay", &sandbox, "store_key_file = \"store.key\"");
    let profile = profile.replace("store = \"memory\"", "store_dir = \"sessions\"");
    home.write("store.key", &"5a".repeat(32));
    home.profiles(&profile);
    let session = || {
        let files = std::fs::read_dir(home.path("sessions")).unwrap();
        let mut files = files.map(|it| it.unwrap().path());
        files.find(|it| it.extension().is_some_and(|it| it == "session"))
    };
    let carry = async |running: &crate::program::Running| {
        let carried = running.get("pay", "/api/v1/orders").await;
        assert_eq!(carried.status, 200, "{}", carried.text());
    };
    let running = home.start(&["pay"]);
    carry(&running).await;
    running.stop().await;

    std::fs::write(session().unwrap(), "-1").unwrap();
    let running = home.start(&["pay"]);
    carry(&running).await;
    assert!(running.log().contains("is damaged"), "{}", running.log());
    assert!(
        running.log().contains(".session.damaged"),
        "{}",
        running.log()
    );
    let logins = || {
        let requests = sandbox.requests().into_iter();
        requests
            .filter(|it| it.operation == TokenOperation::Login)
            .count()
    };
    assert_eq!(logins(), 2);

    std::fs::remove_file(session().unwrap()).unwrap();
    std::fs::create_dir(home.path("sessions").join("x")).unwrap();
    let named = running.log();
    let named = named.split("the session file ").nth(1).unwrap();
    let named = named.split(" is damaged").next().unwrap();
    std::fs::rename(home.path("sessions").join("x"), named).unwrap();
    sandbox.advance(std::time::Duration::from_secs(7_200));
    eventually("the damage is noticed", async || {
        running.get("pay", "/api/v1/orders").await;
        running.log().contains(".session.damaged-2")
    })
    .await;
    carry(&running).await;
    let (code, log) = running.stop().await;
    assert_eq!(code, Some(0), "{log}");
}
