//! Which address counts as the client's: the peer's, or the one that a trusted proxy names.
//!
//! A header is read only from a trusted proxy, and only the configured one (`Forwarded`,
//! RFC 7239, or `X-Forwarded-For`). Each proxy appends on the right what it saw, so the
//! client is the rightmost address in the list that is not a trusted proxy: the client may
//! have written anything to the left of it. An entry that cannot be parsed is never skipped,
//! since that would move the choice to the left.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use countersign_domain::account::InvalidText;
use countersign_domain::{Allowlist, Reason};
use http::header::{self, HeaderMap, HeaderName};
use ipnet::IpNet;

/// The headers in which trusted proxies state the address that they saw.
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The most hops of a request, according to its headers.
const MOST_HOPS: usize = 32;

/// The networks of the proxies that are trusted about addresses. Empty by default, which
/// trusts none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Allowlist);

impl TrustedProxies {
    /// Trusts proxies at these networks and addresses (`10.0.0.0/8`, `::1`).
    ///
    /// # Errors
    ///
    /// The first entry that is not a network.
    pub fn parse<T: AsRef<str>>(entries: &[T]) -> Result<Self, InvalidText> {
        Allowlist::parse(entries).map(Self)
    }

    /// Their networks.
    pub fn networks(&self) -> &[IpNet] {
        self.0.networks()
    }

    /// Whether the proxy at `address` is trusted.
    pub fn has(&self, address: IpAddr) -> bool {
        !self.0.networks().is_empty() && self.0.permits(address)
    }
}

/// The source of a client's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressSource {
    /// The connection, or the PROXY protocol before it.
    #[default]
    Peer,
    /// `Forwarded` (RFC 7239), if the peer is a trusted proxy.
    Forwarded,
    /// `X-Forwarded-For`, if the peer is a trusted proxy.
    XForwardedFor,
}

/// Which proxies are trusted about addresses, and where they state them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// The proxies that may state another address than their own.
    pub trusted: TrustedProxies,
    /// Where they state it.
    pub source: AddressSource,
}

/// The address of the client of a request that came from `peer`. IPv4-mapped IPv6
/// addresses are returned as IPv4 addresses.
///
/// # Errors
///
/// [`Reason::AddressUnreadable`]: the peer is a trusted proxy, and the header is missing,
/// or the address in it that counts is `unknown`, obfuscated or not an address, or there
/// are more than 32 hops.
pub fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    policy: &AddressPolicy,
) -> Result<IpAddr, Reason> {
    let trusted = &policy.trusted;
    if policy.source == AddressSource::Peer || !trusted.has(peer) {
        return Ok(peer.to_canonical());
    }
    match policy.source {
        AddressSource::Peer => Ok(peer.to_canonical()),
        AddressSource::Forwarded => forwarded(headers, trusted),
        AddressSource::XForwardedFor => x_forwarded_for(headers, trusted),
    }
}

/// The client's address in `X-Forwarded-For`, for a request from a trusted
/// proxy.
pub(crate) fn x_forwarded_for(
    headers: &HeaderMap,
    trusted: &TrustedProxies,
) -> Result<IpAddr, Reason> {
    let mut hops = HopChoice::new(trusted);
    for line in headers.get_all(X_FORWARDED_FOR) {
        let line = line.to_str().map_err(|_| Reason::AddressUnreadable)?;
        for item in line.split(',') {
            hops.add(bare_or_with_port(item.trim_matches([' ', '\t'])))?;
        }
    }
    hops.client()
}

/// The client's address in `Forwarded`, for a request from a trusted proxy.
fn forwarded(headers: &HeaderMap, trusted: &TrustedProxies) -> Result<IpAddr, Reason> {
    let mut hops = HopChoice::new(trusted);
    for line in headers.get_all(header::FORWARDED) {
        let mut rest = line.to_str().map_err(|_| Reason::AddressUnreadable)?;
        loop {
            // A quote that does not end could hide what proxies added behind
            // it, so such a line is nothing to read any hop from.
            let (hop, more) = element(rest).ok_or(Reason::AddressUnreadable)?;
            hops.add(hop)?;
            match more {
                Some(more) => rest = more,
                None => break,
            }
        }
    }
    hops.client()
}

/// Chooses among the hops, which are added from left to right.
struct HopChoice<'a> {
    trusted: &'a TrustedProxies,
    count: usize,
    /// The rightmost hop that is not a trusted proxy; if there is none, the leftmost.
    /// `None` if it cannot be read.
    chosen: Option<IpAddr>,
}

impl<'a> HopChoice<'a> {
    fn new(trusted: &'a TrustedProxies) -> Self {
        Self {
            trusted,
            count: 0,
            chosen: None,
        }
    }

    fn add(&mut self, hop: Option<IpAddr>) -> Result<(), Reason> {
        let proxy = hop.is_some_and(|address| self.trusted.has(address));
        if !proxy || self.count == 0 {
            self.chosen = hop;
        }
        self.count += 1;
        if self.count > MOST_HOPS {
            return Err(Reason::AddressUnreadable);
        }
        Ok(())
    }

    fn client(self) -> Result<IpAddr, Reason> {
        self.chosen.ok_or(Reason::AddressUnreadable)
    }
}

