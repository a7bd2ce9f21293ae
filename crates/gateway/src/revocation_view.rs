//! What the guard knows besides the token: exact sets of everything that is revoked, and
//! the accounts with their logins and static keys.
//!
//! Reads take no lock. Notices are applied one after the other, after the commit that
//! they describe and before its caller gets an answer, so that an acknowledged revocation
//! holds for the very next request.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use countersign_domain::account::StoredSecret;
use countersign_domain::revocation::{Revocation, RevocationNotice};
use countersign_domain::{
    Account, AccountId, ApiName, Credential, CredentialId, Epoch, Kid, Scopes, SessionId, Timestamp,
};

/// What is known in memory. All requests share it.
#[derive(Default)]
pub struct RevocationView {
    ended: papaya::HashMap<SessionId, Timestamp>,
    dead_keys: papaya::HashMap<Kid, Timestamp>,
    accounts: papaya::HashMap<AccountId, Arc<KnownAccount>>,
    credentials: papaya::HashMap<CredentialId, Arc<KnownCredential>>,
    static_keys: papaya::HashMap<[u8; 32], Vec<KeyHolder>>,
    ledger: Mutex<ViewLedger>,
}

/// An account, as requests see it.
#[derive(Debug)]
pub(crate) struct KnownAccount {
    pub(crate) account: Account,
    /// Tokens of an earlier epoch are not valid. It is never below the account's own
    /// epoch.
    pub(crate) epoch: Epoch,
    /// The logins of its active credentials.
    pub(crate) logins: Vec<String>,
}

impl KnownAccount {
    /// Whether `login` is the account's name or one of its active logins.
    pub(crate) fn answers_to(&self, login: &str) -> bool {
        self.account.name == login || self.logins.iter().any(|own| own == login)
    }
}

/// A credential, as requests see it, however it is presented.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KnownCredential {
    pub(crate) account: AccountId,
    pub(crate) active: bool,
    pub(crate) scopes: Scopes,
}

/// The owner of a generated key.
#[derive(Clone, Debug)]
pub(crate) struct KeyHolder {
    pub(crate) credential: CredentialId,
    pub(crate) account: AccountId,
    pub(crate) login: String,
}

/// What only the writing side needs.
#[derive(Default)]
struct ViewLedger {
    credentials: HashMap<CredentialId, Credential>,
    of_account: HashMap<AccountId, BTreeSet<CredentialId>>,
    /// Epochs that were revoked: they also hold for an account that becomes known later.
    floors: HashMap<AccountId, (Epoch, Timestamp)>,
}

