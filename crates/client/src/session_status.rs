//! The status of a session, for people and monitoring. It contains no secret.

use std::time::Duration;

use countersign_domain::Timestamp;

use crate::{RenewalFailure, RequestAttempt, SessionRecord, TokenSet};

/// The status of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// The instant at which it was read.
    pub now: Timestamp,
    /// The tokens at hand; `None` if nobody is logged in.
    pub tokens: Option<TokenStatus>,
    /// Requests that one access token may make; `None` for any number.
    pub budget: Option<u32>,
    /// The request to the vendor whose outcome is not known yet.
    pub attempt: Option<RequestAttempt>,
    /// The last failure, until something succeeds.
    pub failure: Option<RenewalFailure>,
    /// What is wrong with the stored session, if it is damaged: the next use sets it
    /// aside and logs in again.
    pub damage: Option<String>,
}

/// The status of the tokens at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenStatus {
    /// When the session began.
    pub logged_in_at: Timestamp,
    /// When the access token was requested.
    pub asked_at: Timestamp,
    /// When the access token expires according to the vendor.
    pub stated_expires_at: Timestamp,
    /// Until when the access token is used.
    pub expires_at: Timestamp,
    /// Whether there is a refresh token.
    pub refreshes: bool,
    /// Whether the access token itself serves as refresh token, while it is valid.
    pub refreshed_by_access: bool,
    /// When the refresh token expires according to the vendor, if it says so.
    pub stated_refresh_expires_at: Option<Timestamp>,
    /// Until when the refresh token is used, if that is known.
    pub refresh_expires_at: Option<Timestamp>,
    /// Requests that were set aside of the access token's budget.
    pub spent: u32,
    /// The numeric id of the account, if the vendor states it.
    pub client_id: Option<u64>,
    /// The login as the vendor's reply states it.
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

    /// The status of a session whose file is damaged.
    pub(crate) fn damaged(why: String, budget: Option<u32>, now: Timestamp) -> Self {
        Self {
            damage: Some(why),
            ..Self::from_record(SessionRecord::default(), budget, now)
        }
    }

    /// For how long the access token at hand will still be used.
    pub fn left(&self) -> Option<Duration> {
        let tokens = self.tokens.as_ref()?;
        Some(tokens.expires_at.since(self.now))
    }
}

/// The expiry according to the vendor, or the one that was calculated if the record
/// does not have the vendor's. An access token that refreshes itself has no other
/// one.
fn told_refresh_end(tokens: &TokenSet) -> Option<Timestamp> {
    let end = tokens
        .stated_refresh_expires_at
        .or(tokens.refresh_expires_at);
    end.filter(|_| tokens.refresh_token.as_ref() != Some(&tokens.access_token))
}
