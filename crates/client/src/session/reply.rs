//! What replies mean. A refusal is judged by what was requested.

use countersign_dialect::{ExtraParts, GrantedTokens, LostRefresh, RefusedBy};
use countersign_domain::{Timestamp, TokenOperation};

use super::backoff::{self, FailureCause, RetryAdvice};
use super::{ClientSession, RenewalKind, RequestUnderWay};
use crate::timing::{RoundTrip, TokenEnds, told_end};
use crate::{RequestDelivery, TokenSet};

impl ClientSession {
    /// New tokens arrived at `now`. They must be durable before they are used.
    pub fn received(&mut self, granted: GrantedTokens, now: Timestamp) {
        let operation = self.operation();
        let sent_at = self.under_way.sent_at.unwrap_or(now).min(now);
        let trip = RoundTrip {
            sent_at,
            arrived_at: now,
        };
        let ends = TokenEnds::from_grant(&granted, trip, &mut self.offset);
        let before = self.record.tokens.take();
        self.count_afresh(before.as_ref(), &granted);
        let kept = before.filter(|_| operation == TokenOperation::Refresh);
        let mut tokens = tokens(granted, sent_at, &ends, kept);
        if self.terms.presents_access {
            tokens.refresh_token = Some(tokens.access_token.clone());
            tokens.refresh_expires_at = Some(tokens.expires_at);
        }
        self.record.tokens = Some(tokens);
        self.record.attempt = None;
        self.record.failure = None;
        self.under_way = RequestUnderWay::default();
    }

    /// The vendor refused the request.
    pub fn refused(&mut self, by: &RefusedBy, now: Timestamp) {
        let operation = self.operation();
        let detail = in_words(by);
        let mishap = FailureCause {
            refusal: Some(by.refusal),
            status: Some(by.status),
            detail: &detail,
        };
        match (RetryAdvice::after(by.refusal), operation) {
            (RetryAdvice::Later, _) => {
                self.unheard();
                self.note_failure(operation, &mishap, now);
                self.back_off(by.retry_after);
            }
            (RetryAdvice::Failed, _) => {
                self.leave_open(operation);
                self.note_failure(operation, &mishap, now);
                self.back_off(by.retry_after);
            }
            (RetryAdvice::Never, TokenOperation::Refresh) => {
                self.drop_refresh_token();
                self.settle();
                self.note_unless_ended(&mishap, now);
            }
            (RetryAdvice::Never, _) => {
                self.settle();
                self.note_failure(operation, &mishap, now);
                self.pause_logins();
            }
        }
    }

    /// There was no reply.
    pub fn lost(&mut self, sent: RequestDelivery, detail: &str, now: Timestamp) {
        if sent == RequestDelivery::NotSent {
            self.unheard();
        }
        self.unanswered(sent, None, detail, now);
    }

    /// The dialect does not explain the reply, or its signature is wrong.
    pub fn garbled(&mut self, status: u16, detail: &str, now: Timestamp) {
        if self.operation() == TokenOperation::Login && backoff::is_final(status) {
            let mishap = FailureCause {
                refusal: None,
                status: Some(status),
                detail,
            };
            self.settle();
            self.note_failure(TokenOperation::Login, &mishap, now);
            return self.pause_logins();
        }
        self.unanswered(RequestDelivery::MaybeSent, Some(status), detail, now);
    }

    /// Adds what to do about the failure that was noted last.
    pub fn advise(&mut self, help: Option<String>) {
        if let Some(failure) = &mut self.record.failure {
            failure.help = help;
        }
    }

    fn unanswered(
        &mut self,
        sent: RequestDelivery,
        status: Option<u16>,
        detail: &str,
        now: Timestamp,
    ) {
        let operation = self.operation();
        let mishap = FailureCause {
            refusal: None,
            status,
            detail,
        };
        self.leave_open(operation);
        self.note_failure(operation, &mishap, now);
        // A login at once is better than a retry that this vendor would punish.
        let punished = self.terms.lost_refresh == LostRefresh::Login;
        if !(punished && operation == TokenOperation::Refresh && sent == RequestDelivery::MaybeSent)
        {
            self.back_off(None);
        }
    }

