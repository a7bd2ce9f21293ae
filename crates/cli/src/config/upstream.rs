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

/// Whose `Host` the upstream gets.
const HOSTS: [(&str, UpstreamHost); 2] = [
    ("upstream", UpstreamHost::Upstream),
    ("client", UpstreamHost::Client),
];

/// From one check of its health to the next.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);

/// The keys of the upstream.
pub(super) fn upstream_settings() -> SettingsTable<UpstreamSection> {
    settings! { UpstreamSection, Changes:
        /// or https://
        upstream = url(), at(settings.url);
        /// who certifies it [the system's authorities]
        upstream_ca = authorities(),
            by(
                |it| (it.ca.clone(), it.settings.roots.clone()),
                |it, found| (it.ca, it.settings.roots) = found
            ),
            sample(r#""upstream-ca.pem""#);
        /// over TLS by ALPN, else by prior knowledge; gRPC needs it
        upstream_http2 = boolean(), at(settings.http2);
        /// whose Host it gets: its own, or the "client"'s
        upstream_host = choice(&HOSTS), at(settings.host);
        connect_timeout = span(), at(settings.timeouts.connect);
        /// to the head of the upstream's answer, of 64 KiB at most
        response_timeout = span(), at(settings.timeouts.response_head);
        /// the longest pause within a body, either way
        body_timeout = span(), at(settings.timeouts.body_idle);
        /// how long an unused connection is kept: less than the upstream keeps it
        upstream_idle_timeout = span(), at(settings.timeouts.keep_alive);
        /// asked every health_interval; down after two failures
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

/// Without a path, nothing is asked.
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

/// Reads the keys of the upstream that are given. If `upstream` is not among them, what
/// is read is worth nothing.
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
