//! `countersign config explain`: every key with the value that holds, and where
//! that value comes from.

use std::path::Path;
use std::time::Duration;

use countersign_dialect::document::{TomlDocument, duration_text};
use countersign_gateway::{CorsPolicy, ProxyFamily};
use countersign_relay::{UpstreamHost, UpstreamSettings};
use serde_json::{Value, json};

use super::overrides::Overrides;
use super::server::server_settings;
use super::setting::SettingsTable;
use super::settings::{ApiSection, GuardSection, Settings};
use super::store::store_settings;
use super::{load, source_of};
use crate::exit::Failure;
use crate::output::Output;
use crate::table::Table;

/// A key with the value that holds.
struct Line {
    /// Its JSON pointer in the file.
    pointer: String,
    /// `None` where there is none.
    value: Option<String>,
    /// Where the value comes from if the file does not say it.
    otherwise: String,
    /// Whether that holds even if the file does say it.
    overridden: bool,
}

/// A key, its value, and where that comes from.
pub(super) type Explained = (String, Option<String>, String);

/// Prints the explanation of a file, with what the command line says over it.
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

/// Every key of settings that were read from `source`, and what `over` says over
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

fn lines(settings: &Settings, over: &Overrides) -> Vec<Line> {
    let mut all = declared("/server", &server_settings(), &settings.server, over);
    all.extend(declared("/store", &store_settings(), &settings.store, over));
    for section in &settings.apis {
        all.extend(api(section));
    }
    all
}

/// The lines of a table whose keys are declared.
fn declared<S>(
    pointer: &str,
    table: &SettingsTable<S>,
    section: &S,
    over: &Overrides,
) -> Vec<Line> {
    let lines = table.0.iter().map(|setting| {
        let (otherwise, overridden) = setting.source(section, over);
        Line {
            pointer: format!("{pointer}/{}", setting.key),
            value: plain(&setting.value(section)),
            otherwise,
            overridden,
        }
    });
    lines.collect()
}

/// A value as people read it; nothing for none.
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

/// The lines of one table.
struct Lines {
    pointer: String,
    otherwise: String,
    lines: Vec<Line>,
}

impl Lines {
    fn under(pointer: &str, otherwise: &str) -> Self {
        Self {
            pointer: pointer.to_owned(),
            otherwise: otherwise.to_owned(),
            lines: Vec::new(),
        }
    }

    fn say(&mut self, key: &str, value: &dyn ToString) {
        let otherwise = self.otherwise.clone();
        self.from(key, value, otherwise);
    }

    fn from(&mut self, key: &str, value: &dyn ToString, otherwise: String) {
        self.push(key, Some(value.to_string()), otherwise);
    }

    fn push(&mut self, key: &str, value: Option<String>, otherwise: String) {
        self.lines.push(Line {
            pointer: format!("{}/{key}", self.pointer),
            value,
            otherwise,
            overridden: false,
        });
    }

    fn span(&mut self, key: &str, span: Duration) {
        self.say(key, &duration_text(span));
    }

    /// A value that need not be there.
    fn option(&mut self, key: &str, value: Option<impl ToString>) {
        let otherwise = self.otherwise.clone();
        self.push(key, value.map(|it| it.to_string()), otherwise);
    }

    fn list<T: ToString>(&mut self, key: &str, values: impl IntoIterator<Item = T>) {
        let values: Vec<_> = values.into_iter().map(|it| it.to_string()).collect();
        self.option(key, Some(values.join(" ")).filter(|text| !text.is_empty()));
    }
}

