//! Which proxy is on the way to a server: what the environment or a setting names, and what is
//! reached without one.
//!
//! Only what is encrypted goes through a proxy, and nothing that stays on this machine.

use std::ffi::OsString;
use std::fmt;
use std::net::Ipv6Addr;

use http::uri::Scheme;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use crate::{OutboundProxy, ServerUrl};

/// The proxies through which servers are reached. A server on this machine is never
/// reached through one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyRules {
    https: Option<ProxySetting>,
    http: Option<ProxySetting>,
    /// The hosts that are reached without a proxy, as `NO_PROXY` lists them.
    except: String,
}

/// A proxy as it was written, and where it was written.
#[derive(Clone, PartialEq, Eq)]
struct ProxySetting {
    source: &'static str,
    value: String,
}

/// Why it is unclear how a server is reached. No text repeats a proxy's URL, which may
/// contain a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyFault {
    /// The text is not the URL of a proxy.
    #[error("{0} is not the URL of a proxy")]
    Unusable(&'static str),
    /// Proxies of this kind are not supported.
    #[error("{0} names a SOCKS proxy, which is not supported")]
    Socks(&'static str),
    /// Whoever runs the proxy could read everything.
    #[error(
        "{server} would be reached through the proxy of {proxy} over plain HTTP, which would show \
         every secret on the way"
    )]
    PlainHttp {
        /// The server.
        server: String,
        /// The source of the proxy.
        proxy: &'static str,
    },
    /// The certificate of an `https` proxy cannot be checked.
    #[error("the proxy of {0} cannot be used: {1}")]
    Tls(&'static str, String),
}

impl ProxyFault {
    /// What to do about it, if there is something to do.
    pub const fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unusable(_) => Some(
                "write http://host:port or https://host:port, with user:password@ before the host \
                 if the proxy asks for them (in these, @, /, #, ? and % are %40, %2F, %23, %3F \
                 and %25)",
            ),
            Self::Socks(_) => Some("name an HTTP proxy"),
            Self::PlainHttp { .. } => Some(
                "write https, or exclude it from the proxy (NO_PROXY, or `proxy` of a profile)",
            ),
            Self::Tls(..) => None,
        }
    }
}

impl ProxyRules {
    /// Whether a proxy's URL contains a user and password.
    pub fn has_login(&self) -> bool {
        let mut settings = self.https.iter().chain(&self.http);
        settings.any(|setting| setting.value.contains('@'))
    }

    /// The proxies in the variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
    /// `NO_PROXY`, or the same in lower case. An empty variable counts as not set.
    pub fn told_by(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| {
            let found = variable(name)?.to_string_lossy().trim().to_owned();
            (!found.is_empty()).then_some(found)
        };
        let first = |names: &[&'static str]| {
            names.iter().find_map(|source| {
                let value = text(source)?;
                Some(ProxySetting { source, value })
            })
        };
        Self {
            https: first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            http: first(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
            except: text("NO_PROXY")
                .or_else(|| text("no_proxy"))
                .unwrap_or_default(),
        }
    }

    /// One proxy for everything that is not on this machine, from a setting called
    /// `source`.
    ///
    /// # Errors
    ///
    /// The text is not the URL of a proxy.
    pub fn only(url: &str, source: &'static str) -> Result<Self, ProxyFault> {
        let setting = ProxySetting {
            source,
            value: url.trim().to_owned(),
        };
        setting.check()?;
        Ok(Self {
            https: Some(setting.clone()),
            http: Some(setting),
            except: String::new(),
        })
    }

    /// The proxy on the way to a server, if there is one.
    ///
    /// # Errors
    ///
    /// The proxy cannot be used, or not for this server.
    pub fn proxy_for(&self, server: &ServerUrl) -> Result<Option<OutboundProxy>, ProxyFault> {
        let setting = match server.is_https() {
            true => &self.https,
            false => &self.http,
        };
        let Some(setting) = setting.as_ref().filter(|_| !server.stays_here()) else {
            return Ok(None);
        };
        if self.excepts(server) {
            return Ok(None);
        }
        if !server.is_https() {
            return Err(ProxyFault::PlainHttp {
                server: server.to_string(),
                proxy: setting.source,
            });
        }
        setting.proxy().map(Some)
    }

    /// The source of a proxy that is not used for a server, because the server is on this
    /// machine or listed in `NO_PROXY`.
    pub fn passed_over(&self, server: &ServerUrl) -> Option<&'static str> {
        let setting = self.https.as_ref().filter(|_| server.is_https())?;
        let direct = server.stays_here() || self.excepts(server);
        direct.then_some(setting.source)
    }

