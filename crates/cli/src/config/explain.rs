//! `countersign config explain`: every key with its effective value, and where that
//! value comes from.

use std::path::Path;

use countersign_dialect::document::{TomlDocument, duration_text};
use serde_json::{Value, json};

use super::api::{ApiSection, api_settings, shown_budget};
use super::guard::guard_settings;
use super::limits::limits_settings;
use super::overrides::Overrides;
use super::server::server_settings;
use super::setting::SettingsTable;
use super::settings::Settings;
use super::store::store_settings;
use super::upstream::upstream_settings;
use super::{load, source_of};
use crate::exit::Failure;
use crate::output::Output;
use crate::table::Table;

/// A key with its effective value.
struct SettingLine {
    /// Its JSON pointer in the file.
    pointer: String,
    /// `None` where there is none.
    value: Option<String>,
    /// Where the value comes from if it is not in the file.
    otherwise: String,
    /// Whether the value comes from there even if it is in the file.
    overridden: bool,
}

/// A key, its value, and where that comes from.
pub(super) type Explained = (String, Option<String>, String);

/// Prints the explanation of a file, with the options of the command line that override it.
pub(super) fn run(file: &Path, over: &Overrides, output: &mut Output) -> Result<(), Failure> {
    let settings = load(file, over)?;
    let (source, origin) = (source_of(file)?, file.display().to_string());
    let mut table = Table::new(["KEY", "VALUE", "FROM"]);
    let mut values = Vec::new();
    for (key, value, from) in explained(&settings, &source, &origin, over) {
        table.row([&key, value.as_deref().unwrap_or("none"), &from]);
        values.push(json!({ "key": key, "value": value, "from": from }));
    }
    output.document(&json!({ "file": file, "values": values }), &table.text())
}

/// Every key of settings that were read from `source`, with the options that override
/// them.
pub(super) fn explained(
    settings: &Settings,
    source: &str,
    origin: &str,
    over: &Overrides,
) -> Vec<Explained> {
    let document = TomlDocument::parse(source, origin).ok();
    let written = |pointer: &str| document.as_ref()?.line(pointer);
    let lines = lines(settings, over).into_iter().map(|line| {
        let key = line.pointer.trim_start_matches('/').replace('/', ".");
        let from = match written(&line.pointer) {
            Some(number) if !line.overridden => format!("{origin}:{number}"),
            _ => line.otherwise,
        };
        (key, line.value, from)
    });
    lines.collect()
}

fn lines(settings: &Settings, over: &Overrides) -> Vec<SettingLine> {
    let mut all = declared("/server", &server_settings(), &settings.server, over);
    all.extend(declared("/store", &store_settings(), &settings.store, over));
    for api in &settings.apis {
        let pointer = format!("/apis/{}", api.name());
        all.extend(declared(&pointer, &api_settings(), api, over));
        all.extend(of_variants(&pointer, api));
        if let Some(guard) = &api.guard {
            all.extend(declared(&pointer, &guard_settings(), guard, over));
            if let Some(upstream) = &guard.upstream {
                all.extend(declared(&pointer, &upstream_settings(), upstream, over));
            }
        }
        let limits = format!("{pointer}/limits");
        all.extend(declared(&limits, &limits_settings(), api, over));
    }
    all
}

/// The lines of a table whose keys are declared.
fn declared<S>(
    pointer: &str,
    table: &SettingsTable<S>,
    section: &S,
    over: &Overrides,
) -> Vec<SettingLine> {
    let lines = table.0.iter().map(|setting| {
        let (otherwise, overridden) = setting.source(section, over);
        SettingLine {
            pointer: format!("{pointer}/{}", setting.key),
            value: plain(&setting.value(section)),
            otherwise,
            overridden,
        }
    });
    lines.collect()
}

/// A value as people read it; `None` if it is empty.
fn plain(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().filter_map(plain).collect();
            items.join(" ")
        }
        other => other.to_string(),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// Values of variants that differ from those of their api.
fn of_variants(pointer: &str, api: &ApiSection) -> Vec<SettingLine> {
    let (usual, budget) = (api.issuing.lifetimes, api.issuing.limits.budget);
    let span = |span| json!(duration_text(span));
    let lines = api.issuing.variants.iter().flat_map(|own| {
        let name = api.issuing.dialect.variant_name(own.variant);
        let lives = own.lifetimes;
        let differing = [
            ("access", lives.access != usual.access, span(lives.access)),
            (
                "refresh",
                lives.refresh != usual.refresh,
                span(lives.refresh),
            ),
            ("budget", own.budget != budget, shown_budget(own.budget)),
        ];
        let differing = differing.into_iter().filter(|(_, differs, _)| *differs);
        differing.map(move |(key, _, value)| SettingLine {
            pointer: format!("{pointer}/{key} ({name})"),
            value: plain(&value),
            otherwise: format!("{} for {name}", api.preset_if(true)),
            overridden: false,
        })
    });
    lines.collect()
}
