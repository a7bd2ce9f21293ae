//! An api that the issuer serves: its dialect, lifetimes and keys.

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
use countersign_store::random::RandomnessUnavailable;
use countersign_store::seal::{MasterKey, SealError};
use countersign_store::{KeyError, OwnedSessionTerms, Store, StoreUnavailable};

/// The configuration of an api.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Its name.
    pub name: ApiName,
    /// The wire format it speaks.
    pub dialect: Arc<Dialect>,
    /// The lifetimes of its tokens and sessions, except for the variants below.
    pub lifetimes: SessionLifetimes,
    /// The limits of accounts that have none of their own.
    pub limits: ApiLimits,
    /// The variants with lifetimes or limits of their own.
    pub variants: Vec<VariantSettings>,
    /// How often logins may be tried.
    pub throttle: ThrottleSettings,
    /// Whether operators may set passwords besides generated keys. If so, every failed
    /// login costs one argon2id, whatever the cause.
    pub passwords: bool,
}

/// Where an api is served and what it guards, for its operators to see. The issuer does
/// not need it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ApiPlace {
    /// The names of its hosts; an empty list for every host.
    pub hosts: Vec<String>,
    /// The prefix of its paths; empty if there is none.
    pub prefix: String,
    /// Patterns of guarded paths.
    pub guards: Vec<String>,
    /// Where the built-in proxy forwards requests.
    pub upstream: Option<String>,
    /// The kind of proxy that asks for verdicts.
    pub forward_auth: Option<String>,
}

/// What is different for a variant of an api's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariantSettings {
    /// The variant.
    pub variant: Variant,
    /// The lifetimes of its tokens.
    pub lifetimes: SessionLifetimes,
    /// How many guarded requests one of its access tokens may make, unless the account
    /// has a budget of its own; `None` for any number.
    pub budget: Option<u32>,
}

impl ApiSettings {
    /// The lifetimes of tokens of this variant.
    pub fn lifetimes_of(&self, variant: Variant) -> SessionLifetimes {
        let own = self.variants.iter().find(|own| own.variant == variant);
        own.map_or(self.lifetimes, |own| own.lifetimes)
    }

    /// The longest lifetime of any token.
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
    /// Its configuration.
    pub settings: ApiSettings,
    /// The key under which generated secrets are stored.
    pub pepper: Arc<Pepper>,
    place: ApiPlace,
    keychain: Keychain,
    /// Held during a change of keys, from reading them until they are in place.
    pub(crate) changing: Arc<Mutex<()>>,
}

/// Why an api cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiFault {
    /// A sealed key cannot be opened.
    #[error("key {kid} of api {api}: {fault}")]
    Sealed {
        /// The api.
        api: ApiName,
        /// The key.
        kid: Kid,
        /// The cause.
        fault: SealError,
    },
    /// Stored key material is damaged.
    #[error("the pepper of api {0} is damaged")]
    Pepper(ApiName),
    /// The keys do not fit the dialect.
    #[error("api {api}: {fault}")]
    Tokens {
        /// The api.
        api: ApiName,
        /// The cause.
        fault: TokensFault,
    },
    /// A key could not be created.
    #[error(transparent)]
    Material(#[from] MaterialFault),
    /// A key could not be created.
    #[error(transparent)]
    RandomnessUnavailable(#[from] RandomnessUnavailable),
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
            | Self::RandomnessUnavailable(_)
            | Self::Seal(_)
            | Self::NotStored(_)
            | Self::Unavailable(_) => None,
        }
    }
}

impl IssuingApi {
    /// Loads the api's keys from the store, and creates those that are missing.
    pub async fn load(
        settings: ApiSettings,
        store: &Store,
        master: &MasterKey,
    ) -> Result<Self, ApiFault> {
        let wanted = algorithms(&settings.dialect);
        Self::load_of(settings, &wanted, store, master).await
    }

    /// The same, but only with keys of these algorithms, for the sandbox: creating an RSA
    /// key takes some tenths of a second, which the sandbox spends on
    /// [`IssuingApi::complete`] only if it needs one.
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

    /// Creates the keys that are still missing, and puts them in place for issuer and
    /// guard.
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

    /// Prevents changes of the keys for as long as the guard is held: none begins, and
    /// none is in progress.
    pub async fn hold_keys(&self) -> OwnedMutexGuard<()> {
        self.changing.clone().lock_owned().await
    }

    /// This api, as the successor of the one that it was before its configuration was
    /// reloaded: whoever still holds that one changes the same keys and sees the same
    /// tokens.
    #[must_use]
    pub fn in_place_of(self, before: &Self) -> Self {
        before.keychain.adopt(&self.keychain);
        Self {
            keychain: before.keychain.clone(),
            changing: before.changing.clone(),
            ..self
        }
    }

    /// The same api, served at this place.
    #[must_use]
    pub fn at(self, place: ApiPlace) -> Self {
        Self { place, ..self }
    }

    /// Where it is served.
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

    /// The tokens under the current keys.
    pub fn tokens(&self) -> Arc<Tokens> {
        self.keychain.current()
    }

    /// The api's tokens, to be shared with its guard.
    pub fn keychain(&self) -> &Keychain {
        &self.keychain
    }

    /// The current public keys, including those that do not sign yet, so that readers
    /// know them before their first use.
    pub fn public_keys(&self, now: Timestamp) -> Vec<PublicKey> {
        self.tokens().public_keys(now)
    }

    /// The same as a JWK Set (RFC 7517 section 5).
    pub fn jwks(&self, now: Timestamp) -> Value {
        let keys = self.public_keys(now);
        json!({ "keys": keys.iter().map(jwk).collect::<Vec<_>>() })
    }

    /// The terms on which a session of this variant is opened or refreshed at `now`;
    /// `None` if the variant has no access tokens.
    pub fn terms(&self, variant: Variant, now: Timestamp) -> Option<OwnedSessionTerms> {
        let tokens = self.tokens();
        let mode = if self.dialect().refreshes(variant) {
            self.dialect().refresh_mode()
        } else {
            RefreshMode::None
        };
        Some(OwnedSessionTerms {
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
