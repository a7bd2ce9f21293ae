//! The state that the requests of one connection share. The requests run in tasks of
//! their own, so it is under a lock, and only this module changes the phase of the
//! connection's [`ConnectionState`](crate::connection_state::ConnectionState).

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::buffers::BufferKind;
use crate::connection_state::{ConnectionPhase, ConnectionState};
use crate::{ListenerLimits, Peer};

/// As much of an answer as fits into one frame.
const PIECE: usize = 16 * 1024;

pub(super) struct OpenStreams {
    /// The state of the whole connection.
    state: Arc<ConnectionState>,
    streams: Mutex<StreamState>,
    written: AtomicUsize,
}

#[derive(Default)]
struct StreamState {
    open: usize,
    /// The heads of the open ones, in bytes as they count against the limit.
    heads: usize,
    /// The newest request, with the size of its head, until its task takes it.
    newest: Option<(Arc<ConnectionState>, usize)>,
    /// How many more requests the peer gave up than were answered.
    forsaken: usize,
}

impl OpenStreams {
    pub(super) fn new(state: Arc<ConnectionState>) -> Self {
        Self {
            state,
            streams: Mutex::default(),
            written: AtomicUsize::new(0),
        }
    }

    pub(super) fn state(&self) -> &Arc<ConnectionState> {
        &self.state
    }

    /// Registers a request that arrived with a head of `head` bytes, and returns its state.
    pub(super) fn open(&self, peer: Peer, head: usize) -> Arc<ConnectionState> {
        let state = Arc::new(self.state.branch(peer, PIECE));
        let mut streams = self.lock();
        streams.open += 1;
        if streams.open > 1 {
            self.state.busy_requests().add();
        }
        self.state.half_sent().set_running(streams.open);
        streams.heads += head;
        streams.newest = Some((Arc::clone(&state), head));
        self.state.pass();
        self.state.enter(ConnectionPhase::Running);
        state
    }

    /// Whether this connection has more than one request while more run than may
    /// beyond the first of each connection: on the listener, or of one address.
    pub(super) fn exceeds_limit(&self, limits: &ListenerLimits) -> bool {
        let share = limits.max_connections_per_address;
        let busy_requests = self.state.busy_requests();
        busy_requests.exceeds(limits.max_connections, share) && self.lock().open > 1
    }

    pub(super) fn open_requests(&self) -> usize {
        self.lock().open
    }

    /// How large the heads of all open requests are together.
    pub(super) fn heads(&self) -> usize {
        self.lock().heads
    }

    pub(super) fn take_newest(&self) -> Option<(Arc<ConnectionState>, usize)> {
        self.lock().newest.take()
    }

    /// A request is over. `answered` unless the peer gave it up before.
    pub(super) fn close(&self, head: usize, answered: bool) {
        let mut streams = self.lock();
        if streams.open > 1 {
            self.state.busy_requests().subtract(1);
        }
        streams.open = streams.open.saturating_sub(1);
        self.state.half_sent().set_running(streams.open);
        streams.heads = streams.heads.saturating_sub(head);
        streams.forsaken = match answered {
            true => streams.forsaken.saturating_sub(1),
            false => streams.forsaken + 1,
        };
        if streams.open == 0 {
            self.forget_unread();
            self.state.enter(ConnectionPhase::Waiting);
        }
        drop(streams);
        self.state.wake();
    }

    /// Everything received so far was processed. If no request is open, the bytes of bodies
    /// belong to none, and h2 has discarded them.
    pub(super) fn settle(&self) {
        if self.lock().open == 0 {
            self.forget_unread();
        }
    }

    fn forget_unread(&self) {
        let buffers = self.state.buffers();
        buffers.subtract(BufferKind::Unread, usize::MAX);
    }

    pub(super) fn forsaken(&self) -> usize {
        self.lock().forsaken
    }

    /// Counts bytes that were written to the socket.
    pub(super) fn count_written(&self, bytes: usize) {
        self.written.fetch_add(bytes, Relaxed);
    }

    pub(super) fn written(&self) -> usize {
        self.written.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenStreams {
    /// Requests that the end of the connection left open no longer count.
    fn drop(&mut self) {
        let left = self.lock().open.saturating_sub(1);
        self.state.busy_requests().subtract(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffers::BufferAccount;
    use crate::connection_state::BusyRequests;

    #[test]
    fn each_request_but_the_first_crowds_the_house_until_it_is_over() {
        let busy_requests = Arc::new(AtomicUsize::new(0));
        let running = || busy_requests.load(Relaxed);
        let buffers = Arc::new(BufferAccount::new(1000));
        let address = "127.0.0.1:1".parse().unwrap();
        let peer = Peer::new(address, address);
        let connection = || {
            OpenStreams::new(Arc::new(ConnectionState::new(
                None,
                BusyRequests::new(Arc::clone(&busy_requests)),
                Arc::new(buffers.connection()),
            )))
        };
        let (one, other) = (connection(), connection());
        for _ in 0..3 {
            one.open(peer, 10);
        }
        other.open(peer, 10);
        assert_eq!(running(), 2);
        let most = |max_connections| ListenerLimits {
            max_connections,
            ..ListenerLimits::default()
        };
        assert!(
            one.exceeds_limit(&most(1))
                && !one.exceeds_limit(&most(2))
                && !other.exceeds_limit(&most(1))
        );
        one.close(10, true);
        assert_eq!(running(), 1);
        drop(one);
        assert_eq!(running(), 0, "the connection ended with two requests open");
        other.close(10, true);
        drop(other);
        assert_eq!(running(), 0);
    }
}
