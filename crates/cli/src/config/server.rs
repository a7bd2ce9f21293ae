//! `[server]`: where the listeners are, which proxies are trusted, and their limits.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use countersign_dialect::document::{TomlTable, TomlValue};
use countersign_domain::account::InvalidText;
use countersign_gateway::{AddressPolicy, AddressSource, TrustedProxies};
use countersign_transport::{ListenerLimits, ListenerTls};
use serde_json::Value;

use super::kinds::{
    ValueKind, address, boolean, by_hand, choice, file, number, optional, shown_path, span,
};
use super::overrides::Overrides;
use super::setting::{GivenValues, SettingsTable, settings};

/// `[server]`: listeners and their limits.
#[derive(Debug)]
pub(crate) struct ServerSection {
    /// Where the API listens.
    pub(crate) listen: SocketAddr,
    /// Where the admin API and the probes listen.
    pub(crate) admin_listen: SocketAddr,
    /// Where the probes listen alone, for monitors that may not reach the admin API.
    pub(crate) probe_listen: Option<SocketAddr>,
    /// The certificate of the API; plain HTTP without one.
    pub(crate) tls: Option<TlsSection>,
    /// The certificate of the admin API; plain HTTP without one.
    pub(crate) admin_tls: Option<TlsSection>,
    /// Whether the API speaks HTTP/2 beside HTTP/1.1.
    pub(crate) http2: bool,
    /// Which proxies may state the address of the client behind them, and how.
    pub(crate) addresses: AddressPolicy,
    /// Whether connections to the API begin with a PROXY protocol header.
    pub(crate) proxy_protocol: bool,
    /// How log lines are written.
    pub(crate) log: LogFormat,
    /// Limits of both listeners.
    pub(crate) limits: ListenerLimits,
    /// How many passwords are hashed at once.
    pub(crate) hashing: usize,
    /// How many more may wait for it: logins from networks that have never used
    /// them successfully.
    pub(crate) hashing_waiting: usize,
    /// How many more may wait for it beside those: operators, and logins from
    /// networks that have used them successfully.
    pub(crate) hashing_waiting_known: usize,
}

/// The certificate of a listener, read.
#[derive(Clone, Debug)]
pub(crate) struct TlsSection {
    /// The file of the certificate chain.
    pub(crate) certificate: PathBuf,
    /// The file of its key.
    pub(crate) key: PathBuf,
    /// What they hold.
    pub(crate) tls: ListenerTls,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for ServerSection {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let limits = ListenerLimits::default();
        Self {
            listen: loopback(8080),
            admin_listen: loopback(8081),
            probe_listen: None,
            tls: None,
            admin_tls: None,
            http2: true,
            addresses: AddressPolicy::default(),
            proxy_protocol: false,
            log: LogFormat::Text,
            limits: ListenerLimits {
                max_connections_per_address: Some(share_of(limits.max_connections)),
                ..limits
            },
            hashing: std::thread::available_parallelism().map_or(1, usize::from),
            hashing_waiting: 64,
            hashing_waiting_known: 512,
        }
    }
}

/// How many of `max_connections` one address may hold by default: enough for a
/// browser or two even where there are few.
fn share_of(max_connections: usize) -> usize {
    (max_connections / 4).max(16)
}

impl ServerSection {
    /// The certificates of all listeners.
    pub(crate) fn certificates(&self) -> Vec<TlsSection> {
        let all = [&self.tls, &self.admin_tls];
        all.into_iter().flatten().cloned().collect()
    }
}

