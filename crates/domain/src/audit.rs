//! The audit log's vocabulary: each login, revocation and operator change has
//! exactly one entry, written in the commit of its transition. Rotations are
//! counted, not audited.

use crate::coded;

coded! {
    /// What happened.
    Action {
        /// A session was opened.
        Login = "login",
        /// A client logged out.
        Logout = "logout",
        /// A session was ended because an old refresh token came back.
        Reuse = "reuse",
        /// A session was ended because its token was newer than its row.
        StateRegression = "state_regression",
        /// A login ended the session that had been idle the longest, because its account
        /// had reached its limit.
        SessionDisplaced = "session_displaced",
        /// An account was created.
        AccountCreated = "account_created",
        /// An account was disabled.
        AccountDisabled = "account_disabled",
        /// An account was enabled again.
        AccountEnabled = "account_enabled",
        /// An account's allowlist changed.
        AllowlistChanged = "allowlist_changed",
        /// An account's limits changed.
        LimitsChanged = "limits_changed",
        /// An account was deleted with all that belonged to it.
        AccountDeleted = "account_deleted",
        /// A credential was created.
        CredentialCreated = "credential_created",
        /// A credential was disabled.
        CredentialDisabled = "credential_disabled",
        /// A credential was enabled again.
        CredentialEnabled = "credential_enabled",
        /// A credential's scopes changed.
        ScopesChanged = "scopes_changed",
        /// A credential was deleted.
        CredentialDeleted = "credential_deleted",
        /// An operator ended one session.
        SessionEnded = "session_ended",
        /// An operator ended every session of an account.
        SessionsEnded = "sessions_ended",
        /// A signing key was made, or the active one replaced.
        KeyRotated = "key_rotated",
        /// A signing key was killed, and everything that it signed.
        KeyKilled = "key_killed",
        /// Everything of an api was revoked; each account has its own entry too.
        ApiRevoked = "api_revoked",
        /// An admin key was made.
        AdminKeyCreated = "admin_key_created",
        /// An admin key was deleted.
        AdminKeyDeleted = "admin_key_deleted",
        /// Everything that is sealed was sealed again under another master key.
        MasterKeyReplaced = "master_key_replaced",
        /// The earliest time at which the store's clock may start was set back.
        ClockMended = "clock_mended",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_read_from_the_log_as_it_was_written() {
        for action in Action::ALL {
            assert_eq!(Action::from_code(action.code()), Some(action));
            assert_eq!(action.to_string(), action.code());
        }
        assert_eq!(Action::from_code("Login"), None);
    }
}
