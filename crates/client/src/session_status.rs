//! How a session stands, for people and monitors. It holds no secret.

use std::time::Duration;

use countersign_domain::Timestamp;

use crate::{RenewalFailure, RequestAttempt, SessionRecord, TokenSet};

/// How a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// The instant it is told of.
    pub now: Timestamp,
    /// The tokens at hand; `None` if nobody is logged in.
    pub tokens: Option<TokenStatus>,
    /// Requests that one access token may make; `None` for any number.
    pub budget: Option<u32>,
    /// What was asked of the vendor and not answered yet.
    pub attempt: Option<RequestAttempt>,
    /// What went wrong last, until something goes right.
    pub failure: Option<RenewalFailure>,
    /// What is wrong with what is kept, if it is damaged: the next use sets it
    /// aside and logs in anew.
    pub damage: Option<String>,
}

/// What is told of tokens at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenStatus {
    /// When the session began.
    pub logged_in_at: Timestamp,
    /// When the access token was asked for.
    pub asked_at: Timestamp,
    /// When the access token ends, as the vendor told it.
    pub stated_expires_at: Timestamp,
    /// Until when the access token is used.
    pub expires_at: Timestamp,
    /// Whether there is a refresh token.
    pub refreshes: bool,
    /// Whether that is the access token itself, while it lives.
    pub refreshed_by_access: bool,
    /// When the refresh token ends, as the vendor told it, if it did.
    pub stated_refresh_expires_at: Option<Timestamp>,
    /// Until when the refresh token is used, if that is known.
    pub refresh_expires_at: Option<Timestamp>,
    /// Requests that were set aside of the access token's budget.
    pub spent: u32,
    /// The numeric id of the account, if the vendor tells.
    pub client_id: Option<u64>,
    /// The login as the vendor repeats it.
    pub login: Option<String>,
}

impl SessionStatus {
    pub(crate) fn from_record(record: SessionRecord, budget: Option<u32>, now: Timestamp) -> Self {
        let spent = record.spent;
        let tokens = record.tokens.map(|tokens| TokenStatus {
            refreshed_by_access: tokens.refresh_token.as_ref() == Some(&tokens.access_token),
            logged_in_at: tokens.logged_in_at,
            asked_at: tokens.asked_at,
            stated_expires_at: tokens.stated_expires_at.unwrap_or(tokens.expires_at),
            expires_at: tokens.expires_at,
            stated_refresh_expires_at: told_refresh_end(&tokens),
            refreshes: tokens.refresh_token.is_some(),
            refresh_expires_at: tokens.refresh_expires_at,
            spent,
            client_id: tokens.client_id,
            login: tokens.login,
        });
        Self {
            now,
            tokens,
            budget,
            attempt: record.attempt,
            failure: record.failure,
            damage: None,
        }
    }

    /// That of a session whose file is damaged.
    pub(crate) fn damaged(why: String, budget: Option<u32>, now: Timestamp) -> Self {
        Self {
            damage: Some(why),
            ..Self::from_record(SessionRecord::default(), budget, now)
        }
    }

    /// For how long the access token at hand is still used.
    pub fn left(&self) -> Option<Duration> {
        let tokens = self.tokens.as_ref()?;
        Some(tokens.expires_at.since(self.now))
    }
}

/// As the vendor told it, or as it was reckoned in a record that does not say what was
/// told. Of an access token that refreshes itself no other end is known.
fn told_refresh_end(tokens: &TokenSet) -> Option<Timestamp> {
    let end = tokens
        .stated_refresh_expires_at
        .or(tokens.refresh_expires_at);
    end.filter(|_| tokens.refresh_token.as_ref() != Some(&tokens.access_token))
}
