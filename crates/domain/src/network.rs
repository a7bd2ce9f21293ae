//! The network of a caller, by which limits are counted.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// One IPv4 address, or one /64 of IPv6, which is what a single host is given (RFC 6177).
/// A mapped IPv4 address counts as the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostNetwork(IpAddr);

impl HostNetwork {
    /// The network of this address.
    pub fn containing(address: IpAddr) -> Self {
        const HOST: u128 = u64::MAX as u128;
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !HOST)),
            v4 => v4,
        })
    }
}

/// Written as `192.0.2.7/32` or `2001:db8:0:1::/64`.
impl fmt::Display for HostNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, if self.0.is_ipv4() { 32 } else { 64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_one_network_are_one() {
        let of = |text: &str| HostNetwork::containing(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7/32");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7/32");
        assert_eq!(of("2001:db8:0:1:2:3:4:5"), "2001:db8:0:1::/64");
        assert_eq!(of("2001:db8:0:1::ffff"), "2001:db8:0:1::/64");
        assert_ne!(of("2001:db8:0:2::"), of("2001:db8:0:1::"));
    }
}
