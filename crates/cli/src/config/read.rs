//! Reads the configuration file, and reports every mistake in it.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_dialect::Mistakes;
use countersign_dialect::document::{TomlDocument, TomlKey, TomlTable};
use countersign_gateway::{ApiClaim, ApiOverlap, overlaps};

use super::api::{ApiReader, ApiSection};
use super::overrides::Overrides;
use super::server;
use super::settings::Settings;
use super::store::{StoreSection, store_settings};

/// Reads a configuration; `origin` names it in messages, and relative paths in it start
/// at `base`.
///
/// # Errors
///
/// Every mistake in the file, and in the dialect files that it names.
pub(crate) fn read(source: &str, origin: &str, base: &Path) -> Result<Settings, Mistakes> {
    read_under(source, origin, base, &Overrides::default())
}

/// The same with options of the command line; values that they override are not checked
/// in the file.
pub(crate) fn read_under(
    source: &str,
    origin: &str,
    base: &Path,
    over: &Overrides,
) -> Result<Settings, Mistakes> {
    let document = TomlDocument::parse(source, origin)?;
    let root = document.root();
    let mut foreign = Vec::new();
    let mut dialects = BTreeMap::new();
    let server = root
        .get("server")
        .and_then(|it| it.table())
        .map(|it| server::read_section(&it, base, over));
    let mut store = StoreSection::default();
    if let Some(table) = root.get("store").and_then(|it| it.table()) {
        store_settings().read(&table, base, &mut store);
    }
    let apis = root.get("apis").and_then(|it| it.table()).map(|table| {
        let read = table.entries().into_iter().filter_map(|(name, value)| {
            let mut api = ApiReader {
                base,
                foreign: &mut foreign,
                dialects: &mut dialects,
                table: value.table()?,
            };
            api.read(&name, &table)
        });
        let apis: Vec<ApiSection> = read.collect();
        blame_overlaps(&apis, &table);
        apis
    });
    drop(root);
    let mut settings = Settings {
        server: server.unwrap_or_default(),
        store,
        apis: apis.unwrap_or_default(),
    };
    settings.override_with(over);
    settings.agree_on_tunnels();
    let result = document.finish(Some(settings));
    if foreign.is_empty() {
        return result;
    }
    let mut mistakes = result.err().map(|own| own.0).unwrap_or_default();
    mistakes.extend(foreign);
    Err(Mistakes(mistakes))
}

fn blame_overlaps(apis: &[ApiSection], table: &TomlTable<'_>) {
    let claims: Vec<ApiClaim<'_>> = apis
        .iter()
        .map(|api| ApiClaim {
            api: api.name(),
            site: &api.site,
            dialect: &api.issuing.dialect,
            routes: api.guard.as_ref().map(|guard| &guard.routes),
        })
        .collect();
    let found = overlaps(&claims);
    let keys: BTreeMap<&str, TomlKey<'_>> = table
        .entries()
        .into_iter()
        .map(|(key, _)| (key.name, key))
        .collect();
    let pairs =
        found.chunk_by(|one, next| (&one.first, &one.second) == (&next.first, &next.second));
    for pair in pairs {
        blame_pair(pair, &keys, table);
    }
}

/// Reports two apis that overlap as one mistake, however many paths they share.
fn blame_pair(overlaps: &[ApiOverlap], keys: &BTreeMap<&str, TomlKey<'_>>, table: &TomlTable<'_>) {
    let [overlap, more @ ..] = overlaps else {
        return;
    };
    let more = match more.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let message = format!("{overlap}{more}");
    let help = "give them different `hosts` or `prefix`";
    if let Some(key) = keys.get(overlap.second.as_str()) {
        table.blame_key(key, message, Some(help.to_owned()));
    }
}
