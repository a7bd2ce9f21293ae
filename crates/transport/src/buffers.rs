//! The memory that buffered data may take on a listener, over all of its connections
//! ([`ListenerLimits::max_buffered_bytes`](crate::ListenerLimits)): request bodies that
//! nobody has read yet, and responses that the peer has not read.
//!
//! Flow control keeps the limit. While a connection has no room, response bodies are not
//! polled, uploads are not read, and its socket is not read. Half of the limit is shared:
//! a connection may take from it while it holds less than is left, so the more
//! connections hoard data, the less each can take, and some is always left. The other
//! half is for single pieces, which a connection may take whenever it holds none: a peer
//! that keeps reading makes progress whatever the others do. A peer that reads nothing is
//! cut off by its write timeout, and everything that it held is freed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// The account of one listener.
#[derive(Debug)]
pub(crate) struct BufferAccount {
    shared: usize,
    state: Mutex<BufferState>,
}

#[derive(Debug, Default)]
struct BufferState {
    used: usize,
    next: usize,
    waiting: HashMap<usize, RoomWaiters>,
}

/// Tasks of one connection that wait for room, by what for.
#[derive(Debug)]
struct RoomWaiters {
    held: Arc<[AtomicUsize; 4]>,
    wakers: [Vec<Waker>; 4],
}

/// What is held.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BufferKind {
    /// Parts of answers that the peer has not taken.
    Unsent,
    /// Parts of request bodies that the service has taken and not let go.
    Uploaded,
    /// Parts of request bodies that nobody has read (HTTP/2).
    Unread,
    /// What requests take beside, that run beside the first of their connection.
    Running,
}

/// The account of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionBuffers {
    buffers: Arc<BufferAccount>,
    number: usize,
    /// Changed under the lock of `buffers`.
    held: Arc<[AtomicUsize; 4]>,
}

impl BufferAccount {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            shared: bound / 2,
            state: Mutex::default(),
        }
    }

    pub(crate) fn connection(self: &Arc<Self>) -> ConnectionBuffers {
        let mut state = self.lock();
        state.next += 1;
        ConnectionBuffers {
            buffers: Arc::clone(self),
            number: state.next,
            held: Arc::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.lock().used
    }

    fn lock(&self) -> MutexGuard<'_, BufferState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BufferState {
    fn has_room(&self, shared: usize, held: &AtomicUsize) -> bool {
        let held = held.load(Relaxed);
        held == 0 || held < shared.saturating_sub(self.used)
    }

    /// Those who have room now.
    fn wakers(&mut self, shared: usize) -> Vec<Waker> {
        let mut woken = Vec::new();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|_, connection| {
            for (held, wakers) in connection.held.iter().zip(&mut connection.wakers) {
                if self.has_room(shared, held) {
                    woken.append(wakers);
                }
            }
            connection.wakers.iter().any(|wakers| !wakers.is_empty())
        });
        self.waiting = waiting;
        woken
    }
}

