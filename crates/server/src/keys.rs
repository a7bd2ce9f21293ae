//! The life of an api's signing keys: pending, active, retiring, then deleted; or killed.
//!
//! A change is decided, the tokens that it gives are built, it is committed, and then the
//! api's keychain is replaced, all before the operator is answered. It runs to its end even
//! if the operator disconnects, and one change at a time runs for each api. No request is
//! refused because of a rotation: the old key verifies tokens, and signs repeated answers,
//! until everything that it signed has expired.

use std::sync::Arc;
use std::time::Duration;

use countersign_domain::key::{KeyRecord, KeyRing, KeyState, Kid, RingFault};
use countersign_domain::{Algorithm, Timestamp};
use countersign_token::tokens::algorithms;

use crate::api::{ApiFault, IssuingApi};
use crate::vault::KeyVault;
use countersign_store::seal::MasterKey;
use countersign_store::{
    AuditActor, IdempotencyKey, IdempotentOutcome, KeyError, KeyPurpose, SealedKey, Store,
    StoreUnavailable,
};

/// How long a key that others verify with is published before it signs: they
/// may read the key set that seldom.
pub const PUBLISHED_FOR: Duration = Duration::from_secs(600);

/// How much longer than its last token a key verifies: a request that began
/// before the rotation may sign a little after it, and a replay within its
/// window too.
const GRACE: Duration = Duration::from_secs(180);

/// What is to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRingChange {
    /// A new key is published, and signs nothing yet.
    Publish(Algorithm),
    /// The pending key becomes active. One that nobody else verifies with need
    /// not be published first; `now` does without it for the others too.
    Rotate {
        /// Whose.
        algorithm: Algorithm,
        /// Whether others that do not know the key yet may refuse its tokens.
        now: bool,
    },
    /// The key is killed, and everything that it signed. Where it was the active
    /// one, another signs at once.
    Kill(Kid),
}

/// A change that is durable and in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedKeyChange {
    /// The keys of the algorithm, as they are now, oldest first.
    pub keys: Vec<KeyRecord>,
    /// The one that signs what is new.
    pub active: Kid,
}

/// Why keys were not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysFault {
    /// The api has no such signing key, or it is dead.
    #[error("the api has no living signing key with this id")]
    NoKey,
    /// The dialect signs with other algorithms.
    #[error("the api has no {0} keys")]
    OtherAlgorithm(Algorithm),
    /// A key is published already.
    #[error("the key {0} is pending already")]
    Pending(Kid),
    /// There is no pending key, and others must know the next one first.
    #[error("no key is pending")]
    NotPublished,
    /// The pending key is so new that others may not know it.
    #[error("the pending key was published {0} s ago, and others may not have read it")]
    TooYoung(u64),
    /// Too many keys are alive.
    #[error(transparent)]
    Ring(RingFault),
    /// A key could not be made, sealed or opened.
    #[error(transparent)]
    Api(#[from] Box<ApiFault>),
    /// A key could not be stored.
    #[error(transparent)]
    Store(#[from] KeyError),
    /// The change was cut off.
    #[error("the change of keys was interrupted")]
    CutOff,
}

impl KeysFault {
    /// What to do about it, if there is something to do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Pending(_) => Some("rotate to it, or kill it"),
            Self::NotPublished => Some(
                "publish one and rotate ten minutes later, or rotate with `now`, which makes \
                 others refuse new tokens until they read the key set",
            ),
            Self::TooYoung(_) => Some("wait until 600 s have passed, or rotate with `now`"),
            Self::Ring(RingFault::TooMany(_)) => {
                Some("wait until a retiring one is gone, or kill it")
            }
            Self::Ring(RingFault::NoPending) => Some("publish one before rotating"),
            Self::Api(fault) => fault.help(),
            Self::Ring(_)
            | Self::NoKey
            | Self::OtherAlgorithm(_)
            | Self::Store(_)
            | Self::CutOff => None,
        }
    }
}

/// What changes the keys of an api. Cheap to clone.
#[derive(Clone)]
pub struct SigningKeys {
    api: Arc<IssuingApi>,
    store: Store,
    master: Arc<MasterKey>,
}

