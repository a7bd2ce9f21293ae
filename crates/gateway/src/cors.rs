//! Which pages of other origins may call an api, according to the Fetch standard
//! (<https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! A preflight is answered without a credential, since a browser sends none with it: the
//! answer only says that the request may be tried, and the guard judges that request like
//! any other. Credentials mode is never allowed: a page sends its token in
//! `Authorization`, and a browser's cookies never grant access to an api.

use bytes::Bytes;
use countersign_domain::Reason;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::{Method, Request, Response, StatusCode};

use crate::denial::GuardDenial;
use crate::headers::only;
use crate::site::is_bracketed_ipv6;

/// What a page may read, besides what every page may read.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Retry-After, RateLimit, RateLimit-Policy, X-Countersign-Refusal");

/// For how many seconds a browser may rely on the answer to a preflight: a change of the
/// configuration takes this long to reach it.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

const PREFLIGHT_VARY: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
);

/// The pages that may call an api and read its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsPolicy(AllowedOrigins);

#[derive(Clone, Debug, PartialEq, Eq)]
enum AllowedOrigins {
    Any,
    These(Vec<HeaderValue>),
}

/// What is wrong with an allowed origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginFault {
    /// It is not how a browser would write any origin.
    #[error("{0:?} is not an origin as browsers send it")]
    NotSent(String),
    /// Every sandboxed frame and every local file has this origin.
    #[error(
        "\"null\" is the origin of every sandboxed frame and local file, so it would allow any \
         of them"
    )]
    Null,
    /// Every origin is allowed, and some are named as well.
    #[error("\"*\" allows every origin, but others are named as well")]
    AnyBesideOthers,
}

impl OriginFault {
    /// What to write instead, if that is known.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NotSent(text) => Some(match suggestion(text) {
                Some(origin) => format!("did you mean `{origin}`?"),
                None => "write the scheme, the host in lower case and a port that is not the \
                         scheme's own, such as \"https://app.example.com\""
                    .to_owned(),
            }),
            Self::Null => None,
            Self::AnyBesideOthers => Some("write it alone, or leave it out".to_owned()),
        }
    }
}

/// The origin that was probably meant, if that can be guessed.
fn suggestion(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let own = default_port(scheme).map(|port| format!(":{port}"));
    let host = own.and_then(|port| authority.strip_suffix(port.as_str()));
    let origin = format!("{scheme}://{}", host.unwrap_or(authority));
    is_origin(&origin).then_some(origin)
}

impl CorsPolicy {
    /// The policy that allows pages of these origins, or of all origins with `*`. Without
    /// any origin there is no policy.
    ///
    /// # Errors
    ///
    /// Every mistake, at once.
    pub fn parse<T: AsRef<str>>(origins: &[T]) -> Result<Option<Self>, Vec<OriginFault>> {
        let texts: Vec<&str> = origins.iter().map(AsRef::as_ref).collect();
        let faults: Vec<_> = texts
            .iter()
            .filter_map(|text| match *text {
                "*" if texts.len() > 1 => Some(OriginFault::AnyBesideOthers),
                "*" => None,
                "null" => Some(OriginFault::Null),
                text if is_origin(text) => None,
                text => Some(OriginFault::NotSent(text.to_owned())),
            })
            .collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(match &texts[..] {
            [] => None,
            ["*"] => Some(Self(AllowedOrigins::Any)),
            these => {
                let values = these.iter().filter_map(|it| HeaderValue::from_str(it).ok());
                Some(Self(AllowedOrigins::These(values.collect())))
            }
        })
    }

    /// The origins, as they are written in the configuration.
    pub fn origins(&self) -> Vec<&str> {
        match &self.0 {
            AllowedOrigins::Any => vec!["*"],
            AllowedOrigins::These(these) => {
                these.iter().filter_map(|it| it.to_str().ok()).collect()
            }
        }
    }

    /// The value of `Access-Control-Allow-Origin` in the answer to a request with these
    /// fields; `None` for a page that is not allowed.
    pub fn allowed_origin(&self, asked: &HeaderMap) -> Option<HeaderValue> {
        match &self.0 {
            AllowedOrigins::Any => Some(HeaderValue::from_static("*")),
            // Byte for byte (the standard's CORS check).
            AllowedOrigins::These(these) => only(asked, &ORIGIN)
                .filter(|origin| these.contains(origin))
                .cloned(),
        }
    }

