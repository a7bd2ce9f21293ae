//! The times in a reply: its own date, when to try again, and whether an expiry time can
//! be one.

use std::time::Duration;

use countersign_domain::Timestamp;
use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use super::received::ReceivedReply;
use crate::expiry::{is_before_tokens, unverified};
use crate::hole_word::{HoleBindings, HoleWord};

impl ReceivedReply<'_> {
    /// What an expiry time seems to be instead, if it lies in the last century, or as far
    /// in the future as 1970 is in the past. The vendor's clock may be in the last
    /// century, too.
    pub(super) fn misread_end(&self, bindings: &HoleBindings, token: &str) -> Option<String> {
        let clocks = [
            bindings.time(&HoleWord::Now),
            date(self.response.headers()),
            unverified(token, "iat"),
        ];
        let clock_too = clocks.into_iter().flatten().any(is_before_tokens);
        let misread = |name: &str, word: &HoleWord| {
            let told = bindings.get(word)?;
            let (wire, time) = (told.wire.as_str(), told.time?);
            if let Some(life) = bindings.life(word) {
                let years = life.as_secs() / YEAR.as_secs();
                let codec = match life {
                    life if is_about(life, self.now) => "epoch",
                    life if is_about(life / 1000, self.now) => "epoch_ms",
                    life if life > LONGEST_LIFE => {
                        return Some(format!("{wire} seconds are {years} years"));
                    }
                    _ => return None,
                };
                return Some(format!(
                    "{wire} seconds are {years} years: is it an instant, `{{{name}:{codec}}}`?"
                ));
            }
            let is_number = wire.bytes().all(|byte| byte.is_ascii_digit());
            let cure = match is_number {
                true => format!(
                    ": is it a number of seconds from now, `{{{name}:in}}`, or in another unit?"
                ),
                false => String::new(),
            };
            (is_before_tokens(time) && !clock_too)
                .then(|| format!("{wire} is an instant of the last century{cure}"))
        };
        let access_life = bindings.life(&HoleWord::AccessExpiresAt);
        if access_life.is_some_and(|life| life.is_zero()) && unverified(token, "exp").is_none() {
            let why = "0 seconds are not a life: if it means that the token does not end, leave the \
                       field out and say in `[expiry]` how long it is used";
            return Some(why.to_owned());
        }
        misread("access_expires_at", &HoleWord::AccessExpiresAt)
            .or_else(|| misread("refresh_expires_at", &HoleWord::RefreshExpiresAt))
    }
}

/// RFC 9110 section 6.6.1.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::from_http_date(headers.get(DATE)?.to_str().ok()?)
}

/// RFC 9110 section 10.2.3: seconds, or a date by the vendor's clock.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let clock = date(headers).unwrap_or(now);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: u64 = text.parse().unwrap_or(u64::MAX);
        let instant = match number {
            0..EARLIEST_INSTANT => return Some(Duration::from_secs(number)),
            EARLIEST_INSTANT..LATEST_INSTANT => number.saturating_mul(1000),
            millis => millis,
        };
        let micros = i64::try_from(instant.saturating_mul(1000)).unwrap_or(i64::MAX);
        return Some(Timestamp::from_micros(micros).since(clock));
    }
    Some(Timestamp::from_http_date(text)?.since(clock))
}

/// Nobody waits thirty years before trying again: some vendors state the time, in seconds
/// or milliseconds since 1970.
const EARLIEST_INSTANT: u64 = 1_000_000_000;
/// The first second with six digits of a year.
const LATEST_INSTANT: u64 = 253_402_300_800;

/// Whether a lifetime is really a time of these years, counted from 1970.
fn is_about(life: Duration, now: Timestamp) -> bool {
    let since_1970 = now.since(Timestamp::from_seconds(0));
    life.abs_diff(since_1970) < YEAR
}

/// No token is meant to live longer, and a time so far away could not be written.
const LONGEST_LIFE: Duration = Duration::from_secs(1 << 33);

const YEAR: Duration = Duration::from_hours(365 * 24);
