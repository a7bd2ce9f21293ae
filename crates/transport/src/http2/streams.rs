//! What the requests of one connection have in common. They run in tasks of
//! their own, so this is under a lock, and the phase of the connection's link
//! is changed nowhere else.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Peer;
use crate::link::{Link, Phase};

/// So much of an answer as fits into one frame.
const PIECE: usize = 16 * 1024;

pub(super) struct Streams {
    /// That of the connection.
    link: Arc<Link>,
    state: Mutex<State>,
    written: AtomicUsize,
}

#[derive(Default)]
struct State {
    open: usize,
    /// The heads of the open ones, in bytes as they count against the limit.
    heads: usize,
    /// The request that was opened last, with its head, until its task is there.
    newest: Option<(Arc<Link>, usize)>,
    /// By how many more requests were given up by the peer than answered.
    forsaken: usize,
}

impl Streams {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            state: Mutex::default(),
            written: AtomicUsize::new(0),
        }
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// A request has come, with a head of so many bytes; what it has a link for.
    pub(super) fn open(&self, peer: Peer, head: usize) -> Arc<Link> {
        let link = Arc::new(self.link.branch(peer, PIECE));
        let mut state = self.lock();
        state.open += 1;
        state.heads += head;
        state.newest = Some((Arc::clone(&link), head));
        self.link.pass();
        self.link.enter(Phase::Running);
        link
    }

    /// How large the heads of all open requests are together.
    pub(super) fn heads(&self) -> usize {
        self.lock().heads
    }

    pub(super) fn take_newest(&self) -> Option<(Arc<Link>, usize)> {
        self.lock().newest.take()
    }

    /// A request is over. `answered` unless the peer gave it up before.
    pub(super) fn close(&self, head: usize, answered: bool) {
        let mut state = self.lock();
        state.open = state.open.saturating_sub(1);
        state.heads = state.heads.saturating_sub(head);
        state.forsaken = match answered {
            true => state.forsaken.saturating_sub(1),
            false => state.forsaken + 1,
        };
        if state.open == 0 {
            self.link.enter(Phase::Waiting);
        }
        drop(state);
        self.link.wake();
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
