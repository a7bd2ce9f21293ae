//! Operators: what the holder of an admin key may do, and with which apis.

use std::collections::BTreeSet;

use crate::account::{ApiName, InvalidText};
use crate::coded;

coded! {
    /// What an operator may do. Each role may do what those before it may.
    Role(name, from_name) {
        /// May read, and change nothing.
        Read = "read",
        /// May change accounts and credentials, and end sessions.
        Operate = "operate",
        /// May do everything: change keys and admin keys, and revoke a whole api.
        Own = "own",
    }
}

/// The apis that an operator sees; the others do not exist for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiScope {
    /// Every api, and what belongs to no api.
    All,
    /// These, and nothing that belongs to no api.
    Only(BTreeSet<ApiName>),
}

impl ApiScope {
    /// Whether the operator sees this api.
    pub fn has(&self, api: &ApiName) -> bool {
        match self {
            Self::All => true,
            Self::Only(apis) => apis.contains(api),
        }
    }
}

/// Checks that `name` can name an admin key: 1 to 64 of `a-z 0-9 - _`,
/// beginning with a letter, since it stands for its holder in the audit log.
///
/// # Errors
///
/// [`InvalidText`], if it has another length or other characters.
pub fn check_admin_key_name(name: &str) -> Result<(), InvalidText> {
    match name.parse::<ApiName>() {
        Ok(_) => Ok(()),
        Err(_) => Err(InvalidText::new(
            "must be 1 to 64 of a-z, 0-9, - and _, beginning with a letter",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_what_those_before_it_may() {
        assert!(Role::Read < Role::Operate && Role::Operate < Role::Own);
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
        }
        assert_eq!(Role::from_name("Own"), None);
    }

    #[test]
    fn a_scope_of_no_apis_sees_none() {
        let pay: ApiName = "pay".parse().unwrap();
        assert!(ApiScope::All.has(&pay));
        assert!(!ApiScope::Only(BTreeSet::new()).has(&pay));
        assert!(ApiScope::Only([pay.clone()].into()).has(&pay));
    }

    #[test]
    fn a_name_cannot_forge_a_line_of_the_log() {
        assert_eq!(check_admin_key_name("ci-1"), Ok(()));
        for bad in ["", "1", "A", "a b", "a\n", "operator:x"] {
            assert!(check_admin_key_name(bad).is_err(), "{bad:?}");
        }
    }
}