impl SigningKeys {
    /// The keys of this api.
    pub fn new(api: Arc<IssuingApi>, store: Store, master: Arc<MasterKey>) -> Self {
        Self { api, store, master }
    }

    /// The algorithms that the api signs with.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        algorithms(self.api.dialect()).into_iter().collect()
    }

    /// Makes a change, and puts it in place for issuer and guard.
    pub async fn change(
        &self,
        change: KeyRingChange,
        actor: AuditActor,
    ) -> Result<AppliedKeyChange, KeysFault> {
        match self.change_once(change, actor, |_| None).await? {
            IdempotentOutcome::New(changed) => Ok(changed),
            IdempotentOutcome::Before(_) => Err(KeysFault::CutOff),
        }
    }

    /// The same, once for the idempotency key that `once` gives; it is told what
    /// the change will be.
    pub async fn change_once<F>(
        &self,
        change: KeyRingChange,
        actor: AuditActor,
        once: F,
    ) -> Result<IdempotentOutcome<AppliedKeyChange>, KeysFault>
    where
        F: FnOnce(&AppliedKeyChange) -> Option<IdempotencyKey<()>> + Send + 'static,
    {
        let keys = self.clone();
        let task = tokio::spawn(async move { keys.run(change, actor, once).await });
        task.await.unwrap_or(Err(KeysFault::CutOff))
    }

    async fn run<F>(
        self,
        change: KeyRingChange,
        actor: AuditActor,
        once: F,
    ) -> Result<IdempotentOutcome<AppliedKeyChange>, KeysFault>
    where
        F: FnOnce(&AppliedKeyChange) -> Option<IdempotencyKey<()>>,
    {
        let _changing = self.api.changing.lock().await;
        let name = self.api.name();
        let stored = self.store.keys(name).await.map_err(KeyError::from)?;
        let next = match change {
            KeyRingChange::Publish(algorithm) => self.publish(&stored, algorithm).await?,
            KeyRingChange::Rotate { algorithm, now } => {
                self.rotate(&stored, algorithm, now).await?
            }
            KeyRingChange::Kill(kid) => self.kill(&stored, &kid).await?,
        };
        let tokens = self.vault().tokens(self.api.dialect(), &next.keys(stored));
        let tokens = tokens.map_err(Box::new)?;
        let changed = next.changed();
        let once = once(&changed);
        let made = self
            .store
            .replace_ring(name, next.ring, next.made, actor, once);
        match made.await? {
            IdempotentOutcome::New(()) => {
                self.api.keychain().replace(tokens);
                Ok(IdempotentOutcome::New(changed))
            }
            IdempotentOutcome::Before(sealed) => Ok(IdempotentOutcome::Before(sealed)),
        }
    }

    async fn publish(
        &self,
        stored: &[SealedKey],
        algorithm: Algorithm,
    ) -> Result<NextKeyRing, KeysFault> {
        let ring = self.ring(stored, algorithm)?;
        if let Some(pending) = ring.pending() {
            return Err(KeysFault::Pending(pending.kid.clone()));
        }
        let made = self.seal_new(algorithm, KeyState::Pending).await?;
        let ring = ring.publish(made.key.kid.clone(), made.key.created_at);
        Ok(NextKeyRing::new(ring?, Some(made)))
    }

    async fn rotate(
        &self,
        stored: &[SealedKey],
        algorithm: Algorithm,
        now: bool,
    ) -> Result<NextKeyRing, KeysFault> {
        let ring = self.ring(stored, algorithm)?;
        let at = self.store.now();
        let at_once = now || !is_published(algorithm);
        let made = match ring.pending() {
            Some(pending) if !at_once && at < pending.created_at + PUBLISHED_FOR => {
                let age = at.since(pending.created_at).as_secs();
                return Err(KeysFault::TooYoung(age));
            }
            Some(_) => None,
            None if at_once => Some(self.seal_new(algorithm, KeyState::Pending).await?),
            None => return Err(KeysFault::NotPublished),
        };
        let ring = match &made {
            Some(made) => ring.publish(made.key.kid.clone(), at)?,
            None => ring,
        };
        let longest = self.longest(at).await?;
        Ok(NextKeyRing::new(ring.rotate(longest, at)?, made))
    }

    async fn kill(&self, stored: &[SealedKey], kid: &Kid) -> Result<NextKeyRing, KeysFault> {
        let found = stored
            .iter()
            .find(|it| it.purpose == KeyPurpose::Signing && it.key.kid == *kid);
        let key = &found.ok_or(KeysFault::NoKey)?.key;
        let ring = self.ring(stored, key.algorithm)?;
        let made = if key.state == KeyState::Active && ring.pending().is_none() {
            Some(self.seal_new(key.algorithm, KeyState::Active).await?)
        } else {
            None
        };
        let fresh = made.as_ref().map(|made| made.key.kid.clone());
        Ok(NextKeyRing::new(
            ring.kill(kid, fresh, self.store.now())?,
            made,
        ))
    }

    /// How long the longest token lives that the key that retires has signed, or
    /// may still sign in a request that began before.
    async fn longest(&self, at: Timestamp) -> Result<Duration, KeysFault> {
        let given = self.store.last_token_until(self.api.name()).await;
        let given = given.map_err(KeyError::from)?.since(at);
        Ok(given.max(self.api.settings.longest_life()) + GRACE)
    }

    fn ring(&self, stored: &[SealedKey], algorithm: Algorithm) -> Result<KeyRing, KeysFault> {
        let keys: Vec<_> = stored
            .iter()
            .filter(|it| it.is_signing(algorithm))
            .map(|it| it.key.clone())
            .collect();
        if keys.is_empty() {
            return Err(KeysFault::OtherAlgorithm(algorithm));
        }
        Ok(KeyRing::new(keys, self.store.now())?)
    }

    /// Off the threads that answer requests: an RSA key takes its time.
    async fn seal_new(
        &self,
        algorithm: Algorithm,
        state: KeyState,
    ) -> Result<SealedKey, KeysFault> {
        let keys = self.clone();
        let made = tokio::task::spawn_blocking(move || {
            keys.vault().seal_new(KeyPurpose::Signing, algorithm, state)
        });
        let made = made.await.map_err(|_| KeysFault::CutOff)?;
        Ok(made.map_err(Box::new)?)
    }

    fn vault(&self) -> KeyVault<'_> {
        KeyVault {
            api: self.api.name(),
            store: &self.store,
            master: &self.master,
        }
    }
}

