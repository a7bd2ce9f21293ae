//! Processes that are killed, and a disk that is full. The test starts its own
//! binary again as the process that suffers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use countersign_client::{FileStore, SessionStore, WriteOutcome};

use crate::support::{OWNER, Place, key, names, record, serial, write};

const FILE: &str = "COUNTERSIGN_TEST_STORE";

/// Runs `victim` of this binary on the file of `place`, below `shell`.
fn start(place: &Place, victim: &str, shell: &str) -> Child {
    let binary = std::env::current_exe().unwrap();
    Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$@\""), "sh"])
        .arg(binary)
        .args(["--exact", victim, "--ignored", "--nocapture", "--quiet"])
        .env(FILE, &place.file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn store_of_victim() -> FileStore {
    #[expect(
        clippy::disallowed_methods,
        reason = "told by the test that started this"
    )]
    let file = std::env::var(FILE).unwrap();
    FileStore::open(file, key(1), OWNER)
}

/// Waits until the victim says so.
fn wait_until(child: &mut Child, told: &str) {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let found = lines.map_while(Result::ok).any(|line| line.contains(told));
    assert!(found, "the process never told {told:?}");
}

#[tokio::test]
#[ignore = "a process of `whoever_is_killed_leaves_a_whole_record`"]
#[expect(clippy::print_stdout, reason = "tells the test that started it")]
async fn writes_on_and_on() {
    let store = store_of_victim();
    loop {
        let mut locked = store.lock().await.unwrap();
        let kept = locked.read().await.unwrap().map_or(0, |it| it.serial);
        locked.write(&record(kept + 1)).await.unwrap();
        println!("wrote");
    }
}

/// Killed a little later each time, so that every step of a write is met.
#[tokio::test]
async fn whoever_is_killed_leaves_a_whole_record() {
    let place = Place::new();
    let mut before = 0;
    for nth in 0..24 {
        let mut child = start(&place, "crashes::writes_on_and_on", "");
        wait_until(&mut child, "wrote");
        std::thread::sleep(Duration::from_micros(nth * 300));
        child.kill().unwrap();
        child.wait().unwrap();
        let kept = serial(&place.store()).await.unwrap();
        assert!(kept > before, "{kept} after {before}");
        before = kept;
    }
    assert_eq!(
        write(&place.store(), before + 1).await.unwrap(),
        WriteOutcome::Done
    );
    assert_eq!(place.names(), ["pay.session", "pay.session.lock"]);
}

#[tokio::test]
#[ignore = "a process of `the_lock_of_a_killed_process_ends_with_it`"]
#[expect(clippy::print_stdout, reason = "tells the test that started it")]
async fn holds_the_lock() {
    let _locked = store_of_victim().lock().await.unwrap();
    println!("locked");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn the_lock_of_a_killed_process_ends_with_it() {
    let place = Place::new();
    let mut child = start(&place, "crashes::holds_the_lock", "");
    wait_until(&mut child, "locked");
    let store = place.store();
    let waited = tokio::time::timeout(Duration::from_millis(50), store.lock()).await;
    assert!(waited.is_err(), "the other process holds the lock");
    child.kill().unwrap();
    child.wait().unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(20), store.lock()).await;
    assert!(waited.unwrap().is_ok());
}

#[tokio::test]
#[ignore = "a process of `a_full_disk_leaves_the_old_record_and_no_draft`"]
async fn cannot_write() {
    let store = store_of_victim();
    let refused = write(&store, 2).await.unwrap_err();
    assert!(
        refused.to_string().contains("cannot be written"),
        "{refused}"
    );
    assert_eq!(serial(&store).await, Some(1));
}

/// A limit of file sizes stands for a full disk: creating works, writing does
/// not.
#[tokio::test]
async fn a_full_disk_leaves_the_old_record_and_no_draft() {
    let place = Place::new();
    write(&place.store(), 1).await.unwrap();
    let full = "trap '' XFSZ; ulimit -f 0;";
    let mut child = start(&place, "crashes::cannot_write", full);
    // With a pipe as output, the limit does not concern what it tells.
    assert!(child.wait().unwrap().success());
    assert_eq!(names(place.state()), ["pay.session", "pay.session.lock"]);
    assert_eq!(serial(&place.store()).await, Some(1));
}

#[tokio::test]
#[ignore = "a process of `many_processes_make_the_first_file_at_once`"]
async fn writes_first() {
    let store = store_of_victim();
    let mut locked = store.lock().await.unwrap();
    let kept = locked.read().await.unwrap().map_or(0, |it| it.serial);
    let written = locked.write(&record(kept + 1)).await.unwrap();
    assert_eq!(written, WriteOutcome::Done);
}

#[tokio::test]
async fn many_processes_make_the_first_file_at_once() {
    let place = Place::new();
    let start = |_| start(&place, "crashes::writes_first", "");
    let children: Vec<_> = (0..12).map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(serial(&place.store()).await, Some(12));
}
