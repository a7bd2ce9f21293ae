//! `[apis.NAME]`: where an api is, its dialect, and the lifetimes of its tokens.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_client::NamedFile;
use countersign_dialect::document::{TomlKey, TomlTable, TomlValue, did_you_mean, duration_text};
use countersign_dialect::{Dialect, Mistake, VendorPreset};
use countersign_domain::account::InvalidText;
use countersign_domain::session::{DEFAULT_WINDOW, SessionLifetimes};
use countersign_domain::{ApiLimits, ApiName};
use countersign_gateway::{ApiSite, CorsPolicy, SiteFault};
use countersign_server::api::{ApiSettings, VariantSettings};
use countersign_server::throttle::ThrottleSettings;
use serde_json::{Value, json};

use super::guard::{self, GuardSection};
use super::kinds::{ValueKind, boolean, by_hand, positive, read_count};
use super::limits::limits_settings;
use super::setting::{GivenValues, SettingsTable, settings};

/// `[apis.NAME]`.
#[derive(Debug)]
pub(crate) struct ApiSection {
    /// The settings of the issuer; those of the dialect's preset unless given.
    pub(crate) issuing: ApiSettings,
    /// Where on the listener it is.
    pub(crate) site: ApiSite,
    /// The origins whose pages may call it; `None` if no other origin's may.
    pub(crate) cors: Option<CorsPolicy>,
    /// Its guard; `None` if it only issues tokens.
    pub(crate) guard: Option<GuardSection>,
}

/// The longest replay window that may be configured: beyond it a thief gains
/// more than an honest client that retries.
const MAX_WINDOW: Duration = Duration::from_secs(300);

impl ApiSection {
    /// What holds by default for an api that speaks this dialect.
    fn from_preset(name: ApiName, dialect: Arc<Dialect>) -> Self {
        let lifetimes = |preset: &VendorPreset| SessionLifetimes {
            access: preset.access,
            refresh: preset.refresh,
            absolute: preset.absolute,
            window: DEFAULT_WINDOW,
        };
        let preset = dialect.preset();
        let variants = dialect
            .variant_presets()
            .map(|(variant, preset)| VariantSettings {
                variant,
                lifetimes: lifetimes(preset),
                budget: preset.budget,
            });
        let issuing = ApiSettings {
            name,
            lifetimes: lifetimes(preset),
            limits: ApiLimits {
                budget: preset.budget,
                ..ApiLimits::default()
            },
            variants: variants.collect(),
            throttle: ThrottleSettings::from_preset(preset),
            passwords: true,
            dialect,
        };
        Self {
            issuing,
            site: ApiSite::default(),
            cors: None,
            guard: None,
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &ApiName {
        &self.issuing.name
    }

    /// Where a value comes from that is not in the file: the dialect's preset, if that
    /// states it.
    pub(super) fn preset_if(&self, stated: bool) -> String {
        if stated {
            format!("the preset of {}", self.issuing.dialect.name())
        } else {
            "default".to_owned()
        }
    }

    /// Lifetimes that are given for an api hold for all variants.
    fn live(&mut self, set: impl Fn(&mut SessionLifetimes)) {
        set(&mut self.issuing.lifetimes);
        let variants = self.issuing.variants.iter_mut();
        variants.for_each(|own| set(&mut own.lifetimes));
    }

    fn spend(&mut self, budget: Option<u32>) {
        self.issuing.limits.budget = budget;
        let variants = self.issuing.variants.iter_mut();
        variants.for_each(|own| own.budget = budget);
    }
}

/// The keys of `[apis.NAME]` that are not about its guard.
pub(super) fn api_settings() -> SettingsTable<ApiSection> {
    settings! { ApiSection, Changes:
        /// the vendor's wire format: one that is shipped (`countersign dialect list`) or a file
        dialect = by_hand(), shows(|it| json!(it.issuing.dialect.name())), required();
        /// host names that it answers to, e.g. ["pay.example.com"]; all if empty
        hosts = by_hand(), shows(|it| json!(it.site.hosts()));
        /// e.g. "/pay": the start of all paths of the api
        prefix = by_hand(), shows(|it| json!(it.site.prefix()));
        /// e.g. ["https://app.example.com"], or ["*"]: origins whose pages in browsers may call it
        cors = origins(), at(cors);
        /// how long an access token lives; these three are by default the dialect's preset
        access = lifetime(),
            by(|it| it.issuing.lifetimes.access, |it, span| it.live(|life| life.access = span)),
            otherwise(|it| it.preset_if(it.issuing.dialect.stated_lives().access.is_some()));
        /// how long a refresh token lives
        refresh = lifetime(),
            by(|it| it.issuing.lifetimes.refresh, |it, span| it.live(|life| life.refresh = span)),
            otherwise(|it| it.preset_if(it.issuing.dialect.stated_lives().refresh.is_some()));
        /// how long a session lives at most, however often it is refreshed
        absolute = lifetime(),
            by(|it| it.issuing.lifetimes.absolute, |it, span| it.live(|life| life.absolute = span)),
            otherwise(|it| it.preset_if(it.issuing.dialect.stated_lives().absolute.is_some()));
        /// how long the same refresh, sent again, gets the same answer; 5m at most
        replay_window = window(),
            by(|it| it.issuing.lifetimes.window, |it, span| it.live(|life| life.window = span));
        /// whether operators may set passwords, not only generated keys
        passwords = boolean(), at(issuing.passwords);
        /// guarded requests with one access token, or "unlimited"; by default the dialect's preset
        budget = budget(), by(|it| it.issuing.limits.budget, ApiSection::spend),
            otherwise(|it| it.preset_if(it.issuing.dialect.preset().budget.is_some()));
    }
}

/// How long something lives.
fn lifetime() -> ValueKind<Duration> {
    let read = |value: &TomlValue<'_>, _: &Path| {
        let span = positive(value)?;
        if span.subsec_nanos() != 0 {
            value.blame(
                "is not a whole number of seconds, the unit of lifetimes in tokens",
                None,
            );
            return None;
        }
        Some(span)
    };
    ValueKind::new(read, |it| json!(duration_text(*it)))
}

fn window() -> ValueKind<Duration> {
    let read = |value: &TomlValue<'_>, _: &Path| {
        let span = value.duration()?;
        if span > MAX_WINDOW {
            value.blame("is longer than 5m, the longest replay window", None);
        }
        Some(span)
    };
    ValueKind::new(read, |it| json!(duration_text(*it)))
}

