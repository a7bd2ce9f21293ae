//! What an api does with sessions, apart from lifetimes: what a refresh does with the
//! token that was presented, what a new login does to older tokens, and how far a logout
//! reaches. A dialect file states all three.

/// What a refresh does with the refresh token that was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefreshMode {
    /// The token is replaced: the answer is a new pair (RFC 9700 section 4.14.2).
    Rotate,
    /// The token stays valid: the answer is a new access token only.
    Keep,
    /// There is no refresh; the client logs in again.
    None,
}

/// What a new login does to the tokens of earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NewLogin {
    /// They stay valid.
    Keeps,
    /// They are revoked.
    Revokes,
}

/// How far a logout reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogoutScope {
    /// The session that the token belongs to.
    Session,
    /// Every session of the account.
    Account,
}
