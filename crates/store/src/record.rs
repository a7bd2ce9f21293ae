//! What is stored and loaded, besides the domain's own types. Nothing here knows SQL.

use std::fmt;
use std::time::Duration;

use countersign_domain::account::{Allowlist, StoredSecret};
use countersign_domain::audit::Action;
use countersign_domain::key::{KeyRecord, Kid};
use countersign_domain::limits::ApiLimits;
use countersign_domain::session::{OpeningTerms, SessionDecision, SessionId, SessionLifetimes};
use countersign_domain::{
    Account, AccountId, AccountLimits, Algorithm, ApiName, ApiScope, Credential, NewLogin,
    RefreshMode, Role, Scopes, Timestamp, coded,
};

use crate::seal::SealError;

/// Who caused a change, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AuditActor {
    /// A partner, by a request.
    Partner,
    /// An operator, by the name of the admin key.
    Operator(String),
    /// The server itself.
    System,
}

impl fmt::Display for AuditActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partner => f.write_str("partner"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::System => f.write_str("system"),
        }
    }
}

coded! {
    /// What a key is used for. The name is stored, and is part of the context of a sealed
    /// record.
    KeyPurpose(name, from_name) {
        /// Signs tokens.
        Signing = "signing",
        /// Keys the hashes of generated secrets.
        Pepper = "pepper",
    }
}

/// A key whose material is sealed under the master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    /// Its entry in the key ring.
    pub key: KeyRecord,
    /// What it is used for.
    pub purpose: KeyPurpose,
    /// The sealed material.
    pub sealed: Vec<u8>,
}

impl SealedKey {
    /// Whether it signs, with this algorithm.
    pub fn is_signing(&self, algorithm: Algorithm) -> bool {
        self.purpose == KeyPurpose::Signing && self.key.algorithm == algorithm
    }

    /// The context for which the material of this key is sealed.
    pub fn context<'a>(&'a self, api: &'a ApiName) -> [&'a str; 4] {
        [
            api.as_str(),
            self.purpose.name(),
            &self.key.kid.0,
            self.key.algorithm.name(),
        ]
    }
}

/// A credential to create.
#[derive(Clone, Debug)]
pub struct NewCredential {
    /// The login, unique within its api.
    pub login: String,
    /// What is stored of its secret.
    pub secret: StoredSecret,
    /// The scopes that routes may require of it.
    pub scopes: Scopes,
}

impl NewCredential {
    /// A credential without scopes.
    pub fn new(login: impl Into<String>, secret: StoredSecret) -> Self {
        Self {
            login: login.into(),
            secret,
            scopes: Scopes::default(),
        }
    }
}

/// An account to create, with its first credential.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its api.
    pub api: ApiName,
    /// Its id; `None` takes the next free one from 100001 on.
    pub id: Option<AccountId>,
    /// Its first credential, whose login is its name.
    pub credential: NewCredential,
    /// The networks that it may call from.
    pub allow: Allowlist,
    /// The limits that differ from its api's.
    pub limits: AccountLimits,
    /// Whether it may log in at once.
    pub active: bool,
}

/// A named admin key as it is stored, without the key itself.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredAdminKey {
    /// The public part of the key, by which it is looked up.
    pub id: String,
    /// Identifies its holder in the audit log; unique.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// The apis with which its holder may do it.
    pub scope: ApiScope,
    /// The SHA-256 of the key, which has 256 random bits.
    pub hash: [u8; 32],
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for StoredAdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredAdminKey({:?}, {:?})", self.name, self.role)
    }
}

/// Selects the accounts to list.
#[derive(Clone, Debug)]
pub struct AccountFilter {
    /// Accounts of these apis.
    pub scope: ApiScope,
    /// Accounts of this api.
    pub api: Option<ApiName>,
    /// Accounts with a credential for exactly this login.
    pub login: Option<String>,
}

/// The changes to an account; `None` leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct AccountUpdate {
    /// Whether it may log in and call. Disabling ends all its sessions.
    pub active: Option<bool>,
    /// The networks that it may call from.
    pub allow: Option<Allowlist>,
    /// The limits that differ from its api's.
    pub limits: Option<AccountLimits>,
}

/// The terms of a session, owned so that they can be sent to the store's thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedSessionTerms {
    /// The lifetimes in the current configuration.
    pub lifetimes: SessionLifetimes,
    /// What a refresh does.
    pub mode: RefreshMode,
    /// The key that signs new tokens.
    pub active_kid: Kid,
    /// The keys whose signatures are accepted.
    pub live_kids: Vec<Kid>,
}

