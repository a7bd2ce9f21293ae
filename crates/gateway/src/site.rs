//! Where an api is on a listener: its host names, and a prefix of its paths.
//!
//! The prefix is removed before anything else looks at a path, so operations, guards and
//! the upstream see paths without it. It ends where a segment ends, and is compared in
//! decoded form, as in [`JudgedPath`]; a segment that two servers could read differently
//! never matches.

use std::net::Ipv6Addr;

use countersign_domain::JudgedPath;
use countersign_domain::pattern::{PathPattern, is_text};

use crate::client_address::bracketed;

/// The hosts and the prefix of an api. By default, every host and no prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiSite {
    /// In lower case, without a dot at the end.
    hosts: Vec<String>,
    /// Empty, or from one slash to before the next.
    prefix: String,
}

/// What is wrong with a site.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SiteFault {
    /// A text is not a host name.
    #[error("{0:?} is not a host")]
    Host(String),
    /// A text is not a valid prefix.
    #[error("{0:?} is not a prefix")]
    Prefix(String),
}

impl SiteFault {
    /// What to write instead.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Host(_) => "write a name in lower case or an address, without port or wildcard",
            Self::Prefix(_) => {
                "write /name: plain segments, each after one slash, and no slash at the end"
            }
        }
    }
}

impl ApiSite {
    /// The site with these hosts (an empty list stands for all) and this prefix, which
    /// may be empty.
    ///
    /// # Errors
    ///
    /// Every mistake, at once.
    pub fn parse<T: AsRef<str>>(hosts: &[T], prefix: &str) -> Result<Self, Vec<SiteFault>> {
        let hosts = hosts.iter().map(AsRef::as_ref);
        let odd = hosts.clone().filter(|host| !is_host(host));
        let mut faults: Vec<SiteFault> = odd.map(|it| SiteFault::Host(it.to_owned())).collect();
        if !is_prefix(prefix) {
            faults.push(SiteFault::Prefix(prefix.to_owned()));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            hosts: hosts.map(str::to_owned).collect(),
            prefix: prefix.to_owned(),
        })
    }

    /// The path of a request target without the prefix, if the request is for this site.
    /// In `host`, which is as in a `Host` header, letter case, the port and a dot at the
    /// end do not matter. The remaining path always begins with a slash.
    pub fn claims<'p>(&self, host: &str, path: &'p str) -> Option<&'p str> {
        let named = self.hosts.is_empty() || {
            let name = name_of(host);
            self.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
        };
        if named {
            self.without_prefix(path)
        } else {
            None
        }
    }

    /// The host names; an empty list stands for all.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// The prefix; empty if there is none.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The pattern with the prefix.
    pub(crate) fn place(&self, pattern: PathPattern) -> PathPattern {
        pattern.behind(&self.prefix)
    }

    /// The path of a request target without the prefix, if it has the prefix.
    pub(crate) fn without_prefix<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.prefix.is_empty() {
            return Some(path);
        }
        let mut rest = path;
        for segment in self.prefix.split('/').skip(1) {
            let after = rest.strip_prefix('/')?;
            let end = after.find('/').unwrap_or(after.len());
            let (first, follows) = after.split_at(end);
            if !JudgedPath::reads_as(first, segment) {
                return None;
            }
            rest = follows;
        }
        Some(if rest.is_empty() { "/" } else { rest })
    }
}

/// The name in `host[:port]`.
fn name_of(host: &str) -> &str {
    let end = if host.starts_with('[') {
        host.find(']').map_or(host.len(), |end| end + 1)
    } else {
        host.find(':').unwrap_or(host.len())
    };
    let name = host.get(..end).unwrap_or_default();
    name.strip_suffix('.').unwrap_or(name)
}

/// A name of letters, digits, hyphens and, leniently, underscores; this includes IPv4
/// addresses.
fn is_host(host: &str) -> bool {
    let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(plain);
    is_bracketed_ipv6(host) || (host.len() <= 253 && host.split('.').all(is_label))
}