impl RevocationView {
    /// A view that knows nothing: every token is refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies what was committed. Notices must be given in the order of their commits;
    /// the same notice may be given again.
    pub fn apply(&self, notice: &RevocationNotice, now: Timestamp) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        match notice {
            RevocationNotice::Revoked(revocation) => self.revoke(&mut ledger, revocation, now),
            RevocationNotice::Account(account) => self.know(&ledger, account.clone()),
            RevocationNotice::AccountGone(account) => self.drop_account(&mut ledger, *account),
            RevocationNotice::Credential(credential) => self.hold(&mut ledger, credential),
            RevocationNotice::CredentialGone(credential) => {
                self.drop_credential(&mut ledger, *credential);
            }
        }
    }

    /// Drops the revocations that no valid token can be affected by any more.
    pub fn prune(&self, now: Timestamp) {
        self.ended.pin().retain(|_, until| *until > now);
        self.dead_keys.pin().retain(|_, until| *until > now);
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.floors.retain(|_, (_, until)| *until > now);
    }

    pub(crate) fn has_ended(&self, session: SessionId) -> bool {
        self.ended.pin().contains_key(&session)
    }

    pub(crate) fn account(&self, id: AccountId) -> Option<Arc<KnownAccount>> {
        self.accounts.pin().get(&id).cloned()
    }

    pub(crate) fn credential(&self, id: CredentialId) -> Option<Arc<KnownCredential>> {
        self.credentials.pin().get(&id).cloned()
    }

    /// Whether the key was killed.
    pub(crate) fn is_dead(&self, kid: &Kid) -> bool {
        !self.dead_keys.is_empty() && self.dead_keys.pin().contains_key(kid)
    }

    /// The account of the static key with this hash, and its credential, if this api has
    /// one. It is not a leak that a hash can be found: it is an HMAC under a key that the
    /// caller does not have.
    pub(crate) fn static_key(
        &self,
        hash: &[u8; 32],
        api: &ApiName,
    ) -> Option<(Arc<KnownAccount>, KeyHolder)> {
        let keys = self.static_keys.pin();
        keys.get(hash)?.iter().find_map(|holder| {
            let known = self.account(holder.account)?;
            (known.account.api == *api).then(|| (known, holder.clone()))
        })
    }

    fn revoke(&self, ledger: &mut ViewLedger, revocation: &Revocation, now: Timestamp) {
        let until = revocation.until();
        if until <= now {
            return;
        }
        match revocation {
            Revocation::Session { session, .. } => {
                self.ended.pin().insert(*session, until);
            }
            Revocation::Key { kid, .. } => {
                self.dead_keys.pin().insert(kid.clone(), until);
            }
            Revocation::Account { account, epoch, .. } => {
                let floor = ledger.floors.entry(*account).or_insert((*epoch, until));
                *floor = (floor.0.max(*epoch), floor.1.max(until));
                if let Some(known) = self.account(*account) {
                    self.know(ledger, known.account.clone());
                }
            }
        }
    }

    /// Replaces an account, with its logins and its epoch.
    fn know(&self, ledger: &ViewLedger, account: Account) {
        let id = account.id;
        let before = self.account(id).map(|known| known.epoch);
        let floor = ledger.floors.get(&id).map(|(epoch, _)| *epoch);
        let known = KnownAccount {
            epoch: account
                .epoch
                .max(before.unwrap_or_default())
                .max(floor.unwrap_or_default()),
            logins: ledger.active_logins(id),
            account,
        };
        self.accounts.pin().insert(id, Arc::new(known));
    }

    fn hold(&self, ledger: &mut ViewLedger, credential: &Credential) {
        let (id, account) = (credential.id, credential.account);
        let known = Arc::new(KnownCredential::from_credential(credential));
        self.credentials.pin().insert(id, known);
        // The new holder first, so that a change of something else never leaves
        // a good key unknown for a moment.
        if let Some(hash) = usable_key(credential) {
            self.put_holder(&hash, id, Some(KeyHolder::from_credential(credential)));
        }
        ledger.of_account.entry(account).or_default().insert(id);
        let before = ledger.credentials.insert(id, credential.clone());
        if let Some(before) = before {
            self.forget_stale(ledger, &before, credential);
        }
        self.refresh_logins(ledger, account);
    }

    /// Removes what a credential had before it changed, and has no longer.
    fn forget_stale(&self, ledger: &mut ViewLedger, before: &Credential, now: &Credential) {
        if let Some(hash) = usable_key(before).filter(|hash| usable_key(now) != Some(*hash)) {
            self.put_holder(&hash, before.id, None);
        }
        if before.account != now.account {
            ledger.disown(before);
            self.refresh_logins(ledger, before.account);
        }
    }

    fn drop_credential(&self, ledger: &mut ViewLedger, id: CredentialId) {
        self.credentials.pin().remove(&id);
        let Some(credential) = ledger.credentials.remove(&id) else {
            return;
        };
        ledger.disown(&credential);
        if let Some(hash) = usable_key(&credential) {
            self.put_holder(&hash, id, None);
        }
        self.refresh_logins(ledger, credential.account);
    }

    fn drop_account(&self, ledger: &mut ViewLedger, account: AccountId) {
        self.accounts.pin().remove(&account);
        let credentials = ledger.of_account.get(&account).cloned();
        for credential in credentials.into_iter().flatten() {
            self.drop_credential(ledger, credential);
        }
    }

    /// Replaces the owner `id` of a key, in one step for readers.
    fn put_holder(&self, hash: &[u8; 32], id: CredentialId, holder: Option<KeyHolder>) {
        let keys = self.static_keys.pin();
        let mut holders = keys.get(hash).cloned().unwrap_or_default();
        holders.retain(|other| other.credential != id);
        holders.extend(holder);
        if holders.is_empty() {
            keys.remove(hash);
        } else {
            keys.insert(*hash, holders);
        }
    }

    fn refresh_logins(&self, ledger: &ViewLedger, account: AccountId) {
        if let Some(known) = self.account(account) {
            self.know(ledger, known.account.clone());
        }
    }
}

impl KnownCredential {
    fn from_credential(credential: &Credential) -> Self {
        Self {
            account: credential.account,
            active: credential.active,
            scopes: credential.scopes.clone(),
        }
    }
}

impl KeyHolder {
    fn from_credential(credential: &Credential) -> Self {
        Self {
            credential: credential.id,
            account: credential.account,
            login: credential.login.clone(),
        }
    }
}

/// The hash of a credential's generated key, if it may be used.
fn usable_key(credential: &Credential) -> Option<[u8; 32]> {
    match &credential.secret {
        StoredSecret::Key(hash) if credential.active => Some(*hash),
        _ => None,
    }
}

impl ViewLedger {
    fn disown(&mut self, credential: &Credential) {
        if let Some(of_account) = self.of_account.get_mut(&credential.account) {
            of_account.remove(&credential.id);
            if of_account.is_empty() {
                self.of_account.remove(&credential.account);
            }
        }
    }

    fn active_logins(&self, account: AccountId) -> Vec<String> {
        let ids = self.of_account.get(&account).into_iter().flatten();
        ids.filter_map(|id| self.credentials.get(id))
            .filter(|credential| credential.active)
            .map(|credential| credential.login.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests;