    /// What was requested last.
    fn operation(&self) -> TokenOperation {
        let attempt = self.record.attempt.as_ref();
        attempt.map_or(TokenOperation::Login, |attempt| attempt.operation)
    }

    /// The vendor did not act upon the request, so it counts as not sent. An earlier
    /// one with the same refresh token may have been acted upon.
    fn unheard(&mut self) {
        self.record.attempt = std::mem::take(&mut self.under_way).before;
    }

    /// The vendor may have acted upon it. That matters for a refresh token only:
    /// nobody has the tokens of a lost login.
    fn leave_open(&mut self, operation: TokenOperation) {
        if operation == TokenOperation::Login {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.record.attempt = None;
        self.under_way = RequestUnderWay::default();
    }

    /// A refused refresh leads to a login at once, unless a refused login still
    /// delays it.
    fn note_unless_ended(&mut self, mishap: &FailureCause<'_>, now: Timestamp) {
        let ended = self
            .blocking_failure(RenewalKind::Login, now)
            .is_some_and(backoff::is_refused_login);
        if !ended {
            self.note_failure(TokenOperation::Refresh, mishap, now);
        }
    }

    /// The counters of the token before end with it.
    fn count_afresh(&mut self, before: Option<&TokenSet>, granted: &GrantedTokens) {
        self.wanted = 0;
        if before.is_none_or(|tokens| tokens.access_token != granted.access_token) {
            self.record.spent = 0;
        }
        if before.is_some_and(|tokens| !tokens.is_rejected()) {
            self.record.rejected = 0;
        }
    }
}

fn tokens(
    granted: GrantedTokens,
    sent_at: Timestamp,
    ends: &TokenEnds,
    kept: Option<TokenSet>,
) -> TokenSet {
    let logged_in_at = kept.as_ref().map_or(sent_at, |kept| kept.logged_in_at);
    // RFC 6749 section 6: "The authorization server MAY issue a new refresh token, in
    // which case the client MUST discard the old refresh token and replace it with the
    // new refresh token."
    let rotated = granted.refresh_token.is_some();
    let stated_expires_at = Some(told_end(&granted));
    let mut tokens = TokenSet {
        access_token: granted.access_token,
        refresh_token: granted.refresh_token,
        asked_at: sent_at,
        expires_at: ends.access,
        refresh_expires_at: ends.refresh,
        stated_expires_at,
        stated_refresh_expires_at: granted.refresh_expires_at,
        logged_in_at,
        client_id: granted.client_id,
        login: granted.login,
        extra: granted.extra,
    };
    if let Some(kept) = kept {
        let extra: ExtraParts = kept.extra.into_iter().chain(tokens.extra).collect();
        tokens.extra = extra;
        tokens.client_id = tokens.client_id.or(kept.client_id);
        tokens.login = tokens.login.or(kept.login);
        if !rotated {
            // The reply has no refresh token: the one at hand stays, and so does its
            // expiry.
            tokens.refresh_token = kept.refresh_token;
            tokens.refresh_expires_at = tokens.refresh_expires_at.or(kept.refresh_expires_at);
            let told = tokens.stated_refresh_expires_at;
            tokens.stated_refresh_expires_at = told.or(kept.stated_refresh_expires_at);
        }
    }
    tokens
}

/// A refusal in words. The vendor's own words are quoted, so that no line break gets
/// into a log.
fn in_words(by: &RefusedBy) -> String {
    let quoted = |text: &Option<String>| text.as_ref().map(|text| format!(" {text:?}"));
    let code = quoted(&by.code).unwrap_or_default();
    let detail = quoted(&by.detail).unwrap_or_default();
    format!("{} ({}{code}{detail})", by.refusal, by.status)
}
