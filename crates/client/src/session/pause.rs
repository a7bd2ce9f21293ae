//! How long nothing is asked after something went wrong.

use std::time::Duration;

use countersign_domain::{Operation, Refusal, Timestamp};

use super::ask::TOLERANCE;
use super::{Ask, Session};
use crate::{Trouble, timing};

/// What a vendor's "no" says of the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum No {
    /// The same request is good, later.
    Later,
    /// The vendor failed; the request may have been acted upon.
    Failed,
    /// The same request will be refused again.
    Never,
}

impl No {
    pub(super) fn of(refusal: Refusal) -> Self {
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

/// The longest that a vendor's own `Retry-After` holds.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// So many secrets in a row may be tried at once, each after the one before was
/// refused: somebody mends what is wrong. More are none of a person: a command
/// tells another one each time, or processes do not agree on theirs.
const MOST_SECRETS: u32 = 3;

/// Whether this is a refused login: the end, until a person changes something.
pub(super) fn ends(trouble: &Trouble) -> bool {
    let never = match (trouble.refusal, trouble.status) {
        (Some(refusal), _) => No::of(refusal) == No::Never,
        (None, status) => status.is_some_and(is_final),
    };
    trouble.operation == Operation::Login && never
}

/// Whether an answer that is not of the dialect will be the same next time: it
/// leads elsewhere, or blames the request. Whoever gives it may count wrong secrets.
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

/// So many young tokens may be refused in a row and be replaced at once: a test
/// that moves the vendor's clock on does that, and so does a vendor that ends
/// sessions.
const FORGIVEN: u32 = 4;

/// How old an access token is at least before it is given up because the vendor
/// refused it, when the `rejected` before it were refused soon too.
pub(super) fn least_age(rejected: u32) -> Duration {
    match rejected.saturating_sub(FORGIVEN) {
        0 => Duration::ZERO,
        more => doubling(Duration::from_secs(1), more, Duration::from_secs(60)),
    }
}

/// `first` once, twice as long each further time.
fn doubling(first: Duration, times: u32, longest: Duration) -> Duration {
    let factor = 1u32 << times.saturating_sub(1).min(16);
    first.saturating_mul(factor).min(longest)
}

/// What went wrong.
pub(super) struct Mishap<'a> {
    pub(super) refusal: Option<Refusal>,
    pub(super) status: Option<u16>,
    pub(super) detail: &'a str,
}

impl Session {
    /// The trouble that forbids to ask, if one does.
    pub(super) fn pause(&self, ask: Ask, now: Timestamp) -> Option<&Trouble> {
        let trouble = self.record.trouble.as_ref()?;
        let set_back = trouble.at.since(now) > TOLERANCE;
        if self.forced || set_back || now >= trouble.retry_at {
            return None;
        }
        let other = self.secret.is_some() && trouble.secret != self.secret;
        let other = other && trouble.secrets <= MOST_SECRETS;
        let holds = !ends(trouble) || (ask == Ask::Login && !other);
        holds.then_some(trouble)
    }

    /// Notes what went wrong; the vendor may be asked again at once.
    pub(super) fn note(&mut self, operation: Operation, mishap: &Mishap<'_>, now: Timestamp) {
        let before = self.record.trouble.take();
        let alike = |trouble: &&Trouble| {
            let kind = |refusal: Option<Refusal>| refusal.map_or(No::Failed, No::of);
            kind(trouble.refusal) == kind(mishap.refusal)
        };
        let times = before.as_ref().filter(alike).map_or(0, |same| same.times);
        self.record.trouble = Some(Trouble {
            operation,
            refusal: mishap.refusal,
            status: mishap.status,
            detail: mishap.detail.to_owned(),
            at: now,
            times: times.saturating_add(1),
            refused: before.as_ref().map_or(0, |before| before.refused),
            secrets: before.as_ref().map_or(0, |before| before.secrets),
            retry_at: now,
            secret: before.and_then(|before| before.secret),
        });
    }

    /// The pause after something that passes by itself, or so long as the vendor
    /// asks for.
    pub(super) fn back_off(&mut self, asked_for: Option<Duration>) {
        let jitter = self.terms.jitter;
        if let Some(trouble) = &mut self.record.trouble {
            let pause = match asked_for {
                Some(span) if !span.is_zero() => span.min(LONGEST) + timing::spread(span, jitter),
                // A vendor that says "at once" over and over is not hammered.
                _ => timing::jittered(backoff(trouble.times), jitter),
            };
            trouble.retry_at = trouble.at + pause;
        }
    }

    /// The pause after a refused login.
    pub(super) fn end(&mut self) {
        let (secret, jitter) = (self.secret, self.terms.jitter);
        if let Some(trouble) = &mut self.record.trouble {
            if trouble.secrets > 0 && trouble.secret == secret {
                trouble.refused = trouble.refused.saturating_add(1);
            } else {
                trouble.refused = 1;
                trouble.secrets = trouble.secrets.saturating_add(1);
            }
            trouble.secret = secret;
            let too_many = trouble.secrets.saturating_sub(MOST_SECRETS);
            let pause = after_refusal(trouble.refused.max(too_many));
            trouble.retry_at = trouble.at + pause + timing::spread(pause, jitter);
        }
    }
}
