//! The request that a person describes on the command line, checked before anything is sent.

use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use countersign_client::{NamedFile, Profile};
use countersign_dialect::Dialect;
use countersign_outbound::tell_no_content;
use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE, USER_AGENT,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::RequestArgs;
use crate::exit::Failure;

/// What the vendor sees of the program.
const AGENT: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

/// Headers that belong to the connection, or to the profile.
const OURS: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// A request without its token, which can be sent more than once.
pub(super) struct ApiCall {
    pub(super) method: Method,
    pub(super) path: PathAndQuery,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl ApiCall {
    /// What is asked for, at the server of the profile.
    pub(super) fn from_args(args: &RequestArgs, profile: &Profile) -> Result<Self, Failure> {
        let method = method(&args.method)?;
        let mut headers = headers(&args.headers, &profile.dialect)?;
        let body = match &args.data {
            Some(data) => {
                let body = body(data)?;
                describe(&body, &mut headers);
                body
            }
            None => Bytes::new(),
        };
        if body.is_empty() {
            tell_no_content(&method, &mut headers);
        }
        let usual = [(ACCEPT, "*/*"), (USER_AGENT, AGENT)];
        for (name, value) in usual {
            headers
                .entry(name)
                .or_insert(HeaderValue::from_static(value));
        }
        Ok(Self {
            method,
            path: args.path.clone(),
            headers,
            body,
        })
    }
}

/// The method, in any letter case.
fn method(text: &str) -> Result<Method, Failure> {
    let method = Method::from_bytes(text.to_ascii_uppercase().as_bytes());
    match method {
        Ok(method) if method != Method::CONNECT => Ok(method),
        _ => Err(Failure::usage(format!("{text:?} is not an HTTP method"))
            .with_help("write GET, POST or another one")),
    }
}

/// The headers, none of which may be the credential.
fn headers(texts: &[String], dialect: &Dialect) -> Result<HeaderMap, Failure> {
    let credential = dialect.presentation_headers();
    let mut headers = HeaderMap::new();
    for text in texts {
        let (name, value) = header(text)?;
        if credential.contains(&name) {
            return Err(Failure::usage(format!(
                "the header {name} is the credential, which comes from the profile"
            )));
        }
        if OURS.contains(&name) {
            return Err(Failure::usage(format!(
                "the header {name} cannot be set, since it follows from the connection and the body"
            )));
        }
        headers.append(name, value);
    }
    Ok(headers)
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    // What is written may be a secret of its own, and is not repeated.
    let wrong =
        || Failure::usage("a header is not written as one").with_help("write -H 'Name: value'");
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let name = name.parse().map_err(|_| wrong())?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
    Ok((name, value))
}

/// The body: a text, or what a file or standard input holds. It is kept whole,
/// so that it can be sent again with another token.
fn body(data: &str) -> Result<Bytes, Failure> {
    let Some(source) = data.strip_prefix('@') else {
        return Ok(Bytes::from(data.to_owned()));
    };
    let read = match source {
        "-" => all_of(io::stdin().lock()),
        file => NamedFile::open(Path::new(file))
            .and_then(NamedFile::body)
            .map(|it| it.to_vec()),
    };
    let name = if source == "-" {
        "standard input"
    } else {
        source
    };
    let read = read.map_err(|it| Failure::usage(format!("{name} cannot be read: {it}")))?;
    Ok(Bytes::from(read))
}

fn all_of(mut source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Says what a body is, unless the person did: JSON if it begins so, and else
/// what curl says.
fn describe(body: &Bytes, headers: &mut HeaderMap) {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let media = match first {
        Some(b'{' | b'[') => "application/json",
        _ => "application/x-www-form-urlencoded",
    };
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static(media));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn b2binpay() -> Dialect {
        let source = Dialect::shipped("b2binpay").unwrap();
        Dialect::compile(source, "b2binpay").unwrap()
    }

    #[test]
    fn a_method_may_be_in_lower_case_and_cannot_be_connect() {
        assert_eq!(method("patch").unwrap(), Method::PATCH);
        for bad in ["", "connect", "GET /", "/deposit/"] {
            assert!(method(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_header_replaces_the_credential_or_the_message() {
        for bad in [
            "Authorization: Bearer x",
            "authorization:x",
            "Host: other.example.com",
            "Content-Length: 3",
            "transfer-encoding: chunked",
            "no colon",
            ": no name",
            "a b: c",
            "X-Break: a\r\nb",
        ] {
            let refused = headers(&[bad.to_owned()], &b2binpay())
                .unwrap_err()
                .to_string();
            assert!(!refused.contains("Bearer x"), "{refused}");
        }
        let texts = ["X-Trace: 1".to_owned(), "x-trace:2".to_owned()];
        let headers = headers(&texts, &b2binpay()).unwrap();
        let values: Vec<_> = headers.get_all("x-trace").iter().collect();
        assert_eq!(values, ["1", "2"]);
    }

    #[test]
    fn json_is_called_json_and_what_the_person_says_stays() {
        for (body, media) in [
            ("{}", "application/json"),
            (" \n[1]", "application/json"),
            ("a=b", "application/x-www-form-urlencoded"),
            ("", "application/x-www-form-urlencoded"),
        ] {
            let mut headers = HeaderMap::new();
            describe(&Bytes::from(body), &mut headers);
            assert_eq!(headers[CONTENT_TYPE], media);
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv"));
        describe(&Bytes::from("{"), &mut headers);
        assert_eq!(headers[CONTENT_TYPE], "text/csv");
    }
}
