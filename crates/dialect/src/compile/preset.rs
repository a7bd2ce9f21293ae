//! `[preset]`, and `[preset.VARIANT]` for a variant whose tokens live or count
//! otherwise.

use std::time::Duration;

use super::settings::positive;
use crate::document::{TomlTable, TomlValue};
use crate::policy::VendorPresets;
use crate::{DialectSide, PresetLifetimes, Variant, VendorPreset};

const DAY: Duration = Duration::from_secs(86_400);

/// What holds where a file for clients alone says nothing.
const UNSAID: VendorPreset = VendorPreset {
    access: Duration::from_secs(600),
    refresh: DAY,
    absolute: Duration::from_secs(30 * 86_400),
    budget: None,
    anonymous_per_minute: None,
    logins_per_minute: None,
    lock_after: None,
};

/// The presets of all variants, which `variants` names in their order.
pub(super) fn compile(
    root: &TomlTable<'_>,
    serves: DialectSide,
    variants: &[String],
) -> VendorPresets {
    let found = if serves.issuer {
        root.require("preset")
    } else {
        root.get("preset")
    };
    let Some(table) = found.and_then(|preset| preset.table()) else {
        return VendorPresets {
            usual: UNSAID,
            own: Vec::new(),
        };
    };
    if serves.issuer {
        for key in ["access", "refresh", "absolute"] {
            table.require(key);
        }
    }
    let usual = with_limits(&table, &lifetimes(&table, &UNSAID));
    let own = variants
        .iter()
        .zip(0..=u8::MAX)
        .filter_map(|(name, index)| {
            // A variant may have the name of a key.
            let table = table.get(name).filter(TomlValue::is_table)?.table()?;
            Some((Variant(index), lifetimes(&table, &usual)))
        });
    VendorPresets {
        own: own.collect(),
        usual,
    }
}

/// `otherwise` with what the table says that can differ between variants.
fn lifetimes(table: &TomlTable<'_>, otherwise: &VendorPreset) -> VendorPreset {
    let span = |key: &str| {
        // The table of a variant with the name of the key.
        let value = table.get(key).filter(|value| !value.is_table());
        value.and_then(|value| positive(Some(value)))
    };
    let budget = table.get("budget").filter(|value| !value.is_table());
    VendorPreset {
        access: span("access").unwrap_or(otherwise.access),
        refresh: span("refresh").unwrap_or(otherwise.refresh),
        absolute: span("absolute").unwrap_or(otherwise.absolute),
        budget: budget
            .and_then(|value| self::budget(&value))
            .unwrap_or(otherwise.budget),
        ..otherwise.clone()
    }
}

/// `otherwise` with the limits that count before anybody knows the variant.
fn with_limits(table: &TomlTable<'_>, otherwise: &VendorPreset) -> VendorPreset {
    let number = |key: &str| count(&table.get(key)?);
    VendorPreset {
        anonymous_per_minute: number("anonymous_per_minute"),
        logins_per_minute: number("logins_per_minute"),
        lock_after: number("lock_after"),
        ..otherwise.clone()
    }
}

/// `Some(None)`: any number of requests.
fn budget(value: &TomlValue<'_>) -> Option<Option<u32>> {
    if value.is_text() {
        return value.choice(&[("unlimited", None)]);
    }
    count(value).map(Some)
}

fn count(value: &TomlValue<'_>) -> Option<u32> {
    u32::try_from(value.integer(1, i64::from(u32::MAX))?).ok()
}

/// Which lives of the preset the file states.
pub(super) fn stated(root: &TomlTable<'_>, preset: &VendorPreset) -> PresetLifetimes {
    let section = root.get("preset");
    let states = |key| {
        let section = section.as_ref()?;
        section.member_text(key).map(drop)
    };
    PresetLifetimes {
        access: states("access").map(|()| preset.access),
        refresh: states("refresh").map(|()| preset.refresh),
        absolute: states("absolute").map(|()| preset.absolute),
    }
}
