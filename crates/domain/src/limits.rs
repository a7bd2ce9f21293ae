//! How much an account may do. An api has limits, and an account may have its own
//! instead.

/// The limits of an api, or those that hold for one of its accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiLimits {
    /// How many guarded requests one access token may make; `None` for any number.
    pub budget: Option<u32>,
    /// How many sessions may be alive at once. One more ends the session that has been
    /// idle the longest.
    pub sessions: u32,
    /// How many logins and refreshes may succeed within a minute.
    pub mints_per_minute: u32,
    /// How many guarded requests may be made within a second; `None` for any number.
    pub requests_per_second: Option<u32>,
}

/// The limits that an account has instead of its api's; `None` leaves the api's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AccountLimits {
    /// Instead of [`ApiLimits::budget`].
    pub budget: Option<u32>,
    /// Instead of [`ApiLimits::sessions`].
    pub sessions: Option<u32>,
    /// Instead of [`ApiLimits::mints_per_minute`].
    pub mints_per_minute: Option<u32>,
    /// Instead of [`ApiLimits::requests_per_second`].
    pub requests_per_second: Option<u32>,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            budget: None,
            sessions: 100,
            mints_per_minute: 12_000,
            requests_per_second: None,
        }
    }
}

impl ApiLimits {
    /// The limits of an account with these overrides.
    #[must_use]
    pub fn for_account(&self, account: &AccountLimits) -> Self {
        Self {
            budget: account.budget.or(self.budget),
            sessions: account.sessions.unwrap_or(self.sessions),
            mints_per_minute: account.mints_per_minute.unwrap_or(self.mints_per_minute),
            requests_per_second: account.requests_per_second.or(self.requests_per_second),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_without_limits_of_its_own_has_those_of_its_api() {
        let api = ApiLimits {
            budget: Some(40),
            ..ApiLimits::default()
        };
        assert_eq!(api.for_account(&AccountLimits::default()), api);
        let generous = AccountLimits {
            budget: Some(1_000),
            ..AccountLimits::default()
        };
        assert_eq!(api.for_account(&generous).budget, Some(1_000));
        assert_eq!(api.for_account(&generous).sessions, api.sessions);
    }
}