impl OwnedSessionTerms {
    /// The same terms in the domain's type.
    pub fn terms(&self) -> OpeningTerms<'_> {
        OpeningTerms {
            lifetimes: self.lifetimes,
            mode: self.mode,
            active_kid: &self.active_kid,
            live_kids: &self.live_kids,
        }
    }
}

/// What a login does to the older sessions of its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSuccession {
    /// Whether it ends all of them.
    pub new_login: NewLogin,
    /// How many may be alive at once, if the account has no limit of its own.
    pub limits: ApiLimits,
}

impl From<NewLogin> for SessionSuccession {
    fn from(new_login: NewLogin) -> Self {
        Self {
            new_login,
            limits: ApiLimits::default(),
        }
    }
}

/// A refresh as it was decided and stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshOutcome {
    /// The decision, durable.
    pub decision: SessionDecision,
    /// Who the session belongs to; `None` if there is no such session.
    pub account: Option<Account>,
    /// The credential that opened it; `None` if it was deleted.
    pub credential: Option<Credential>,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; later entries have higher ones.
    pub number: u64,
    /// When it happened, by the store's clock.
    pub at: Timestamp,
    /// The code of a [`countersign_domain::audit::Action`].
    pub action: String,
    /// The api that it concerns.
    pub api: Option<ApiName>,
    /// The account that it concerns, which may be gone.
    pub account: Option<AccountId>,
    /// The session that it concerns, which may be gone.
    pub session: Option<SessionId>,
    /// Who caused it, as [`AuditActor`] displays itself.
    pub actor: String,
    /// Details, as a JSON object without secrets.
    pub detail: String,
}

/// Selects the audit entries to list.
#[derive(Clone, Debug)]
pub struct AuditFilter {
    /// Entries of these apis. Entries of no api are included only if these are all apis.
    pub scope: ApiScope,
    /// Entries about this account.
    pub account: Option<AccountId>,
    /// Entries about this api.
    pub api: Option<ApiName>,
    /// Entries with this action.
    pub action: Option<Action>,
    /// Entries from this time on.
    pub since: Option<Timestamp>,
    /// Entries before this time.
    pub until: Option<Timestamp>,
    /// Which entries come first.
    pub order: ListOrder,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOrder {
    /// The order in which they were written.
    OldestFirst,
    /// The reverse order.
    NewestFirst,
}

/// What was ended when everything of an api was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ApiRevocationCounts {
    /// Accounts.
    pub accounts: usize,
    /// Their sessions.
    pub sessions: usize,
}

/// Numbers about the content of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreStats {
    /// Accounts.
    pub accounts: u64,
    /// Credentials.
    pub credentials: u64,
    /// Session rows, including those of ended and expired sessions.
    pub sessions: u64,
    /// Session rows that were not ended.
    pub active_sessions: u64,
    /// Revocations that still matter.
    pub revocations: u64,
    /// The number of the last revocation.
    pub log_head: u64,
    /// The number of the last audit entry.
    pub audit_head: u64,
    /// The size of the database file in bytes, without its WAL.
    pub database_bytes: u64,
}

/// How many rows one step of the sweep removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SweepOutcome {
    /// Session rows.
    pub sessions: usize,
    /// Revocations.
    pub revocations: usize,
    /// Replies that were kept for idempotency keys.
    pub replies: usize,
    /// Leases.
    pub leases: usize,
    /// Networks from which credentials were used.
    pub networks: usize,
    /// Whether there may be more to remove.
    pub more: bool,
}

/// An idempotency key, with which something is created only once.
pub struct IdempotencyKey<T> {
    /// The owner of the key: the name of an admin key.
    pub operator: String,
    /// The key.
    pub key: String,
    /// How long the reply is kept.
    pub keep_for: Duration,
    /// Seals the reply to what was made.
    pub reply: SealReply<T>,
}

/// Seals the reply to what was created.
type SealReply<T> = Box<dyn Fn(&T) -> Result<Vec<u8>, SealError> + Send>;

/// The context for which a kept reply is sealed.
pub fn reply_context<'a>(operator: &'a str, key: &'a str) -> [&'a str; 3] {
    ["remembered reply", operator, key]
}

/// The outcome of a creation that happens only once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdempotentOutcome<T> {
    /// It was created now.
    New(T),
    /// It was created before; this is the sealed reply to that request.
    Before(Vec<u8>),
}