/// The keys of `[server]`.
pub(super) fn server_settings() -> SettingsTable<ServerSection> {
    settings! { ServerSection, Stays:
        /// serves token endpoints and guarded paths
        listen = address(), at(listen), flag("--listen", |over| over.listen.is_some());
        /// serves the admin API, /healthz, /readyz and /metrics; needs TLS unless on loopback
        admin_listen = address(), at(admin_listen),
            flag("--admin-listen", |over| over.admin_listen.is_some());
        /// serves only /healthz, /readyz and /metrics
        probe_listen = optional(address()), at(probe_listen), sample(r#""127.0.0.1:8082""#),
            flag("--probe-listen", |over| over.probe_listen.is_some());
        /// the certificate chain, PEM; read again when it changes
        tls_certificate = by_hand(), shows(|it| certificate(&it.tls)), sample(r#""api.pem""#);
        tls_key = by_hand(), shows(|it| key(&it.tls)), sample(r#""api-key.pem""#);
        admin_tls_certificate = by_hand(), shows(|it| certificate(&it.admin_tls)),
            sample(r#""admin.pem""#);
        admin_tls_key = by_hand(), shows(|it| key(&it.admin_tls)), sample(r#""admin-key.pem""#);
        /// offer HTTP/2 as well as HTTP/1.1: over TLS by ALPN, in plaintext by prior knowledge
        http2 = boolean(), at(http2);
        /// proxies that may state client addresses and ask for verdicts,
        /// e.g. ["127.0.0.1", "10.0.0.0/8"]
        trusted_proxies = proxies(), at(addresses.trusted), stays_if(|it| it.proxy_protocol);
        /// "peer" is the other end of the connection; or, as stated by trusted
        /// proxies, "forwarded", "x-forwarded-for", "proxy-protocol"
        client_address = choice(&ADDRESS_SOURCES),
            by(
                |it| (it.addresses.source, it.proxy_protocol),
                |it, source| (it.addresses.source, it.proxy_protocol) = source
            ),
            stays_if(|it| it.proxy_protocol);
        /// "text", or "json" for one object per line
        log = choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]), at(log);
        /// how long a request head may take from its first byte to its last
        header_read_timeout = span(), at(limits.header_read_timeout);
        /// how long a connection may stay idle between requests
        idle_timeout = span(), at(limits.idle_timeout);
        /// the longest pause within a request body
        body_timeout = span(), at(limits.body_timeout);
        /// how long a peer may leave a response unread
        write_timeout = span(), at(limits.write_timeout);
        /// how long an answer may take to begin after the head of its request has arrived
        request_timeout = optional(span()), at(limits.request_timeout);
        /// how long running requests may continue after SIGTERM
        drain_timeout = span(), at(limits.drain_timeout);
        /// how long a WebSocket may stay silent in both directions
        tunnel_idle_timeout = span(), at(limits.tunnel_idle_timeout);
        max_connections = number(1, 1_000_000), at(limits.max_connections);
        /// from one IPv4 address or IPv6 /64; trusted proxies are exempt
        /// [a quarter of max_connections, at least 16]
        max_connections_per_address = optional(number(1, 1_000_000)),
            at(limits.max_connections_per_address), sample("2500"),
            otherwise(|_| "a quarter of max_connections, at least 16".to_owned());
        /// of answers not yet sent and bodies not yet read, over all connections; each
        /// further request on an HTTP/2 connection counts as 24 KiB
        max_buffered_bytes = number(1 << 20, 1 << 40), at(limits.max_buffered_bytes);
        /// passwords hashed at once [one per core]
        hashing = number(1, 64), at(hashing), sample("2"),
            otherwise(|_| "one per core".to_owned());
        /// password checks that may queue for logins from networks that have never
        /// used them successfully; further ones get 503
        hashing_waiting = number(0, 10_000), at(hashing_waiting);
        /// additional password checks that may queue for logins from networks known to them
        hashing_waiting_known = number(0, 10_000), at(hashing_waiting_known);
    }
}

/// Where the address of a client is taken from, and whether the PROXY protocol states it.
const ADDRESS_SOURCES: [(&str, (AddressSource, bool)); 4] = [
    ("peer", (AddressSource::Peer, false)),
    ("forwarded", (AddressSource::Forwarded, false)),
    ("x-forwarded-for", (AddressSource::XForwardedFor, false)),
    ("proxy-protocol", (AddressSource::Peer, true)),
];

fn certificate(tls: &Option<TlsSection>) -> Value {
    tls.as_ref()
        .map_or(Value::Null, |it| shown_path(&it.certificate))
}

fn key(tls: &Option<TlsSection>) -> Value {
    tls.as_ref().map_or(Value::Null, |it| shown_path(&it.key))
}

fn proxies() -> ValueKind<TrustedProxies> {
    let read = |value: &TomlValue<'_>, _: &Path| {
        let parsed = TrustedProxies::parse(&value.texts()?);
        parsed
            .map_err(|InvalidText { message, help }| value.blame(message, help))
            .ok()
    };
    let shown = |it: &TrustedProxies| it.networks().iter().map(ToString::to_string).collect();
    ValueKind::new(read, shown)
}

/// Reads `[server]`, and checks those of its settings that depend on each other.
pub(super) fn read_section(table: &TomlTable<'_>, base: &Path, over: &Overrides) -> ServerSection {
    let mut server = ServerSection::default();
    let given = server_settings().read(table, base, &mut server);
    let admin_tls = tls(&given, ["admin_tls_certificate", "admin_tls_key"], base);
    judge_admin_listen(&given, &server, admin_tls.is_wanted(), over);
    judge_client_address(&given, &server);
    server.tls = tls(&given, ["tls_certificate", "tls_key"], base).loaded();
    server.admin_tls = admin_tls.loaded();
    let limits = &mut server.limits;
    if given.sound("max_connections_per_address").is_none() {
        limits.max_connections_per_address = Some(share_of(limits.max_connections));
    }
    server
}

/// The certificate that a listener is to have.
enum TlsChoice {
    None,
    /// It is named; `None` if what is named cannot be used.
    Some(Option<TlsSection>),
}

impl TlsChoice {
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

/// A certificate and its key are needed together; both files are read, so that what
/// is wrong with them is reported before anything is served.
fn tls(given: &GivenValues<'_>, keys: [&str; 2], base: &Path) -> TlsChoice {
    let (certificate, key) = match keys.map(|key| given.sound(key)) {
        [None, None] => return TlsChoice::None,
        [Some(certificate), Some(key)] => (certificate, key),
        [Some(alone), None] => return lonely(alone, keys[1]),
        [None, Some(alone)] => return lonely(alone, keys[0]),
    };
    let files = (file(certificate, base), file(key, base));
    let (Some(certificate_file), Some(key_file)) = files else {
        return TlsChoice::Some(None);
    };
    let loaded = ListenerTls::load(&certificate_file, &key_file);
    let loaded = loaded.map_err(|fault| {
        certificate.blame(fault.to_string(), fault.help().map(str::to_owned));
    });
    TlsChoice::Some(loaded.ok().map(|tls| TlsSection {
        certificate: certificate_file,
        key: key_file,
        tls,
    }))
}

fn lonely(alone: &TomlValue<'_>, other: &str) -> TlsChoice {
    alone.blame(format!("needs `{other}` as well"), None);
    TlsChoice::Some(None)
}

/// An address of the command line is the one that will be bound, so that of the file
/// is not checked then.
fn judge_admin_listen(
    given: &GivenValues<'_>,
    server: &ServerSection,
    tls: bool,
    over: &Overrides,
) {
    let Some(value) = given.sound("admin_listen") else {
        return;
    };
    if over.admin_listen.is_some() {
        return;
    }
    let (address, listen) = (server.admin_listen, over.listen.unwrap_or(server.listen));
    if !address.ip().is_loopback() && !tls {
        let help = "set `admin_tls_certificate` and `admin_tls_key`";
        value.blame("is not a loopback address", Some(help.to_owned()));
    } else if address == listen && address.port() != 0 {
        value.blame("is where the API listens", None);
    }
}

/// If proxies are to state the address of the client, some must be trusted to.
fn judge_client_address(given: &GivenValues<'_>, server: &ServerSection) {
    let believes = server.addresses.source != AddressSource::Peer || server.proxy_protocol;
    let trusted = given.sound("trusted_proxies");
    if let Some(value) = given
        .sound("client_address")
        .filter(|_| believes && trusted.is_none())
    {
        let message = "needs `trusted_proxies`, the proxies that may state it";
        value.blame(message, None);
    }
}
