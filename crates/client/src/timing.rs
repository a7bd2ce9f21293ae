//! When tokens expire and are renewed, as learnt from replies.
//!
//! The vendor states expiries by its own clock, often in whole seconds. What a reply
//! says about that clock ([`GrantedTokens::now`], the token's `iat`, the `Date`) bounds how
//! far it is ahead of ours, and each reply narrows the bounds. An expiry is placed at
//! the early bound, and a little before it, so that no expired token is sent.

mod clock_offset;

#[cfg(test)]
mod tests;

use std::time::Duration;

use countersign_dialect::GrantedTokens;
use countersign_domain::Timestamp;

pub(crate) use clock_offset::{ClockOffset, InstantRange, RoundTrip};

/// No vendor means a shorter life than this: a reply that states one is wrong, and
/// must not make us send requests all the time.
const LEAST_LIFE: Duration = Duration::from_secs(1);

/// The life of a token whose stated expiry makes no sense, for example because a
/// clock is wrong. If it is too long, the vendor refuses the token.
const ASSUMED_LIFE: Duration = Duration::from_secs(60);

/// If a token that was valid for so long is refused, that says nothing about the next
/// one.
pub(crate) const PROVEN: Duration = Duration::from_secs(300);

/// The longest margin before an expiry. It covers an outage of an hour at the vendor.
const LONGEST_MARGIN: Duration = Duration::from_secs(3600);

/// Until when tokens are used, by our clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenEnds {
    pub(crate) access: Timestamp,
    pub(crate) refresh: Option<Timestamp>,
}

/// The access token's expiry according to the vendor, by its own clock: of two
/// statements the earlier one.
pub(crate) fn told_end(granted: &GrantedTokens) -> Timestamp {
    let stated = granted.access_life.is_none() || granted.exp.is_none();
    let stated = stated.then_some(granted.access_expires_at);
    let ends = stated.into_iter().chain(granted.exp);
    ends.min().unwrap_or(granted.access_expires_at)
}

impl TokenEnds {
    /// Places the stated expiries on our clock. `offset` is what is known of the
    /// vendor's clock, and is updated.
    pub(crate) fn from_grant(
        granted: &GrantedTokens,
        trip: RoundTrip,
        offset: &mut Option<ClockOffset>,
    ) -> Self {
        let learnt = learn(granted, trip, *offset);
        *offset = learnt.or(*offset);
        // If nothing is known of the vendor's clock, it is assumed to show what ours
        // does.
        let known = learnt.unwrap_or(ClockOffset::NONE);
        let told = told_ends(granted)
            .filter(|end| known.ours(*end).latest > trip.arrived_at)
            .min()
            .map(|end| known.ours(end));
        let lived = granted.access_life.filter(|life| !life.is_zero());
        let lived = lived.map(|life| trip.and_then(life));
        let span = told
            .into_iter()
            .chain(lived)
            .min_by_key(|span| span.earliest);
        Self {
            access: span.map_or(trip.arrived_at + ASSUMED_LIFE, |span| safe_end(span, trip)),
            refresh: refresh_end(granted, trip, known),
        }
    }
}

/// The access token's expiry by the vendor's clock, in whole seconds: that of a JWT
/// is, whatever the reply says.
fn told_ends(granted: &GrantedTokens) -> impl Iterator<Item = Timestamp> {
    let stated = granted.access_life.is_none();
    let stated = stated.then(|| granted.access_expires_at.floor_to_second());
    stated.into_iter().chain(granted.exp)
}

/// What a reply says about the vendor's clock: the first source according to which
/// the token has not expired already, narrowed by earlier replies if they agree; the
/// earlier replies alone if this one says nothing.
fn learn(
    granted: &GrantedTokens,
    trip: RoundTrip,
    offset: Option<ClockOffset>,
) -> Option<ClockOffset> {
    let sensible = |offset: &ClockOffset| {
        let mut ends = told_ends(granted).peekable();
        ends.peek().is_none() || ends.any(|end| offset.ours(end).latest > trip.arrived_at)
    };
    let told = sources(granted).find_map(|told| {
        let observed = ClockOffset::observed(told, trip);
        let narrowed = offset.and_then(|offset| offset.narrowed(observed));
        narrowed.into_iter().chain([observed]).find(sensible)
    });
    told.or_else(|| offset.filter(sensible))
}

/// What a reply says about the current time at the vendor, best source first. Some
/// issuers predate `iat`, and some proxies set `Date`: of these two the later one is
/// safer.
fn sources(granted: &GrantedTokens) -> impl Iterator<Item = Timestamp> {
    let (iat, date) = (granted.iat, granted.date);
    [granted.now, iat.max(date), iat.min(date)]
        .into_iter()
        .flatten()
}

/// Until when a token is used that expires within `span`.
fn safe_end(span: InstantRange, trip: RoundTrip) -> Timestamp {
    let life = span.earliest.since(trip.sent_at);
    let safe = span.earliest - leeway(life);
    let least = trip.arrived_at + LEAST_LIFE;
    if safe >= trip.arrived_at + LEAST_LIFE / 4 {
        return safe;
    }
    // By the early bound it has as good as expired on arrival. It has just been
    // granted, so it is tried.
    let left = span.latest.since(trip.arrived_at);
    least.max(trip.arrived_at + left / 2)
}

/// Until when the refresh token is used; `None` if its stated expiry makes no sense.
fn refresh_end(granted: &GrantedTokens, trip: RoundTrip, known: ClockOffset) -> Option<Timestamp> {
    let lived = granted.refresh_life.map(|life| trip.and_then(life));
    let stated = || Some(known.ours(granted.refresh_expires_at?.floor_to_second()));
    let end = lived.or_else(stated)?.earliest;
    let end = end - leeway(end.since(trip.sent_at));
    (end > trip.arrived_at).then_some(end)
}

/// How long before its expiry a token is no longer used, since requests take time.
pub(crate) fn leeway(life: Duration) -> Duration {
    (life / 50).clamp(Duration::from_millis(50), Duration::from_secs(5))
}

/// How long before its expiry a token is renewed: 6 to 10 % of its life, at most an
/// hour. That is late enough to request few tokens, and early enough for some
/// retries.
pub(crate) fn margin(life: Duration, jitter: f64) -> Duration {
    let share = life.mul_f64(0.06 + 0.04 * jitter);
    let longest = LONGEST_MARGIN.mul_f64(0.9 + 0.1 * jitter);
    share.min(longest)
}

/// A pause that is up to a quarter shorter or longer.
pub(crate) fn jittered(pause: Duration, jitter: f64) -> Duration {
    pause.mul_f64(0.75 + 0.5 * jitter)
}

/// What is added to a pause that must not be shorter.
pub(crate) fn spread(pause: Duration, jitter: f64) -> Duration {
    (pause / 10).min(Duration::from_secs(5)).mul_f64(jitter)
}