    /// Whether a server is reached without a proxy, according to `NO_PROXY`.
    fn excepts(&self, server: &ServerUrl) -> bool {
        let entries = self.except.split([',', ' ']);
        let except: Vec<_> = entries.filter_map(|it| plain_entry(it, server)).collect();
        let matcher = Matcher::builder().all(ANY).no(except.join(",")).build();
        // A dot at the end of a name changes nothing about it (RFC 1034 section 3.1).
        let name = server.name().trim_end_matches('.').to_owned();
        let spellings = [Some(name), server.address().map(|it| it.to_string())];
        spellings.into_iter().flatten().any(|name| {
            let target = match name.contains(':') {
                true => format!("https://[{name}]/").parse::<Uri>(),
                false => format!("https://{name}/").parse::<Uri>(),
            };
            target.is_ok_and(|target| matcher.intercept(&target).is_none())
        })
    }
}

/// Stands for any proxy, if it only matters whether there would be one.
const ANY: &str = "http://proxy.invalid";

/// An entry of `NO_PROXY` in the form that the matcher reads: other programs also write a
/// wildcard before the dot, a port, and brackets around an address. An entry with another
/// port than the server's does not apply.
fn plain_entry(entry: &str, server: &ServerUrl) -> Option<String> {
    let entry = entry.trim();
    let entry = entry
        .strip_prefix('*')
        .filter(|it| it.starts_with('.'))
        .unwrap_or(entry);
    let (name, port) = match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.contains(']') => (host, Some(port)),
        _ => (entry, None),
    };
    let is_its = port.is_none_or(|port| port.parse() == Ok(server.port()));
    let name = name.replace(['[', ']'], "");
    is_its.then(|| of_ipv4(&name).unwrap_or_else(|| name.trim_end_matches('.').to_owned()))
}

/// An address or a network of IPv4 that is written as one of IPv6 (RFC 4291 section 2.5.5.2), as
/// it is written in IPv4.
fn of_ipv4(entry: &str) -> Option<String> {
    let (address, bits) = match entry.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (entry, None),
    };
    let address = address.parse::<Ipv6Addr>().ok()?.to_ipv4_mapped()?;
    match bits {
        Some(bits) => {
            let bits = bits.parse::<u8>().ok()?.checked_sub(96)?;
            Some(format!("{address}/{bits}"))
        }
        None => Some(address.to_string()),
    }
}

impl ProxySetting {
    /// The address of the proxy, and the credentials for it.
    fn check(&self) -> Result<(Uri, Option<HeaderValue>), ProxyFault> {
        let unusable = || ProxyFault::Unusable(self.source);
        if !self.has_plain_userinfo() {
            return Err(unusable());
        }
        let matcher = Matcher::builder().all(self.value.as_str()).build();
        let found = matcher.intercept(&Uri::from_static("https://server.invalid/"));
        let found = found.ok_or_else(unusable)?;
        match found.uri().scheme() {
            Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => (),
            _ => return Err(ProxyFault::Socks(self.source)),
        }
        let host = found.uri().host().filter(|host| !host.is_empty());
        host.ok_or_else(unusable)?;
        Ok((found.uri().clone(), found.basic_auth().cloned()))
    }