    /// The answer to a request, if it is a preflight: an `OPTIONS` in which a browser
    /// states the origin of a page and the method that it wants to use.
    ///
    /// The method and fields that it asks for are granted as they are: permission to try
    /// decides nothing, and the page can read the refusal of a request that the guard
    /// does not allow.
    ///
    /// # Errors
    ///
    /// [`Reason::OriginDenied`]: the page's origin is not allowed.
    pub fn preflight<B>(
        &self,
        request: &Request<B>,
    ) -> Option<Result<Response<Bytes>, GuardDenial>> {
        let asked = request.headers();
        if *request.method() != Method::OPTIONS || !asked.contains_key(ORIGIN) {
            return None;
        }
        let method = only(asked, &ACCESS_CONTROL_REQUEST_METHOD)?;
        Method::from_bytes(method.as_bytes()).ok()?;
        let Some(origin) = self.allowed_origin(asked) else {
            return Some(Err(denied(asked)));
        };
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
        if let Some(names) = asked_names(asked) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        headers.insert(VARY, PREFLIGHT_VARY);
        Some(Ok(response))
    }

    /// States in an answer who may read it and which of its fields, and replaces
    /// everything that an upstream says about that. `origin` is the result of
    /// [`Self::allowed_origin`] for the request.
    pub fn set_headers(&self, origin: Option<HeaderValue>, answer: &mut HeaderMap) {
        let is_told = |name: &&HeaderName| name.as_str().starts_with("access-control-");
        let told: Vec<HeaderName> = answer.keys().filter(is_told).cloned().collect();
        for name in told {
            answer.remove(name);
        }
        if let Some(origin) = origin {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
        if self.0 != AllowedOrigins::Any {
            vary_by_origin(answer);
        }
    }
}

/// Whether a text is an origin as browsers write it (RFC 6454 section 6.2): a scheme, a
/// host and a port other than the scheme's default, all in lower case.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let (host, port) = match authority.rfind(':') {
        Some(at) if !authority.ends_with(']') => (&authority[..at], Some(&authority[at + 1..])),
        _ => (authority, None),
    };
    let is_port = |port: &str| {
        let number: Option<u16> = port.parse().ok();
        number.is_some_and(|it| it != 0 && it.to_string() == port && default_port(scheme) != number)
    };
    is_scheme(scheme) && is_host(host) && port.is_none_or(is_port)
}

/// RFC 3986 section 3.1. Pages of applications and extensions have their own schemes,
/// such as `capacitor`.
fn is_scheme(scheme: &str) -> bool {
    let rest = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.');
    scheme.starts_with(|c: char| c.is_ascii_lowercase()) && scheme.bytes().all(rest)
}

fn is_host(host: &str) -> bool {
    let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    is_bracketed_ipv6(host) || (!host.is_empty() && host.bytes().all(plain))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// The names of the fields that a page wants to send, if it asks for any and all are
/// valid names.
fn asked_names(asked: &HeaderMap) -> Option<HeaderValue> {
    let mut names = Vec::new();
    for value in asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        for name in value.to_str().ok()?.split(',') {
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            names.push(name.to_string());
        }
    }
    HeaderValue::try_from(names.join(", "))
        .ok()
        .filter(|names| !names.is_empty())
}

fn denied(asked: &HeaderMap) -> GuardDenial {
    let origin = only(asked, &ORIGIN).and_then(|origin| origin.to_str().ok());
    GuardDenial {
        detail: Some(match origin {
            Some(origin) => format!("the origin {origin} is not listed in cors"),
            None => "Origin came more than once, or cannot be read".to_owned(),
        }),
        ..GuardDenial::from(Reason::OriginDenied)
    }
}

/// The answer depends on the page's origin, so no cache may give it to another page (RFC
/// 9110 section 12.5.5).
fn vary_by_origin(answer: &mut HeaderMap) {
    let told = answer.get_all(VARY).iter();
    let names = told.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut names = names.map(<[u8]>::trim_ascii);
    let suffices = |name: &[u8]| name == b"*" || name.eq_ignore_ascii_case(b"origin");
    if !names.any(suffices) {
        answer.append(VARY, HeaderValue::from_static("Origin"));
    }
}

#[cfg(test)]
mod tests;
