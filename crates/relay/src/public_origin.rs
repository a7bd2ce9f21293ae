//! Replaces the upstream's own origin with the public one where a response names it
//! (RFC 9110 sections 10.2.2 and 8.7): a redirect to an address that only we can reach
//! would lead the client nowhere.
//!
//! Only absolute references are changed. A reference that begins with a path is left to
//! the upstream, which learns its public prefix from `X-Forwarded-Prefix`.

use countersign_outbound::ServerUrl;
use http::header::{CONTENT_LOCATION, HeaderMap, HeaderValue, LOCATION};

/// The address at which the client sent its request.
pub struct PublicOrigin<'a> {
    /// Whether it used TLS.
    pub https: bool,
    /// The host.
    pub host: Option<HeaderValue>,
    /// The host that was forwarded to the upstream, if it is not the upstream's own.
    pub told_host: Option<HeaderValue>,
    /// The prefix of the upstream's paths.
    pub prefix: &'a str,
}

/// Replaces the upstream's origin with the public one.
pub(crate) fn make_public(fields: &mut HeaderMap, upstream: &ServerUrl, public: &PublicOrigin<'_>) {
    for name in [LOCATION, CONTENT_LOCATION] {
        let told = fields.get(&name).map(HeaderValue::as_bytes);
        // Some upstreams tell paths as they are, in UTF-8.
        let told = told.and_then(|told| str::from_utf8(told).ok());
        let made = told.and_then(|told| public.reference(told, upstream));
        if let Some(value) = made.and_then(|made| HeaderValue::try_from(made).ok()) {
            fields.insert(name, value);
        }
    }
}

impl PublicOrigin<'_> {
    /// The reference as the client can follow it; `None` if it does not change.
    fn reference(&self, told: &str, upstream: &ServerUrl) -> Option<String> {
        let told = AbsoluteReference::parse(told, upstream.is_https())?;
        if !self.is_upstreams(&told, upstream) {
            return None;
        }
        let rest = told.rest.strip_prefix(upstream.base())?;
        if !rest.is_empty() && !rest.starts_with(['/', '?', '#']) {
            return None;
        }
        let prefix = self.prefix;
        let Some(host) = text(self.host.as_ref()) else {
            let root = if prefix.is_empty() && !rest.starts_with('/') {
                "/"
            } else {
                ""
            };
            return Some(format!("{prefix}{root}{rest}"));
        };
        let scheme = if self.https { "https" } else { "http" };
        Some(format!("{scheme}://{host}{prefix}{rest}"))
    }

    /// Whether a reference names an origin that the upstream takes for its own: that of
    /// its URL, or one that was forwarded to it.
    fn is_upstreams(&self, told: &AbsoluteReference<'_>, upstream: &ServerUrl) -> bool {
        let is = |https, host| told.https == https && told.names(host);
        let told_host = text(self.told_host.as_ref());
        let public = text(self.host.as_ref()).is_some_and(|host| is(self.https, host));
        let own = text(Some(upstream.host())).unwrap_or_default();
        is(upstream.is_https(), own)
            || is(self.https, own)
            || told_host.is_some_and(|host| is(upstream.is_https(), host)) && !public
    }
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok())
}

/// `scheme://authority` and the rest; the scheme may be missing.
struct AbsoluteReference<'a> {
    https: bool,
    authority: &'a str,
    rest: &'a str,
}

impl<'a> AbsoluteReference<'a> {
    fn parse(text: &'a str, https: bool) -> Option<Self> {
        let (scheme, after) = text.split_once("//")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "" => https,
            "http:" => false,
            "https:" => true,
            _ => return None,
        };
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        Some(Self {
            https,
            authority,
            rest,
        })
    }

    fn names(&self, host: &str) -> bool {
        let (name, port) = parted(self.authority, self.https);
        let (other, other_port) = parted(host, self.https);
        name.eq_ignore_ascii_case(other) && port == other_port
    }
}

