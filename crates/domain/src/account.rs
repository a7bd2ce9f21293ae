//! Accounts, their credentials and the networks they may call from.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::limits::AccountLimits;
use crate::refusal::Reason;
use crate::scopes::Scopes;
use crate::time::Timestamp;

/// The name of an api, as it appears in configuration, URLs and headers: 1 to 64 of `a-z
/// 0-9 - _`, starting with a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiName(String);

/// Why a text is not a valid [`ApiName`], [`AccountId`], login or network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidText {
    /// What is wrong with it.
    pub message: String,
    /// What to write instead, unless the message says it already.
    pub help: Option<String>,
}

impl InvalidText {
    /// What is wrong with it.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    /// The same with what to write instead.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        let help = Some(help.into());
        Self { help, ..self }
    }
}

impl ApiName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiName {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let fits = text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidText::new(format!("{text:?} is not an api name"))
            .with_help("use 1 to 64 of a-z, 0-9, - and _, beginning with a letter"))
    }
}

impl fmt::Display for ApiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The numeric id of an account: 1 to 2^53 - 1, so that every JSON reader keeps
/// it exact (RFC 8259 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(u64);

impl AccountId {
    /// The greatest id.
    pub const MAX: u64 = (1 << 53) - 1;

    /// The id with this number, if it is in range.
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 || number > Self::MAX {
            None
        } else {
            Some(Self(number))
        }
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a credential, assigned by the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(pub u64);

/// How often all sessions of an account were revoked at once. A counter and never a time,
/// so that no clock decides what is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A partner of an api.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The numeric id, which some dialects call `client_id` or `user_id`.
    pub id: AccountId,
    /// The api that the account belongs to.
    pub api: ApiName,
    /// The name: the login of its first credential.
    pub name: String,
    /// Whether the account may log in and call.
    pub active: bool,
    /// Tokens issued under an earlier epoch are no longer valid.
    pub epoch: Epoch,
    /// The networks it may call from.
    pub allow: Allowlist,
    /// The limits of the account that differ from its api's.
    pub limits: AccountLimits,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A login and secret of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The id.
    pub id: CredentialId,
    /// The account it opens.
    pub account: AccountId,
    /// The login, unique within its api.
    pub login: String,
    /// What the store keeps of its secret.
    pub secret: StoredSecret,
    /// The scopes that routes may require of it.
    pub scopes: Scopes,
    /// Whether it may still be used.
    pub active: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What the store keeps of a credential's secret: enough to check one, never to recover
/// it.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub enum StoredSecret {
    /// HMAC-SHA256 of a generated key under the api's pepper. Such a key has 256 random
    /// bits (190 for Apirone), so a slow hash would add nothing.
    Key([u8; 32]),
    /// A password's hash as a PHC string (argon2id).
    Password(String),
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "StoredSecret::Key(..)",
            Self::Password(_) => "StoredSecret::Password(..)",
        })
    }
}

/// Checks that `login` is valid: 1 to 128 characters, no control characters, and no white
/// space at either end.
///
/// # Errors
///
/// [`InvalidText`], which says what is wrong: the length, a control character, or white
/// space at an end.
pub fn check_login(login: &str) -> Result<(), InvalidText> {
    let length = login.chars().count();
    if length == 0 || length > 128 {
        return Err(InvalidText::new(format!(
            "a login has 1 to 128 characters, this one has {length}"
        )));
    }
    if login.chars().any(char::is_control) {
        return Err(InvalidText::new("a login has no control characters"));
    }
    if login.trim() != login {
        return Err(InvalidText::new(
            "a login does not begin or end with white space",
        ));
    }
    Ok(())
}

/// The networks that an account may call from. An empty list allows every address.
///
/// An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) counts as the IPv4 address that
/// it maps, both in the list and when a call comes from it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Allowlist(Vec<IpNet>);

