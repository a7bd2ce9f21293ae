//! Heads as data: fields, and what becomes of a request with them.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use super::raw::{DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Raw, field, frame};
use crate::handshake::HandshakePolicy;
use crate::testing::{House, text};
use crate::{ListenerLimits, Peer, Request, collect};

const CASES: &str = include_str!("heads.txt");

/// A service that reads the body.
async fn read(request: Request, _: Peer) -> Response<Full<Bytes>> {
    match collect(request.into_body(), 100).await {
        Ok(body) => Response::new(Full::new(body)),
        Err(error) => text(&error.to_string()),
    }
}

#[tokio::test(start_paused = true)]
async fn each_head_is_judged_as_its_case_says() {
    for case in CASES.split("\n\n").map(str::trim) {
        let mut lines = case.lines().skip_while(|line| line.starts_with('#'));
        let title = lines.next().unwrap();
        let (mut fields, mut data, mut outcome) = (Vec::new(), None, "");
        for line in lines {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            match name {
                "<" => outcome = value,
                "data" => data = Some(value),
                _ => fields.extend(field(name.as_bytes(), unescape(value).as_bytes())),
            }
        }
        assert_eq!(become_of(&fields, data).await, outcome, "{title}");
    }
}

/// `*N{x}` is x for N times, `_` a space at an end.
fn unescape(value: &str) -> String {
    let value = match value
        .strip_prefix('*')
        .and_then(|rest| rest.split_once('{'))
    {
        Some((count, repeated)) => repeated
            .trim_end_matches('}')
            .repeat(count.parse().unwrap()),
        None => value.to_owned(),
    };
    value.replace('_', " ")
}

async fn become_of(fields: &[u8], data: Option<&str>) -> String {
    let limits = ListenerLimits {
        max_uri_bytes: 1000,
        max_header_bytes: 4000,
        max_headers: 20,
        ..ListenerLimits::default()
    };
    let policy = HandshakePolicy {
        http2: true,
        ..HandshakePolicy::default()
    };
    let (house, told) = House::start_reporting(policy, limits, read);
    let mut raw = Raw::connect(&house).await;
    let end = if data.is_none() { END_STREAM } else { 0 };
    raw.send(&frame(HEADERS, END_HEADERS | end, 1, fields))
        .await;
    if let Some(data) = data {
        raw.send(&frame(DATA, END_STREAM, 1, data.as_bytes())).await;
    }
    let word = raw.word().await.unwrap();
    match word.kind {
        HEADERS if word.status() == 200 => "200".to_owned(),
        HEADERS => {
            let (why, page) = (told.whys().concat(), told.pages().concat());
            let outcome = format!("{} {why}{page}", word.status());
            outcome.trim_end().to_owned()
        }
        GOAWAY => format!("goaway {}", word.code()),
        _ => format!("reset {}", word.code()),
    }
}
