//! Revocations: what a verifier must know, besides a token, to refuse it.
//!
//! Each states until when it matters, which is when the last token that it affects
//! expires. Verifiers forget it then, so their memory is bounded by the number of
//! revocations within a lifetime.

use crate::account::{Account, AccountId, Credential, CredentialId, Epoch};
use crate::key::Kid;
use crate::session::SessionId;
use crate::time::Timestamp;

/// One revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// A session ended.
    Session {
        /// The session.
        session: SessionId,
        /// When its last access token expires.
        until: Timestamp,
    },
    /// All tokens of an account from before an epoch are invalid.
    Account {
        /// The account.
        account: AccountId,
        /// The first epoch that is valid.
        epoch: Epoch,
        /// When the last access token of an earlier epoch expires.
        until: Timestamp,
    },
    /// A key is dead, and so is everything that it signed.
    Key {
        /// The key.
        kid: Kid,
        /// When the last token that it signed expires.
        until: Timestamp,
    },
}

impl Revocation {
    /// Until when a verifier must keep it.
    pub const fn until(&self) -> Timestamp {
        match self {
            Self::Session { until, .. } | Self::Account { until, .. } | Self::Key { until, .. } => {
                *until
            }
        }
    }
}

/// What verifiers are told after a commit is durable and before its caller gets an
/// answer, so that an acknowledged change already holds for the next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationNotice {
    /// Something was revoked.
    Revoked(Revocation),
    /// An account was created or changed.
    Account(Account),
    /// An account was deleted.
    AccountGone(AccountId),
    /// A credential was created or changed.
    Credential(Credential),
    /// A credential was deleted.
    CredentialGone(CredentialId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_revocation_says_until_when_it_can_matter() {
        let until = Timestamp::from_seconds(7);
        let session = SessionId([1; 16]);
        let (account, kid) = (AccountId::new(34).unwrap(), Kid("a".to_owned()));
        for revocation in [
            Revocation::Session { session, until },
            Revocation::Account {
                account,
                epoch: Epoch(2),
                until,
            },
            Revocation::Key { kid, until },
        ] {
            assert_eq!(revocation.until(), until, "{revocation:?}");
        }
    }
}
