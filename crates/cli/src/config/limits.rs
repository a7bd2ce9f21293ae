//! `[apis.NAME.limits]`: how much an account may do, and how often a login may be tried.

use super::api::ApiSection;
use super::kinds::{count, optional};
use super::setting::{SettingsTable, settings};

/// The keys of `[apis.NAME.limits]`.
pub(super) fn limits_settings() -> SettingsTable<ApiSection> {
    settings! { ApiSection, Changes:
        /// sessions at the same time; a further one ends the one that has been idle longest
        sessions = count(), at(issuing.limits.sessions);
        /// logins and refreshes together
        mints_per_minute = count(), at(issuing.limits.mints_per_minute);
        /// guarded requests [unlimited]
        requests_per_second = optional(count()), at(issuing.limits.requests_per_second),
            sample("50");
        /// wrong attempts on one login from one network; by default the dialect's preset. From
        /// a network that has used the login successfully, 64 or more are let through at once
        logins_per_minute = count(), at(issuing.throttle.logins_per_minute),
            otherwise(|it| it.preset_if(it.issuing.dialect.preset().logins_per_minute.is_some()));
        /// attempts from one network on logins it has never used successfully
        network_logins_per_minute = count(), at(issuing.throttle.network_logins_per_minute);
        /// attempts on one login from all networks that have never used it successfully
        strange_logins_per_hour = count(), at(issuing.throttle.strange_logins_per_hour);
        /// all logins from one network, successful ones too, as some vendors count [unlimited]
        anonymous_per_minute = optional(count()), at(issuing.throttle.anonymous_per_minute),
            sample("15");
    }
}
