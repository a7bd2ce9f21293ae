//! Passwords: argon2id in a bounded pool.
//!
//! A hash costs some ten milliseconds and 19 MiB on purpose, so only a few run
//! at once and only so many wait: beyond that the pool says so at once, and
//! what needs no hash goes on unharmed.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use countersign_dialect::Secret;
use tokio::sync::Semaphore;

/// A pool of places for password hashing. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    /// Who is let in at all: those that hash and those that wait.
    admitted: Arc<Semaphore>,
    /// Who hashes.
    hashing: Arc<Semaphore>,
    /// What a login is checked against that has no hash of its own, so that it
    /// costs the same.
    decoy: Arc<str>,
}

/// Why a password was not hashed or checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// All places are taken, those to wait in too.
    #[error("all places for password hashing are taken")]
    Busy,
    /// The hash function failed, or a stored hash cannot be read.
    #[error("the password hash could not be computed")]
    Failed,
}

impl Passwords {
    /// A pool in which `hashing` passwords are hashed at once and `waiting`
    /// more may wait.
    ///
    /// # Errors
    ///
    /// [`PasswordFault::Failed`] if the hash function does not work here.
    pub fn new(hashing: usize, waiting: usize) -> Result<Self, PasswordFault> {
        let decoy = hash(&Secret::from("decoy"))?;
        Ok(Self {
            admitted: Arc::new(Semaphore::new(hashing + waiting)),
            hashing: Arc::new(Semaphore::new(hashing)),
            decoy: decoy.into(),
        })
    }

    /// No pool, for an issuer that has no passwords: each is turned away as from
    /// a full one.
    pub fn none() -> Self {
        Self {
            admitted: Arc::new(Semaphore::new(0)),
            hashing: Arc::new(Semaphore::new(0)),
            decoy: "".into(),
        }
    }

    /// The PHC string of `password` (argon2id, 19 MiB, 2 passes, a random salt).
    pub async fn hash(&self, password: Secret) -> Result<String, PasswordFault> {
        self.run(move || hash(&password)).await?
    }

    /// Whether `password` has this PHC string. Without one it is checked
    /// against a decoy, for the same cost, and is wrong.
    pub async fn verify(
        &self,
        password: Secret,
        stored: Option<String>,
    ) -> Result<bool, PasswordFault> {
        let decoy = self.decoy.clone();
        self.run(move || match stored {
            Some(stored) => verify(&password, &stored),
            None => verify(&password, &decoy).map(|_| false),
        })
        .await?
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordFault> {
        let _admitted = self
            .admitted
            .try_acquire()
            .map_err(|_| PasswordFault::Busy)?;
        let hashing = self.hashing.clone().acquire_owned().await;
        let hashing = hashing.map_err(|_| PasswordFault::Failed)?;
        // The place is given back when the work ends, not when a caller that
        // went away stops waiting for it.
        let work = tokio::task::spawn_blocking(move || {
            let _hashing = hashing;
            work()
        });
        work.await.map_err(|_| PasswordFault::Failed)
    }
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
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let pool = Passwords::new(1, 1).unwrap();
        let stored = pool.hash(Secret::from("correct horse")).await.unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        let check = |text: &str| pool.verify(Secret::from(text), Some(stored.clone()));
        assert_eq!(check("correct horse").await, Ok(true));
        assert_eq!(check("Correct horse").await, Ok(false));
        assert_eq!(check("").await, Ok(false));
    }

    #[tokio::test]
    async fn a_login_without_a_hash_is_wrong_even_with_the_decoys_password() {
        let pool = Passwords::new(1, 1).unwrap();
        assert_eq!(pool.verify(Secret::from("decoy"), None).await, Ok(false));
    }

    #[tokio::test]
    async fn a_hash_that_cannot_be_read_is_a_fault_and_not_a_wrong_password() {
        let pool = Passwords::new(1, 1).unwrap();
        let stored = Some("$argon2id$v=19$m=194".to_owned());
        assert_eq!(
            pool.verify(Secret::from("x"), stored).await,
            Err(PasswordFault::Failed)
        );
    }

    #[tokio::test]
    async fn the_one_who_finds_no_place_is_told_at_once() {
        let pool = Passwords::new(1, 1).unwrap();
        let tries: Vec<_> = (0..16)
            .map(|_| {
                tokio::spawn({
                    let pool = pool.clone();
                    async move { pool.verify(Secret::from("x"), None).await }
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
            pool.verify(Secret::from("x"), None).await,
            Ok(false),
            "the pool is free again"
        );
    }
}
