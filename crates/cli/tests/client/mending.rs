//! A client that mends itself: damaged files, another url or login, one profile
//! that is wrong beside others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use countersign_domain::TokenOperation;

use crate::stage::{Stage, vendor};

fn session_file(stage: &Stage) -> PathBuf {
    let status = stage.json(&["status", "pay"]);
    status["items"][0]["store"]["file"].as_str().unwrap().into()
}

#[test]
fn a_damaged_session_is_set_aside_and_logged_in_anew() {
    for command in [
        &["token", "pay"][..],
        &["login", "pay"],
        &["request", "pay", "GET", "/deposit/"],
        &["exec", "pay", "--", "true"],
    ] {
        let stage = Stage::start();
        stage.run(&["login", "pay"]).code(0);
        let file = session_file(&stage);
        fs::write(&file, "no session").unwrap();
        let status = stage.run(&["status"]).code(0);
        assert!(status.stdout.contains("is damaged"), "{}", status.stdout);
        let doctor = stage.run(&["doctor", "pay"]).code(0);
        assert!(doctor.stdout.contains("is damaged"), "{}", doctor.stdout);
        let ran = stage.run(command).code(0);
        let aside = format!("{}.damaged", file.display());
        assert!(ran.stderr.starts_with("warning: "), "{}", ran.stderr);
        assert!(ran.stderr.contains(&aside), "{}", ran.stderr);
        assert_eq!(fs::read_to_string(aside).unwrap(), "no session");
        stage.run(&["token", "pay"]).code(0);
        // The look of `doctor` at the login's path opens none.
        assert_eq!(stage.sessions(), 2);
    }
}

#[test]
fn another_url_or_login_logs_in_anew_and_the_old_session_can_be_ended() {
    let stage = Stage::speaking("apirone");
    stage.run(&["login", "pay"]).code(0);
    let before = session_file(&stage);
    // The same vendor under another name.
    let url = stage.sandbox.url().replace("127.0.0.1", "localhost");
    stage.profiles(&stage.profile(&url, "secret_file = '~/secret'"));
    stage.run(&["token", "pay"]).code(0);
    assert_eq!(stage.asked(TokenOperation::Login), 2);
    let status = stage.run(&["status"]).code(0);
    for part in ["stale", stage.sandbox.url(), "logout --stale"] {
        assert!(status.stdout.contains(part), "{part}: {}", status.stdout);
    }
    let stale = &stage.json(&["status"])["stale"][0];
    assert_eq!(stale["file"], before.display().to_string());
    assert_eq!(stale["login"], stage.sandbox.login());

    let ended = stage.json(&["logout", "--stale"]);
    assert_eq!(ended["items"][0]["outcome"], "done", "{ended}");
    assert_eq!(stage.asked(TokenOperation::Logout), 1);
    assert!(!before.exists());
    stage.run(&["token", "pay"]).code(0);
    assert_eq!(
        stage.asked(TokenOperation::Login),
        2,
        "the session of now stays"
    );
    assert_eq!(stage.json(&["status"])["stale"], serde_json::json!([]));
    stage.run(&["logout", "--stale"]).code(0);
}