impl Allowlist {
    /// The list with these networks and addresses (`10.0.0.0/8`, `::1`).
    ///
    /// # Errors
    ///
    /// [`InvalidText`] about the first entry that is neither a network nor an address.
    pub fn parse<T: AsRef<str>>(entries: &[T]) -> Result<Self, InvalidText> {
        entries
            .iter()
            .map(|entry| network(entry.as_ref()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The networks, in the order they were given.
    pub fn networks(&self) -> &[IpNet] {
        &self.0
    }

    /// Whether a call from `address` is allowed.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.is_empty() || self.0.iter().any(|network| network.contains(&address))
    }
}

/// Checks that an account may be used with this credential from `address`: decision D2 of
/// a refresh, the last step of a login and the first of a guarded request.
///
/// The address is checked last, so that only a caller with valid credentials gets a 403.
///
/// # Errors
///
/// [`Reason::AccountDisabled`], [`Reason::CredentialRevoked`] (also if there is no
/// credential any more), and then what [`admit_address`] says.
pub fn admit(
    account: &Account,
    credential: Option<&Credential>,
    address: IpAddr,
) -> Result<(), Reason> {
    if !account.active {
        return Err(Reason::AccountDisabled);
    }
    if !credential.is_some_and(|credential| credential.active) {
        return Err(Reason::CredentialRevoked);
    }
    admit_address(account, address)
}

/// Checks that the account's allowlist contains `address`.
///
/// # Errors
///
/// [`Reason::AddressDenied`], if the allowlist has networks and none that contains it.
pub fn admit_address(account: &Account, address: IpAddr) -> Result<(), Reason> {
    if account.allow.permits(address) {
        Ok(())
    } else {
        Err(Reason::AddressDenied)
    }
}

fn network(text: &str) -> Result<IpNet, InvalidText> {
    let parsed = match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>().ok(),
    };
    match parsed {
        Some(network) => Ok(fold_mapped(network.trunc())),
        None => Err(InvalidText::new(format!("{text:?} is not a network"))
            .with_help("write 192.0.2.0/24, 2001:db8::/32 or a single address")),
    }
}

/// `::ffff:192.0.2.0/120` is `192.0.2.0/24`. A prefix shorter than the mapping itself
/// covers more than IPv4 and is left as it is.
fn fold_mapped(network: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    let IpNet::V6(v6) = network else {
        return network;
    };
    let folded = mapped(v6.addr())
        .filter(|_| v6.prefix_len() >= MAPPED_BITS)
        .and_then(|v4| IpNet::new(v4, v6.prefix_len() - MAPPED_BITS).ok());
    folded.unwrap_or(network)
}

fn mapped(address: Ipv6Addr) -> Option<IpAddr> {
    address.to_ipv4_mapped().map(IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_empty_list_allows_every_address() {
        assert!(Allowlist::default().permits(ip("203.0.113.9")));
        assert!(Allowlist::default().permits(ip("2001:db8::1")));
    }

    #[test]
    fn a_host_that_leaves_over_ipv6_is_the_ipv4_host_it_maps() {
        let list = Allowlist::parse(&["192.0.2.0/24"]).unwrap();
        assert!(list.permits(ip("::ffff:192.0.2.7")));
        assert!(!list.permits(ip("::ffff:192.0.3.7")));
        assert!(
            !list.permits(ip("::192.0.2.7")),
            "an IPv4-compatible address is not a mapped one"
        );
    }

    #[test]
    fn a_mapped_network_on_the_list_means_ipv4() {
        let list = Allowlist::parse(&["::ffff:192.0.2.0/120", "::ffff:198.51.100.4"]).unwrap();
        assert!(list.permits(ip("192.0.2.200")));
        assert!(list.permits(ip("198.51.100.4")));
        assert!(!list.permits(ip("198.51.100.5")));
    }

    #[test]
    fn an_entry_with_host_bits_means_its_network() {
        let list = Allowlist::parse(&["192.0.2.77/24"]).unwrap();
        assert!(list.permits(ip("192.0.2.1")));
    }

    #[test]
    fn a_list_with_one_bad_entry_is_no_list() {
        for bad in [
            "",
            "10.0.0.0/33",
            "example.com",
            "10.0.0",
            "10.0.0.1:80",
            "::/129",
            " 10.0.0.1",
        ] {
            let error = Allowlist::parse(&["10.0.0.1", bad]).unwrap_err();
            assert!(
                error.message.contains("is not a network"),
                "{bad:?}: {error}"
            );
        }
    }

    #[test]
    fn api_names_are_small_and_plain() {
        let longest = "a".repeat(64);
        for good in ["b2binpay", "a", "my-popup_2", longest.as_str()] {
            let name: ApiName = good.parse().unwrap();
            assert_eq!((name.as_str(), name.to_string()), (good, good.to_owned()));
        }
        let long = "a".repeat(65);
        for bad in ["", "2pay", "My", "a b", "a/b", "é", long.as_str()] {
            assert!(bad.parse::<ApiName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_login_is_one_line_of_at_most_128_characters() {
        for good in ["a", "apr-e7be", "Ünïcode partner", &"ü".repeat(128)] {
            assert_eq!(check_login(good), Ok(()), "{good:?}");
        }
        for bad in ["", " a", "a\n", "a\u{1b}[31m", "a\0b", &"x".repeat(129)] {
            assert!(check_login(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn account_ids_stay_exact_in_json() {
        assert_eq!(AccountId::new(0), None);
        assert_eq!(AccountId::new(1 << 53), None);
        assert_eq!(AccountId::new(34).unwrap().to_string(), "34");
        assert_eq!(
            AccountId::new(AccountId::MAX).map(AccountId::number),
            Some(AccountId::MAX)
        );
    }

    #[test]
    fn the_address_is_told_only_to_a_caller_whose_credentials_are_good() {
        let account = Account {
            id: AccountId(7),
            api: "pay".parse().unwrap(),
            name: "p".to_owned(),
            active: false,
            epoch: Epoch(0),
            allow: Allowlist::parse(&["127.0.0.2"]).unwrap(),
            limits: AccountLimits::default(),
            created_at: Timestamp::default(),
        };
        assert_eq!(
            admit(&account, None, ip("127.0.0.1")),
            Err(Reason::AccountDisabled)
        );
        let account = Account {
            active: true,
            ..account
        };
        assert_eq!(
            admit(&account, None, ip("127.0.0.1")),
            Err(Reason::CredentialRevoked)
        );
        let credential = Credential {
            id: CredentialId(1),
            account: account.id,
            login: "p".to_owned(),
            secret: StoredSecret::Key([0; 32]),
            scopes: Scopes::default(),
            active: true,
            created_at: Timestamp::default(),
        };
        let from = |text| admit(&account, Some(&credential), ip(text));
        assert_eq!(from("127.0.0.1"), Err(Reason::AddressDenied));
        assert_eq!(from("127.0.0.2"), Ok(()));
    }

    #[test]
    fn the_mapping_as_a_whole_is_every_ipv4_address_and_no_other() {
        let list = Allowlist::parse(&["::ffff:0:0/96"]).unwrap();
        assert!(list.permits(ip("203.0.113.9")));
        assert!(!list.permits(ip("2001:db8::1")));
        let wider = Allowlist::parse(&["::/80"]).unwrap();
        assert!(wider.permits(ip("::1")));
        assert!(!wider.permits(ip("203.0.113.9")), "it stays a list of IPv6");
    }

    #[test]
    fn a_list_shows_its_networks_in_the_order_in_which_they_were_given() {
        let list = Allowlist::parse(&["192.0.2.9", "10.0.0.0/8"]).unwrap();
        let shown: Vec<String> = list.networks().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["192.0.2.9/32", "10.0.0.0/8"]);
    }

    #[test]
    fn the_epoch_after_the_last_is_the_last() {
        assert_eq!(Epoch(5).next(), Epoch(6));
        assert_eq!(Epoch(u32::MAX).next(), Epoch(u32::MAX));
    }

    #[test]
    fn a_stored_secret_does_not_print() {
        let password = StoredSecret::Password("$argon2id$PLANTED".to_owned());
        assert_eq!(format!("{password:?}"), "StoredSecret::Password(..)");
        let key = StoredSecret::Key([0xab; 32]);
        assert_eq!(format!("{key:?}"), "StoredSecret::Key(..)");
    }
}
