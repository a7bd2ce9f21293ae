//! When a request is sent, and which.

use std::time::Duration;

use countersign_dialect::LostRefresh;
use countersign_domain::{Timestamp, TokenOperation};

use super::{ClientSession, RenewalKind, RequestUnderWay};
use crate::RequestAttempt;

/// How long a refresh token whose reply was lost may be sent again, counted from the
/// first time. Issuers that tolerate a second use do so for about a minute; later it
/// looks stolen, and would end the session.
const RETRY_WINDOW: Duration = Duration::from_secs(45);

/// How far an instant may lie in the future without the clock having been set back:
/// processes read the clock, and then wait for the lock.
pub(super) const TOLERANCE: Duration = Duration::from_secs(5);

impl ClientSession {
    /// A request is about to be sent. The draft must be durable before it is, so that
    /// a process that finds it knows that the refresh token may be used up.
    pub fn begin_request(&mut self, kind: RenewalKind, now: Timestamp) {
        self.forced = false;
        let before = self.record.attempt.take();
        let before = before.filter(|attempt| attempt.operation == TokenOperation::Refresh);
        let (operation, since) = match kind {
            RenewalKind::Refresh => (TokenOperation::Refresh, before.as_ref()),
            RenewalKind::Login => (TokenOperation::Login, None),
        };
        let asked_at = since.map_or(now, |attempt| attempt.asked_at);
        if kind == RenewalKind::Login && before.is_some() {
            // After this it cannot be known whether it is used up.
            self.drop_refresh_token();
        }
        self.under_way = RequestUnderWay {
            sent_at: Some(now),
            before: before.filter(|_| kind == RenewalKind::Refresh),
        };
        self.record.attempt = Some(RequestAttempt {
            operation,
            asked_at,
        });
    }

    /// Whether a new token should be requested although there is one.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let asked_at = self.record.tokens.as_ref().map(|tokens| tokens.asked_at);
        let set_back = asked_at.is_some_and(|asked_at| asked_at.since(now) > TOLERANCE);
        let old = self.renew_at().is_none_or(|renew_at| now >= renew_at);
        let unanswered = self.refresh_attempt().is_some() && self.can_refresh(now);
        self.forced || old || set_back || unanswered || self.is_short()
    }

    /// Whether so little is left of the budget that callers would soon wait.
    fn is_short(&self) -> bool {
        let reserve = self.terms.budget.map_or(0, |budget| budget / 8);
        self.left()
            .is_some_and(|left| left < self.wanted || left <= reserve)
    }

    pub(super) fn choose_kind(&self, now: Timestamp) -> RenewalKind {
        if !self.forced && self.can_refresh(now) {
            RenewalKind::Refresh
        } else {
            RenewalKind::Login
        }
    }

    pub(crate) fn can_refresh(&self, now: Timestamp) -> bool {
        let tokens = self.record.tokens.as_ref();
        let alive = tokens.is_some_and(|tokens| {
            let lives = tokens.refresh_expires_at.is_none_or(|end| now < end);
            let lives = match self.terms.presents_access {
                true => self.usable(now).is_some(),
                false => lives,
            };
            tokens.refresh_token.is_some() && lives
        });
        self.terms.refreshes && alive && !self.may_be_used_up(now)
    }

    /// Whether the refresh token may be used up, so that the vendor would treat it as
    /// stolen.
    fn may_be_used_up(&self, now: Timestamp) -> bool {
        let punished = self.terms.lost_refresh == LostRefresh::Login;
        let is_open = self.refresh_attempt().is_some();
        is_open && punished || self.is_too_late(now)
    }

    /// Whether a refresh that was prepared must not be sent any more, because its
    /// token was first sent too long ago.
    pub(crate) fn is_too_late(&self, now: Timestamp) -> bool {
        self.refresh_attempt().is_some_and(|attempt| {
            let set_back = attempt.asked_at.since(now) > TOLERANCE;
            set_back || now.since(attempt.asked_at) > RETRY_WINDOW
        })
    }

    pub(crate) fn refresh_attempt(&self) -> Option<&RequestAttempt> {
        let attempt = self.record.attempt.as_ref();
        attempt.filter(|attempt| attempt.operation == TokenOperation::Refresh)
    }

    pub(super) fn drop_refresh_token(&mut self) {
        if let Some(tokens) = &mut self.record.tokens {
            tokens.refresh_token = None;
            tokens.refresh_expires_at = None;
        }
    }
}