/// Splits one `forwarded-element` (RFC 7239 section 4) off `text`: its hop (`None` if it
/// cannot be read), and the text after the comma. No result if the grammar is broken.
fn element(text: &str) -> Option<(Option<IpAddr>, Option<&str>)> {
    let mut hop = None;
    let mut tellings = 0;
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let name_end = rest.find(|c| !is_token_char(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(name_end);
        rest = after;
        if let Some(valued) = after.strip_prefix('=').filter(|_| !name.is_empty()) {
            let (told, after) = value(valued)?;
            rest = after;
            if name.eq_ignore_ascii_case("for") {
                tellings += 1;
                hop = node(told);
            }
        } else if !name.is_empty() {
            return None;
        }
        rest = rest.trim_start_matches([' ', '\t']);
        // The same parameter twice in an element is not allowed.
        let hop = hop.filter(|_| tellings == 1);
        match rest.as_bytes().first() {
            None => return Some((hop, None)),
            Some(b',') => return Some((hop, Some(&rest[1..]))),
            Some(b';') => rest = &rest[1..],
            Some(_) => return None,
        }
    }
}

/// Splits a token or quoted string off `text`. A quoted string is returned as it is
/// written: no address needs a backslash, so a string with one is not an address.
fn value(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c| !is_token_char(c)).unwrap_or(text.len());
        return (end > 0).then(|| text.split_at(end));
    };
    let mut escaped = false;
    let end = quoted.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some((&quoted[..end], &quoted[end + 1..]))
}

/// RFC 9110 section 5.6.2.
fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// A node that is an address (RFC 7239 section 6); `unknown` and obfuscated nodes are
/// not.
fn node(text: &str) -> Option<IpAddr> {
    let address = without_port(text)?;
    let read = match bracketed(address) {
        Some(v6) => v6.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => address.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    };
    read.map(|address| address.to_canonical())
}

/// An address as proxies write it in `X-Forwarded-For`: as in `Forwarded`, and IPv6 also
/// without brackets.
fn bare_or_with_port(text: &str) -> Option<IpAddr> {
    let bare = text.parse::<IpAddr>().ok();
    bare.map(|address| address.to_canonical())
        .or_else(|| node(text))
}

/// What stands in brackets.
pub(crate) fn bracketed(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']')
}

/// The node without its port, which may be obfuscated as `_…`.
fn without_port(text: &str) -> Option<&str> {
    let brackets = text.rfind(']').unwrap_or(0);
    let Some(colon) = text[brackets..].find(':') else {
        return Some(text);
    };
    let (address, port) = text.split_at(brackets + colon);
    let port = &port[1..];
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let hidden = port.len() > 1 && port.starts_with('_');
    (digits || hidden).then_some(address)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// Each line: the source, the peer, the lines of the header with `|` between them,
    /// and the address that is found.
    const VECTORS: &str = include_str!("client_address/vectors.txt");

    #[test]
    fn the_client_is_who_the_vectors_say() {
        let comment = |line: &&str| line.is_empty() || line.starts_with('#');
        for vector in VECTORS.lines().filter(|line| !comment(line)) {
            let (given, expected) = vector.split_once(" => ").unwrap();
            let found = run(given);
            let found = found.map_or_else(|reason| reason.to_string(), |it| it.to_string());
            assert_eq!(found, expected, "{vector}");
        }
    }

    fn run(given: &str) -> Result<IpAddr, Reason> {
        let (source, given) = given.split_once(' ').unwrap();
        let (peer, lines) = given.split_once(' ').unwrap_or((given, ""));
        let (source, name) = match source {
            "peer" => (AddressSource::Peer, X_FORWARDED_FOR),
            "forwarded" => (AddressSource::Forwarded, header::FORWARDED),
            _ => (AddressSource::XForwardedFor, X_FORWARDED_FOR),
        };
        let mut headers = HeaderMap::new();
        for line in lines.split(" | ").filter(|_| !lines.is_empty()) {
            headers.append(&name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let trusted = TrustedProxies::parse(&["10.0.0.0/8", "fd00::/8"]).unwrap();
        client_address(
            peer.parse().unwrap(),
            &headers,
            &AddressPolicy { trusted, source },
        )
    }

    #[test]
    fn more_hops_than_can_be_are_not_read() {
        let hops = vec!["10.0.0.1"; MOST_HOPS].join(",");
        let told = |hops: &str| run(&format!("x-forwarded-for 10.0.0.9 {hops}"));
        assert!(told(&hops).is_ok());
        assert_eq!(
            told(&format!("{hops},10.0.0.1")),
            Err(Reason::AddressUnreadable)
        );
    }

    #[test]
    fn the_trusted_networks_are_those_that_were_named() {
        let trusted = TrustedProxies::parse(&["10.0.0.9/8", "::1"]).unwrap();
        let shown: Vec<String> = trusted.networks().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "::1/128"]);
    }

    #[test]
    fn nobody_is_trusted_unless_named() {
        assert!(!TrustedProxies::default().has(Ipv4Addr::LOCALHOST.into()));
        assert!(TrustedProxies::parse(&["10.0.0.0/40"]).is_err());
    }
}