/// Whether others verify with the public half.
fn is_published(algorithm: Algorithm) -> bool {
    match algorithm {
        Algorithm::Hs256 => false,
        Algorithm::Rs256 => true,
    }
}

/// The ring to come.
struct NextKeyRing {
    ring: KeyRing,
    made: Option<SealedKey>,
}

impl NextKeyRing {
    /// The state of a new key is the one that it has in the ring.
    fn new(ring: KeyRing, made: Option<SealedKey>) -> Self {
        let made = made.map(|made| {
            let in_ring = ring.keys().iter().find(|key| key.kid == made.key.kid);
            SealedKey {
                key: in_ring.unwrap_or(&made.key).clone(),
                ..made
            }
        });
        Self { ring, made }
    }

    /// All keys of the api, as they will be.
    fn keys(&self, mut stored: Vec<SealedKey>) -> Vec<SealedKey> {
        stored.extend(self.made.clone());
        for sealed in &mut stored {
            let next = self.ring.keys().iter();
            if let Some(key) = { next }.find(|key| key.kid == sealed.key.kid) {
                sealed.key = key.clone();
            }
        }
        stored
    }

    fn changed(&self) -> AppliedKeyChange {
        AppliedKeyChange {
            keys: self.ring.keys().to_vec(),
            active: self.ring.active().clone(),
        }
    }
}

impl From<RingFault> for KeysFault {
    fn from(fault: RingFault) -> Self {
        match fault {
            RingFault::NotAlive => Self::NoKey,
            other => Self::Ring(other),
        }
    }
}

impl From<StoreUnavailable> for KeysFault {
    fn from(unavailable: StoreUnavailable) -> Self {
        Self::Store(unavailable.into())
    }
}
