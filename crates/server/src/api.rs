//! One api as the issuer serves it: its dialect, lifetimes and keys.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::{Dialect, Variant};
use countersign_domain::key::Kid;
use countersign_domain::session::SessionLifetimes;
use countersign_domain::{Algorithm, ApiLimits, ApiName, RefreshMode, Timestamp};
use countersign_token::tokens::{TokensFault, algorithms};
use countersign_token::{Keychain, MaterialFault, Pepper, PublicKey, Tokens};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::throttle::ThrottleSettings;
use crate::vault::KeyVault;
use countersign_store::random::NoRandomness;
use countersign_store::seal::{MasterKey, SealError};
use countersign_store::{KeyError, Store, StoreUnavailable, TermsOwned};

/// What configuration says of an api.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Its name.
    pub name: ApiName,
    /// The wire format it speaks.
    pub dialect: Arc<Dialect>,
    /// Lifetimes of what it issues, but for the variants below.
    pub lifetimes: SessionLifetimes,
    /// What each of its accounts may do, unless it has limits of its own.
    pub limits: ApiLimits,
    /// The variants whose tokens live or count otherwise.
    pub variants: Vec<VariantSettings>,
    /// How often its logins may be tried.
    pub throttle: ThrottleSettings,
    /// Whether operators may set passwords beside generated keys. If so, every
    /// failed login costs one argon2id, whatever it failed for.
    pub passwords: bool,
}

/// Where an api is met and what it guards, for its operators to see: the issuer does
/// not need it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ApiPlace {
    /// The names of hosts; none for any.
    pub hosts: Vec<String>,
    /// What its paths begin with; empty for nothing.
    pub prefix: String,
    /// Patterns of guarded paths.
    pub guards: Vec<String>,
    /// To which the built-in proxy forwards.
    pub upstream: Option<String>,
    /// The proxy that asks for a check of its own.
    pub forward_auth: Option<String>,
}

/// What differs for a variant of an api's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariantSettings {
    /// Which.
    pub variant: Variant,
    /// Lifetimes of its tokens.
    pub lifetimes: SessionLifetimes,
    /// Guarded requests that one of its access tokens may make, unless the
    /// account has a budget of its own; `None` for any number.
    pub budget: Option<u32>,
}

impl ApiSettings {
    /// The lifetimes of tokens of this variant.
    pub fn lifetimes_of(&self, variant: Variant) -> SessionLifetimes {
        let own = self.variants.iter().find(|own| own.variant == variant);
        own.map_or(self.lifetimes, |own| own.lifetimes)
    }

    /// The longest life of any token.
    pub fn longest_life(&self) -> Duration {
        let own = self.variants.iter().map(|own| own.lifetimes);
        own.chain([self.lifetimes])
            .map(|lifetimes| lifetimes.access.max(lifetimes.refresh))
            .max()
            .unwrap_or_default()
    }
}

/// An api with its keys.
pub struct IssuingApi {
    /// What configuration says of it.
    pub settings: ApiSettings,
    /// The key under which generated secrets are stored.
    pub pepper: Arc<Pepper>,
    place: ApiPlace,
    keychain: Keychain,
    /// Held over a change of keys, from reading them to putting them in place.
    pub(crate) changing: Arc<Mutex<()>>,
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
    #[error("the pepper of api {0} is damaged")]
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
    Unavailable(#[from] StoreUnavailable),
}

impl ApiFault {
    /// What to do about it, if there is something to do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Sealed { .. } | Self::Pepper(_) => Some("restore the store from a backup"),
            Self::Tokens { .. }
            | Self::Material(_)
            | Self::NoRandomness(_)
            | Self::Seal(_)
            | Self::NotStored(_)
            | Self::Unavailable(_) => None,
        }
    }
}

impl IssuingApi {
    /// Loads the api's keys from the store, and makes those that are missing.
    pub async fn load(
        settings: ApiSettings,
        store: &Store,
        master: &MasterKey,
    ) -> Result<Self, ApiFault> {
        let wanted = algorithms(&settings.dialect);
        Self::load_of(settings, &wanted, store, master).await
    }

    /// The same with the keys of these algorithms alone, for the sandbox: an RSA
    /// key takes some tenths of a second, which it spends with [`IssuingApi::complete`]
    /// when one is needed.
    pub async fn load_of(
        settings: ApiSettings,
        algorithms: &BTreeSet<Algorithm>,
        store: &Store,
        master: &MasterKey,
    ) -> Result<Self, ApiFault> {
        let vault = KeyVault {
            api: &settings.name,
            store,
            master,
        };
        let mut stored = store.keys(&settings.name).await?;
        let pepper = vault.pepper(&stored).await?;
        vault.make_missing(&mut stored, algorithms).await?;
        let tokens = vault.tokens_of(&settings.dialect, algorithms, &stored)?;
        Ok(Self {
            settings,
            pepper: Arc::new(pepper),
            keychain: Keychain::new(tokens),
            place: ApiPlace::default(),
            changing: Arc::default(),
        })
    }

    /// Makes the keys that are missing still, and puts them in place for issuer
    /// and guard.
    pub async fn complete(&self, store: &Store, master: &MasterKey) -> Result<(), ApiFault> {
        let _changing = self.changing.lock().await;
        let vault = KeyVault {
            api: self.name(),
            store,
            master,
        };
        let mut stored = store.keys(self.name()).await?;
        let wanted = algorithms(self.dialect());
        vault.make_missing(&mut stored, &wanted).await?;
        self.keychain
            .replace(vault.tokens(self.dialect(), &stored)?);
        Ok(())
    }

    /// Keeps the keys as they are for as long as the guard is held: no change
    /// of them begins, and none is under way.
    pub async fn hold_keys(&self) -> OwnedMutexGuard<()> {
        self.changing.clone().lock_owned().await
    }

    /// This, in the place of the api that it was before its configuration was
    /// read again: who still holds that one changes the same keys and sees the
    /// same tokens.
    #[must_use]
    pub fn in_place_of(self, before: &Self) -> Self {
        before.keychain.adopt(&self.keychain);
        Self {
            keychain: before.keychain.clone(),
            changing: before.changing.clone(),
            ..self
        }
    }

    /// The same, which is met there.
    #[must_use]
    pub fn at(self, place: ApiPlace) -> Self {
        Self { place, ..self }
    }

    /// Where it is met.
    pub fn place(&self) -> &ApiPlace {
        &self.place
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
        self.keychain.current()
    }

    /// The api's tokens, to be shared with its guard.
    pub fn keychain(&self) -> &Keychain {
        &self.keychain
    }

    /// The public keys of now: those that sign nothing yet too, so that readers know
    /// them before their first use.
    pub fn public_keys(&self, now: Timestamp) -> Vec<PublicKey> {
        self.tokens().public_keys(now)
    }

    /// The same as a JWK Set (RFC 7517 section 5).
    pub fn jwks(&self, now: Timestamp) -> Value {
        let keys = self.public_keys(now);
        json!({ "keys": keys.iter().map(jwk).collect::<Vec<_>>() })
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
            lifetimes: self.settings.lifetimes_of(variant),
            mode,
            active_kid: tokens.active_kid(variant)?.clone(),
            live_kids: tokens.live_kids(now),
        })
    }
}

/// RFC 7517 section 4 and RFC 7518 section 6.3.1.
fn jwk(key: &PublicKey) -> Value {
    json!({
        "kty": "RSA",
        "use": "sig",
        "alg": key.algorithm.name(),
        "kid": key.kid.0,
        "n": key.modulus,
        "e": key.exponent,
    })
}
