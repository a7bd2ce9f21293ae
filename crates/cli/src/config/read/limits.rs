//! `[apis.NAME.limits]` and `budget`: how much an account may do.

use countersign_dialect::Preset;
use countersign_dialect::document::{Table, Value};
use countersign_domain::Limits;

use super::scalar::count;

/// What holds for each account of an api.
pub(super) fn read(api: &Table<'_>, preset: Option<&Preset>) -> Limits {
    let table = api.get("limits").and_then(|it| it.table());
    let given = |key| count(table.as_ref().and_then(|table| table.get(key)));
    let default = Limits::default();
    let budget = api.get("budget").and_then(|it| budget(&it));
    Limits {
        budget: budget.unwrap_or(preset.and_then(|it| it.budget)),
        sessions: given("sessions").map_or(default.sessions, u32::from),
        mints_per_minute: given("mints_per_minute").map_or(default.mints_per_minute, u32::from),
        requests_per_second: given("requests_per_second").map(u32::from),
    }
}

/// `Some(None)`: any number of requests.
fn budget(value: &Value<'_>) -> Option<Option<u32>> {
    if value.is_text() {
        return value.choice(&[("unlimited", None)]);
    }
    count(Some(value.clone())).map(|number| Some(number.get()))
}
