//! `budget` and `[apis.NAME.limits]`: how much an account may do, and how often
//! a login may be tried.

use countersign_dialect::VendorPreset;
use countersign_dialect::document::TomlTable;
use countersign_domain::ApiLimits;
use countersign_server::throttle::ThrottleSettings;

use crate::config::kinds::read_count;

/// What holds for each account of an api, and for tries of its logins.
/// `given_budget` is the api's own budget, as [`budget`] reads it.
pub(super) fn read(
    api: &TomlTable<'_>,
    given_budget: Option<Option<u32>>,
    preset: Option<&VendorPreset>,
) -> (ApiLimits, ThrottleSettings) {
    let table = api.get("limits").and_then(|it| it.table());
    let given = |key| {
        let value = table.as_ref().and_then(|table| table.get(key));
        value.and_then(|it| read_count(&it))
    };
    let default = ApiLimits::default();
    let limits = ApiLimits {
        budget: given_budget.unwrap_or(preset.and_then(|it| it.budget)),
        sessions: given("sessions").map_or(default.sessions, u32::from),
        mints_per_minute: given("mints_per_minute").map_or(default.mints_per_minute, u32::from),
        requests_per_second: given("requests_per_second").map(u32::from),
    };
    let default = preset.map_or_else(ThrottleSettings::default, ThrottleSettings::from_preset);
    let throttle = ThrottleSettings {
        logins_per_minute: given("logins_per_minute").unwrap_or(default.logins_per_minute),
        network_logins_per_minute: given("network_logins_per_minute")
            .unwrap_or(default.network_logins_per_minute),
        strange_logins_per_hour: given("strange_logins_per_hour")
            .unwrap_or(default.strange_logins_per_hour),
        anonymous_per_minute: given("anonymous_per_minute"),
    };
    (limits, throttle)
}

/// The api's own `budget`, if it has one. `Some(None)`: any number of requests.
pub(super) fn budget(api: &TomlTable<'_>) -> Option<Option<u32>> {
    let value = &api.get("budget")?;
    if !value.is_text() {
        return read_count(value).map(|number| Some(number.get()));
    }
    if value.text()? == "unlimited" {
        return Some(None);
    }
    value.blame("is neither a number of requests nor \"unlimited\"", None);
    None
}
