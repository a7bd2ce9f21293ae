//! `[apis.NAME]`: where an api is, what it speaks, and for how long.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_client::NamedFile;
use countersign_dialect::document::{TomlKey, TomlTable, TomlValue, did_you_mean};
use countersign_dialect::{Dialect, Mistake, VendorPreset};
use countersign_domain::ApiName;
use countersign_domain::session::{DEFAULT_WINDOW, SessionLifetimes};
use countersign_gateway::{ApiSite, CorsPolicy, SiteFault};
use countersign_server::api::VariantSettings;

use super::{guard, limits};
use crate::config::kinds::positive;
use crate::config::settings::{ApiSection, MAX_WINDOW};

/// One `[apis.NAME]` table.
pub(super) struct ApiReader<'a, 'd> {
    pub(super) base: &'a Path,
    /// Mistakes in dialect files.
    pub(super) foreign: &'a mut Vec<Mistake>,
    /// Dialects that other apis speak, by what names them.
    pub(super) dialects: &'a mut BTreeMap<String, Arc<Dialect>>,
    pub(super) table: TomlTable<'d>,
}

impl ApiReader<'_, '_> {
    pub(super) fn read(&mut self, name: &TomlKey<'_>, apis: &TomlTable<'_>) -> Option<ApiSection> {
        let parsed: Option<ApiName> = name
            .name
            .parse()
            .map_err(|error| apis.blame_key(name, format!("{error}"), None))
            .ok();
        let dialect = self
            .table
            .require("dialect")
            .and_then(|value| self.dialect(&value));
        let passwords = self
            .table
            .get("passwords")
            .and_then(|it| it.boolean())
            .unwrap_or(true);
        let site = self.site();
        let cors = self.cors();
        let given = limits::budget(&self.table);
        let terms = self.terms(dialect.as_deref(), given);
        let preset = dialect.as_deref().map(Dialect::preset);
        let (limits, throttle) = limits::read(&self.table, given, preset);
        let guard = guard::read(&self.table, dialect.as_deref(), self.base);
        let (lifetimes, variants) = terms?;
        Some(ApiSection {
            name: parsed?,
            dialect: dialect?,
            site: site?,
            lifetimes,
            variants,
            limits,
            throttle,
            passwords,
            cors: cors?,
            guard: guard?,
        })
    }

    /// A name without a slash is a dialect that comes with the program, any
    /// other text a file.
    fn dialect(&mut self, value: &TomlValue<'_>) -> Option<Arc<Dialect>> {
        let text = value.text()?;
        let dialect = match self.dialects.get(text) {
            Some(known) => Arc::clone(known),
            None => self.compiled(value, text)?,
        };
        if !dialect.serves().issuer {
            value.blame("is a dialect for clients only: it cannot issue", None);
            return None;
        }
        self.dialects.insert(text.to_owned(), Arc::clone(&dialect));
        Some(dialect)
    }

    fn compiled(&mut self, value: &TomlValue<'_>, text: &str) -> Option<Arc<Dialect>> {
        let is_file = text.contains('/') || Path::new(text).extension().is_some();
        let (source, origin) = if is_file {
            let path = self.base.join(text);
            let read = NamedFile::open(&path).and_then(|it| it.text(NamedFile::LARGEST_TEXT));
            let read = read.map(|it| it.to_string());
            let read = read.map_err(|error| value.blame(format!("cannot be read: {error}"), None));
            (read.ok()?, path.display().to_string())
        } else {
            let shipped = Dialect::shipped(text).or_else(|| {
                let names = Dialect::SHIPPED.iter().map(|(name, _)| *name);
                value.blame(
                    "is not a dialect that comes with the program; name one, or a file \
                     (`countersign dialect list` lists them)",
                    did_you_mean(text, names),
                );
                None
            });
            (shipped?.to_owned(), text.to_owned())
        };
        let compiled = Dialect::compile(&source, &origin);
        let dialect = compiled.map_err(|mistakes| self.foreign.extend(mistakes.0));
        dialect.ok().map(Arc::new)
    }

