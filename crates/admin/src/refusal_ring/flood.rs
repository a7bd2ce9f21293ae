//! How much of a flood is recorded: a limited number of refusals per minute of the same
//! kind, from the same network, and of unknown callers. So one address cannot displace
//! what others were refused for, and unknown callers cannot displace partners.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use countersign_domain::{AccountId, ApiName, Reason, Timestamp};

use super::record::NewRefusal;

/// How many refusals of one kind are recorded one by one in a minute; the others are only
/// counted, in the last of them.
pub(super) const OF_A_KIND: u32 = 20;
/// How many are recorded for one network in a minute.
const OF_A_NETWORK: u32 = 200;
/// How many are recorded in a minute for callers whose account is unknown.
const OF_STRANGERS: u32 = 5_000;
/// How many are recorded in a minute.
const OF_ALL: u32 = 20_000;

const MINUTE: i64 = 60_000_000;

/// What was recorded in this minute.
#[derive(Default)]
pub(super) struct FloodMinute {
    number: i64,
    kinds: HashMap<FloodKind, FloodStanding>,
    networks: HashMap<IpAddr, u32>,
    strangers: u32,
    all: u32,
}

/// What makes two refusals the same to an operator.
#[derive(Clone, PartialEq, Eq, Hash)]
struct FloodKind {
    api: Option<ApiName>,
    reason: Reason,
    network: IpAddr,
    account: Option<AccountId>,
}

struct FloodStanding {
    kept: u32,
    /// The number of the last one in the ring.
    last: i64,
}

/// What to do with a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FloodVerdict {
    /// Record it under this number.
    Keep(i64),
    /// Count it in the record with this number.
    Repeat(i64),
    /// Do not record it.
    Drop,
}

impl FloodMinute {
    /// Judges a refusal; if it is recorded, it gets the number `next`.
    pub(super) fn judge(&mut self, refused: &NewRefusal, next: i64) -> FloodVerdict {
        self.turn(refused.at);
        let network = network(refused.address);
        let kind = FloodKind {
            api: refused.api.clone(),
            reason: refused.reason,
            network,
            account: refused.account,
        };
        let full = self.is_full(network, refused.account);
        match self.kinds.get_mut(&kind) {
            Some(standing) if full || standing.kept >= OF_A_KIND => {
                return FloodVerdict::Repeat(standing.last);
            }
            Some(standing) => {
                standing.kept += 1;
                standing.last = next;
            }
            None if full => return FloodVerdict::Drop,
            None => {
                let first = FloodStanding {
                    kept: 1,
                    last: next,
                };
                self.kinds.insert(kind, first);
            }
        }
        self.count(network, refused.account);
        FloodVerdict::Keep(next)
    }

    /// Starts again with each minute, so that the memory is bounded by what is recorded
    /// in one. If the clock goes back, the minute does not change.
    fn turn(&mut self, at: Timestamp) {
        let number = at.as_micros().div_euclid(MINUTE);
        if number > self.number {
            *self = Self {
                number,
                ..Self::default()
            };
        }
    }

    fn is_full(&self, network: IpAddr, account: Option<AccountId>) -> bool {
        let of_network = self.networks.get(&network).copied().unwrap_or(0);
        let strange = account.is_none() && self.strangers >= OF_STRANGERS;
        of_network >= OF_A_NETWORK || strange || self.all >= OF_ALL
    }

    fn count(&mut self, network: IpAddr, account: Option<AccountId>) {
        *self.networks.entry(network).or_default() += 1;
        self.strangers += u32::from(account.is_none());
        self.all += 1;
    }
}

/// The address, or the /64 network of an IPv6 address: one subscriber has all of its
/// addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}
