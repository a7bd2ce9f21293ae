//! Passwords: argon2id in a pool of limited size.
//!
//! A hash costs some ten milliseconds and 19 MiB on purpose, so only a few run at once and
//! only so many wait. Beyond that the pool refuses at once, and requests that need no hash
//! are not delayed.
//!
//! Attempts from networks that are known to the login wait in a queue of their own, which
//! others cannot fill. Of the other attempts only as many as can be hashed at once are ahead
//! of them, so a known partner never waits for all unknown ones.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use countersign_dialect::Secret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A pool with limited room for password hashing. Cheap to clone.
#[derive(Clone)]
pub struct PasswordPool {
    /// Room for attempts from unknown networks, both those that hash and those that wait.
    strangers: Arc<Semaphore>,
    /// Room for attempts from known networks.
    friends: Arc<Semaphore>,
    /// The attempts from unknown networks that are in line with the known ones, or hash.
    strangers_in_line: Arc<Semaphore>,
    /// Those that hash.
    hashing: Arc<Semaphore>,
    /// A login without a hash is checked against this one, so that it costs the same.
    decoy: Arc<str>,
}

/// The part of the pool that a password uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashingQueue {
    /// For operators, and for logins from networks that are known to them.
    Friends,
    /// For everybody else.
    Strangers,
}

/// Why a password was not hashed or checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// The pool is full, including its queue.
    #[error("too many passwords are being checked at once")]
    Busy,
    /// The hash function failed, or a stored hash cannot be read.
    #[error("the password hash could not be computed")]
    Failed,
}

impl PasswordPool {
    /// A pool in which `hashing` passwords are hashed at once, and `waiting` more may
    /// wait in each queue.
    ///
    /// # Errors
    ///
    /// [`PasswordFault::Failed`] if the hash function does not work here.
    pub fn new(hashing: usize, waiting: usize) -> Result<Self, PasswordFault> {
        let decoy = hash(&Secret::from("decoy"))?;
        Ok(Self::with_places(hashing, waiting, decoy.into()))
    }

    /// This pool, but with room for `waiting` attempts from known networks.
    #[must_use]
    pub fn with_friends_waiting(self, waiting: usize) -> Self {
        let hashing = self.hashing.available_permits();
        Self {
            friends: Arc::new(Semaphore::new(hashing + waiting)),
            ..self
        }
    }

    /// A pool without room, for an issuer without passwords: every attempt is refused, as
    /// by a full pool.
    pub fn none() -> Self {
        Self::with_places(0, 0, "".into())
    }

    fn with_places(hashing: usize, waiting: usize, decoy: Arc<str>) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            strangers: places(hashing + waiting),
            friends: places(hashing + waiting),
            strangers_in_line: places(hashing),
            hashing: places(hashing),
            decoy,
        }
    }

    /// The PHC string of `password` (argon2id, 19 MiB, 2 passes, a random salt),
    /// for an operator.
    pub async fn hash(&self, password: Secret) -> Result<String, PasswordFault> {
        let work = move || hash(&password);
        self.run(HashingQueue::Friends, work).await?
    }

    /// Whether `password` has this PHC string. Without one it is checked
    /// against a decoy, for the same cost, and is wrong.
    pub async fn verify(
        &self,
        password: Secret,
        stored: Option<String>,
        queue: HashingQueue,
    ) -> Result<bool, PasswordFault> {
        let decoy = self.decoy.clone();
        let work = move || match stored {
            Some(stored) => verify(&password, &stored),
            None => verify(&password, &decoy).map(|_| false),
        };
        self.run(queue, work).await?
    }

    async fn run<T: Send + 'static>(
        &self,
        queue: HashingQueue,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordFault> {
        let admitted = match queue {
            HashingQueue::Friends => &self.friends,
            HashingQueue::Strangers => &self.strangers,
        };
        let _admitted = admitted.try_acquire().map_err(|_| PasswordFault::Busy)?;
        let in_line = match queue {
            HashingQueue::Friends => None,
            HashingQueue::Strangers => Some(place(&self.strangers_in_line).await?),
        };
        let hashing = place(&self.hashing).await?;
        // The places are given back when the work ends, not when a caller that
        // went away stops waiting for it.
        let work = tokio::task::spawn_blocking(move || {
            let _places = (in_line, hashing);
            work()
        });
        work.await.map_err(|_| PasswordFault::Failed)
    }
}

/// A place, in the order of requests.
async fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, PasswordFault> {
    let place = places.clone().acquire_owned().await;
    place.map_err(|_| PasswordFault::Failed)
}

fn hash(password: &Secret) -> Result<String, PasswordFault> {
    let hashed = Argon2::default().hash_password(password.expose().as_bytes());
    hashed
        .map(|phc| phc.to_string())
        .map_err(|_| PasswordFault::Failed)
}

