//! All connections of a listener: which one makes room when the listener is full, how
//! many an address may hold, and which must end when the listener shuts down.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::ListenerLimits;
use crate::connection_state::{ConnectionOrder, ConnectionState};

/// How many connections are examined to make room for one.
const LOOKS: usize = 256;

/// How many half-sent requests one search of all connections finds, and how long there is
/// no further search after one that found none: refusing connections must stay cheap.
const FOUND: usize = 64;
const PAUSE: Duration = Duration::from_millis(10);

/// The unit by which connections are counted: an IPv4 address, or the /64 network of an
/// IPv6 address, which is what one subscriber gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionHolder(IpNet);

impl ConnectionHolder {
    pub(crate) fn new(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let prefix = if address.is_ipv4() { 32 } else { 64 };
        Self(IpNet::new_assert(address, prefix).trunc())
    }
}

/// Why a new connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// All connections of the listener are busy.
    Full,
    /// Its address has as many as it may, and all are busy.
    ShareTaken,
}

#[derive(Debug)]
pub(crate) struct ConnectionLimit {
    most: usize,
    share: usize,
    members: Mutex<OpenConnections>,
    empty: Notify,
}

#[derive(Debug, Default)]
struct OpenConnections {
    next: u64,
    /// In the order in which they are considered for closing.
    queue: IdleQueue,
    holders: HashMap<ConnectionHolder, HolderShare>,
    /// The half-sent requests of the last search, the slowest at the end.
    slowest: Vec<Arc<OpenConnection>>,
    found_none: Option<Instant>,
}

type IdleQueue = BTreeMap<u64, Arc<OpenConnection>>;

/// The connections and further requests of one address.
#[derive(Debug, Default)]
struct HolderShare {
    queue: IdleQueue,
    /// See [`ConnectionState::busy_requests`].
    requests: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct OpenConnection {
    state: Arc<ConnectionState>,
    /// Its position in the queues.
    number: AtomicU64,
    holder: OnceLock<ConnectionHolder>,
}

/// The place of one connection, given back when it is dropped.
pub(crate) struct ConnectionPlace {
    limit: Arc<ConnectionLimit>,
    member: Arc<OpenConnection>,
}

impl ConnectionLimit {
    pub(crate) fn new(limits: &ListenerLimits) -> Self {
        Self {
            most: limits.max_connections,
            share: limits.max_connections_per_address.unwrap_or(usize::MAX),
            members: Mutex::default(),
            empty: Notify::new(),
        }
    }

    /// Admits a connection of `holder`, or one that is not counted for any address
    /// (`None`).
    ///
    /// A connection that is asked to make room closes a little later; the new one need not
    /// wait for it.
    pub(crate) fn admit(
        self: &Arc<Self>,
        state: Arc<ConnectionState>,
        holder: Option<ConnectionHolder>,
    ) -> Result<ConnectionPlace, NoPlace> {
        let mut members = self.lock();
        if let Some(holder) = holder {
            members.find_share(holder, self.share)?;
        }
        if members.queue.len() >= self.most && !members.make_room(holder) {
            return Err(NoPlace::Full);
        }
        let member = Arc::new(OpenConnection {
            state,
            number: AtomicU64::new(0),
            holder: OnceLock::new(),
        });
        if let Some(holder) = holder {
            members.belongs_to(&member, holder);
        }
        members.append(Arc::clone(&member));
        drop(members);
        Ok(ConnectionPlace {
            limit: Arc::clone(self),
            member,
        })
    }

    /// Asks the least useful connection to close; false if none can be closed.
    pub(crate) fn make_room(&self) -> bool {
        self.lock().make_room(None)
    }

    pub(crate) fn give_all(&self, order: ConnectionOrder) -> usize {
        let members = self.lock();
        let all = members.queue.values();
        all.for_each(|member| member.state.give(order));
        members.queue.len()
    }

