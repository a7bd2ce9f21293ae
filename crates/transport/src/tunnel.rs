//! A connection that has switched to another protocol (RFC 9110 section 7.8). The
//! service owns it from then on. It still counts as a connection of the listener, and it
//! ends when it has been idle for too long or when the listener has drained.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection_state::{ConnectionOrder, ConnectionState};
use crate::deadline::ConnectionDeadline;

/// What the service's end of a tunnel and its driver tell each other.
pub(crate) struct UpgradeTunnel {
    since: Instant,
    /// When bytes last flowed, in milliseconds since then.
    last_flow: AtomicU64,
    state: Mutex<TunnelState>,
}

#[derive(Default)]
struct TunnelState {
    cut: bool,
    gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Which half of the stream waits.
#[derive(Clone, Copy)]
pub(crate) enum StreamHalf {
    Read,
    Write,
}

impl Default for UpgradeTunnel {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            last_flow: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }
}

impl UpgradeTunnel {
    /// Passes on what became of an attempt to move bytes; it fails once the
    /// tunnel is cut, and who waits is woken then.
    pub(crate) fn poll<T>(
        &self,
        context: &Context<'_>,
        half: StreamHalf,
        moved: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut state = self.lock();
        if state.cut {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if moved.is_ready() {
            return moved;
        }
        let waker = match half {
            StreamHalf::Read => &mut state.reader,
            StreamHalf::Write => &mut state.writer,
        };
        match waker {
            Some(known) => known.clone_from(context.waker()),
            None => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// The service has let go of it.
    pub(crate) fn leave(&self) {
        self.lock().gone = true;
    }

    /// Bytes have flowed.
    pub(crate) fn flow(&self) {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_flow.store(passed, Relaxed);
    }

    fn idle_from(&self) -> Instant {
        self.since + Duration::from_millis(self.last_flow.load(Relaxed))
    }

    fn cut(&self) {
        let mut state = self.lock();
        state.cut = true;
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn gone(&self) -> bool {
        self.lock().gone
    }

    fn lock(&self) -> MutexGuard<'_, TunnelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the place of a tunnel until the service lets go of it, which it is
/// made to when nothing flows for as long as `idle`.
pub(crate) async fn keep(tunnel: Arc<UpgradeTunnel>, state: Arc<ConnectionState>, idle: Duration) {
    let mut deadline = ConnectionDeadline::at(tunnel.idle_from() + idle);
    poll_fn(|context| {
        state.listen(context.waker());
        loop {
            if tunnel.gone() {
                return Poll::Ready(());
            }
            if state.order() == ConnectionOrder::Cut {
                tunnel.cut();
                return Poll::Ready(());
            }
            ready!(deadline.poll(context));
            let end = tunnel.idle_from() + idle;
            let over = end <= Instant::now();
            if over {
                tunnel.cut();
            }
            deadline.set((!over).then_some(end));
        }
    })
    .await;
}

#[cfg(test)]
mod tests;
