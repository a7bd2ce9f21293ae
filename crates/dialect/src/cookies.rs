//! Cookies of a reply, as a browser keeps them (RFC 6265 sections 5.2 and 5.3).

use countersign_domain::Timestamp;
use http::HeaderMap;
use http::header::SET_COOKIE;

/// A cookie that stays.
pub(crate) struct Cookie<'h> {
    /// `name=value`, without blanks around either.
    pub(crate) pair: String,
    /// The whole header.
    pub(crate) whole: &'h str,
    place: [Option<String>; 2],
}

/// The cookies of a name that stay, in the order in which they were set. A later one
/// takes the place of one with the same domain and path; one that has ended is none.
pub(crate) fn live_cookies<'h>(
    headers: &'h HeaderMap,
    name: &str,
    now: Timestamp,
) -> Vec<Cookie<'h>> {
    let mut kept: Vec<Cookie<'h>> = Vec::new();
    for whole in set_cookies(headers, name) {
        let (_, value) = pair(whole).unwrap_or_default();
        let place = ["domain", "path"].map(|it| attribute(whole, it).map(str::to_owned));
        kept.retain(|it| it.place != place);
        if !has_ended(whole, now) {
            kept.push(Cookie {
                pair: format!("{name}={value}"),
                whole,
                place,
            });
        }
    }
    kept
}

/// Whether a cookie of a name is set at all, were it to end it.
pub(crate) fn names(headers: &HeaderMap, name: &str) -> bool {
    set_cookies(headers, name).next().is_some()
}

fn set_cookies<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(SET_COOKIE).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values.filter(move |whole| pair(whole).is_some_and(|(found, _)| found == name))
}

fn pair(whole: &str) -> Option<(&str, &str)> {
    let (name, value) = whole.split(';').next()?.split_once('=')?;
    Some((name.trim(), value.trim()))
}

/// Of several attributes of a name the last one counts.
fn attribute<'h>(whole: &'h str, name: &str) -> Option<&'h str> {
    let attributes = whole.split(';').skip(1);
    let pairs = attributes.filter_map(|it| it.split_once('='));
    let named = pairs.filter(|(found, _)| found.trim().eq_ignore_ascii_case(name));
    named.last().map(|(_, value)| value.trim())
}

/// `Max-Age` counts before `Expires`.
fn has_ended(whole: &str, now: Timestamp) -> bool {
    if let Some(seconds) = attribute(whole, "max-age").and_then(|it| it.parse::<i64>().ok()) {
        return seconds <= 0;
    }
    let expires = attribute(whole, "expires").map(|it| it.replace('-', " "));
    let date = expires.and_then(|it| Timestamp::from_http_date(&it));
    date.is_some_and(|it| it < now)
}
