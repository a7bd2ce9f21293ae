//! Which hosts are this machine.

use std::net::IpAddr;

/// Whether a host without its port is this machine: `localhost` (RFC 6761 section 6.3)
/// or a loopback address, one of IPv6 with or without brackets.
pub fn is_loopback_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let address = bare.unwrap_or(host).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|it| it.to_canonical().is_loopback())
}
