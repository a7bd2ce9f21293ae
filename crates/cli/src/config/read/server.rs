//! `[server]`: where the listeners are, who is believed, and their limits.

use std::net::SocketAddr;
use std::path::Path;

use countersign_dialect::document::{TomlTable, TomlValue};
use countersign_gateway::{AddressPolicy, AddressSource, TrustedProxies};
use countersign_transport::{ListenerLimits, ListenerTls};

use super::scalar::{address, file, number, positive};
use crate::config::settings::{LogFormat, Overrides, ServerSection, TlsSection, share_of};

pub(super) fn read(table: &TomlTable<'_>, base: &Path, over: &Overrides) -> ServerSection {
    let default = ServerSection::default();
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let listen = address(table.get("listen")).unwrap_or(default.listen);
    let log = table.get("log").and_then(|it| it.choice(&formats));
    let admin_tls = tls(table, ["admin_tls_certificate", "admin_tls_key"], base);
    let (addresses, proxy_protocol) = addresses(table);
    ServerSection {
        listen,
        admin_listen: admin_listen(table, listen, admin_tls.is_wanted(), over)
            .unwrap_or(default.admin_listen),
        probe_listen: address(table.get("probe_listen")),
        tls: tls(table, ["tls_certificate", "tls_key"], base).loaded(),
        admin_tls: admin_tls.loaded(),
        http2: boolean(table, "http2").unwrap_or(default.http2),
        addresses,
        proxy_protocol,
        log: log.unwrap_or(default.log),
        limits: limits(table),
        hashing: number(table.get("hashing"), 1, 64).unwrap_or(default.hashing),
        hashing_waiting: number(table.get("hashing_waiting"), 0, 10_000)
            .unwrap_or(default.hashing_waiting),
        hashing_waiting_known: number(table.get("hashing_waiting_known"), 0, 10_000)
            .unwrap_or(default.hashing_waiting_known),
    }
}

fn boolean(table: &TomlTable<'_>, key: &str) -> Option<bool> {
    table.get(key).and_then(|it| it.boolean())
}

/// The certificate that a listener is to have.
enum Wanted {
    None,
    /// It is named; `None` if what is named cannot be used.
    Some(Option<TlsSection>),
}

impl Wanted {
    fn is_wanted(&self) -> bool {
        matches!(self, Self::Some(_))
    }

    fn loaded(self) -> Option<TlsSection> {
        match self {
            Self::None => None,
            Self::Some(tls) => tls,
        }
    }
}

/// A certificate and its key stand together; both files are read, so that what
/// is wrong with them is told before anything is served.
fn tls(table: &TomlTable<'_>, keys: [&str; 2], base: &Path) -> Wanted {
    let (certificate, key) = match keys.map(|key| table.get(key)) {
        [None, None] => return Wanted::None,
        [Some(certificate), Some(key)] => (certificate, key),
        [Some(alone), None] => return lonely(&alone, keys[1]),
        [None, Some(alone)] => return lonely(&alone, keys[0]),
    };
    let files = (file(&certificate, base), file(&key, base));
    let (Some(certificate_file), Some(key_file)) = files else {
        return Wanted::Some(None);
    };
    let loaded = ListenerTls::load(&certificate_file, &key_file);
    let loaded = loaded.map_err(|fault| certificate.blame(fault.to_string(), None));
    Wanted::Some(loaded.ok().map(|tls| TlsSection {
        certificate: certificate_file,
        key: key_file,
        tls,
    }))
}

fn lonely(alone: &TomlValue<'_>, other: &str) -> Wanted {
    alone.blame(format!("needs `{other}` beside it"), None);
    Wanted::Some(None)
}

/// What the command line names instead is what will be bound, so it is judged and
/// not the file.
fn admin_listen(
    table: &TomlTable<'_>,
    listen: SocketAddr,
    tls: bool,
    over: &Overrides,
) -> Option<SocketAddr> {
    let value = table.get("admin_listen")?;
    let address = address(table.get("admin_listen"))?;
    if over.admin_listen.is_some() {
        return Some(address);
    }
    let listen = over.listen.unwrap_or(listen);
    if !address.ip().is_loopback() && !tls {
        let message = "is no loopback address: give it admin_tls_certificate and admin_tls_key";
        value.blame(message, None);
    } else if address == listen && address.port() != 0 {
        value.blame("is where the API listens", None);
    }
    Some(address)
}

/// Whose word on addresses is taken, and whether it is spoken by the PROXY
/// protocol.
fn addresses(table: &TomlTable<'_>) -> (AddressPolicy, bool) {
    let sources = [
        ("peer", (AddressSource::Peer, false)),
        ("forwarded", (AddressSource::Forwarded, false)),
        ("x-forwarded-for", (AddressSource::XForwardedFor, false)),
        ("proxy-protocol", (AddressSource::Peer, true)),
    ];
    let trusted = table.get("trusted_proxies").and_then(|it| proxies(&it));
    let value = table.get("client_address");
    let chosen = value.as_ref().and_then(|it| it.choice(&sources));
    let (source, proxy_protocol) = chosen.unwrap_or((AddressSource::Peer, false));
    let believes = source != AddressSource::Peer || proxy_protocol;
    if let Some(value) = value.filter(|_| believes && trusted.is_none()) {
        let message = "needs `trusted_proxies`, the proxies that are believed";
        value.blame(message, None);
    }
    let trusted = trusted.unwrap_or_default();
    (AddressPolicy { trusted, source }, proxy_protocol)
}

fn proxies(value: &TomlValue<'_>) -> Option<TrustedProxies> {
    let parsed = TrustedProxies::parse(&value.texts()?);
    parsed
        .map_err(|fault| value.blame(fault.to_string(), None))
        .ok()
}

fn limits(table: &TomlTable<'_>) -> ListenerLimits {
    let default = ListenerLimits::default();
    let span = |key| table.get(key).and_then(|it| positive(&it));
    let count = |key| number(table.get(key), 1, 1_000_000);
    let max_connections = count("max_connections").unwrap_or(default.max_connections);
    let share = count("max_connections_per_address");
    ListenerLimits {
        header_read_timeout: span("header_read_timeout").unwrap_or(default.header_read_timeout),
        idle_timeout: span("idle_timeout").unwrap_or(default.idle_timeout),
        body_timeout: span("body_timeout").unwrap_or(default.body_timeout),
        write_timeout: span("write_timeout").unwrap_or(default.write_timeout),
        request_timeout: span("request_timeout").or(default.request_timeout),
        drain_timeout: span("drain_timeout").unwrap_or(default.drain_timeout),
        tunnel_idle_timeout: span("tunnel_idle_timeout").unwrap_or(default.tunnel_idle_timeout),
        max_connections,
        max_buffered_bytes: number(table.get("max_buffered_bytes"), 1 << 20, 1 << 40)
            .unwrap_or(default.max_buffered_bytes),
        max_connections_per_address: share.or_else(|| Some(share_of(max_connections))),
        ..default
    }
}