#[test]
fn a_session_of_a_vendor_that_is_gone_is_kept_until_somebody_forgets_it() {
    let stage = Stage::speaking("apirone");
    stage.profiles(&stage.profile(&vendor(|_| String::new()), "secret_file = '~/secret'"));
    stage.run(&["token", "pay"]);
    stage.profiles(&stage.profile(stage.sandbox.url(), "secret_file = '~/secret'"));
    stage.run(&["login", "pay"]).code(0);
    stage.go_down();
    stage.answers(TokenOperation::Logout, 503, 9);
    let ran = stage.run(&["logout", "--stale", "--json"]).code(69);
    let kept = ran.json();
    let outcomes = |told: &serde_json::Value| {
        let items = told["items"].as_array().unwrap().iter();
        let mut outcomes: Vec<_> = items.map(|it| it["outcome"].to_string()).collect();
        outcomes.sort();
        outcomes.join(" ")
    };
    // One of them never had a token.
    assert_eq!(outcomes(&kept), r#""kept" "not_logged_in""#, "{kept}");
    let error = ran.error();
    assert_eq!(error["message"], "1 session could not be ended");
    assert!(error["help"].as_str().unwrap().contains("--forget"));
    let stale = &stage.json(&["status"])["stale"];
    assert_eq!(stale.as_array().unwrap().len(), 1, "{stale}");
    let forgotten = stage.json(&["logout", "--stale", "--forget"]);
    assert_eq!(outcomes(&forgotten), r#""forgotten""#, "{forgotten}");
    assert_eq!(stage.json(&["status"])["stale"], serde_json::json!([]));
}

#[test]
fn an_old_session_is_ended_once_its_vendor_can_be_told() {
    let stage = Stage::speaking("apirone");
    stage.run(&["login", "pay"]).code(0);
    stage.go_down();
    stage.answers(TokenOperation::Logout, 503, 1);
    let ran = stage.run(&["logout", "--stale"]).code(69);
    assert!(ran.stdout.contains(": kept; "), "{}", ran.stdout);
    let ended = stage.json(&["logout", "--stale"]);
    assert_eq!(ended["items"][0]["outcome"], "done", "{ended}");
    assert_eq!(stage.json(&["status"])["stale"], serde_json::json!([]));
}

#[test]
fn a_profile_that_is_wrong_stops_no_other() {
    let stage = Stage::start();
    let good = stage.profile(stage.sandbox.url(), "secret_file = '~/secret'");
    for wrong in [
        "[gift]\ndialect = './none.toml'\nurl = 'https://x.example'\nlogin = 'a'\n",
        "[gift]\nurl = nonsense\n",
        "[gift]\nurl = 'x'\nlogin = 7\n",
    ] {
        stage.profiles(&format!("{good}{wrong}"));
        let ran = stage.run(&["token", "pay"]).code(0);
        assert!(ran.stderr.contains("the profile gift"), "{}", ran.stderr);
        let ran = stage.run(&["token", "gift"]).code(64);
        assert!(ran.stderr.contains("profiles.toml:"), "{}", ran.stderr);
        let status = stage.run(&["status", "--json"]).code(64).json();
        assert_eq!(status["items"][1]["profile"], "gift");
        let doctor = stage.run(&["doctor"]).code(1).stdout;
        assert!(doctor.contains("failed  profile"), "{doctor}");
        assert!(!doctor.contains('\u{fffd}'), "{doctor}");
        stage.run(&["status", "pay"]).code(0);
    }
    // The look of `doctor` at the login's path opens none.
    assert_eq!(stage.sessions(), 1);
}

#[test]
fn tokens_and_calls_may_go_to_two_servers() {
    let stage = Stage::start();
    let api = vendor(|asked| {
        let carries = asked.to_lowercase().contains("authorization: bearer ");
        let body = if carries { "carried" } else { "bare" };
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    });
    let more = format!(
        "secret_file = '~/secret'\nauth_url = '{}'",
        stage.sandbox.url()
    );
    stage.profiles(&stage.profile(&api, &more));
    let ran = stage.run(&["request", "pay", "GET", "/deposit/"]).code(0);
    assert_eq!(ran.stdout.trim(), "carried");
    assert_eq!(stage.asked(TokenOperation::Login), 1);
    assert_eq!(stage.asked(TokenOperation::Guard), 0);
    for words in [&["status"][..], &["doctor", "pay"]] {
        let ran = stage.run(words).code(0);
        for url in [&*api, stage.sandbox.url()] {
            assert!(ran.stdout.contains(url), "{words:?}: {}", ran.stdout);
        }
    }
    let ran = stage.run(&["logout", "pay"]).code(0);
    assert!(ran.stdout.starts_with("pay: "), "{}", ran.stdout);
}

#[test]
fn a_second_login_ends_the_session_before_it() {
    let stage = Stage::speaking("apirone");
    stage.run(&["login", "pay"]).code(0);
    stage.run(&["login", "pay"]).code(0);
    assert_eq!(stage.asked(TokenOperation::Login), 2);
    assert_eq!(stage.asked(TokenOperation::Logout), 1);
    stage.run(&["token", "pay"]).code(0);
    assert_eq!(stage.asked(TokenOperation::Login), 2);
}

#[test]
fn a_session_before_it_that_could_not_be_ended_is_warned_of() {
    let stage = Stage::speaking("apirone");
    stage.run(&["login", "pay"]).code(0);
    stage.answers(TokenOperation::Logout, 500, 10);
    let ran = stage.run(&["login", "pay"]).code(0);
    let warning = "pay: the session before this one could not be ended: ";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    stage.assert_discreet(&ran);
    let told = stage.json(&["login", "pay"]);
    let error = &told["former_session_error"];
    assert!(
        error["message"].as_str().unwrap().contains("logout"),
        "{told}"
    );
    stage.sandbox.clear_faults();
    let told = stage.json(&["login", "pay"]);
    assert_eq!(told["former_session_error"], serde_json::Value::Null);
}

#[test]
fn what_is_damaged_is_told_as_it_is_and_one_command_makes_it_go() {
    let stage = Stage::start();
    stage.run(&["login", "pay"]).code(0);
    let file = session_file(&stage);
    let name = |suffix: &str| PathBuf::from(format!("{}{suffix}", file.display()));
    fs::write(&file, "no session").unwrap();
    stage.run(&["token", "pay"]).code(0);
    fs::write(name(".damaged-2\nx"), "no session").unwrap();
    let status = stage.run(&["status"]).code(0);
    for lie in ["former url", "by hand", "--stale` ends"] {
        assert!(!status.stdout.contains(lie), "{lie}: {}", status.stdout);
    }
    assert!(
        status.stdout.contains("pay: it is damaged (")
            && status.stdout.contains("--stale --forget"),
        "{}",
        status.stdout
    );
    let kept = stage.run(&["logout", "--stale"]).code(1);
    let lines: Vec<_> = kept.stdout.lines().collect();
    assert!(
        lines.iter().all(|it| it.starts_with("pay (")),
        "{}",
        kept.stdout
    );
    assert!(
        kept.stdout.contains("kept; it is damaged"),
        "{}",
        kept.stdout
    );
    assert!(
        kept.stderr.contains("help: use --forget"),
        "{}",
        kept.stderr
    );
    assert!(name(".damaged").exists());
    let gone = stage.run(&["logout", "--stale", "--forget"]).code(0);
    assert!(gone.stdout.contains("forgotten here"), "{}", gone.stdout);
    assert!(!name(".damaged").exists() && !name(".damaged-2\nx").exists());
    assert_eq!(stage.json(&["status"])["stale"], serde_json::json!([]));
    stage.run(&["token", "pay"]).code(0);
    assert_eq!(stage.sessions(), 2, "the session of now stays");
}

#[test]
fn what_another_key_sealed_goes_by_the_same_command() {
    let stage = Stage::start();
    stage.run(&["login", "pay"]).code(0);
    let before = session_file(&stage);
    let url = stage.sandbox.url().replace("127.0.0.1", "localhost");
    stage.profiles(&stage.profile(&url, "secret_file = '~/secret'"));
    fs::remove_file(stage.file(".config/countersign/store.key")).unwrap();
    stage.run(&["token", "pay"]).code(0);
    let status = stage.run(&["status"]).code(0);
    let whose = format!("{} as ", stage.sandbox.url());
    for part in [&*whose, "it is sealed with another key", "--stale --forget"] {
        assert!(status.stdout.contains(part), "{part}: {}", status.stdout);
    }
    let kept = stage.run(&["logout", "--stale"]).code(1);
    assert!(
        kept.stdout.contains("kept; it is sealed with another key"),
        "{}",
        kept.stdout
    );
    assert!(before.exists());
    stage.run(&["logout", "--stale", "--forget"]).code(0);
    assert!(!before.exists());
    assert_eq!(stage.json(&["status"])["stale"], serde_json::json!([]));
}

#[test]
fn what_cannot_be_seen_inside_of_a_secret_is_warned_of() {
    let stage = Stage::start();
    stage.set_secret("s3\u{200b}cret");
    let ran = stage.run(&["login", "pay"]).code(77);
    let warning = "contains the character U+200B, which cannot be seen";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    let ran = stage.run(&["doctor", "pay"]);
    assert!(ran.stdout.contains(warning), "{}", ran.stdout);
}

#[test]
fn an_empty_profiles_file_may_be_the_null_device() {
    let stage = Stage::start();
    let ran = stage
        .run(&["status", "pay", "--profiles", "/dev/null"])
        .code(64);
    assert!(!ran.stderr.contains("chmod"), "{}", ran.stderr);
    assert!(ran.stderr.contains("no profile"), "{}", ran.stderr);
}

#[test]
fn a_secret_that_others_can_read_is_warned_of_where_it_is_used() {
    let stage = Stage::start();
    let file = stage.file("secret");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = stage.run(&["token", "pay"]).code(0);
    assert!(
        ran.stderr.contains("warning: others can read"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("chmod 600"), "{}", ran.stderr);
}

/// A dialect whose login has a further part.
const ZONED: &str = r#"
schema = 1
name = "zoned"
serves = ["client"]
credential = { extra = ["zone"] }
session = { refresh = "none", login = "keeps" }
guard = { present = [{ header = "Authorization", value = "Bearer {access_token}" }] }
[[login]]
path = "/login"
request.body = '{"login": "{login}", "password": "{secret}", "zone": "{extra.zone}"}'
reply.body = '{"token": "{access_token}", "ttl": "{access_expires_at:in}"}'
"#;

#[test]
fn a_secret_in_a_profiles_file_that_others_can_read_is_warned_of() {
    let stage = Stage::start();
    let plain = stage.profile(stage.sandbox.url(), "secret_file = '~/secret'");
    let zoned = stage.write("zoned.toml", ZONED).display().to_string();
    let literal = plain.replace("b2binpay", &zoned) + "[pay.extra]\nzone = 'eu'\n";
    let proxy = format!("{plain}proxy = 'http://ann:pw@127.0.0.1:1'\n");
    for (profiles, mode, warned) in [
        (&plain, 0o644, false),
        (&literal, 0o600, false),
        (&literal, 0o640, true),
        (&proxy, 0o644, true),
    ] {
        stage.profiles(profiles);
        let file = stage.file(".config/countersign/profiles.toml");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let told = stage.run(&["status", "pay"]).stderr;
        let warning = "warning: others can read";
        assert_eq!(
            told.contains(warning),
            warned,
            "{mode:o} {profiles}: {told}"
        );
        assert!(!warned || told.contains("chmod 600"), "{told}");
        assert!(!told.contains("pw@"), "{told}");
    }
}

/// Was written by a release before session files were named by whose they are: with
/// key 1, for the profile `pay` of ann at <https://api.example>.
const FORMER: &[u8] = include_bytes!("../../../client/tests/store/fixtures/first-format.session");

#[test]
fn a_session_of_a_release_before_is_ended_if_it_is_nobodys_any_more() {
    let stage = Stage::start();
    let left = |key: &str, login: &str| {
        let file = stage.file(".local/state/countersign/pay.session");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let only_mine = fs::Permissions::from_mode(0o700);
        fs::set_permissions(file.parent().unwrap(), only_mine).unwrap();
        stage.write(".local/state/countersign/pay.session", "");
        fs::write(&file, FORMER).unwrap();
        stage.write(".config/countersign/store.key", &key.repeat(32));
        stage.profiles(&format!(
            "[pay]\ndialect = 'b2binpay'\nurl = 'https://api.example'\nlogin = '{login}'\n\
             secret_file = '~/secret'\n"
        ));
        file
    };
    let file = left("01", "ann");
    assert_eq!(stage.json(&["status"])["stale"], serde_json::json!([]));
    stage.run(&["logout", "--stale"]).code(0);
    assert!(file.exists(), "it will be taken over");

    let file = left("01", "bob");
    let stale = &stage.json(&["status"])["stale"][0];
    assert_eq!(stale["file"], file.display().to_string());
    assert_eq!(stale["state"], "former");
    let status = stage.run(&["status"]).code(0);
    assert!(
        status.stdout.contains("logout --stale"),
        "{}",
        status.stdout
    );
    let ended = stage.json(&["logout", "--stale"]);
    assert_eq!(ended["items"][0]["outcome"], "forgotten", "{ended}");
    assert!(!file.exists());
    assert_eq!(stage.json(&["status"])["stale"], serde_json::json!([]));

    let file = left("02", "bob");
    let ended = stage.run(&["logout", "--stale", "--json"]).code(1).json();
    assert_eq!(ended["items"][0]["outcome"], "kept", "{ended}");
    assert_eq!(fs::read(file).unwrap(), FORMER, "another key sealed it");
}
