//! The SQLite store: accounts, credentials, sessions, keys, the revocation log and the
//! audit log, in one file, or in memory for the sandbox.
//!
//! It promises that a caller gets an answer only after its commit is durable; that every
//! revocation and audit entry is in the commit of its transition; that verifiers are told
//! before the caller gets its answer; and that time never goes back, not even over a
//! restart. All writes pass through one thread (`writer`), reads through two more
//! (`reader`); no caller ever blocks.
//!
//! It refuses a file that is not a store, that a later release wrote, or that another
//! process has open.

mod accounts;
mod admin_keys;
mod api_revocation;
mod audit;
mod background;
pub mod clock;
mod clock_mending;
mod credentials;
mod error;
mod exclusive_store;
mod file;
mod idempotency;
mod keys;
mod leases;
mod log;
mod networks;
pub mod private_file;
pub mod random;
mod reader;
mod record;
mod rewrap;
mod rotation;
mod row;
pub mod seal;
mod session_end;
mod session_limit;
mod sessions;
mod store;
mod sweep;
mod work;
mod writer;

pub use clock_mending::{ClockMend, ClockMending};
pub use error::{
    AdminKeyError, CreateError, KeyError, MasterKeyProofError, OpenError, RewrapError,
    SessionError, StoreUnavailable,
};
pub use exclusive_store::{ExclusiveStore, StoreHead};
pub use leases::{BudgetLease, LeaseOutcome};
pub use networks::LoginCandidate;
pub use record::reply_context;
pub use record::{
    AccountFilter, AccountUpdate, ApiRevocationCounts, AuditActor, AuditEntry, AuditFilter,
    IdempotencyKey, IdempotentOutcome, KeyPurpose, ListOrder, NewAccount, NewCredential,
    OwnedSessionTerms, RefreshOutcome, SealedKey, SessionSuccession, StoreStats, StoredAdminKey,
    SweepOutcome,
};
pub use store::Store;

#[cfg(test)]
mod tests;
