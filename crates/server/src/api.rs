//! One api as the issuer serves it: its dialect, lifetimes and keys.

use std::sync::Arc;

use countersign_dialect::{Dialect, Variant};
use countersign_domain::key::{Key, KeyState, Kid};
use countersign_domain::session::Lifetimes;
use countersign_domain::{Algorithm, ApiName, Limits, RefreshMode, Timestamp};
use countersign_token::tokens::{TokensFault, algorithms};
use countersign_token::{Keychain, Material, MaterialFault, Pepper, Tokens};
use zeroize::Zeroizing;

use crate::random::{NoRandomness, random};
use crate::seal::{MasterKey, SealError};
use crate::store::{Actor, KeyError, Purpose, SealedKey, Store, TermsOwned, Unavailable};

/// What configuration says of an api.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Its name.
    pub name: ApiName,
    /// The wire format it speaks.
    pub dialect: Arc<Dialect>,
    /// Lifetimes of what it issues.
    pub lifetimes: Lifetimes,
    /// What each of its accounts may do, unless it has limits of its own.
    pub limits: Limits,
    /// Whether operators may set passwords beside generated keys. If so, every
    /// failed login costs one argon2id, whatever it failed for.
    pub passwords: bool,
}

/// An api with its keys.
pub struct Api {
    /// What configuration says of it.
    pub settings: ApiSettings,
    /// The key under which generated secrets are stored.
    pub pepper: Arc<Pepper>,
    keychain: Keychain,
}

/// Why an api cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiFault {
    /// A sealed key does not open.
    #[error("key {kid} of api {api}: {fault}")]
    Sealed {
        /// Whose.
        api: ApiName,
        /// Which.
        kid: Kid,
        /// Why.
        fault: SealError,
    },
    /// Stored key material is damaged.
    #[error("the pepper of api {0} is damaged: restore the store from a backup")]
    Pepper(ApiName),
    /// The keys do not fit the dialect.
    #[error("api {api}: {fault}")]
    Tokens {
        /// Whose.
        api: ApiName,
        /// Why.
        fault: TokensFault,
    },
    /// A key could not be made.
    #[error(transparent)]
    Material(#[from] MaterialFault),
    /// A key could not be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// A new key could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A new key could not be stored.
    #[error("a new key could not be stored: {0}")]
    NotStored(#[from] KeyError),
    /// The keys could not be read.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Api {
    /// Loads the api's keys from the store, and makes those that are missing.
    pub async fn load(
        settings: ApiSettings,
        store: &Store,
        master: &MasterKey,
    ) -> Result<Self, ApiFault> {
        let vault = Vault {
            api: &settings.name,
            store,
            master,
        };
        let mut stored = store.keys(&settings.name).await?;
        let pepper = vault.pepper(&stored).await?;
        for algorithm in algorithms(&settings.dialect) {
            if !stored.iter().any(|it| it.is_signing(algorithm)) {
                stored.push(vault.make(Purpose::Signing, algorithm).await?);
            }
        }
        let tokens = vault.tokens(&settings.dialect, &stored)?;
        Ok(Self {
            settings,
            pepper: Arc::new(pepper),
            keychain: Keychain::new(tokens),
        })
    }

    /// The name.
    pub fn name(&self) -> &ApiName {
        &self.settings.name
    }

    /// The wire format.
    pub fn dialect(&self) -> &Arc<Dialect> {
        &self.settings.dialect
    }

    /// The tokens under the keys of now.
    pub fn tokens(&self) -> Arc<Tokens> {
        self.keychain.now()
    }

    /// The api's tokens, to be shared with its guard.
    pub fn keychain(&self) -> &Keychain {
        &self.keychain
    }

    /// The terms on which a session of this variant is opened or refreshed at
    /// `now`; `None` if the variant makes no access tokens.
    pub fn terms(&self, variant: Variant, now: Timestamp) -> Option<TermsOwned> {
        let tokens = self.tokens();
        let mode = if self.dialect().refreshes(variant) {
            self.dialect().refresh_mode()
        } else {
            RefreshMode::None
        };
        Some(TermsOwned {
            lifetimes: self.settings.lifetimes,
            mode,
            active_kid: tokens.active_kid(variant)?.clone(),
            live_kids: tokens.live_kids(now),
        })
    }
}

impl SealedKey {
    fn is_signing(&self, algorithm: Algorithm) -> bool {
        self.purpose == Purpose::Signing && self.key.algorithm == algorithm
    }
}

/// The keys of an api in the store, and what opens them.
struct Vault<'a> {
    api: &'a ApiName,
    store: &'a Store,
    master: &'a MasterKey,
}

impl Vault<'_> {
    async fn pepper(&self, stored: &[SealedKey]) -> Result<Pepper, ApiFault> {
        let found = stored.iter().find(|it| it.purpose == Purpose::Pepper);
        let bytes = match found {
            Some(sealed) => self.open(sealed)?,
            None => self.open(&self.make(Purpose::Pepper, Algorithm::Hs256).await?)?,
        };
        let bytes = bytes
            .as_slice()
            .try_into()
            .map_err(|_| ApiFault::Pepper(self.api.clone()))?;
        Ok(Pepper::new(bytes))
    }

    /// Makes, seals and stores a key that is active at once: for a purpose that
    /// has none yet, so nobody can know an older one.
    async fn make(&self, purpose: Purpose, algorithm: Algorithm) -> Result<SealedKey, ApiFault> {
        let material = Material::generate(algorithm)?;
        let key = Key {
            kid: Kid(hex::encode(random::<8>()?)),
            algorithm,
            state: KeyState::Active,
            created_at: self.store.now(),
        };
        let mut made = SealedKey {
            key,
            purpose,
            sealed: Vec::new(),
        };
        made.sealed = self
            .master
            .seal(&made.context(self.api), material.bytes())?;
        self.store
            .insert_key(self.api, made.clone(), Actor::System)
            .await?;
        Ok(made)
    }

    fn open(&self, sealed: &SealedKey) -> Result<Zeroizing<Vec<u8>>, ApiFault> {
        self.master
            .open_sealed(&sealed.context(self.api), &sealed.sealed)
            .map_err(|fault| ApiFault::Sealed {
                api: self.api.clone(),
                kid: sealed.key.kid.clone(),
                fault,
            })
    }

    fn tokens(&self, dialect: &Arc<Dialect>, stored: &[SealedKey]) -> Result<Tokens, ApiFault> {
        let signing = stored.iter().filter(|it| it.purpose == Purpose::Signing);
        let keys = signing
            .map(|it| Ok((it.key.clone(), Material::new(self.open(it)?))))
            .collect::<Result<Vec<_>, ApiFault>>()?;
        Tokens::new(dialect.clone(), &keys, self.store.now()).map_err(|fault| ApiFault::Tokens {
            api: self.api.clone(),
            fault,
        })
    }
}