/// A number of requests; `None` for any.
fn budget() -> ValueKind<Option<u32>> {
    let read = |value: &TomlValue<'_>, _: &Path| {
        if !value.is_text() {
            return read_count(value).map(|number| Some(number.get()));
        }
        if value.text()? == "unlimited" {
            return Some(None);
        }
        value.blame("is neither a number of requests nor \"unlimited\"", None);
        None
    };
    ValueKind::new(read, |it| shown_budget(*it))
}

/// As [`budget`] shows it.
pub(super) fn shown_budget(budget: Option<u32>) -> Value {
    budget.map_or(json!("unlimited"), |it| json!(it))
}

/// The origins whose pages may call it.
fn origins() -> ValueKind<Option<CorsPolicy>> {
    let read = |value: &TomlValue<'_>, _: &Path| {
        let policy = CorsPolicy::parse(&value.texts()?);
        let policy = policy.map_err(|faults| {
            for fault in faults {
                value.blame(fault.to_string(), fault.help());
            }
        });
        policy.ok()
    };
    let origins = |it: &Option<CorsPolicy>| json!(it.as_ref().map_or(vec![], CorsPolicy::origins));
    ValueKind::new(read, origins)
}

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
    /// Reads the whole table. If its name or dialect cannot be read, those of the example
    /// take their place, so that all other mistakes are reported too.
    pub(super) fn read(&mut self, name: &TomlKey<'_>, apis: &TomlTable<'_>) -> Option<ApiSection> {
        let parsed: Option<ApiName> = name
            .name
            .parse()
            .map_err(|InvalidText { message, help }| apis.blame_key(name, message, help))
            .ok();
        let dialect = self.table.get("dialect");
        let dialect = dialect.and_then(|value| self.dialect(&value));
        let mut section = ApiSection::from_preset(
            parsed.clone().or_else(|| "pay".parse().ok())?,
            dialect.clone().or_else(example_dialect)?,
        );
        let given = api_settings().read(&self.table, self.base, &mut section);
        if dialect.is_some() {
            judge_lifetimes(&given, &section.issuing);
        }
        if let Some(limits) = self.table.get("limits").and_then(|it| it.table()) {
            limits_settings().read(&limits, self.base, &mut section);
        }
        let site = site(&given);
        section.guard = guard::read_section(&self.table, dialect.as_deref(), self.base)?;
        section.site = site?;
        (parsed.is_some() && dialect.is_some()).then_some(section)
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
                let help = did_you_mean(text, names).unwrap_or_else(|| {
                    "name one that `countersign dialect list` lists, or a file".to_owned()
                });
                value.blame("is not a dialect that comes with the program", Some(help));
                None
            });
            (shipped?.to_owned(), text.to_owned())
        };
        let compiled = Dialect::compile(&source, &origin);
        let dialect = compiled.map_err(|mistakes| self.foreign.extend(mistakes.0));
        dialect.ok().map(Arc::new)
    }
}

fn example_dialect() -> Option<Arc<Dialect>> {
    let source = Dialect::shipped("b2binpay")?;
    Dialect::compile(source, "b2binpay").ok().map(Arc::new)
}

fn judge_lifetimes(given: &GivenValues<'_>, api: &ApiSettings) {
    let keys = ["access", "refresh", "absolute"];
    if keys.iter().any(|key| given.is_wrong(key)) {
        return;
    }
    // Without a refresh token, the life of one bounds nothing.
    let variants = api.variants.iter();
    let refreshed = variants.filter(|it| api.dialect.refreshes(it.variant));
    let mut all = refreshed.map(|it| it.lifetimes).chain([api.lifetimes]);
    if all.all(|it| it.access <= it.refresh && it.refresh <= it.absolute) {
        return;
    }
    let message = "needs access <= refresh <= absolute, also with the dialect's preset";
    if let Some(value) = keys.iter().find_map(|key| given.sound(key)) {
        value.blame(message, None);
    }
}

/// Its host names and the prefix of its paths.
fn site(given: &GivenValues<'_>) -> Option<ApiSite> {
    let (hosts, prefix) = (given.sound("hosts"), given.sound("prefix"));
    let names = hosts.map_or(Some(Vec::new()), TomlValue::texts);
    let start = prefix.map_or(Some(""), TomlValue::text);
    let faults = ApiSite::parse(&names?, start?).map_err(|faults| {
        for fault in faults {
            let place = match &fault {
                SiteFault::Host(_) => hosts,
                SiteFault::Prefix(_) => prefix,
            };
            let help = Some(fault.help().to_owned());
            if let Some(place) = place {
                place.blame(fault.to_string(), help);
            }
        }
    });
    faults.ok()
}
