//! The client's clock. Tests and the sandbox bring their own.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use countersign_domain::Timestamp;
use tokio::sync::watch;

use crate::BoxFuture;

/// A source of `now`, and of waiting.
pub trait Clock: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// Waits until it is `instant`.
    fn until(&self, instant: Timestamp) -> BoxFuture<'_, ()>;
}

/// The system's clock. It is the wall clock, because what is stored outlives the
/// process. If it is set back, an expired token may be sent once; it is then replaced
/// like any other that the vendor refuses.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The longest sleep in one go, so that a wall clock that is set forward is noticed.
const STRETCH: Duration = Duration::from_secs(60);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        wall()
    }

    fn until(&self, instant: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let left = instant.since(wall());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(STRETCH)).await;
            }
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the client that reads the wall clock"
)]
fn wall() -> Timestamp {
    SystemTime::now().into()
}

/// A clock that stands still until it is moved, for tests.
#[derive(Debug)]
pub struct ManualClock {
    micros: AtomicI64,
    moved: watch::Sender<()>,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn at(start: Timestamp) -> Self {
        Self {
            micros: AtomicI64::new(start.as_micros()),
            moved: watch::Sender::new(()),
        }
    }

    /// Moves it forward, and wakes whoever waits for that.
    pub fn advance(&self, span: Duration) {
        self.set(self.now() + span);
    }

    /// Sets it, forward or back.
    pub fn set(&self, instant: Timestamp) {
        self.micros.store(instant.as_micros(), Ordering::SeqCst);
        self.moved.send_replace(());
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn until(&self, instant: Timestamp) -> BoxFuture<'_, ()> {
        let mut moved = self.moved.subscribe();
        Box::pin(async move {
            // The sender lives as long as the clock, which is borrowed.
            let _ = moved.wait_for(|()| self.now() >= instant).await;
        })
    }
}

impl<C: Clock> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn until(&self, instant: Timestamp) -> BoxFuture<'_, ()> {
        (**self).until(instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_on_a_manual_clock_is_woken_when_it_is_time() {
        let clock = std::sync::Arc::new(ManualClock::at(Timestamp::from_seconds(100)));
        let waiter = clock.clone();
        let waiting = tokio::spawn(async move {
            waiter.until(Timestamp::from_seconds(110)).await;
            waiter.now()
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(5));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.advance(Duration::from_secs(5));
        assert_eq!(waiting.await.unwrap(), Timestamp::from_seconds(110));
    }

    #[test]
    fn the_systems_clock_shows_a_time_of_this_century() {
        let now = SystemClock.now();
        assert!(now > Timestamp::from_seconds(1_700_000_000));
        assert!(now < Timestamp::from_seconds(4_100_000_000));
    }
}
