//! The audit log's vocabulary: each login, revocation and operator change has
//! exactly one entry, written in the commit of its transition. Rotations are
//! counted, not audited.

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A session was opened.
    Login,
    /// A client logged out.
    Logout,
    /// A session was ended because an old refresh token came back.
    Reuse,
    /// A session was ended because its token was newer than its row.
    StateRegression,
    /// A login ended the session that was idle the longest, because its account
    /// had as many as it may.
    SessionDisplaced,
    /// An account was created.
    AccountCreated,
    /// An account was disabled.
    AccountDisabled,
    /// An account was enabled again.
    AccountEnabled,
    /// An account's allowlist changed.
    AllowlistChanged,
    /// An account's limits changed.
    LimitsChanged,
    /// An account was deleted with all it had.
    AccountDeleted,
    /// A credential was created.
    CredentialCreated,
    /// A credential was disabled.
    CredentialDisabled,
    /// A credential was enabled again.
    CredentialEnabled,
    /// A credential's scopes changed.
    ScopesChanged,
    /// A credential was deleted.
    CredentialDeleted,
    /// An operator ended one session.
    SessionEnded,
    /// An operator ended every session of an account.
    SessionsEnded,
    /// A signing key was made, or the active one replaced.
    KeyRotated,
    /// A signing key was killed, and everything that it signed.
    KeyKilled,
    /// Everything of an api was revoked; each account has its own entry too.
    ApiRevoked,
    /// An admin key was made.
    AdminKeyCreated,
    /// An admin key was deleted.
    AdminKeyDeleted,
    /// Everything that is sealed was sealed anew under another master key.
    MasterKeyReplaced,
    /// The time before which the store's clock never starts was set back.
    ClockMended,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Login,
        Self::Logout,
        Self::Reuse,
        Self::StateRegression,
        Self::AccountCreated,
        Self::AccountDisabled,
        Self::AccountEnabled,
        Self::AllowlistChanged,
        Self::LimitsChanged,
        Self::AccountDeleted,
        Self::CredentialCreated,
        Self::CredentialDisabled,
        Self::CredentialEnabled,
        Self::ScopesChanged,
        Self::CredentialDeleted,
        Self::SessionEnded,
        Self::SessionsEnded,
        Self::KeyRotated,
        Self::KeyKilled,
        Self::ApiRevoked,
        Self::AdminKeyCreated,
        Self::AdminKeyDeleted,
        Self::MasterKeyReplaced,
        Self::ClockMended,
    ];

    /// The action with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.code() == code)
    }

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Logout => "logout",
            Self::Reuse => "reuse",
            Self::StateRegression => "state_regression",
            Self::SessionDisplaced => "session_displaced",
            Self::AccountCreated => "account_created",
            Self::AccountDisabled => "account_disabled",
            Self::AccountEnabled => "account_enabled",
            Self::AllowlistChanged => "allowlist_changed",
            Self::LimitsChanged => "limits_changed",
            Self::AccountDeleted => "account_deleted",
            Self::CredentialCreated => "credential_created",
            Self::CredentialDisabled => "credential_disabled",
            Self::CredentialEnabled => "credential_enabled",
            Self::ScopesChanged => "scopes_changed",
            Self::CredentialDeleted => "credential_deleted",
            Self::SessionEnded => "session_ended",
            Self::SessionsEnded => "sessions_ended",
            Self::KeyRotated => "key_rotated",
            Self::KeyKilled => "key_killed",
            Self::ApiRevoked => "api_revoked",
            Self::AdminKeyCreated => "admin_key_created",
            Self::AdminKeyDeleted => "admin_key_deleted",
            Self::MasterKeyReplaced => "master_key_replaced",
            Self::ClockMended => "clock_mended",
        }
    }
}