fn api(section: &ApiSection) -> Vec<Line> {
    let pointer = format!("/apis/{}", section.name);
    let mut lines = Lines::under(&pointer, "default");
    let preset = || format!("the preset of {}", section.dialect.name());
    let stated = |is_there: bool| match is_there {
        true => preset(),
        false => "default".to_owned(),
    };
    let lives = section.dialect.stated_lives();
    lines.say("dialect", &section.dialect.name());
    lines.list("hosts", section.site.hosts());
    let prefix = Some(section.site.prefix()).filter(|it| !it.is_empty());
    lines.option("prefix", prefix);
    let origins = section.cors.as_ref().map(CorsPolicy::origins);
    lines.list("cors", origins.unwrap_or_default());
    let times = &section.lifetimes;
    for (key, span, of_vendor) in [
        ("access", times.access, lives.access),
        ("refresh", times.refresh, lives.refresh),
        ("absolute", times.absolute, lives.absolute),
    ] {
        lines.from(key, &duration_text(span), stated(of_vendor.is_some()));
    }
    lines.span("replay_window", times.window);
    lines.say("passwords", &section.passwords);
    let budget = budget_text(section.limits.budget);
    let of_vendor = section.dialect.preset().budget;
    lines.from("budget", &budget, stated(of_vendor.is_some()));
    for own in &section.variants {
        let name = section.dialect.variant_name(own.variant);
        let preset = || format!("{} for {name}", preset());
        if own.lifetimes.access != times.access {
            let access = duration_text(own.lifetimes.access);
            lines.from(&format!("access ({name})"), &access, preset());
        }
        if own.lifetimes.refresh != times.refresh {
            let refresh = duration_text(own.lifetimes.refresh);
            lines.from(&format!("refresh ({name})"), &refresh, preset());
        }
        if own.budget != section.limits.budget {
            let key = format!("budget ({name})");
            lines.from(&key, &budget_text(own.budget), preset());
        }
    }
    if let Some(guard) = &section.guard {
        guarded(guard, &mut lines);
    }
    let mut all = lines.lines;
    all.extend(account_limits(section, &pointer));
    all
}

fn budget_text(budget: Option<u32>) -> String {
    budget.map_or("unlimited".to_owned(), |it| it.to_string())
}

fn account_limits(section: &ApiSection, pointer: &str) -> Vec<Line> {
    let mut lines = Lines::under(&format!("{pointer}/limits"), "default");
    let (limits, throttle) = (&section.limits, &section.throttle);
    lines.say("sessions", &limits.sessions);
    lines.say("mints_per_minute", &limits.mints_per_minute);
    lines.option("requests_per_second", limits.requests_per_second);
    let vendor = section.dialect.preset();
    let otherwise = match vendor.logins_per_minute {
        Some(_) => format!("the preset of {}", section.dialect.name()),
        None => "default".to_owned(),
    };
    lines.from("logins_per_minute", &throttle.logins_per_minute, otherwise);
    let network = throttle.network_logins_per_minute;
    lines.say("network_logins_per_minute", &network);
    lines.say("strange_logins_per_hour", &throttle.strange_logins_per_hour);
    lines.option("anonymous_per_minute", throttle.anonymous_per_minute);
    lines.lines
}

fn guarded(guard: &GuardSection, lines: &mut Lines) {
    lines.list("guards", guard.routes.guarded_paths());
    let rules = match guard.routes.rule_count() {
        1 => "1 rule".to_owned(),
        many => format!("{many} rules"),
    };
    lines.say("routes", &rules);
    lines.say("forward_authorization", &guard.forward_authorization);
    let family = guard.forward_auth.map(ProxyFamily::name);
    lines.option("forward_auth", family);
    let Some(upstream) = &guard.upstream else {
        return;
    };
    let UpstreamSettings {
        url,
        timeouts,
        http2,
        host,
        health,
        ..
    } = &upstream.settings;
    lines.say("upstream", &url);
    let authorities = upstream.ca.as_ref().map(|file| file.display());
    lines.option("upstream_ca", authorities);
    lines.say("upstream_http2", &http2);
    let host = match host {
        UpstreamHost::Upstream => "upstream",
        UpstreamHost::Client => "client",
    };
    lines.say("upstream_host", &host);
    lines.span("connect_timeout", timeouts.connect);
    lines.span("response_timeout", timeouts.response_head);
    lines.span("body_timeout", timeouts.body_idle);
    lines.span("upstream_idle_timeout", timeouts.keep_alive);
    lines.option("health_path", health.as_ref().map(|it| &it.path));
    let interval = health.as_ref().map(|it| duration_text(it.interval));
    lines.option("health_interval", interval);
}