fn verify(password: &Secret, stored: &str) -> Result<bool, PasswordFault> {
    use argon2::password_hash::Error;
    let stored = PasswordHash::new(stored).map_err(|_| PasswordFault::Failed)?;
    // A PHC string may end before its hash; to compare with nothing would look
    // like a wrong password for ever.
    if stored.hash.is_none() {
        return Err(PasswordFault::Failed);
    }
    match Argon2::default().verify_password(password.expose().as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(Error::PasswordInvalid) => Ok(false),
        Err(_) => Err(PasswordFault::Failed),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use tokio::task::JoinHandle;

    use super::HashingQueue::{Friends, Strangers};
    use super::*;

    /// An attempt that hashes until the sender is dropped or used.
    fn hold(pool: &PasswordPool, queue: HashingQueue) -> (Sender<()>, JoinHandle<Hashed>) {
        let (release, held) = channel();
        let pool = pool.clone();
        let work = move || held.recv().is_ok();
        let hashing = tokio::spawn(async move { pool.run(queue, work).await });
        (release, hashing)
    }

    type Hashed = Result<bool, PasswordFault>;

    #[tokio::test]
    async fn strangers_fill_their_own_queue_and_not_that_of_friends() {
        let pool = PasswordPool::new(1, 2).unwrap().with_friends_waiting(1);
        let (release, first) = hold(&pool, Strangers);
        let (waits, second) = hold(&pool, Strangers);
        let (waits_too, third) = hold(&pool, Strangers);
        tokio::task::yield_now().await;
        let (_, one_more) = hold(&pool, Strangers);
        assert_eq!(one_more.await.unwrap(), Err(PasswordFault::Busy));
        let friends = [hold(&pool, Friends), hold(&pool, Friends)];
        tokio::task::yield_now().await;
        let (_, one_more) = hold(&pool, Friends);
        assert_eq!(one_more.await.unwrap(), Err(PasswordFault::Busy));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(true));
        // The friends are looked at now, while both other strangers wait still.
        for (release, friend) in friends {
            release.send(()).unwrap();
            assert_eq!(friend.await.unwrap(), Ok(true));
        }
        assert!(!second.is_finished() && !third.is_finished());
        drop((waits, waits_too));
        assert_eq!(second.await.unwrap(), Ok(false));
        assert_eq!(third.await.unwrap(), Ok(false));
    }

    #[tokio::test]
    async fn strangers_have_their_turn_among_friends() {
        let pool = PasswordPool::new(1, 8).unwrap();
        let (release, first) = hold(&pool, Friends);
        tokio::task::yield_now().await;
        let (stranger_ends, stranger) = hold(&pool, Strangers);
        tokio::task::yield_now().await;
        let (_waits, last) = hold(&pool, Friends);
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(true));
        stranger_ends.send(()).unwrap();
        assert_eq!(stranger.await.unwrap(), Ok(true), "before the last friend");
        assert!(!last.is_finished());
    }

    #[tokio::test]
    async fn who_goes_away_while_waiting_leaves_the_place() {
        let pool = PasswordPool::new(1, 1).unwrap();
        let (release, first) = hold(&pool, Strangers);
        tokio::task::yield_now().await;
        for _ in 0..3 {
            let (_waits, gone) = hold(&pool, Strangers);
            tokio::task::yield_now().await;
            assert!(!gone.is_finished());
            gone.abort();
            assert!(gone.await.unwrap_err().is_cancelled());
        }
        drop(release);
        assert_eq!(first.await.unwrap(), Ok(false));
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let pool = PasswordPool::new(1, 1).unwrap();
        let stored = pool.hash(Secret::from("correct horse")).await.unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        let check = |text: &str| pool.verify(Secret::from(text), Some(stored.clone()), Strangers);
        assert_eq!(check("correct horse").await, Ok(true));
        assert_eq!(check("Correct horse").await, Ok(false));
        assert_eq!(check("").await, Ok(false));
    }

    #[tokio::test]
    async fn a_login_without_a_hash_is_wrong_even_with_the_decoys_password() {
        let pool = PasswordPool::new(1, 1).unwrap();
        let checked = pool.verify(Secret::from("decoy"), None, Strangers).await;
        assert_eq!(checked, Ok(false));
    }

    #[tokio::test]
    async fn a_hash_that_cannot_be_read_is_a_fault_and_not_a_wrong_password() {
        let pool = PasswordPool::new(1, 1).unwrap();
        let stored = Some("$argon2id$v=19$m=194".to_owned());
        let checked = pool.verify(Secret::from("x"), stored, Strangers).await;
        assert_eq!(checked, Err(PasswordFault::Failed));
    }

    #[tokio::test]
    async fn the_one_who_finds_no_place_is_told_at_once() {
        let pool = PasswordPool::new(1, 1).unwrap();
        let tries: Vec<_> = (0..16)
            .map(|_| {
                tokio::spawn({
                    let pool = pool.clone();
                    async move { pool.verify(Secret::from("x"), None, Strangers).await }
                })
            })
            .collect();
        let mut answers = Vec::new();
        for attempt in tries {
            answers.push(attempt.await.unwrap());
        }
        assert!(answers.contains(&Err(PasswordFault::Busy)), "{answers:?}");
        assert!(answers.contains(&Ok(false)), "{answers:?}");
        assert_eq!(
            pool.verify(Secret::from("x"), None, Strangers).await,
            Ok(false),
            "the pool is free again"
        );
    }
}
