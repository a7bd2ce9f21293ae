//! Who may write, and how long others wait for it.

use std::fs::{self, File};
use std::time::Duration;

use countersign_client::{LockedStore, SessionStore, WriteOutcome};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::support::{Place, record, serial, write};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_lock_that_is_held_lets_others_read_and_keeps_them_from_writing() {
    let place = Place::new();
    let (store, other) = (place.store(), place.store());
    let mut locked = store.lock().await.unwrap();
    locked.write(&record(1)).await.unwrap();
    assert_eq!(serial(&other).await, Some(1));

    let waiting = tokio::spawn(async move { write(&other, 3).await });
    locked.write(&record(2)).await.unwrap();
    yield_now().await;
    assert!(!waiting.is_finished());
    drop(locked);
    assert_eq!(waiting.await.unwrap().unwrap(), WriteOutcome::Done);
}

#[tokio::test]
async fn a_runtime_of_one_thread_goes_on_while_the_lock_is_waited_for() {
    let place = Place::new();
    let (store, other) = (place.store(), place.store());
    let locked = store.lock().await.unwrap();
    let waiting = tokio::spawn(async move { other.lock().await.map(drop) });
    for _ in 0..1_000 {
        yield_now().await;
    }
    assert!(!waiting.is_finished());
    drop(locked);
    waiting.await.unwrap().unwrap();
}

/// A runtime waits for its blocking tasks when it ends.
#[test]
fn a_runtime_ends_while_the_lock_is_waited_for() {
    let place = Place::new();
    let runtime = || {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let holder = runtime();
    let locked = holder.block_on(place.store().lock()).unwrap();
    let waiter = runtime();
    let store = place.store();
    let gave_up = waiter.block_on(async { timeout(Duration::from_millis(20), store.lock()).await });
    assert!(gave_up.is_err());
    drop(waiter);
    drop(locked);
}

#[tokio::test]
async fn waiters_that_are_dropped_keep_nobody_from_the_lock() {
    let place = Place::new();
    let (store, other) = (place.store(), place.store());
    let locked = store.lock().await.unwrap();
    let threads = threads();
    for _ in 0..50 {
        let gave_up = timeout(Duration::from_millis(1), other.lock()).await;
        assert!(gave_up.is_err());
    }
    assert!(self::threads() <= threads + 2, "a thread for each of them");
    drop(locked);
    // The thread that waited for the last of them gives the lock back.
    let locked = timeout(LONG, store.lock()).await.unwrap().unwrap();
    drop(locked);
    let locked = timeout(LONG, other.lock()).await.unwrap().unwrap();
    drop(locked);
}

/// How many threads this process has; on systems that do not tell, none.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

#[tokio::test]
async fn fifty_waiters_each_have_their_turn_in_order() {
    let place = Place::new();
    let store = place.store();
    let first = store.lock().await.unwrap();
    let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
    for nth in 0..50 {
        let (store, done) = (store.clone(), done.clone());
        tokio::spawn(async move {
            let _locked = store.lock().await.unwrap();
            done.send(nth).unwrap();
        });
        yield_now().await;
    }
    drop((first, done));
    let mut served = Vec::new();
    while let Some(nth) = order.recv().await {
        served.push(nth);
    }
    assert_eq!(served, (0..50).collect::<Vec<_>>());
}

/// Each adds one to what it read, as a renewal does: none is lost.
#[tokio::test]
async fn fifty_stores_on_one_file_write_one_after_the_other() {
    let place = Place::new();
    let writers: Vec<_> = (0..50)
        .map(|_| {
            let store = place.store();
            tokio::spawn(async move {
                for _ in 0..4 {
                    let mut locked = store.lock().await.unwrap();
                    let kept = locked.read().await.unwrap().map_or(0, |it| it.serial);
                    let written = locked.write(&record(kept + 1)).await.unwrap();
                    assert_eq!(written, WriteOutcome::Done);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(serial(&place.store()).await, Some(200));
}

#[tokio::test]
async fn a_lock_file_that_was_removed_locks_nobody_out_and_lets_nobody_slip_by() {
    let place = Place::new();
    let lock = place.state().join("pay.session.lock");
    let (store, other) = (place.store(), place.store());
    let locked = store.lock().await.unwrap();
    let waiting = tokio::spawn(async move { other.lock().await.unwrap() });
    // It waits in the kernel for the file that is about to go.
    wait_for_waiter(&lock).await;
    fs::remove_file(&lock).unwrap();
    File::create(&lock).unwrap();
    drop(locked);
    let tokens: Box<dyn LockedStore> = timeout(LONG, waiting).await.unwrap().unwrap();
    let seen = File::open(&lock).unwrap().try_lock();
    assert!(seen.is_err(), "the lock is on a file that nobody sees");
    drop(tokens);
}

/// Linux lists who waits for a lock; elsewhere a moment has to do.
async fn wait_for_waiter(lock: &std::path::Path) {
    use std::os::unix::fs::MetadataExt;
    let inode = format!(":{} ", fs::metadata(lock).unwrap().ino());
    for _ in 0..200 {
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        let waits = |line: &str| line.contains("->") && line.contains(&inode);
        if locks.lines().any(waits) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
