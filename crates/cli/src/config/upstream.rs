//! The keys of `[apis.NAME]` about the upstream of the built-in proxy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_client::NamedFile;
use countersign_dialect::document::{TomlTable, TomlValue};
use countersign_outbound::{ServerUrl, ServerUrlFault, TrustedRoots};
use countersign_relay::{HealthCheck, UpstreamHost, UpstreamSettings};
use serde_json::{Value, json};

use super::kinds::{ValueKind, boolean, choice, file, optional, shown_path, span, text};
use super::setting::{GivenValues, SettingsTable, settings};

/// The guarded API of the built-in proxy.
#[derive(Debug)]
pub(crate) struct UpstreamSection {
    /// What it is.
    pub(crate) settings: UpstreamSettings,
    /// The file of the authorities that may certify it; else the system's.
    pub(crate) ca: Option<PathBuf>,
}

/// Which `Host` header is sent to the upstream.
const HOSTS: [(&str, UpstreamHost); 2] = [
    ("upstream", UpstreamHost::Upstream),
    ("client", UpstreamHost::Client),
];

/// How often its health is checked by default.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);

/// The keys of the upstream.
pub(super) fn upstream_settings() -> SettingsTable<UpstreamSection> {
    settings! { UpstreamSection, Changes:
        /// where guarded requests are forwarded to; http:// or https://
        upstream = url(), at(settings.url);
        /// certificates of the authorities that the upstream's must be issued by [the system's]
        upstream_ca = authorities(),
            by(
                |it| (it.ca.clone(), it.settings.roots.clone()),
                |it, found| (it.ca, it.settings.roots) = found
            ),
            sample(r#""upstream-ca.pem""#);
        /// use HTTP/2: over TLS by ALPN, else by prior knowledge; gRPC needs it
        upstream_http2 = boolean(), at(settings.http2);
        /// the Host header that it receives: its own, or that of the "client"
        upstream_host = choice(&HOSTS), at(settings.host);
        connect_timeout = span(), at(settings.timeouts.connect);
        /// how long the upstream's answer may take to begin; its head may have 64 KiB
        response_timeout = span(), at(settings.timeouts.response_head);
        /// the longest pause within a request or response body
        body_timeout = span(), at(settings.timeouts.body_idle);
        /// how long an unused connection is kept; set it shorter than the upstream's own
        upstream_idle_timeout = span(), at(settings.timeouts.keep_alive);
        /// requested every health_interval; the upstream counts as down after two failures
        health_path = optional(text()),
            by(|it| it.settings.health.as_ref().map(|it| it.path.clone()), set_health_path),
            sample(r#""/health""#);
        health_interval = optional(span()),
            by(|it| it.settings.health.as_ref().map(|it| it.interval), set_health_interval),
            sample(r#""5s""#);
    }
}

fn set_health_path(upstream: &mut UpstreamSection, path: Option<String>) {
    upstream.settings.health = path.map(|path| HealthCheck {
        path,
        interval: HEALTH_INTERVAL,
    });
}

/// Without a path, health is not checked and there is no interval.
fn set_health_interval(upstream: &mut UpstreamSection, interval: Option<Duration>) {
    if let Some((health, interval)) = upstream.settings.health.as_mut().zip(interval) {
        health.interval = interval;
    }
}

fn url() -> ValueKind<ServerUrl> {
    let read = |value: &TomlValue<'_>, _: &Path| {
        let parsed = value.text()?.parse();
        parsed
            .map_err(|fault: ServerUrlFault| {
                value.blame(fault.to_string(), Some(fault.help().to_owned()));
            })
            .ok()
    };
    ValueKind::new(read, |it: &ServerUrl| json!(it.to_string()))
}

/// A file of certificates, and what it holds.
fn authorities() -> ValueKind<(Option<PathBuf>, TrustedRoots)> {
    let read = |value: &TomlValue<'_>, base: &Path| {
        let path = file(value, base)?;
        match NamedFile::open(&path).and_then(|it| it.bytes(NamedFile::LARGEST_TEXT)) {
            Ok(pem) => Some((Some(path), TrustedRoots::Pem(pem.to_vec()))),
            Err(error) => {
                value.blame(format!("cannot be read: {error}"), None);
                None
            }
        }
    };
    let shown = |(path, _): &(Option<PathBuf>, _)| path.as_deref().map_or(Value::Null, shown_path);
    ValueKind::new(read, shown)
}

/// Reads the keys of the upstream that are given. If `upstream` is not among them, the
/// section holds a placeholder that must not be used.
pub(super) fn read_section<'d>(
    api: &TomlTable<'d>,
    base: &Path,
) -> Option<(GivenValues<'d>, UpstreamSection)> {
    let mut upstream = UpstreamSection {
        settings: UpstreamSettings::new("http://127.0.0.1:9000".parse().ok()?),
        ca: None,
    };
    let given = upstream_settings().read(api, base, &mut upstream);
    if let Some(value) = given.sound("upstream") {
        let checked = upstream.settings.check();
        checked.unwrap_or_else(|fault| {
            value.blame(fault.to_string(), fault.help().map(str::to_owned));
        });
    }
    Some((given, upstream))
}