    /// Whether what stands before the host is a user and password as RFC 3986 section 3.2.1
    /// has them. If it is not, a part of the password could be taken for the host, and shown.
    fn has_plain_userinfo(&self) -> bool {
        let Some((before, _)) = self.value.rsplit_once('@') else {
            return true;
        };
        let userinfo = before.split_once("://").map_or(before, |(_, rest)| rest);
        let mut escapes = userinfo.split('%').skip(1);
        !userinfo.contains(['@', '/', '?', '#', '\\'])
            && escapes.all(|it| {
                let digits = it.get(..2).unwrap_or_default();
                digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
    }

    fn proxy(&self) -> Result<OutboundProxy, ProxyFault> {
        let (uri, authorization) = self.check()?;
        let proxy = OutboundProxy::new(uri, self.source, authorization);
        proxy.map_err(|why| ProxyFault::Tls(self.source, why))
    }
}

impl fmt::Debug for ProxySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProxySetting").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(environment: &[(&str, &str)]) -> ProxyRules {
        ProxyRules::told_by(|name| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        })
    }

    /// The proxy on the way to a URL; empty if there is none.
    fn way(rules: &ProxyRules, url: &str) -> String {
        let proxy = rules.proxy_for(&url.parse().unwrap());
        match proxy {
            Ok(Some(proxy)) => format!("{proxy} by {}", proxy.source()),
            Ok(None) => String::new(),
            Err(fault) => format!("fault: {fault} ({})", fault.help().unwrap_or_default()),
        }
    }

    #[test]
    fn each_variable_in_either_case_leads_to_https_servers() {
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            for value in [
                "http://p.example:3128",
                "p.example:3128",
                "http://u:p@p.example:3128/",
            ] {
                let found = way(&rules(&[(name, value)]), "https://api.example");
                assert_eq!(found, format!("http://p.example:3128 by {name}"));
            }
        }
        let both = rules(&[
            ("ALL_PROXY", "http://all:1"),
            ("https_proxy", "http://own:2"),
        ]);
        assert_eq!(
            way(&both, "https://api.example"),
            "http://own:2 by https_proxy"
        );
        let empty = rules(&[("HTTPS_PROXY", " "), ("https_proxy", "http://own:2")]);
        assert_eq!(
            way(&empty, "https://api.example"),
            "http://own:2 by https_proxy"
        );
        let other = rules(&[("HTTP_PROXY", "http://plain:1")]);
        assert_eq!(way(&other, "https://api.example"), "");
    }

    #[test]
    fn what_no_proxy_lists_and_this_machine_are_reached_directly() {
        let proxied = |no: &str, url: &str| {
            for name in ["NO_PROXY", "no_proxy"] {
                let rules = rules(&[("ALL_PROXY", "http://p:1"), (name, no)]);
                let found = !way(&rules, url).is_empty();
                if name == "no_proxy" {
                    return found;
                }
            }
            false
        };
        for (no, url) in [
            ("api.example", "https://api.example:8443/base"),
            ("example", "https://api.example"),
            (".example", "https://api.example"),
            ("*.example", "https://api.example"),
            ("API.Example", "https://api.EXAMPLE"),
            ("other, api.example", "https://api.example"),
            ("other api.example", "https://api.example"),
            ("api.example:443", "https://api.example"),
            ("api.example:8443", "https://api.example:8443"),
            ("api.example:1, example:443", "https://api.example"),
            ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
            ("api.example.", "https://api.example"),
            ("api.example", "https://api.example."),
            ("*", "https://api.example"),
            ("192.0.2.0/24", "https://192.0.2.7"),
            ("192.0.2.7", "https://192.0.2.7:8443"),
            ("2001:db8::1", "https://[2001:db8::1]:8443"),
            ("[2001:db8::1]", "https://[2001:db8::1]"),
            ("192.0.2.0/24", "https://[::ffff:192.0.2.9]"),
            ("192.0.2.9", "https://[::ffff:c000:209]:8443"),
            ("::ffff:192.0.2.9", "https://192.0.2.9"),
            ("[::ffff:192.0.2.9]:443", "https://192.0.2.9"),
            ("::ffff:192.0.2.0/120", "https://192.0.2.9"),
            ("::ffff:192.0.2.0/120", "https://[::ffff:192.0.2.9]"),
            ("::/0", "https://[::ffff:192.0.2.9]"),
            ("2001:db8::/32", "https://[2001:db8::9]"),
            ("[2001:db8::]/32", "https://[2001:db8::9]"),
            ("[2001:db8::]/32:8443", "https://[2001:db8::9]:8443"),
            ("192.0.2.0/24:443", "https://192.0.2.9"),
            ("2001:DB8:0::1", "https://[2001:db8::1]"),
            ("", "https://foo.localhost"),
            ("", "https://0.0.0.0"),
            ("", "https://[::]"),
            ("", "https://[::ffff:127.0.0.1]"),
            ("", "https://127.0.0.1:8443"),
            ("", "https://localhost"),
            ("", "https://[::1]"),
            ("", "http://127.0.0.9:80"),
        ] {
            assert!(!proxied(no, url), "{no:?} {url}");
        }
        for (no, url) in [
            ("", "https://api.example"),
            ("pi.example", "https://api.example"),
            ("api.example.com", "https://api.example"),
            ("192.0.2.0/24", "https://192.0.3.7"),
            ("192.0.2.0/24", "https://[::ffff:192.0.3.7]"),
            ("::ffff:192.0.2.0/120", "https://192.0.3.7"),
            ("::ffff:192.0.2.0/64", "https://192.0.2.7"),
            ("[2001:db8::]/32:443", "https://[2001:db8::9]:8443"),
            ("[2001:db8::]/32", "https://[2001:db9::9]"),
            ("api.example:8443", "https://api.example"),
            ("api.example:443", "https://api.example:8443"),
            ("192.0.2.7:443", "https://192.0.2.7:8443"),
            ("[2001:db8::1]:443", "https://[2001:db8::1]:8443"),
            ("api.example:x", "https://api.example"),
            ("localhost", "https://api.example"),
        ] {
            assert!(proxied(no, url), "{no:?} {url}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_a_fault_and_not_passed_over() {
        for (value, words) in [
            ("socks5://p:1080", "SOCKS"),
            ("ftp://p:1", "is not the URL of a proxy"),
            ("http://", "is not the URL of a proxy"),
            ("http://s3cret pw@p", "is not the URL of a proxy"),
            ("http://u:p@s3cret@p:1", "%40"),
            ("u:p@s3cret@p:1", "%40"),
            ("http://u:s3cret#w@p:1", "%23"),
            ("http://u:s3cret/w@p:1", "%2F"),
            ("http://u:s3cret?w@p:1", "%3F"),
            ("http://u:s3cret%zz@p:1", "%25"),
            ("http://u:s3cret%4@p:1", "%25"),
        ] {
            let found = way(&rules(&[("HTTPS_PROXY", value)]), "https://api.example");
            assert!(found.contains(words), "{value}: {found}");
            assert!(!found.contains("s3cret"), "{found}");
            assert!(ProxyRules::only(value, "`proxy`").is_err());
        }
    }

    #[test]
    fn plain_http_does_not_go_through_a_proxy() {
        for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
            let rules = rules(&[(name, "http://p:1")]);
            let found = way(&rules, "http://api.example");
            assert!(
                found.contains("write https") && found.contains(name),
                "{found}"
            );
        }
        let excepted = rules(&[("ALL_PROXY", "http://p:1"), ("NO_PROXY", "api.example")]);
        assert_eq!(way(&excepted, "http://api.example"), "");
        assert_eq!(
            way(&rules(&[("HTTPS_PROXY", "p:1")]), "http://api.example"),
            ""
        );
    }

    #[test]
    fn user_and_password_do_not_print() {
        let rules = ProxyRules::only("http://ann:s3cret@p:1", "`proxy`").unwrap();
        let proxy = rules.proxy_for(&"https://api.example".parse().unwrap());
        let proxy = proxy.unwrap().unwrap();
        let shown = format!("{rules:?} {proxy:?} {proxy} {:?}", proxy.authorization());
        assert!(
            !shown.contains("s3cret") && !shown.contains("ann"),
            "{shown}"
        );
        let sent = proxy.authorization().unwrap();
        assert_eq!(sent, "Basic YW5uOnMzY3JldA==");
    }
}