    /// Waits until the last connection has gone.
    pub(crate) async fn emptied(&self) {
        loop {
            let notified = self.empty.notified();
            if self.lock().queue.is_empty() {
                return;
            }
            notified.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnections {
    /// Fails if the address has as many connections as it may, and none can be closed.
    fn find_share(&mut self, holder: ConnectionHolder, share: usize) -> Result<(), NoPlace> {
        if self.held(holder) < share || self.shed(Some(holder)) {
            Ok(())
        } else {
            Err(NoPlace::ShareTaken)
        }
    }

    fn make_room(&mut self, newcomer: Option<ConnectionHolder>) -> bool {
        self.shed(None) || self.displace(newcomer)
    }

    /// Asks one connection without a request to close, of all or of one holder.
    ///
    /// The oldest is chosen first, and one that had a request since it was last
    /// examined is skipped: a flood of idle sockets displaces itself, not the peers that
    /// use theirs.
    fn shed(&mut self, holder: Option<ConnectionHolder>) -> bool {
        let mut second_choice = None;
        let size = holder.map_or(self.queue.len(), |holder| self.held(holder));
        for _ in 0..LOOKS.min(size) {
            let Some(member) = self.rotate(holder) else {
                break;
            };
            if !member.state.sheddable() || member.state.order() != ConnectionOrder::None {
                continue;
            }
            if !member.state.take_used() {
                member.state.give(ConnectionOrder::Shed);
                return true;
            }
            second_choice.get_or_insert(member);
        }
        second_choice
            .inspect(|member| member.state.give(ConnectionOrder::Shed))
            .is_some()
    }

    /// Asks the connection to close whose half-sent request arrives most slowly, of
    /// those whose address has more connections than that of the new one.
    fn displace(&mut self, newcomer: Option<ConnectionHolder>) -> bool {
        let held = newcomer.map_or(0, |holder| self.held(holder));
        self.slowest.retain(|member| is_displaceable(member));
        if self.slowest.is_empty() {
            if self.found_none.is_some_and(|since| since.elapsed() < PAUSE) {
                return false;
            }
            self.find_slowest();
            self.found_none = self.slowest.is_empty().then(Instant::now);
        }
        let more = |member: &Arc<OpenConnection>| {
            let holder = member.holder.get();
            holder.is_none_or(|holder| self.held(*holder) > held)
        };
        let Some(at) = self.slowest.iter().rposition(more) else {
            return false;
        };
        self.slowest
            .remove(at)
            .state
            .give(ConnectionOrder::Displace);
        true
    }

    fn find_slowest(&mut self) {
        let displaceable = self.queue.values().filter(|member| is_displaceable(member));
        let half_sent = displaceable.map(|it| (it.state.half_sent().rate(), it));
        let mut half_sent: Vec<_> = half_sent.collect();
        half_sent.sort_by_key(|(rate, _)| *rate);
        half_sent.truncate(FOUND);
        let members = half_sent.into_iter().rev();
        self.slowest = members.map(|(_, member)| Arc::clone(member)).collect();
    }

    fn held(&self, holder: ConnectionHolder) -> usize {
        let holding = self.holders.get(&holder);
        holding.map_or(0, |holding| holding.queue.len())
    }

    /// The member must not be in the queue yet.
    fn belongs_to(&mut self, member: &OpenConnection, holder: ConnectionHolder) {
        let requests = &self.holders.entry(holder).or_default().requests;
        member
            .state
            .busy_requests()
            .belongs_to(Arc::clone(requests));
        member.holder.get_or_init(|| holder);
    }

    fn append(&mut self, member: Arc<OpenConnection>) {
        let number = self.next;
        self.next += 1;
        member.number.store(number, Relaxed);
        if let Some(holder) = member.holder.get() {
            let holding = self.holders.entry(*holder).or_default();
            holding.queue.insert(number, Arc::clone(&member));
        }
        self.queue.insert(number, member);
    }

    fn remove(&mut self, member: &OpenConnection) {
        let number = member.number.load(Relaxed);
        self.queue.remove(&number);
        if let Some(holder) = member.holder.get()
            && let Some(holding) = self.holders.get_mut(holder)
        {
            holding.queue.remove(&number);
        }
    }

    /// Moves the first, of all or of one holder, to the end of its queues.
    fn rotate(&mut self, holder: Option<ConnectionHolder>) -> Option<Arc<OpenConnection>> {
        let queue = match holder {
            None => &self.queue,
            Some(holder) => &self.holders.get(&holder)?.queue,
        };
        let member = Arc::clone(queue.first_key_value()?.1);
        self.remove(&member);
        self.append(Arc::clone(&member));
        Some(member)
    }
}

fn is_displaceable(member: &OpenConnection) -> bool {
    member.state.order() == ConnectionOrder::None && member.state.half_sent().rate().is_some()
}

impl ConnectionPlace {
    pub(crate) fn state(&self) -> &Arc<ConnectionState> {
        &self.member.state
    }

    /// A proxy has stated whose connection it is. Fails if that address has as many as it
    /// may.
    pub(crate) fn claim(&self, holder: ConnectionHolder) -> Result<(), NoPlace> {
        let mut members = self.limit.lock();
        members.find_share(holder, self.limit.share)?;
        members.remove(&self.member);
        members.belongs_to(&self.member, holder);
        members.append(Arc::clone(&self.member));
        Ok(())
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut members = self.limit.lock();
        members.remove(&self.member);
        if let Some(holder) = self.member.holder.get()
            && members.held(*holder) == 0
        {
            members.holders.remove(holder);
        }
        if members.queue.is_empty() {
            self.limit.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