impl ConnectionBuffers {
    /// Ready when this connection may hold more.
    pub(crate) fn poll_room(&self, kind: BufferKind, context: &Context<'_>) -> Poll<()> {
        let mut state = self.buffers.lock();
        if state.has_room(self.buffers.shared, &self.held[kind as usize]) {
            return Poll::Ready(());
        }
        let waiting = state
            .waiting
            .entry(self.number)
            .or_insert_with(|| RoomWaiters {
                held: Arc::clone(&self.held),
                wakers: Default::default(),
            });
        let wakers = &mut waiting.wakers[kind as usize];
        if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// Counts `data` for as long as a part of it is left anywhere.
    pub(crate) fn hold(self: &Arc<Self>, kind: BufferKind, data: Bytes) -> Bytes {
        if data.is_empty() {
            return data;
        }
        self.add(kind, data.len());
        let buffers = Arc::clone(self);
        Bytes::from_owner(HeldBytes {
            data,
            kind,
            buffers,
        })
    }

    /// Counts so many bytes until they are given back.
    pub(crate) fn add(&self, kind: BufferKind, bytes: usize) {
        let mut state = self.buffers.lock();
        state.used += bytes;
        self.held[kind as usize].fetch_add(bytes, Relaxed);
    }

    /// Gives so many bytes back, if there are as many.
    pub(crate) fn subtract(&self, kind: BufferKind, bytes: usize) {
        let mut state = self.buffers.lock();
        let held = &self.held[kind as usize];
        let bytes = bytes.min(held.load(Relaxed));
        held.fetch_sub(bytes, Relaxed);
        state.used -= bytes;
        if bytes == 0 || state.waiting.is_empty() {
            return;
        }
        let woken = state.wakers(self.buffers.shared);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn held(&self, kind: BufferKind) -> usize {
        self.held[kind as usize].load(Relaxed)
    }
}

impl Drop for ConnectionBuffers {
    fn drop(&mut self) {
        // Dropped without the lock: with a waker may go what holds something here.
        let waiting = self.buffers.lock().waiting.remove(&self.number);
        drop(waiting);
        self.subtract(BufferKind::Unread, usize::MAX);
    }
}

struct HeldBytes {
    data: Bytes,
    kind: BufferKind,
    buffers: Arc<ConnectionBuffers>,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.buffers.subtract(self.kind, self.data.len());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicU64);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn piece() -> Bytes {
        Bytes::from(vec![0; 100])
    }

    fn has_room(connection: &ConnectionBuffers, kind: BufferKind) -> bool {
        let context = &Context::from_waker(Waker::noop());
        connection.poll_room(kind, context).is_ready()
    }

    /// Takes as much as it can get.
    fn hoard(connection: &Arc<ConnectionBuffers>) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        while has_room(connection, BufferKind::Unsent) {
            pieces.push(connection.hold(BufferKind::Unsent, piece()));
        }
        pieces
    }

    #[test]
    fn however_many_hoard_there_is_a_bound_and_room_for_who_drains() {
        let buffers = Arc::new(BufferAccount::new(20_000));
        let mut hoards = Vec::new();
        for hoarders in 1..=100 {
            let hoarder = Arc::new(buffers.connection());
            hoards.push(hoard(&hoarder));
            assert!(
                buffers.used() <= 20_000,
                "{hoarders} hoard {}",
                buffers.used()
            );
            let drains = Arc::new(buffers.connection());
            for _ in 0..3 {
                assert!(has_room(&drains, BufferKind::Unsent), "beside {hoarders}");
                drop(drains.hold(BufferKind::Unsent, piece()));
            }
        }
        drop(hoards);
        assert_eq!(buffers.used(), 0);
    }

    #[test]
    fn a_piece_counts_until_its_last_part_is_gone() {
        let buffers = Arc::new(BufferAccount::new(1000));
        let connection = Arc::new(buffers.connection());
        let mut whole = connection.hold(BufferKind::Uploaded, piece());
        let part = whole.split_off(90);
        drop(whole);
        assert_eq!(buffers.used(), 100);
        drop((part, connection));
        assert_eq!(buffers.used(), 0);
    }

    #[test]
    fn who_waits_is_woken_when_there_is_room_and_not_before() {
        let buffers = Arc::new(BufferAccount::new(2000));
        let (one, other) = (
            Arc::new(buffers.connection()),
            Arc::new(buffers.connection()),
        );
        let mut hoarded = hoard(&one);
        let mut others = hoard(&other);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let context = &Context::from_waker(&waker);
        assert!(other.poll_room(BufferKind::Unsent, context).is_pending());
        drop(other.hold(BufferKind::Uploaded, piece()));
        assert_eq!(
            woken.0.load(Relaxed),
            0,
            "there is no more room than before"
        );
        hoarded.truncate(1);
        assert_eq!(woken.0.load(Relaxed), 1);
        others.clear();
        assert_eq!(woken.0.load(Relaxed), 1, "it waits no more");
    }

    #[test]
    fn what_nobody_read_is_given_back_with_its_connection() {
        let buffers = Arc::new(BufferAccount::new(1000));
        let connection = buffers.connection();
        connection.add(BufferKind::Unread, 300);
        connection.subtract(BufferKind::Unread, 100);
        assert_eq!(
            (buffers.used(), connection.held(BufferKind::Unread)),
            (200, 200)
        );
        drop(connection);
        assert_eq!(buffers.used(), 0);
    }
}