    /// The lifetimes, and what differs for variants that have presets of their own.
    /// What is given here holds for all variants.
    fn terms(
        &self,
        dialect: Option<&Dialect>,
        budget: Option<Option<u32>>,
    ) -> Option<(SessionLifetimes, Vec<VariantSettings>)> {
        let given = ["access", "refresh", "absolute"].map(|key| self.lifetime(key));
        let window = self.window();
        let dialect = dialect?;
        let of = |preset: &VendorPreset| {
            let [access, refresh, absolute] = given;
            Some(SessionLifetimes {
                access: access.unwrap_or(Some(preset.access))?,
                refresh: refresh.unwrap_or(Some(preset.refresh))?,
                absolute: absolute.unwrap_or(Some(preset.absolute))?,
                window: window.unwrap_or(Some(DEFAULT_WINDOW))?,
            })
        };
        let usual = of(dialect.preset())?;
        let mut variants = Vec::new();
        for (variant, preset) in dialect.variant_presets() {
            variants.push(VariantSettings {
                variant,
                lifetimes: of(preset)?,
                budget: budget.unwrap_or(preset.budget),
            });
        }
        // Without a refresh token, the life of one bounds nothing.
        let refreshed = variants.iter().filter(|it| dialect.refreshes(it.variant));
        let all = refreshed.map(|it| it.lifetimes).chain([usual]);
        self.blame_order(all);
        Some((usual, variants))
    }

    fn blame_order(&self, mut lifetimes: impl Iterator<Item = SessionLifetimes>) {
        if lifetimes.all(|it| it.access <= it.refresh && it.refresh <= it.absolute) {
            return;
        }
        let written = ["access", "refresh", "absolute"].map(|key| self.table.get(key));
        let message = "needs access <= refresh <= absolute, also with the dialect's preset";
        written
            .iter()
            .flatten()
            .take(1)
            .for_each(|value| value.blame(message, None));
    }

    /// `None` if it is not given, `Some(None)` if it is wrong.
    fn lifetime(&self, key: &str) -> Option<Option<Duration>> {
        let value = self.table.get(key)?;
        let span = positive(&value);
        if span.is_some_and(|span| span.subsec_nanos() != 0) {
            value.blame(
                "is not a whole number of seconds, which is how tokens say it",
                None,
            );
        }
        Some(span)
    }

    fn window(&self) -> Option<Option<Duration>> {
        let value = self.table.get("replay_window")?;
        let span = value.duration();
        if span.is_some_and(|span| span > MAX_WINDOW) {
            value.blame("is longer than 5m, the longest replay window", None);
        }
        Some(span)
    }

    /// The origins whose pages may call it.
    fn cors(&self) -> Option<Option<CorsPolicy>> {
        let Some(value) = self.table.get("cors") else {
            return Some(None);
        };
        let policy = CorsPolicy::parse(&value.texts()?);
        let policy = policy.map_err(|faults| {
            for fault in faults {
                let meant = fault.suggestion();
                let meant = meant.map(|origin| format!("did you mean `{origin}`?"));
                value.blame(fault.to_string(), meant);
            }
        });
        policy.ok()
    }

    /// Its host names and the prefix of its paths.
    fn site(&self) -> Option<ApiSite> {
        let (hosts, prefix) = (self.table.get("hosts"), self.table.get("prefix"));
        let names = hosts.as_ref().map_or(Some(Vec::new()), TomlValue::texts);
        let start = prefix.as_ref().map_or(Some(""), TomlValue::text);
        let faults = ApiSite::parse(&names?, start?).map_err(|faults| {
            for fault in faults {
                let place = match &fault {
                    SiteFault::Host(_) => &hosts,
                    SiteFault::Prefix(_) => &prefix,
                };
                place
                    .iter()
                    .for_each(|it| it.blame(fault.to_string(), None));
            }
        });
        faults.ok()
    }
}
