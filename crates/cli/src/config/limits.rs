//! `[apis.NAME.limits]`: how much an account may do, and how often a login may be tried.

use super::api::ApiSection;
use super::kinds::{count, optional};
use super::setting::{SettingsTable, settings};

/// The keys of `[apis.NAME.limits]`.
pub(super) fn limits_settings() -> SettingsTable<ApiSection> {
    settings! { ApiSection, Changes:
        /// that live at once; with one more the oldest idle one ends
        sessions = count(), at(issuing.limits.sessions);
        /// logins and refreshes
        mints_per_minute = count(), at(issuing.limits.mints_per_minute);
        /// guarded ones [any number]
        requests_per_second = optional(count()), at(issuing.limits.requests_per_second),
            sample("50");
        /// wrong tries of one login from one network; by default the preset. Where the
        /// login is known, 64 at least may come at once before they slow down
        logins_per_minute = count(), at(issuing.throttle.logins_per_minute),
            otherwise(|it| it.preset_if(it.issuing.dialect.preset().logins_per_minute.is_some()));
        /// from one network, of logins that it is strange to
        network_logins_per_minute = count(), at(issuing.throttle.network_logins_per_minute);
        /// tries of one login from all networks that never got it right
        strange_logins_per_hour = count(), at(issuing.throttle.strange_logins_per_hour);
        /// logins from one network, right ones too, as some vendors count [any number]
        anonymous_per_minute = optional(count()), at(issuing.throttle.anonymous_per_minute),
            sample("15");
    }
}
