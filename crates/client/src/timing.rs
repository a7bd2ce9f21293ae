//! When tokens end and are renewed, learnt from replies.
//!
//! An end is told by the vendor's clock, often in whole seconds. What a reply
//! tells of that clock ([`Granted::now`], the token's `iat`, the `Date`) bounds how
//! far it is ahead of ours, and each reply narrows the bounds. Ends are placed
//! at the early bound, and a little before it, so that no expired token is sent.

mod clock_offset;

#[cfg(test)]
mod tests;

use std::time::Duration;

use countersign_dialect::GrantedTokens;
use countersign_domain::Timestamp;

pub(crate) use clock_offset::{ClockOffset, InstantRange, RoundTrip};

/// Nobody is given a token for less: whoever tells less errs, and must not make
/// us ask all the time.
const LEAST_LIFE: Duration = Duration::from_secs(1);

/// The life of a token whose told end makes no sense, as when a clock lies. The
/// vendor refuses it if that is too long.
const ASSUMED_LIFE: Duration = Duration::from_secs(60);

/// A token that was good for so long is refused for its own sake.
pub(crate) const PROVEN: Duration = Duration::from_secs(300);

/// The longest margin before an end. It covers an hour of a vendor's outage.
const LONGEST_MARGIN: Duration = Duration::from_secs(3600);

/// When tokens can no longer be used, by our clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenEnds {
    pub(crate) access: Timestamp,
    pub(crate) refresh: Option<Timestamp>,
}

/// The access token's end as the vendor tells it, by its own clock: of two words
/// the earlier one holds.
pub(crate) fn told_end(granted: &GrantedTokens) -> Timestamp {
    let stated = granted.access_life.is_none() || granted.exp.is_none();
    let stated = stated.then_some(granted.access_expires_at);
    let ends = stated.into_iter().chain(granted.exp);
    ends.min().unwrap_or(granted.access_expires_at)
}

impl TokenEnds {
    /// Places what a reply tells. `offset` is what is known of the vendor's
    /// clock, and learns.
    pub(crate) fn from_grant(
        granted: &GrantedTokens,
        trip: RoundTrip,
        offset: &mut Option<ClockOffset>,
    ) -> Self {
        let learnt = learn(granted, trip, *offset);
        *offset = learnt.or(*offset);
        // Without any word of the vendor's clock it is taken for ours.
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

/// What the vendor's clock says of the access token's end, in whole seconds: a
/// JWT's is, whatever the reply says.
fn told_ends(granted: &GrantedTokens) -> impl Iterator<Item = Timestamp> {
    let stated = granted.access_life.is_none();
    let stated = stated.then(|| granted.access_expires_at.floor_to_second());
    stated.into_iter().chain(granted.exp)
}

/// What a reply tells of the vendor's clock: the first source by which the token
/// is not dead already, with the earlier replies if they agree; these alone if it
/// tells nothing.
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

/// What a reply tells of the vendor's now, best first. Issuers predate `iat`, and
/// proxies date replies: of these two the later one is safer.
fn sources(granted: &GrantedTokens) -> impl Iterator<Item = Timestamp> {
    let (iat, date) = (granted.iat, granted.date);
    [granted.now, iat.max(date), iat.min(date)]
        .into_iter()
        .flatten()
}

/// The instant until which a token is used that ends within `span`.
fn safe_end(span: InstantRange, trip: RoundTrip) -> Timestamp {
    let life = span.earliest.since(trip.sent_at);
    let safe = span.earliest - leeway(life);
    let least = trip.arrived_at + LEAST_LIFE;
    if safe >= trip.arrived_at + LEAST_LIFE / 4 {
        return safe;
    }
    // By the early bound it is as good as dead on arrival; it was just bought,
    // and is given a chance.
    let left = span.latest.since(trip.arrived_at);
    least.max(trip.arrived_at + left / 2)
}

/// When the refresh token ends; `None` if what is told makes no sense.
fn refresh_end(granted: &GrantedTokens, trip: RoundTrip, known: ClockOffset) -> Option<Timestamp> {
    let lived = granted.refresh_life.map(|life| trip.and_then(life));
    let stated = || Some(known.ours(granted.refresh_expires_at?.floor_to_second()));
    let end = lived.or_else(stated)?.earliest;
    let end = end - leeway(end.since(trip.sent_at));
    (end > trip.arrived_at).then_some(end)
}

/// How long before its end a token is not used any more: requests travel.
pub(crate) fn leeway(life: Duration) -> Duration {
    (life / 50).clamp(Duration::from_millis(50), Duration::from_secs(5))
}

/// How long before its end a token is renewed: 6 to 10 % of its life, at most an
/// hour. Late, so that few are asked for; early enough for some retries.
pub(crate) fn margin(life: Duration, jitter: f64) -> Duration {
    let share = life.mul_f64(0.06 + 0.04 * jitter);
    let longest = LONGEST_MARGIN.mul_f64(0.9 + 0.1 * jitter);
    share.min(longest)
}

/// A pause, up to a quarter shorter or longer.
pub(crate) fn jittered(pause: Duration, jitter: f64) -> Duration {
    pause.mul_f64(0.75 + 0.5 * jitter)
}

/// What is added to a pause that must not be shorter.
pub(crate) fn spread(pause: Duration, jitter: f64) -> Duration {
    (pause / 10).min(Duration::from_secs(5)).mul_f64(jitter)
}