/// Name and port; without a port, the default of the scheme.
fn parted(authority: &str, https: bool) -> (&str, &str) {
    let usual = if https { "443" } else { "80" };
    match authority.rsplit_once(':') {
        Some((name, "")) => (name, usual),
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port),
        _ => (authority, usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(told: &str, upstream: &str, public: &PublicOrigin<'_>) -> String {
        let mut fields = HeaderMap::new();
        fields.insert(LOCATION, told.parse().unwrap());
        fields.insert(CONTENT_LOCATION, told.parse().unwrap());
        make_public(&mut fields, &upstream.parse().unwrap(), public);
        assert_eq!(fields[LOCATION], fields[CONTENT_LOCATION]);
        let told = fields[LOCATION].as_bytes();
        str::from_utf8(told).unwrap().to_owned()
    }

    #[test]
    fn what_names_the_upstream_names_the_public_origin_instead() {
        let host = HeaderValue::from_static("pay.example:8443");
        let public = PublicOrigin {
            https: true,
            host: Some(host),
            told_host: None,
            prefix: "/pay",
        };
        let origin = "https://pay.example:8443/pay";
        for (told, upstream, followed_to) in [
            ("http://127.0.0.1:9000/x", "http://127.0.0.1:9000", "/x"),
            (
                "HTTP://127.0.0.1:9000/x?a=b#c",
                "http://127.0.0.1:9000",
                "/x?a=b#c",
            ),
            ("//127.0.0.1:9000/x", "http://127.0.0.1:9000", "/x"),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000", ""),
            ("http://127.0.0.1:9000?a", "http://127.0.0.1:9000/", "?a"),
            ("https://127.0.0.1:9000/x", "http://127.0.0.1:9000", "/x"),
            ("http://API.internal/x", "http://api.internal:80", "/x"),
            ("http://api.internal:80/x", "http://api.internal", "/x"),
            ("https://api.internal:443/x", "https://api.internal", "/x"),
            ("http://[::1]:90/x", "http://[::1]:90", "/x"),
            ("http://[::1]/x", "http://[::1]", "/x"),
            ("http://a/base/x", "http://a/base", "/x"),
            ("http://a/base", "http://a/base/", ""),
            ("http://a/é", "http://a", "/é"),
        ] {
            let expected = format!("{origin}{followed_to}");
            assert_eq!(followed(told, upstream, &public), expected, "{told}");
        }
        for (told, upstream) in [
            ("/x", "http://a"),
            ("x//a/", "http://a"),
            ("http://b/x", "http://a"),
            ("http://a:81/x", "http://a"),
            ("http://a.b/x", "http://a"),
            ("http://u@a/x", "http://a"),
            ("http://a@b/x", "http://a"),
            ("ftp://a/x", "http://a"),
            ("http://a/basement", "http://a/base"),
            ("http://a/other", "http://a/base"),
            ("https://pay.example:8443/pay/x", "http://a"),
            ("mailto:x", "http://a"),
        ] {
            assert_eq!(followed(told, upstream, &public), told, "{upstream}");
        }
    }

    #[test]
    fn an_upstream_that_is_told_the_clients_host_may_not_know_its_scheme() {
        let host = HeaderValue::from_static("pay.example");
        let mut public = PublicOrigin {
            https: true,
            host: Some(host.clone()),
            told_host: Some(host),
            prefix: "",
        };
        let upstream = "http://127.0.0.1:9000";
        for told in ["http://pay.example/x", "http://127.0.0.1:9000/x"] {
            assert_eq!(followed(told, upstream, &public), "https://pay.example/x");
        }
        public.prefix = "/pay";
        let told = "https://pay.example/pay/x";
        assert_eq!(followed(told, upstream, &public), told, "it knew");
    }

    #[test]
    fn where_the_host_is_not_known_the_path_is_told() {
        let public = PublicOrigin {
            https: false,
            host: None,
            told_host: None,
            prefix: "",
        };
        assert_eq!(followed("http://a/x?y", "http://a", &public), "/x?y");
        assert_eq!(followed("http://a?y", "http://a", &public), "/?y");
    }
}
