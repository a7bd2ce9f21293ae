//! The state that the requests of one connection share. The requests run in tasks of
//! their own, so it is under a lock, and only this module changes the phase of the
//! connection's [`ConnectionState`](crate::connection_state::ConnectionState).

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::buffers::BufferKind;
use crate::connection_state::{ConnectionPhase, ConnectionState};
use crate::{ListenerLimits, Peer};

/// So much of an answer as fits into one frame.
const PIECE: usize = 16 * 1024;

pub(super) struct OpenStreams {
    /// That of the connection.
    link: Arc<ConnectionState>,
    state: Mutex<StreamState>,
    written: AtomicUsize,
}

#[derive(Default)]
struct StreamState {
    open: usize,
    /// The heads of the open ones, in bytes as they count against the limit.
    heads: usize,
    /// The request that was opened last, with its head, until its task is there.
    newest: Option<(Arc<ConnectionState>, usize)>,
    /// By how many more requests were given up by the peer than answered.
    forsaken: usize,
}

impl OpenStreams {
    pub(super) fn new(link: Arc<ConnectionState>) -> Self {
        Self {
            link,
            state: Mutex::default(),
            written: AtomicUsize::new(0),
        }
    }

    pub(super) fn link(&self) -> &Arc<ConnectionState> {
        &self.link
    }

    /// A request has come, with a head of so many bytes; what it has a link for.
    pub(super) fn open(&self, peer: Peer, head: usize) -> Arc<ConnectionState> {
        let link = Arc::new(self.link.branch(peer, PIECE));
        let mut state = self.lock();
        state.open += 1;
        if state.open > 1 {
            self.link.crowding().add();
        }
        self.link.half_sent().set_running(state.open);
        state.heads += head;
        state.newest = Some((Arc::clone(&link), head));
        self.link.pass();
        self.link.enter(ConnectionPhase::Running);
        link
    }

    /// Whether this connection has more than one request while more run than may
    /// beyond the first of each connection: on the listener, or of one address.
    pub(super) fn crowd(&self, limits: &ListenerLimits) -> bool {
        let share = limits.max_connections_per_address;
        let crowding = self.link.crowding();
        crowding.exceeds(limits.max_connections, share) && self.lock().open > 1
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
        let mut state = self.lock();
        if state.open > 1 {
            self.link.crowding().subtract(1);
        }
        state.open = state.open.saturating_sub(1);
        self.link.half_sent().set_running(state.open);
        state.heads = state.heads.saturating_sub(head);
        state.forsaken = match answered {
            true => state.forsaken.saturating_sub(1),
            false => state.forsaken + 1,
        };
        if state.open == 0 {
            self.forget_unread();
            self.link.enter(ConnectionPhase::Waiting);
        }
        drop(state);
        self.link.wake();
    }

    /// All that has come was looked at: with no request open, what came of bodies is
    /// of none, and h2 has thrown it away.
    pub(super) fn settle(&self) {
        if self.lock().open == 0 {
            self.forget_unread();
        }
    }

    fn forget_unread(&self) {
        let buffers = self.link.buffers();
        buffers.subtract(BufferKind::Unread, usize::MAX);
    }

    pub(super) fn forsaken(&self) -> usize {
        self.lock().forsaken
    }

    /// The socket took so many bytes.
    pub(super) fn count_written(&self, bytes: usize) {
        self.written.fetch_add(bytes, Relaxed);
    }

    pub(super) fn written(&self) -> usize {
        self.written.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenStreams {
    /// What the connection's end left open crowds nobody any more.
    fn drop(&mut self) {
        let left = self.lock().open.saturating_sub(1);
        self.link.crowding().subtract(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffers::BufferAccount;
    use crate::connection_state::BusyRequests;

    #[test]
    fn each_request_but_the_first_crowds_the_house_until_it_is_over() {
        let crowding = Arc::new(AtomicUsize::new(0));
        let crowd = || crowding.load(Relaxed);
        let buffers = Arc::new(BufferAccount::new(1000));
        let address = "127.0.0.1:1".parse().unwrap();
        let peer = Peer::new(address, address);
        let connection = || {
            OpenStreams::new(Arc::new(ConnectionState::new(
                None,
                BusyRequests::new(Arc::clone(&crowding)),
                Arc::new(buffers.connection()),
            )))
        };
        let (one, other) = (connection(), connection());
        for _ in 0..3 {
            one.open(peer, 10);
        }
        other.open(peer, 10);
        assert_eq!(crowd(), 2);
        let most = |max_connections| ListenerLimits {
            max_connections,
            ..ListenerLimits::default()
        };
        assert!(one.crowd(&most(1)) && !one.crowd(&most(2)) && !other.crowd(&most(1)));
        one.close(10, true);
        assert_eq!(crowd(), 1);
        drop(one);
        assert_eq!(crowd(), 0, "the connection ended with two requests open");
        other.close(10, true);
        drop(other);
        assert_eq!(crowd(), 0);
    }
}
