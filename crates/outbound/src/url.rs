//! The URL of a server.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

/// `http://host:port` or `https://host:port`, and a base path to which the paths
/// of requests are appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    /// Without a slash at its end.
    base: String,
}

/// A text is not the URL of a server. It is not repeated, since it may contain a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a URL of a server")]
pub struct ServerUrlFault;

impl ServerUrlFault {
    /// What to do about it.
    pub const fn help(self) -> &'static str {
        "write http://host:port or https://host:port and, if it has one, its base path; no user, \
         no query"
    }
}

impl ServerUrl {
    /// Whether the server uses TLS.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Whether it is on this machine: `localhost` (RFC 6761 section 6.3) or a
    /// loopback address.
    pub fn is_loopback(&self) -> bool {
        // A dot at the end of a name changes nothing about it (RFC 1034 section 3.1).
        let name = self.name().trim_end_matches('.');
        name.eq_ignore_ascii_case("localhost") || self.address().is_some_and(|it| it.is_loopback())
    }

    /// Whether connections to it stay on this machine: beside what is
    /// [loopback](Self::is_loopback) names under `localhost` (RFC 6761 section 6.3), and
    /// `0.0.0.0` and `::`, which connect to this machine. Whoever resolves such a name may know
    /// another address for it, so it is no reason to send secrets in the open.
    pub fn stays_here(&self) -> bool {
        let name = self.name().trim_end_matches('.').to_ascii_lowercase();
        let address = self.address();
        self.is_loopback()
            || name.ends_with(".localhost")
            || address.is_some_and(|it| it.is_unspecified())
    }

    /// The address that it is named by, if it is; one of IPv4 that is written as one of IPv6 is
    /// of IPv4 (RFC 4291 section 2.5.5.2).
    pub(crate) fn address(&self) -> Option<IpAddr> {
        let address = self.name().parse::<IpAddr>().ok()?;
        Some(address.to_canonical())
    }

    /// The value of `Host` for the server.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The name without the port, and without brackets around an address.
    pub fn name(&self) -> &str {
        without_brackets(self.authority.host())
    }

    /// The port; if it is not written, the default of the scheme.
    pub fn port(&self) -> u16 {
        let usual = if self.is_https() { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(usual)
    }

    /// The path in front of those of requests, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The target of a request for `path` and `query`.
    ///
    /// # Errors
    ///
    /// `path` and `query` are not those of a URL: a character has to be percent-encoded.
    pub fn target(&self, path: &str, query: Option<&str>) -> Result<Uri, http::Error> {
        let text = match query {
            Some(query) => format!("{}{path}?{query}", self.base),
            None => format!("{}{path}", self.base),
        };
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(PathAndQuery::try_from(text)?)
            .build()
    }
}

/// The host of a URL without the brackets around an IPv6 address.
pub(crate) fn without_brackets(host: &str) -> &str {
    let address = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    address.unwrap_or(host)
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.base)
    }
}

impl FromStr for ServerUrl {
    type Err = ServerUrlFault;

    fn from_str(text: &str) -> Result<Self, ServerUrlFault> {
        let uri: Uri = text.parse().map_err(|_| ServerUrlFault)?;
        let scheme = uri.scheme().filter(|_| uri.query().is_none());
        let scheme = scheme.filter(|it| [Scheme::HTTP, Scheme::HTTPS].contains(it));
        // Some texts that are not a port are parsed, and would be left out.
        let fits = |it: &&Authority| it.as_str() == it.host() || it.port_u16().is_some();
        let authority = uri.authority().filter(fits);
        let authority = authority.filter(|it| !it.as_str().contains('@'));
        let (scheme, authority) = scheme.zip(authority).ok_or(ServerUrlFault)?;
        Ok(Self {
            scheme: scheme.clone(),
            authority: authority.clone(),
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| ServerUrlFault)?,
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_server_is_refused() {
        for bad in [
            "",
            "127.0.0.1:80",
            "ftp://127.0.0.1",
            "http://",
            "https://",
            "/path",
            "http://a?b",
            "http://u:p@a/",
            "https://u@a/",
            "unix:/x",
            "http://a b",
            "http://a:",
            "http://a:80x",
            "http://a:65536",
            "https://[::1]x",
        ] {
            assert_eq!(bad.parse::<ServerUrl>(), Err(ServerUrlFault), "{bad:?}");
        }
    }

    #[test]
    fn a_path_is_appended_to_the_base() {
        for (url, target) in [
            ("http://a", "http://a/x?q"),
            ("http://a/", "http://a/x?q"),
            ("https://a:1/b/c/", "https://a:1/b/c/x?q"),
        ] {
            let url: ServerUrl = url.parse().unwrap();
            assert_eq!(url.target("/x", Some("q")).unwrap(), *target);
        }
    }

    #[test]
    fn the_name_to_be_certified_has_no_port_and_no_brackets() {
        for (url, name) in [
            ("https://a.example:8443/b", "a.example"),
            ("https://127.0.0.1", "127.0.0.1"),
            ("https://[::1]:443", "::1"),
        ] {
            assert_eq!(url.parse::<ServerUrl>().unwrap().name(), name);
        }
    }

    #[test]
    fn what_is_on_this_machine_is_told_by_its_name() {
        for (url, here) in [
            ("http://localhost:1", true),
            ("http://LocalHost/b", true),
            ("http://localhost.:1", true),
            ("http://127.8.0.1", true),
            ("http://[::1]:8080", true),
            ("http://[::ffff:127.0.0.1]", true),
            ("http://192.0.2.1", false),
            ("http://localhost.example", false),
            ("http://127.0.0.1.example", false),
        ] {
            assert_eq!(
                url.parse::<ServerUrl>().unwrap().is_loopback(),
                here,
                "{url}"
            );
        }
    }

    #[test]
    fn what_connects_to_this_machine_is_more_than_loopback() {
        for (url, here) in [
            ("https://localhost", true),
            ("https://127.8.0.1", true),
            ("https://[::ffff:127.0.0.9]", true),
            ("https://foo.localhost", true),
            ("https://a.b.LOCALHOST.:8443", true),
            ("https://0.0.0.0", true),
            ("https://[::]:8443", true),
            ("https://[::ffff:0.0.0.0]", true),
            ("https://foolocalhost", false),
            ("https://localhost.example", false),
            ("https://0.0.0.1", false),
            ("https://192.0.2.1", false),
        ] {
            let url: ServerUrl = url.parse().unwrap();
            assert_eq!(url.stays_here(), here, "{url}");
        }
        for plain in ["http://foo.localhost", "http://0.0.0.0", "http://[::]"] {
            assert!(
                !plain.parse::<ServerUrl>().unwrap().is_loopback(),
                "{plain}"
            );
        }
    }
}
