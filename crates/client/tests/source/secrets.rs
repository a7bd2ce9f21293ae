//! No secret gets into a log, an error or a `Debug`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use countersign_client::{SecretCommand, SecretEnv, SecretFile, SecretSource};
use countersign_domain::Refusal;
use countersign_testing::logs::CapturedLog;
use http::Response;
use tracing::Level;

use crate::vendor::{Play, SECRET, Vendor, token};

/// A refusal in which the vendor repeats what it was asked with.
fn telltale(secret: &str) -> Response<Bytes> {
    let body = format!(
        r#"{{"error": {{"name": "UnauthorizedError", "code": "UNAUTHORIZED", "message": "no {secret}"}}}}"#
    );
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = http::StatusCode::UNAUTHORIZED;
    response
}

#[tokio::test]
async fn secrets_are_in_nothing_that_is_logged_or_told() {
    // What the other tests of this program log is searched too.
    let log = CapturedLog::of_this_process(Level::TRACE);

    let told = Arc::new(Mutex::new(String::new()));
    let vendor = Vendor::speaking("mypopup");
    let tell = told.clone();
    let source = vendor
        .client()
        .patience(Duration::from_millis(50))
        .on_event(move |change| {
            let text = format!("{change:?}");
            tell.lock().unwrap().push_str(&text);
        })
        .build()
        .unwrap();
    let first = source.token().await.unwrap();
    vendor.clock.advance(Duration::from_secs(700));
    vendor.play(Play::Say(telltale("planted-refresh-10")));
    vendor.play(Play::Say(telltale(SECRET)));
    let error = token(&source).await.unwrap_err();
    let status = source.status().await.unwrap();
    vendor.clock.advance(Duration::from_secs(60));
    vendor.play(Play::Refuse(Refusal::Internal));
    let other = token(&source).await;
    source.logout().await.unwrap();

    let logged = log.text();
    let hooked = told.lock().unwrap().clone();
    let shown = format!("{source:?} {first:?} {error:?} {error} {status:?} {other:?}");
    assert!(logged.contains("new token"), "{logged}");
    assert!(error.message.contains("no …"), "the rest is told: {error}");
    for text in [logged, hooked, shown] {
        assert!(!text.contains("planted"), "{text}");
    }
}

#[tokio::test]
async fn a_secret_comes_from_a_file_a_variable_or_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "s3cret \r\n").unwrap();
    let told = SecretFile::new(&file).secret().await.unwrap();
    assert_eq!(told.expose(), "s3cret ");

    // As `<(…)` of a shell is.
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let writer = tokio::task::spawn_blocking({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, "s3cret\n").unwrap()
    });
    let told = SecretFile::new(&pipe).secret().await.unwrap();
    assert_eq!(told.expose(), "s3cret");
    writer.await.unwrap();

    let command = SecretCommand::new(["printf", "a\nb\n"]).unwrap();
    assert_eq!(command.secret().await.unwrap().expose(), "a\nb");

    let told = SecretEnv::new("CARGO_MANIFEST_DIR").secret().await.unwrap();
    assert_eq!(told.expose(), env!("CARGO_MANIFEST_DIR"));
}

/// What editors, web pages and shells leave at the ends of a secret.
#[tokio::test]
async fn what_nobody_can_see_at_an_end_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    for (unseen, named) in [
        ("\u{feff}", "a byte order mark"),
        ("\u{200b}", "U+200B"),
        ("\u{200d}", "U+200D"),
        ("\u{2060}", "U+2060"),
        ("\u{a0}", "a no-break space"),
        ("\u{3000}", "U+3000"),
        ("\0", "U+0000"),
    ] {
        for text in [format!("{unseen}s3cret"), format!("s3cret{unseen}\n")] {
            std::fs::write(&file, &text).unwrap();
            let error = SecretFile::new(&file).secret().await.unwrap_err();
            assert!(error.message.contains(named), "{error}");
            assert!(!error.message.contains("s3cret"), "{error}");
        }
    }
    for (text, read) in [
        ("s3cret\n\n", "s3cret"),
        ("s3cret\r\n\r\n", "s3cret"),
        (" s3cret ", " s3cret "),
        ("a\u{a0}b\u{e9}", "a\u{a0}b\u{e9}"),
    ] {
        std::fs::write(&file, text).unwrap();
        let told = SecretFile::new(&file).secret().await.unwrap();
        assert_eq!(told.expose(), read);
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_is_told_by_its_place() {
    let command = |argv: &[&str]| SecretCommand::new(argv.iter().copied()).unwrap();
    let sources: [(Box<dyn SecretSource>, &str); 7] = [
        (
            Box::new(SecretFile::new("/nowhere/secret")),
            "/nowhere/secret",
        ),
        (Box::new(SecretFile::new("/dev/null")), "empty"),
        (Box::new(SecretFile::new("/dev/zero")), "not a regular file"),
        (
            Box::new(SecretEnv::new("COUNTERSIGN_NO_SUCH")),
            "COUNTERSIGN_NO_SUCH",
        ),
        (Box::new(command(&["false", "planted"])), "false"),
        (Box::new(command(&["no-such-command"])), "no-such-command"),
        (
            Box::new(command(&["head", "-c", "70000", "/dev/zero"])),
            "too long",
        ),
    ];
    for (source, told) in sources {
        let error = source.secret().await.unwrap_err();
        assert!(error.message.contains(told), "{error}");
        assert!(!error.message.contains("planted"), "{error}");
    }
    assert!(SecretCommand::new([""; 0]).is_none());
}
