//! Waiting for what another task or process does in its own time.

use std::time::{Duration, Instant};

/// Waits until `met` holds, and fails with `what` if it does not.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut met: impl FnMut() -> F) {
    let begun = Instant::now();
    while !met().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        tokio::task::yield_now().await;
    }
}
