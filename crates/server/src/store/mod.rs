//! The SQLite store: accounts, sessions, keys, revocations and the audit log.

mod error;
mod record;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use countersign_domain::account::StoredSecret;
use countersign_domain::key::KeyRing;
use countersign_domain::revocation::Notice;
use countersign_domain::session::{AccessClaims, Opening, RefreshClaims};
use countersign_domain::{
    Account, AccountId, ApiName, Credential, CredentialId, LogoutScope, NewLogin, Reason, Session,
    SessionId, Timestamp,
};

use crate::clock::Clock;
use crate::seal::MasterKey;

pub use error::{CreateError, KeyError, MasterError, OpenError, SessionError, Unavailable};
pub use record::{
    AccountFilter, AccountUpdate, Actor, AuditEntry, NewAccount, Purpose, Refreshed, SealedKey,
    Stats, Swept, TermsOwned,
};

/// The store. Clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Clock>);

#[expect(
    missing_docs,
    unused_variables,
    clippy::unused_async,
    clippy::needless_pass_by_value,
    reason = "the shape only"
)]
impl Store {
    pub fn open(
        path: &Path,
        clock: Clock,
        notify: impl Fn(&[Notice]) + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        Ok(Self(Arc::new(clock)))
    }
    pub async fn close(self) {}
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }
    pub async fn ready(&self) -> Result<(), Unavailable> {
        Err(Unavailable::Stopped)
    }
    /// `None`: no master key was ever checked, so one may be made.
    pub async fn has_master(&self) -> Result<bool, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub async fn check_master(&self, master: &MasterKey) -> Result<(), MasterError> {
        Err(Unavailable::Stopped.into())
    }

    pub async fn keys(&self, api: &ApiName) -> Result<Vec<SealedKey>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub async fn insert_key(
        &self,
        api: &ApiName,
        key: SealedKey,
        actor: Actor,
    ) -> Result<(), KeyError> {
        Err(Unavailable::Stopped.into())
    }
    pub async fn replace_ring(
        &self,
        api: &ApiName,
        ring: KeyRing,
        actor: Actor,
    ) -> Result<(), KeyError> {
        Err(Unavailable::Stopped.into())
    }

    pub async fn create_account(
        &self,
        new: NewAccount,
        actor: Actor,
    ) -> Result<(Account, Credential), CreateError> {
        Err(Unavailable::Stopped.into())
    }
    pub async fn account(&self, id: AccountId) -> Result<Option<Account>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub async fn accounts(
        &self,
        filter: AccountFilter,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<Account>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    /// `None`: no such account.
    pub async fn update_account(
        &self,
        id: AccountId,
        update: AccountUpdate,
        actor: Actor,
    ) -> Result<Option<Account>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    /// Whether there was such an account.
    pub async fn delete_account(&self, id: AccountId, actor: Actor) -> Result<bool, Unavailable> {
        Err(Unavailable::Stopped)
    }

    pub async fn credentials(&self, account: AccountId) -> Result<Vec<Credential>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub async fn credential(&self, id: CredentialId) -> Result<Option<Credential>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub async fn credential_by_login(
        &self,
        api: &ApiName,
        login: &str,
    ) -> Result<Option<(Account, Credential)>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub async fn create_credential(
        &self,
        account: AccountId,
        login: String,
        secret: StoredSecret,
        actor: Actor,
    ) -> Result<Credential, CreateError> {
        Err(Unavailable::Stopped.into())
    }
    pub async fn set_credential_active(
        &self,
        id: CredentialId,
        active: bool,
        actor: Actor,
    ) -> Result<Option<Credential>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub async fn delete_credential(
        &self,
        id: CredentialId,
        actor: Actor,
    ) -> Result<bool, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub async fn replace_secret(
        &self,
        id: CredentialId,
        secret: StoredSecret,
    ) -> Result<bool, Unavailable> {
        Err(Unavailable::Stopped)
    }

    pub async fn open_session(
        &self,
        opening: Opening,
        credential: CredentialId,
        terms: impl Into<Arc<TermsOwned>>,
        new_login: NewLogin,
    ) -> Result<Session, SessionError> {
        Err(Unavailable::Stopped.into())
    }
    pub async fn refresh(
        &self,
        claims: RefreshClaims,
        address: IpAddr,
        terms: impl Into<Arc<TermsOwned>>,
    ) -> Result<Refreshed, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub async fn logout(
        &self,
        claims: AccessClaims,
        address: IpAddr,
        scope: LogoutScope,
    ) -> Result<Result<(), Reason>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub async fn session(&self, id: SessionId) -> Result<Option<Session>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    /// Newest first.
    pub async fn sessions(
        &self,
        account: AccountId,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Session>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    /// The session as it is now; `None`: no such session.
    pub async fn end_session(
        &self,
        id: SessionId,
        actor: Actor,
    ) -> Result<Option<Session>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    /// How many were ended; `None`: no such account.
    pub async fn end_sessions(
        &self,
        account: AccountId,
        actor: Actor,
    ) -> Result<Option<usize>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub fn mark_used(&self, session: SessionId, generation: u32) {}

    pub async fn snapshot(&self) -> Result<Vec<Notice>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub async fn audit(
        &self,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub async fn stats(&self) -> Result<Stats, Unavailable> {
        Err(Unavailable::Stopped)
    }
    pub async fn sweep_once(&self) -> Result<Swept, Unavailable> {
        Err(Unavailable::Stopped)
    }
}
