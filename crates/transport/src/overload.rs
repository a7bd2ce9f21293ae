//! How a connection is refused if there is no room for it, and how one is closed without
//! an answer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

/// Without a `Date`, which RFC 9110 section 6.6.1 leaves to a 5xx.
const NO_PLACE: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\n",
    "content-type: application/problem+json\r\n",
    "content-length: 94\r\n",
    "retry-after: 1\r\n",
    "connection: close\r\n\r\n",
    r#"{"title":"Service Unavailable","status":503,"detail":"All connections are busy. Retry later."}"#,
);

/// How long the peer may take to read it.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often at most a warning about refused connections is logged.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Keeps refused connections from filling the log.
#[derive(Debug, Default)]
pub(crate) struct ThrottledWarning(Mutex<(Option<Instant>, u64)>);

impl ThrottledWarning {
    /// Counts one. `Some` if it is to be logged, with the number of others since the last
    /// one that was.
    pub(crate) fn count(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, others) = &mut *state;
        if told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            *others += 1;
            return None;
        }
        *told = Some(Instant::now());
        Some(std::mem::take(others))
    }
}

/// Answers 503 without reading a request, and closes.
pub(crate) async fn reject<Io: AsyncRead + AsyncWrite + Unpin>(io: Io) {
    let _ = timeout(PATIENCE, write_refusal(io)).await;
}

async fn write_refusal<Io: AsyncRead + AsyncWrite + Unpin>(mut io: Io) -> std::io::Result<()> {
    io.write_all(NO_PLACE.as_bytes()).await?;
    end(io).await
}

/// Closes without an answer.
pub(crate) async fn part<Io: AsyncRead + AsyncWrite + Unpin>(io: Io) {
    let _ = timeout(PATIENCE, end(io)).await;
}

/// Reads to the end, within reason: closing on unread bytes would reset the
/// connection, and the reset can overtake what was written.
async fn end<Io: AsyncRead + AsyncWrite + Unpin>(mut io: Io) -> std::io::Result<()> {
    io.shutdown().await?;
    let mut space = [0; 4096];
    for _ in 0..64 {
        if io.read(&mut space).await? == 0 {
            break;
        }
    }
    Ok(())
}
