//! Checks logins and secrets. They are throttled, compared in constant time, and whatever
//! is wrong with them, the answer and its cost are the same.

use countersign_dialect::Secret;
use countersign_domain::account::StoredSecret;
use countersign_domain::{Account, Credential, HostNetwork, Reason};

use super::token_denial::DenialCause;
use super::{IssuerRequest, store_reason};
use crate::password::{HashingQueue, PasswordFault};
use crate::throttle::LoginAttempt;
use countersign_store::LoginCandidate;

/// A login and secret that were checked. Only [`IssuerRequest::authenticate`] makes
/// it.
pub(super) struct Authenticated {
    pub(super) account: Account,
    pub(super) credential: Credential,
}

impl IssuerRequest<'_> {
    /// Checks a login and secret. Whatever is wrong, the answer is the same and, if the
    /// api has passwords, so is the cost (one argon2id).
    pub(super) async fn authenticate(
        &self,
        login: &str,
        secret: &Secret,
    ) -> Result<Authenticated, DenialCause> {
        let store = &self.issuer.store;
        let (api, network) = (
            self.api.name(),
            HostNetwork::containing(self.caller.address),
        );
        let found = store.candidate(api, login, network).await;
        let found = found.map_err(store_reason)?;
        let account = found.as_ref().map(|it| it.account.id);
        let attempt = LoginAttempt {
            api,
            login,
            network,
            network_is_known: found.as_ref().is_some_and(|it| it.network_is_known),
        };
        let settings = &self.api.settings.throttle;
        let admitted = self.issuer.throttle.admit(settings, &attempt, store.now());
        let throttled =
            |wait| DenialCause::throttled(Reason::LoginThrottled, wait).with_account(account);
        let admitted = admitted.map_err(throttled)?;
        let (known, fault) = usable(found);
        let stored = known.as_ref().map(|known| &known.credential.secret);
        let queue = match attempt.network_is_known {
            true => HashingQueue::Friends,
            false => HashingQueue::Strangers,
        };
        let matched = self.secret_matches(secret, stored, queue).await;
        // An attempt from an unknown network that finds the queue full is counted:
        // otherwise nothing would slow down those who fill it. From a known network it
        // is not counted, since attempts with a correct secret would add up too.
        // Generated keys are checked even then, but cannot be guessed.
        let counts = match matched {
            Ok(matched) => !matched,
            Err(Reason::HashingBusy) => queue == HashingQueue::Strangers,
            Err(_) => false,
        };
        if !counts {
            admitted.take_back(store.now());
        }
        if !matched? {
            return Err(DenialCause::from(fault).with_account(account));
        }
        known.ok_or(DenialCause::from(fault).with_account(account))
    }

    async fn secret_matches(
        &self,
        secret: &Secret,
        stored: Option<&StoredSecret>,
        queue: HashingQueue,
    ) -> Result<bool, Reason> {
        // An unknown login is compared too, with a hash that no key has.
        let (key, hashed) = match stored {
            Some(StoredSecret::Key(hash)) => (*hash, None),
            Some(StoredSecret::Password(phc)) => ([0; 32], Some(phc.clone())),
            None => ([0; 32], None),
        };
        if self.api.pepper.matches(secret.expose(), &key) {
            return Ok(true);
        }
        if !self.api.settings.passwords {
            return Ok(false);
        }
        let verified = self.issuer.passwords.verify(secret.clone(), hashed, queue);
        let verified = verified.await;
        verified.map_err(|fault| match fault {
            PasswordFault::Busy => Reason::HashingBusy,
            PasswordFault::Failed => Reason::ServerFault,
        })
    }
}

/// The credential that was found, if it may be used, and the reason for refusing a secret
/// that does not match.
fn usable(found: Option<LoginCandidate>) -> (Option<Authenticated>, Reason) {
    match found {
        None => (None, Reason::UnknownLogin),
        Some(it) if !it.account.active => (None, Reason::AccountDisabled),
        Some(it) if !it.credential.active => (None, Reason::CredentialRevoked),
        Some(LoginCandidate {
            account,
            credential,
            ..
        }) => (
            Some(Authenticated {
                account,
                credential,
            }),
            Reason::WrongSecret,
        ),
    }
}
