//! Whether two messages are the same, as far as the recorded one states.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response};

use crate::json::{self, JsonRules};
use crate::media;

/// How a reply that was written differs from the recorded one, which has every header
/// that matters.
pub(super) fn replies(written: &Response<Bytes>, recorded: &Response<Bytes>) -> Vec<String> {
    let mut wrong = Vec::new();
    if written.status() != recorded.status() {
        wrong.push(format!(
            "the status of the reply is written as {}, and recorded as {}",
            written.status().as_u16(),
            recorded.status().as_u16()
        ));
    }
    wrong.extend(missing(
        recorded.headers(),
        written.headers(),
        "the reply lacks",
    ));
    wrong.extend(bodies(
        written.body(),
        recorded.body(),
        is_form(recorded.headers()),
    ));
    wrong
}

/// How a request that was written differs from the recorded one, which may have more
/// headers.
pub(super) fn requests(written: &Request<Bytes>, recorded: &Request<Bytes>) -> Vec<String> {
    let mut wrong = Vec::new();
    let line = |request: &Request<Bytes>| format!("{} {}", request.method(), request.uri());
    if line(written) != line(recorded) {
        wrong.push(format!(
            "the request is written as {}, and recorded as {}",
            line(written),
            line(recorded)
        ));
    }
    wrong.extend(missing(
        written.headers(),
        recorded.headers(),
        "the record lacks",
    ));
    wrong.extend(bodies(
        written.body(),
        recorded.body(),
        is_form(recorded.headers()),
    ));
    wrong
}

/// The headers of one message that are missing or different in the other.
pub(super) fn missing(of: &HeaderMap, from: &HeaderMap, what: &str) -> Vec<String> {
    let absent = of
        .iter()
        .filter(|(name, value)| !from.get_all(*name).iter().any(|v| v == value));
    absent
        .map(|(name, value)| format!("{what} {name}: {}", shown(value.as_bytes())))
        .collect()
}

fn bodies(written: &Bytes, recorded: &Bytes, form: bool) -> Option<String> {
    let same = match (
        json::parse(written, JsonRules::STRICT),
        json::parse(recorded, JsonRules::STRICT),
    ) {
        (Ok(written), Ok(recorded)) => written.same(&recorded),
        _ if form => match (media::urlencoded(written), media::urlencoded(recorded)) {
            (Ok(written), Ok(recorded)) => written.same(&recorded),
            _ => false,
        },
        _ => written == recorded,
    };
    (!same).then(|| format!("the body is written as {}", shown(written)))
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|media| media.as_bytes().ends_with(b"urlencoded"))
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
