//! The shared state of the admin API.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_domain::ApiName;
use countersign_server::api::IssuingApi;
use countersign_server::password::PasswordPool;
use countersign_store::Store;
use countersign_store::seal::MasterKey;

use crate::explain::DryRunGuard;
use crate::key::AdminKey;
use crate::refusal_ring::RefusalRing;

/// What the admin API works on. Cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    /// The store with accounts, credentials and sessions.
    pub store: Store,
    /// The apis that are served, by name.
    pub apis: Arc<BTreeMap<ApiName, Arc<IssuingApi>>>,
    /// The threads on which passwords are hashed.
    pub passwords: PasswordPool,
    /// Why requests were refused.
    pub refusals: RefusalRing,
    /// Judges requests that nobody sent.
    pub guard: DryRunGuard,
    /// The owner's key; named ones are in the store.
    pub key: AdminKey,
    /// Seals new signing keys, and the replies that are kept.
    pub master: Arc<MasterKey>,
}
