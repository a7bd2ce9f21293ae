//! Revocations: what a verifier must know besides a token to refuse it.
//!
//! Each carries until when it can matter, which is when the last token that it
//! concerns has run out: verifiers forget it then, so their memory is bounded
//! by revocations times lifetime.

use crate::account::{Account, AccountId, Credential, CredentialId, Epoch};
use crate::key::Kid;
use crate::session::SessionId;
use crate::time::Timestamp;

/// One revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// A session ended.
    Session {
        /// Which.
        session: SessionId,
        /// When its last access token has run out.
        until: Timestamp,
    },
    /// Everything of an account that is older than an epoch is dead.
    Account {
        /// Whose.
        account: AccountId,
        /// The first epoch that lives.
        epoch: Epoch,
        /// When the last access token of an earlier epoch has run out.
        until: Timestamp,
    },
    /// A key is dead, and everything it signed.
    Key {
        /// Which.
        kid: Kid,
        /// When the last token that it signed has run out.
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

/// What verifiers are told once a commit is durable, and before its caller is
/// answered: so an acknowledged change holds for the next request already.
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
