//! What is kept of a request until it is known whether it is refused, and how many refusals are
//! diagnosed.

use std::sync::atomic::{AtomicU64, Ordering};

use countersign_dialect::{Dialect, PresentedCredential, Secret};
use countersign_domain::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// The fields of a request that tell who sent it and when. They hold a
/// credential, so they do not print.
pub(crate) struct CallerEvidence {
    fields: Vec<(HeaderName, HeaderValue)>,
    token: Option<Secret>,
}

impl CallerEvidence {
    /// Keeps the fields called `names`, which costs no copy of their values.
    pub(crate) fn keep(headers: &HeaderMap, names: &[HeaderName]) -> Self {
        let fields = names.iter().flat_map(|name| {
            let values = headers.get_all(name).iter();
            values.map(move |value| (name.clone(), value.clone()))
        });
        Self {
            fields: fields.collect(),
            token: None,
        }
    }

    /// Keeps a token that came in the body.
    pub(crate) fn with(&mut self, token: Option<Secret>) {
        self.token = token;
    }

    /// The token that came in the body, or the access token where one of `dialects` presents it.
    pub(crate) fn token<'d>(&self, dialects: impl Iterator<Item = &'d Dialect>) -> Option<String> {
        if let Some(token) = &self.token {
            return Some(token.expose().to_owned());
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.fields {
            headers.append(name, value.clone());
        }
        let mut tokens = dialects.filter_map(|it| match it.presented(&headers, None) {
            PresentedCredential::Token(token) => Some(token.to_owned()),
            _ => None,
        });
        tokens.next()
    }

    /// The caller's clock (RFC 9110 section 6.6.1).
    pub(crate) fn clock(&self) -> Option<Timestamp> {
        let (_, date) = self.fields.iter().find(|(name, _)| name == header::DATE)?;
        Timestamp::from_http_date(date.to_str().ok()?)
    }
}

/// How many refusals are looked into in a second: a flood of bad tokens must not
/// cost more than it does to refuse them.
const A_SECOND: u64 = 500;

/// Counts what was allowed in this second: the second in the upper bits.
#[derive(Default)]
pub(crate) struct Allowance(AtomicU64);

const COUNT_BITS: u32 = 20;

impl Allowance {
    /// Whether one more is allowed at `now`.
    pub(crate) fn take(&self, now: Timestamp) -> bool {
        let second = now.as_seconds().cast_unsigned() << COUNT_BITS;
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| {
                let count = before.saturating_sub(second);
                (count < A_SECOND).then_some(second + count + 1)
            });
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(fields: &[(&'static str, &'static str)]) -> CallerEvidence {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        CallerEvidence::keep(&headers, &[header::AUTHORIZATION, header::DATE])
    }

    fn token(kept: &CallerEvidence) -> Option<String> {
        let source = Dialect::shipped("mypopup").unwrap();
        let dialect = Dialect::compile(source, "mypopup").unwrap();
        kept.token(std::iter::once(&dialect))
    }

    #[test]
    fn the_token_is_where_a_dialect_presents_it() {
        let bearer = ("authorization", "Bearer a.b.c");
        assert_eq!(token(&kept(&[bearer])).as_deref(), Some("a.b.c"));
        let none: [&[_]; 4] = [
            &[],
            &[bearer, bearer],
            &[("authorization", "Basic YTpi")],
            &[("cookie", "Bearer a.b.c")],
        ];
        for fields in none {
            assert_eq!(token(&kept(fields)), None, "{fields:?}");
        }
    }

    #[test]
    fn the_callers_clock_is_its_date() {
        let date = |value| kept(&[("date", value)]).clock();
        let expected = Timestamp::from_seconds(784_111_777);
        assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(expected));
        for odd in [
            "",
            "yesterday",
            "784111777",
            "Sun, 06 Nov 1994 25:49:37 GMT",
        ] {
            assert_eq!(date(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_flood_is_looked_into_so_many_times_a_second() {
        let allowance = Allowance::default();
        let now = Timestamp::from_seconds(1_800_000_000);
        let taken = (0..2 * A_SECOND).filter(|_| allowance.take(now)).count();
        assert_eq!(taken as u64, A_SECOND);
        assert!(allowance.take(Timestamp::from_seconds(1_800_000_001)));
    }
}
