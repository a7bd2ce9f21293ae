//! All connections at present: who makes room when the listener is full, and
//! who must end when it shuts down.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::link::{Link, Order};

/// How many connections are looked at to make room for one.
const LOOKS: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Crowd {
    members: Mutex<Members>,
    empty: Notify,
}

#[derive(Debug, Default)]
struct Members {
    next: u64,
    /// In the order in which they are asked to make room.
    queue: BTreeMap<u64, Arc<Member>>,
}

#[derive(Debug)]
struct Member {
    link: Arc<Link>,
    /// Its place in the queue.
    number: AtomicU64,
}

/// The place of one connection, given back when it is dropped.
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    member: Arc<Member>,
}

impl Crowd {
    pub(crate) fn admit(self: &Arc<Self>, link: Arc<Link>) -> Place {
        let member = Arc::new(Member {
            link,
            number: AtomicU64::new(0),
        });
        self.lock().append(Arc::clone(&member));
        Place {
            crowd: Arc::clone(self),
            member,
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.lock().queue.len()
    }

    /// Asks one connection without a request to close; false if none was found.
    ///
    /// The oldest goes first, and one that had a request since it was last
    /// looked at is passed over: a flood of idle sockets displaces itself, not
    /// the peers that use theirs.
    pub(crate) fn make_room(&self) -> bool {
        let mut members = self.lock();
        let mut second_choice = None;
        for _ in 0..LOOKS.min(members.queue.len()) {
            let Some(member) = members.rotate() else {
                break;
            };
            if !member.link.sheddable() || member.link.order() != Order::None {
                continue;
            }
            if !member.link.take_used() {
                member.link.give(Order::Shed);
                return true;
            }
            second_choice.get_or_insert(member);
        }
        second_choice
            .inspect(|member| member.link.give(Order::Shed))
            .is_some()
    }

    pub(crate) fn give_all(&self, order: Order) -> usize {
        let members = self.lock();
        members
            .queue
            .values()
            .for_each(|member| member.link.give(order));
        members.queue.len()
    }

    /// Waits until the last connection has gone.
    pub(crate) async fn emptied(&self) {
        loop {
            let notified = self.empty.notified();
            if self.size() == 0 {
                return;
            }
            notified.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    fn append(&mut self, member: Arc<Member>) {
        member.number.store(self.next, Relaxed);
        self.queue.insert(self.next, member);
        self.next += 1;
    }

    /// Moves the first in the queue to its end.
    fn rotate(&mut self) -> Option<Arc<Member>> {
        let (_, member) = self.queue.pop_first()?;
        self.append(Arc::clone(&member));
        Some(member)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut members = self.crowd.lock();
        members.queue.remove(&self.member.number.load(Relaxed));
        if members.queue.is_empty() {
            self.crowd.empty.notify_waiters();
        }
    }
}
