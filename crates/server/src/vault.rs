//! The keys of an api in the store, and the master key that unseals them.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_dialect::Dialect;
use countersign_domain::key::{KeyRecord, KeyState, Kid};
use countersign_domain::{Algorithm, ApiName};
use countersign_store::random::random;
use countersign_store::seal::MasterKey;
use countersign_store::{AuditActor, KeyPurpose, SealedKey, Store};
use countersign_token::tokens::algorithms;
use countersign_token::{KeyMaterial, Pepper, Tokens};
use zeroize::Zeroizing;

use crate::api::ApiFault;

/// The keys of one api.
pub(crate) struct KeyVault<'a> {
    pub(crate) api: &'a ApiName,
    pub(crate) store: &'a Store,
    pub(crate) master: &'a MasterKey,
}

impl KeyVault<'_> {
    /// The pepper, which is created if it does not exist.
    pub(crate) async fn pepper(&self, stored: &[SealedKey]) -> Result<Pepper, ApiFault> {
        let found = stored.iter().find(|it| it.purpose == KeyPurpose::Pepper);
        let bytes = match found {
            Some(sealed) => self.open(sealed)?,
            None => self.open(&self.make(KeyPurpose::Pepper, Algorithm::Hs256).await?)?,
        };
        let bytes = bytes
            .as_slice()
            .try_into()
            .map_err(|_| ApiFault::Pepper(self.api.clone()))?;
        Ok(Pepper::new(bytes))
    }

    /// Creates, seals and stores a key that is active at once: for a purpose that has no
    /// key yet, so that nobody can know an older one.
    pub(crate) async fn make(
        &self,
        purpose: KeyPurpose,
        algorithm: Algorithm,
    ) -> Result<SealedKey, ApiFault> {
        let made = self.seal_new(purpose, algorithm, KeyState::Active)?;
        self.store
            .insert_key(self.api, made.clone(), AuditActor::System)
            .await?;
        Ok(made)
    }

    /// A new key, sealed but not stored yet. Creating an RSA key takes some tenths of a
    /// second.
    pub(crate) fn seal_new(
        &self,
        purpose: KeyPurpose,
        algorithm: Algorithm,
        state: KeyState,
    ) -> Result<SealedKey, ApiFault> {
        let material = KeyMaterial::generate(algorithm)?;
        let key = KeyRecord {
            kid: Kid(hex::encode(random::<8>()?)),
            algorithm,
            state,
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

    /// Adds the missing keys of these algorithms.
    pub(crate) async fn make_missing(
        &self,
        stored: &mut Vec<SealedKey>,
        algorithms: &BTreeSet<Algorithm>,
    ) -> Result<(), ApiFault> {
        for algorithm in algorithms.iter().copied() {
            if !stored.iter().any(|it| it.is_signing(algorithm)) {
                stored.push(self.make(KeyPurpose::Signing, algorithm).await?);
            }
        }
        Ok(())
    }

    /// The tokens under these keys, as they are now.
    pub(crate) fn tokens(
        &self,
        dialect: &Arc<Dialect>,
        stored: &[SealedKey],
    ) -> Result<Tokens, ApiFault> {
        self.tokens_of(dialect, &algorithms(dialect), stored)
    }

    /// The same, but only for these algorithms.
    pub(crate) fn tokens_of(
        &self,
        dialect: &Arc<Dialect>,
        algorithms: &BTreeSet<Algorithm>,
        stored: &[SealedKey],
    ) -> Result<Tokens, ApiFault> {
        let signing = stored.iter().filter(|it| it.purpose == KeyPurpose::Signing);
        let keys = signing
            .map(|it| Ok((it.key.clone(), KeyMaterial::new(self.open(it)?))))
            .collect::<Result<Vec<_>, ApiFault>>()?;
        let tokens = Tokens::with_algorithms(dialect.clone(), algorithms, &keys, self.store.now());
        tokens.map_err(|fault| ApiFault::Tokens {
            api: self.api.clone(),
            fault,
        })
    }
}
