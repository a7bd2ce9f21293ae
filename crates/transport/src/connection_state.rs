//! The state that the parts of one connection share: the gate below hyper, the service
//! above it, the driver around it, and the accept loop.
//!
//! All but the accept loop run in one task, so the atomics need no ordering; they are
//! there because the parts cannot hold references to each other. Over HTTP/2 each request
//! has a state of its own, in its own task, and [`crate::http2`] keeps the connection's.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use http::HeaderMap;

use crate::Peer;
use crate::body_pace::HalfSent;
use crate::buffers::ConnectionBuffers;
use crate::refusal::{RefusalHook, RefusedRequest, TransportRefusal};
use crate::refused_page_request::RefusedPageRequest;
use crate::tunnel::UpgradeTunnel;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionPhase {
    /// For a request: new, or between two.
    Waiting,
    /// The service has a request and has not answered.
    Running,
    /// The body of an answer is under way.
    Answering,
    /// For nothing: the connection has become a tunnel.
    Tunnel,
    /// All is said; what the peer still sends is thrown away.
    Closing,
}

/// What became of the last request's wish for another protocol.
#[derive(Clone)]
pub(crate) enum UpgradeState {
    /// It had none, or it was declined.
    None,
    /// The service may grant it.
    Offered,
    Granted(Arc<UpgradeTunnel>),
}

/// What the accept loop asks of a connection; a later one outranks the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConnectionOrder {
    /// Go on.
    None,
    /// Close if no request is running: another wants the place.
    Shed,
    /// Close if nothing but the rest of a request is waited for: another wants the
    /// place.
    Displace,
    /// Finish the request that is running, then close.
    Drain,
    /// Close at once.
    Cut,
}

/// A look at everything that a deadline depends on. Two equal looks mean that
/// nothing has happened in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionView {
    pub(crate) phase: ConnectionPhase,
    /// Counts changes of phase; zero before the first request.
    pub(crate) turn: u64,
    /// Part of a head has come.
    pub(crate) head_begun: bool,
    /// The peer does not take what is written.
    pub(crate) blocked: bool,
}

pub(crate) struct ConnectionState {
    phase: AtomicU8,
    turn: AtomicU64,
    head_begun: AtomicBool,
    body_open: AtomicBool,
    blocked: AtomicBool,
    passed: AtomicU64,
    called: AtomicU64,
    /// How much of an answer hyper is given at a time, how much it has, and
    /// whether it holds the last of it back because the peer takes no more.
    longest_piece: usize,
    given: AtomicUsize,
    held_back: AtomicBool,
    upgrade_offered: AtomicBool,
    tunnel: OnceLock<Arc<UpgradeTunnel>>,
    refusal: OnceLock<(TransportRefusal, Option<Box<RefusedPageRequest>>)>,
    /// The request that the service has came over HTTP/1.0.
    old: AtomicBool,
    /// Why nobody waits for the service any longer.
    given_up: OnceLock<TransportRefusal>,
    half_sent: Arc<HalfSent>,
    /// A request has come since the accept loop last looked for a place.
    used: AtomicBool,
    order: AtomicU8,
    waker: Mutex<Option<Waker>>,
    /// Called when a request is refused before it reaches the service.
    witness: Option<Arc<RefusalHook>>,
    busy_requests: BusyRequests,
    buffers: Arc<ConnectionBuffers>,
    /// The other end of the connection, as soon as it is known.
    peer: OnceLock<Peer>,
}

/// How many requests run beyond the first of each connection: on all connections
/// of the listener, and on those of one address, where it is counted.
#[derive(Debug, Default)]
pub(crate) struct BusyRequests {
    all: Arc<AtomicUsize>,
    of_address: OnceLock<Arc<AtomicUsize>>,
}

impl BusyRequests {
    pub(crate) fn new(all: Arc<AtomicUsize>) -> Self {
        Self {
            all,
            of_address: OnceLock::new(),
        }
    }

    pub(crate) fn belongs_to(&self, of_address: Arc<AtomicUsize>) {
        self.of_address.get_or_init(|| of_address);
    }

    pub(crate) fn add(&self) {
        self.all.fetch_add(1, Relaxed);
        self.of_address.get().map(|own| own.fetch_add(1, Relaxed));
    }

    pub(crate) fn subtract(&self, requests: usize) {
        self.all.fetch_sub(requests, Relaxed);
        let own = self.of_address.get();
        own.map(|own| own.fetch_sub(requests, Relaxed));
    }

    /// Whether there are more than `most` on the listener, or more than `share` of
    /// the address.
    pub(crate) fn exceeds(&self, most: usize, share: Option<usize>) -> bool {
        let own = self.of_address.get().map_or(0, |own| own.load(Relaxed));
        self.all.load(Relaxed) > most || share.is_some_and(|share| own > share)
    }
}

