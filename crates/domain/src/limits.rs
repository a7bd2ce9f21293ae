//! How much an account may do. An api has its limits, and an account may have
//! others.

/// The limits of an api, or those that hold for one of its accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiLimits {
    /// Guarded requests that one access token may make; `None` for any number.
    pub budget: Option<u32>,
    /// Sessions that live at once. With one more, the oldest idle one ends.
    pub sessions: u32,
    /// Logins and refreshes that give out tokens, a minute.
    pub mints_per_minute: u32,
    /// Guarded requests a second; `None` for any number.
    pub requests_per_second: Option<u32>,
}

/// What an account has instead of its api's limits; `None` is the api's.
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
    /// What holds for an account with limits of its own.
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
