//! `countersign config explain`: every key with the value that holds, and where
//! that value comes from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_dialect::document::{TomlDocument, duration_text};
use countersign_gateway::{AddressSource, CorsPolicy, ProxyFamily};
use countersign_relay::{UpstreamHost, UpstreamSettings};
use serde_json::json;

use super::settings::{
    ApiSection, GuardSection, LogFormat, Overrides, ServerSection, Settings, TlsSection,
};
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
    let lines = lines(settings).into_iter().map(|line| {
        let key = line.pointer.trim_start_matches('/').replace('/', ".");
        let from = match (over.flag(&line.pointer), written(&line.pointer)) {
            (Some(flag), _) => flag.to_owned(),
            (None, Some(number)) => format!("{origin}:{number}"),
            (None, None) => line.otherwise,
        };
        (key, line.value, from)
    });
    lines.collect()
}

fn lines(settings: &Settings) -> Vec<Line> {
    let mut lines = Lines::under("/server", "default");
    server(&settings.server, &mut lines);
    let mut all = lines.lines;
    let mut store = Lines::under("/store", "default");
    store.say("data", &settings.data.display());
    store.span("clock_gap", settings.clock_gap);
    all.extend(store.lines);
    for section in &settings.apis {
        all.extend(api(section));
    }
    all
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

    fn files(&mut self, keys: [&str; 2], tls: Option<&TlsSection>) {
        let shown = |path: &PathBuf| path.display().to_string();
        self.option(keys[0], tls.map(|it| shown(&it.certificate)));
        self.option(keys[1], tls.map(|it| shown(&it.key)));
    }
}

fn server(server: &ServerSection, lines: &mut Lines) {
    lines.say("listen", &server.listen);
    lines.say("admin_listen", &server.admin_listen);
    lines.option("probe_listen", server.probe_listen);
    lines.files(["tls_certificate", "tls_key"], server.tls.as_ref());
    let admin = ["admin_tls_certificate", "admin_tls_key"];
    lines.files(admin, server.admin_tls.as_ref());
    lines.say("http2", &server.http2);
    lines.list("trusted_proxies", server.addresses.trusted.networks());
    let source = match (server.proxy_protocol, server.addresses.source) {
        (true, _) => "proxy-protocol",
        (false, AddressSource::Peer) => "peer",
        (false, AddressSource::Forwarded) => "forwarded",
        (false, AddressSource::XForwardedFor) => "x-forwarded-for",
    };
    lines.say("client_address", &source);
    lines.say(
        "log",
        &match server.log {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        },
    );
    limits(server, lines);
}

fn limits(server: &ServerSection, lines: &mut Lines) {
    let limits = &server.limits;
    lines.span("header_read_timeout", limits.header_read_timeout);
    lines.span("idle_timeout", limits.idle_timeout);
    lines.span("body_timeout", limits.body_timeout);
    lines.span("write_timeout", limits.write_timeout);
    lines.option("request_timeout", limits.request_timeout.map(duration_text));
    lines.span("drain_timeout", limits.drain_timeout);
    lines.span("tunnel_idle_timeout", limits.tunnel_idle_timeout);
    lines.say("max_connections", &limits.max_connections);
    let otherwise = "a quarter of max_connections, at least 16".to_owned();
    let share = limits.max_connections_per_address.map(|it| it.to_string());
    lines.push("max_connections_per_address", share, otherwise);
    lines.say("max_buffered_bytes", &limits.max_buffered_bytes);
    lines.from("hashing", &server.hashing, "one for each core".to_owned());
    lines.say("hashing_waiting", &server.hashing_waiting);
    lines.say("hashing_waiting_known", &server.hashing_waiting_known);
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
    lines.list("guards", guard.routes.guarded());
    let rules = match guard.routes.rules() {
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
