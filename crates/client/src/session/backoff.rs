//! How long no request is sent after a failure.

use std::time::Duration;

use countersign_domain::{Refusal, Timestamp, TokenOperation};

use super::request::TOLERANCE;
use super::{ClientSession, RenewalKind};
use crate::{RenewalFailure, timing};

/// What a refusal says about the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryAdvice {
    /// The same request may succeed later.
    Later,
    /// The vendor failed; the request may have been acted upon.
    Failed,
    /// The same request will be refused again.
    Never,
}

impl RetryAdvice {
    pub(super) fn after(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Throttled => Self::Later,
            Refusal::Internal
            | Refusal::Unavailable
            | Refusal::BadGateway
            | Refusal::GatewayTimeout => Self::Failed,
            Refusal::BadLogin
            | Refusal::BadRefresh
            | Refusal::BadBearer
            | Refusal::MissingBearer
            | Refusal::ExpiredBearer
            | Refusal::BudgetSpent
            | Refusal::AddressDenied
            | Refusal::Forbidden
            | Refusal::MissingField
            | Refusal::Malformed
            | Refusal::UnsupportedMedia
            | Refusal::AmbiguousPath
            | Refusal::NotFound
            | Refusal::MethodNotAllowed
            | Refusal::TooLarge => Self::Never,
        }
    }
}

/// The longest `Retry-After` that is followed.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// This many secrets in a row may be tried at once, each after the one before was
/// refused, since somebody is correcting the secret. More do not come from a person:
/// a command prints another one each time, or processes use different ones.
const MOST_SECRETS: u32 = 3;

/// Whether this is a refused login: no login is tried until a person changes
/// something, or the pause is over.
pub(super) fn is_refused_login(failure: &RenewalFailure) -> bool {
    let never = match (failure.refusal, failure.status) {
        (Some(refusal), _) => RetryAdvice::after(refusal) == RetryAdvice::Never,
        (None, status) => status.is_some_and(is_final),
    };
    failure.operation == TokenOperation::Login && never
}

/// Whether a reply that the dialect does not explain will be the same next time: it
/// redirects, or blames the request. The server behind it may count wrong secrets.
pub(super) fn is_final(status: u16) -> bool {
    (300..500).contains(&status) && ![408, 425, 429].contains(&status)
}

/// Half a second, doubling to 30 s.
fn backoff(times: u32) -> Duration {
    doubling(Duration::from_millis(500), times, Duration::from_secs(30))
}

/// After a refused login: half a minute, doubling to an hour. Vendors lock
/// accounts.
fn after_refusal(times: u32) -> Duration {
    doubling(Duration::from_secs(30), times, Duration::from_secs(3600))
}

/// This many new tokens in a row may be refused and be replaced at once. That happens
/// in a test that moves the vendor's clock forward, and with a vendor that ends
/// sessions.
const FORGIVEN: u32 = 4;

/// The least age at which a refused access token is given up, after `rejected` tokens
/// before it were refused soon after they were granted.
pub(super) fn least_age_to_give_up(rejected: u32) -> Duration {
    match rejected.saturating_sub(FORGIVEN) {
        0 => Duration::ZERO,
        more => doubling(Duration::from_secs(1), more, Duration::from_secs(60)),
    }
}

/// `first`, doubled each further time.
fn doubling(first: Duration, times: u32, longest: Duration) -> Duration {
    let factor = 1u32 << times.saturating_sub(1).min(16);
    first.saturating_mul(factor).min(longest)
}

/// Why a request failed.
pub(super) struct FailureCause<'a> {
    pub(super) refusal: Option<Refusal>,
    pub(super) status: Option<u16>,
    pub(super) detail: &'a str,
}

impl ClientSession {
    /// The failure that forbids a request at the moment, if there is one.
    pub(super) fn blocking_failure(
        &self,
        kind: RenewalKind,
        now: Timestamp,
    ) -> Option<&RenewalFailure> {
        let failure = self.record.failure.as_ref()?;
        let set_back = failure.at.since(now) > TOLERANCE;
        if self.forced || set_back || now >= failure.retry_at {
            return None;
        }
        let other = self.secret.is_some() && failure.secret != self.secret;
        let other = other && failure.secrets <= MOST_SECRETS;
        let holds = !is_refused_login(failure) || (kind == RenewalKind::Login && !other);
        holds.then_some(failure)
    }

    /// Records a failure. Another request may be sent at once.
    pub(super) fn note_failure(
        &mut self,
        operation: TokenOperation,
        mishap: &FailureCause<'_>,
        now: Timestamp,
    ) {
        let before = self.record.failure.take();
        let alike = |failure: &&RenewalFailure| {
            let kind =
                |refusal: Option<Refusal>| refusal.map_or(RetryAdvice::Failed, RetryAdvice::after);
            kind(failure.refusal) == kind(mishap.refusal)
        };
        let times = before.as_ref().filter(alike).map_or(0, |same| same.times);
        self.record.failure = Some(RenewalFailure {
            operation,
            refusal: mishap.refusal,
            status: mishap.status,
            detail: mishap.detail.to_owned(),
            help: None,
            at: now,
            times: times.saturating_add(1),
            refused: before.as_ref().map_or(0, |before| before.refused),
            secrets: before.as_ref().map_or(0, |before| before.secrets),
            retry_at: now,
            secret: before.and_then(|before| before.secret),
        });
    }

    /// Sets the pause after a temporary failure, or the one that the vendor asks for.
    pub(super) fn back_off(&mut self, asked_for: Option<Duration>) {
        let jitter = self.terms.jitter;
        if let Some(failure) = &mut self.record.failure {
            let pause = match asked_for {
                Some(span) if !span.is_zero() => span.min(LONGEST) + timing::spread(span, jitter),
                // Even a vendor that keeps saying "at once" is not overloaded.
                _ => timing::jittered(backoff(failure.times), jitter),
            };
            failure.retry_at = failure.at + pause;
        }
    }

    /// Sets the pause after a refused login.
    pub(super) fn pause_logins(&mut self) {
        let (secret, jitter) = (self.secret, self.terms.jitter);
        if let Some(failure) = &mut self.record.failure {
            if failure.secrets > 0 && failure.secret == secret {
                failure.refused = failure.refused.saturating_add(1);
            } else {
                failure.refused = 1;
                failure.secrets = failure.secrets.saturating_add(1);
            }
            failure.secret = secret;
            let too_many = failure.secrets.saturating_sub(MOST_SECRETS);
            let pause = after_refusal(failure.refused.max(too_many));
            failure.retry_at = failure.at + pause + timing::spread(pause, jitter);
        }
    }
}