/// An IPv6 address in brackets, in its shortest form.
pub(crate) fn is_bracketed_ipv6(host: &str) -> bool {
    bracketed(host).is_some_and(|address| {
        let parsed = address.parse::<Ipv6Addr>();
        parsed.is_ok_and(|it| it.to_string() == address)
    })
}

fn is_prefix(prefix: &str) -> bool {
    let mut parts = prefix.split('/');
    parts.next() == Some("") && parts.all(is_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(hosts: &[&str], prefix: &str) -> ApiSite {
        ApiSite::parse(hosts, prefix).unwrap()
    }

    #[test]
    fn a_prefix_ends_on_a_segments_border() {
        let pay = site(&[], "/pay/v1");
        for (path, rest) in [
            ("/pay/v1/orders", Some("/orders")),
            ("/pay/v1/", Some("/")),
            ("/pay/v1", Some("/")),
            ("/p%61y/v1/a%20b", Some("/a%20b")),
            ("/pay/v1/../x", Some("/../x")),
            ("/pay/v1//x", Some("//x")),
            ("/pay/v10", None),
            ("/pay", None),
            ("/pay/", None),
            ("/Pay/v1/x", None),
            ("/pay%2fv1/x", None),
            ("/pay%2f../v1/x", None),
            ("/pay/v1%2f../x", None),
            ("/pay/v1;a=b/x", None),
            ("/pay/%2e%2e/pay/v1", None),
            ("//pay/v1/x", None),
            ("/x/../pay/v1/x", None),
            ("/pay\\v1/x", None),
            ("pay/v1/x", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(pay.claims("a", path), rest, "{path:?}");
        }
    }

    #[test]
    fn without_a_prefix_a_path_stays_as_it_is() {
        for path in ["/", "/a/../b", "//", "/%2f"] {
            assert_eq!(ApiSite::default().claims("a", path), Some(path));
        }
    }

    #[test]
    fn a_host_is_its_name_in_any_case_with_any_port() {
        let api = site(&["api.example.com", "127.0.0.1", "[2001:db8::1]"], "");
        for (host, claimed) in [
            ("api.example.com", true),
            ("API.Example.com", true),
            ("api.example.com:8443", true),
            ("api.example.com.", true),
            ("api.example.com.:443", true),
            ("127.0.0.1:80", true),
            ("[2001:DB8::1]:443", true),
            ("[2001:db8::1]", true),
            ("[2001:db8::2]", false),
            ("[2001:db8::1", false),
            ("example.com", false),
            ("api.example.com..", false),
            ("api.example.com.evil.example", false),
            ("x.api.example.com", false),
            ("", false),
        ] {
            assert_eq!(api.claims(host, "/").is_some(), claimed, "{host:?}");
        }
    }

    #[test]
    fn what_is_no_site_is_told_at_once() {
        let hosts = [
            "",
            "API.example.com",
            "api.example.com:443",
            "*.example.com",
            "a..b",
            "a.",
            ".a",
            "[::1",
            "[2001:DB8::1]",
            "::1",
            "a/b",
            "a b",
            "http://a",
        ];
        let prefixes = [
            "/", "pay", "/pay/", "//pay", "/pay//v1", "/..", "/a/./b", "/p%61y", "/*", "/{login}",
            "/a;b", "/a?b", "/a#b", "/a\\b",
        ];
        for host in hosts {
            assert_eq!(
                ApiSite::parse(&[host], ""),
                Err(vec![SiteFault::Host(host.to_owned())])
            );
        }
        for prefix in prefixes {
            let faults = ApiSite::parse::<&str>(&[], prefix).unwrap_err();
            assert_eq!(faults, [SiteFault::Prefix(prefix.to_owned())]);
        }
        assert_eq!(ApiSite::parse(&["A", "b", "*"], "x").unwrap_err().len(), 3);
    }
}
