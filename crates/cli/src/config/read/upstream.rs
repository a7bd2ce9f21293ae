//! The upstream of the built-in proxy.

use std::path::Path;
use std::time::Duration;

use countersign_client::NamedFile;
use countersign_dialect::document::{TomlTable, TomlValue};
use countersign_outbound::{ServerUrl, ServerUrlFault, TrustedRoots};
use countersign_relay::{HealthCheck, UpstreamHost, UpstreamSettings, UpstreamTimeouts};

use crate::config::kinds::{file, positive};
use crate::config::settings::UpstreamSection;

/// Every key that is read here.
pub(super) const KEYS: [&str; 10] = [
    "upstream",
    "upstream_ca",
    "upstream_http2",
    "upstream_host",
    "connect_timeout",
    "response_timeout",
    "body_timeout",
    "upstream_idle_timeout",
    "health_path",
    "health_interval",
];

/// Whose `Host` the upstream gets.
const HOSTS: [(&str, UpstreamHost); 2] = [
    ("upstream", UpstreamHost::Upstream),
    ("client", UpstreamHost::Client),
];

/// From one check of its health to the next.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);

/// `None` if there is none, `Some(None)` if it is wrong.
pub(super) fn upstream(api: &TomlTable<'_>, base: &Path) -> Option<Option<UpstreamSection>> {
    let timeouts = timeouts(api);
    let health = health(api);
    let http2 = api.get("upstream_http2").and_then(|it| it.boolean());
    let host = api.get("upstream_host").and_then(|it| it.choice(&HOSTS));
    let (ca, roots) = match api.get("upstream_ca") {
        Some(value) => authorities(&value, base).unzip(),
        None => (None, Some(TrustedRoots::System)),
    };
    let Some(value) = api.get("upstream") else {
        let alone = KEYS.iter().find(|key| api.get(key).is_some());
        if let Some(key) = alone.filter(|_| api.get("guards").is_some()) {
            api.blame(format!("needs `upstream`, which `{key}` is about"));
        }
        return None;
    };
    let settings = url(&value).zip(roots).map(|(url, roots)| UpstreamSettings {
        timeouts,
        roots,
        health,
        http2: http2.unwrap_or(false),
        host: host.unwrap_or_default(),
        ..UpstreamSettings::new(url)
    });
    let section = settings.and_then(|settings| {
        let checked = settings.check();
        let sound = checked.map_err(|fault| value.blame(fault.to_string(), None));
        sound.ok().map(|()| UpstreamSection { settings, ca })
    });
    Some(section)
}

fn url(value: &TomlValue<'_>) -> Option<ServerUrl> {
    let parsed = value.text()?.parse();
    parsed
        .map_err(|fault: ServerUrlFault| {
            value.blame(fault.to_string(), None);
        })
        .ok()
}

fn authorities(value: &TomlValue<'_>, base: &Path) -> Option<(std::path::PathBuf, TrustedRoots)> {
    let path = file(value, base)?;
    match NamedFile::open(&path).and_then(|it| it.bytes(NamedFile::LARGEST_TEXT)) {
        Ok(pem) => Some((path, TrustedRoots::Pem(pem.to_vec()))),
        Err(error) => {
            value.blame(format!("cannot be read: {error}"), None);
            None
        }
    }
}

fn health(api: &TomlTable<'_>) -> Option<HealthCheck> {
    let interval = api.get("health_interval").and_then(|it| positive(&it));
    let path = api.get("health_path")?;
    Some(HealthCheck {
        path: path.text()?.to_owned(),
        interval: interval.unwrap_or(HEALTH_INTERVAL),
    })
}

fn timeouts(table: &TomlTable<'_>) -> UpstreamTimeouts {
    let default = UpstreamTimeouts::default();
    let span = |key| table.get(key).and_then(|it: TomlValue<'_>| positive(&it));
    UpstreamTimeouts {
        connect: span("connect_timeout").unwrap_or(default.connect),
        response_head: span("response_timeout").unwrap_or(default.response_head),
        body_idle: span("body_timeout").unwrap_or(default.body_idle),
        keep_alive: span("upstream_idle_timeout").unwrap_or(default.keep_alive),
        ..default
    }
}