impl fmt::Debug for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionState")
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl ConnectionState {
    pub(crate) fn new(
        witness: Option<Arc<RefusalHook>>,
        busy_requests: BusyRequests,
        buffers: Arc<ConnectionBuffers>,
    ) -> Self {
        Self {
            phase: AtomicU8::new(ConnectionPhase::Waiting as u8),
            turn: AtomicU64::new(0),
            head_begun: AtomicBool::new(false),
            body_open: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            passed: AtomicU64::new(0),
            called: AtomicU64::new(0),
            longest_piece: usize::MAX,
            given: AtomicUsize::new(0),
            held_back: AtomicBool::new(false),
            upgrade_offered: AtomicBool::new(false),
            tunnel: OnceLock::new(),
            refusal: OnceLock::new(),
            old: AtomicBool::new(false),
            given_up: OnceLock::new(),
            half_sent: Arc::default(),
            used: AtomicBool::new(false),
            order: AtomicU8::new(ConnectionOrder::None as u8),
            waker: Mutex::new(None),
            witness,
            busy_requests,
            buffers,
            peer: OnceLock::new(),
        }
    }

    /// A state for a request that runs in a task of its own, and whose answer is
    /// given in pieces: h2 would take pieces of any length.
    pub(crate) fn branch(&self, peer: Peer, longest_piece: usize) -> Self {
        let branch = Self {
            longest_piece,
            half_sent: Arc::clone(&self.half_sent),
            ..Self::new(
                self.witness.clone(),
                BusyRequests::default(),
                Arc::clone(&self.buffers),
            )
        };
        branch.belongs_to(peer);
        branch
    }

    pub(crate) fn busy_requests(&self) -> &BusyRequests {
        &self.busy_requests
    }

    /// The bytes of the connection's answers and uploads that are in memory.
    pub(crate) fn buffers(&self) -> &Arc<ConnectionBuffers> {
        &self.buffers
    }

    pub(crate) fn half_sent(&self) -> &HalfSent {
        &self.half_sent
    }

    pub(crate) fn longest_piece(&self) -> usize {
        self.longest_piece
    }

    pub(crate) fn belongs_to(&self, peer: Peer) {
        self.peer.get_or_init(|| peer);
    }

    /// Tells of a refusal; what comes back goes into the answer.
    pub(crate) fn testify(
        &self,
        refusal: TransportRefusal,
        asked: Option<&RefusedPageRequest>,
    ) -> HeaderMap {
        let (Some(on_refusal), Some(peer)) = (&self.witness, self.peer.get()) else {
            return HeaderMap::new();
        };
        let refused = RefusedRequest {
            peer: *peer,
            status: refusal.status(),
            why: refusal.detail(),
        };
        on_refusal(&refused, asked)
    }

    // The phase: told by the service and the gate, read by the driver.

    pub(crate) fn enter(&self, phase: ConnectionPhase) {
        match (self.phase(), phase) {
            (ConnectionPhase::Answering, ConnectionPhase::Answering) => {}
            (ConnectionPhase::Answering, _) => self.half_sent.answer_ends(),
            (_, ConnectionPhase::Answering) => self.half_sent.answer_begins(),
            _ => {}
        }
        self.phase.store(phase as u8, Relaxed);
        self.turn.store(self.turn.load(Relaxed) + 1, Relaxed);
    }

    pub(crate) fn phase(&self) -> ConnectionPhase {
        const PHASES: [ConnectionPhase; 5] = [
            ConnectionPhase::Waiting,
            ConnectionPhase::Running,
            ConnectionPhase::Answering,
            ConnectionPhase::Tunnel,
            ConnectionPhase::Closing,
        ];
        PHASES[usize::from(self.phase.load(Relaxed)) % PHASES.len()]
    }

    /// Whether closing now would interrupt no request.
    pub(crate) fn sheddable(&self) -> bool {
        matches!(
            self.phase(),
            ConnectionPhase::Waiting | ConnectionPhase::Closing
        ) && !self.blocked.load(Relaxed)
    }

    pub(crate) fn view(&self) -> ConnectionView {
        ConnectionView {
            phase: self.phase(),
            turn: self.turn.load(Relaxed),
            head_begun: self.head_begun.load(Relaxed),
            blocked: self.blocked.load(Relaxed),
        }
    }

    pub(crate) fn set_head_begun(&self, begun: bool) {
        self.head_begun.store(begun, Relaxed);
    }

    pub(crate) fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Relaxed);
    }

    /// Bytes of the last body that began have not yet passed the gate.
    pub(crate) fn set_body_open(&self, open: bool) {
        self.body_open.store(open, Relaxed);
    }

    /// Whether bytes of the request that the service has are still to pass the
    /// gate. An open body is that of the last request whose head has passed.
    pub(crate) fn owes_body(&self) -> bool {
        self.body_open.load(Relaxed) && self.is_last()
    }

    /// Whether no request has passed the gate behind the one that the service has.
    fn is_last(&self) -> bool {
        self.called.load(Relaxed) == self.passed.load(Relaxed)
    }

    /// hyper has taken a piece of the answer, and asks for no more before it is
    /// rid of that.
    pub(crate) fn give_piece(&self, bytes: usize) {
        self.given.store(self.given() + bytes, Relaxed);
        self.held_back.store(true, Relaxed);
    }

    pub(crate) fn ask_for_piece(&self) {
        self.held_back.store(false, Relaxed);
    }

    pub(crate) fn given(&self) -> usize {
        self.given.load(Relaxed)
    }

    pub(crate) fn held_back(&self) -> bool {
        self.held_back.load(Relaxed)
    }

    // Requests: counted where they pass the gate and where hyper hands them on,
    // so that a refusal meets the request it was meant for and none before it.

    pub(crate) fn pass(&self) {
        self.passed.store(self.passed.load(Relaxed) + 1, Relaxed);
        self.used.store(true, Relaxed);
    }

    /// Refuses the request after those that have passed. The first reason stays.
    pub(crate) fn refuse(&self, refusal: TransportRefusal, asked: Option<Box<RefusedPageRequest>>) {
        self.refusal.get_or_init(|| (refusal, asked));
    }

    pub(crate) fn refused(&self) -> bool {
        self.refusal.get().is_some()
    }

    /// Counts a request that reaches the service; says why, and what is known of it,
    /// if it is the refused one.
    pub(crate) fn call(&self) -> Option<(TransportRefusal, Option<Box<RefusedPageRequest>>)> {
        let called = self.called.load(Relaxed);
        if called == self.passed.load(Relaxed) {
            return self.refusal.get().cloned();
        }
        self.called.store(called + 1, Relaxed);
        None
    }

    pub(crate) fn set_old(&self, old: bool) {
        self.old.store(old, Relaxed);
    }

    pub(crate) fn is_old(&self) -> bool {
        self.old.load(Relaxed)
    }

    /// The service is waited for no longer; the first reason stays.
    pub(crate) fn give_up(&self, refusal: TransportRefusal) {
        self.given_up.get_or_init(|| refusal);
    }

    pub(crate) fn given_up(&self) -> Option<TransportRefusal> {
        self.given_up.get().copied()
    }

    // Upgrades: offered where a wish passes the gate, which then lets nothing
    // more pass before the service has answered.

    pub(crate) fn offer_upgrade(&self, offered: bool) {
        self.upgrade_offered.store(offered, Relaxed);
    }

    pub(crate) fn upgrade(&self) -> UpgradeState {
        match self.tunnel.get() {
            Some(tunnel) => UpgradeState::Granted(Arc::clone(tunnel)),
            None if self.upgrade_offered.load(Relaxed) => UpgradeState::Offered,
            None => UpgradeState::None,
        }
    }

    /// Whether the request that the service has may be answered with 101.
    pub(crate) fn may_switch(&self) -> bool {
        self.upgrade_offered.load(Relaxed) && self.is_last()
    }

    pub(crate) fn grant_upgrade(&self) {
        self.tunnel.get_or_init(Arc::default);
        self.offer_upgrade(false);
        self.enter(ConnectionPhase::Tunnel);
    }

    /// The service has answered, and not with 101.
    pub(crate) fn decline_upgrade(&self) {
        if self.may_switch() {
            self.offer_upgrade(false);
            self.wake();
        }
    }

    /// Nobody has the stream any more.
    pub(crate) fn leave_tunnel(&self) {
        if let Some(tunnel) = self.tunnel.get() {
            tunnel.leave();
            self.wake();
        }
    }

    // Orders: from the accept loop to the driver.

    pub(crate) fn listen(&self, waker: &Waker) {
        let mut slot = lock(&self.waker);
        match &mut *slot {
            Some(known) => known.clone_from(waker),
            None => *slot = Some(waker.clone()),
        }
    }

    pub(crate) fn order(&self) -> ConnectionOrder {
        const ORDERS: [ConnectionOrder; 5] = [
            ConnectionOrder::None,
            ConnectionOrder::Shed,
            ConnectionOrder::Displace,
            ConnectionOrder::Drain,
            ConnectionOrder::Cut,
        ];
        ORDERS[usize::from(self.order.load(Relaxed)) % ORDERS.len()]
    }

    pub(crate) fn give(&self, order: ConnectionOrder) {
        self.order.fetch_max(order as u8, Relaxed);
        // Taking the lock is what makes the order visible to a driver that
        // registers its waker right now.
        self.wake();
    }

    /// Makes the driver look again.
    pub(crate) fn wake(&self) {
        let waker = lock(&self.waker).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The connection has found something to do and keeps its place.
    pub(crate) fn decline(&self, order: ConnectionOrder) {
        let (order, none) = (order as u8, ConnectionOrder::None as u8);
        let _ = self.order.compare_exchange(order, none, Relaxed, Relaxed);
    }

    /// Whether a request has come since the last question.
    pub(crate) fn take_used(&self) -> bool {
        self.used.swap(false, Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
