//! Reads the configuration file: every key, how it is written, and what is
//! wrong with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_dialect::document::{Document, Key, Table, Value, did_you_mean};
use countersign_dialect::{Dialect, Mistakes};
use countersign_domain::ApiName;
use countersign_domain::session::{DEFAULT_WINDOW, Lifetimes};
use countersign_gateway::{
    Access, Claim, Family, RouteFault, Routes, Rule, Site, Slash, Timeouts, TrustedProxies,
    UpstreamUrl, overlaps,
};
use countersign_transport::Limits;
use http::Method;

use super::settings::{
    ApiSection, DEFAULT_DATA, GuardSection, LogFormat, MAX_WINDOW, ServerSection, Settings,
};

/// Reads a configuration; `origin` names it in messages, and dialect files are
/// looked for from `base` on.
///
/// # Errors
///
/// Every mistake in the file, and in the dialect files that it names.
pub(crate) fn read(source: &str, origin: &str, base: &Path) -> Result<Settings, Mistakes> {
    let document = Document::parse(source, origin)?;
    let root = document.root();
    let mut foreign = Vec::new();
    let server = root
        .get("server")
        .and_then(|it| it.table())
        .map(|it| server(&it));
    let data = root
        .get("store")
        .and_then(|it| it.table())
        .and_then(|it| data(&it));
    let apis = root.get("apis").and_then(|it| it.table()).map(|table| {
        let read = table.entries().into_iter().filter_map(|(name, value)| {
            let mut api = ApiReader {
                base,
                foreign: &mut foreign,
                table: value.table()?,
            };
            api.read(&name, &table)
        });
        let apis: Vec<ApiSection> = read.collect();
        blame_overlaps(&apis, &table);
        apis
    });
    drop(root);
    let settings = Settings {
        server: server.unwrap_or_default(),
        data: data.unwrap_or_else(|| PathBuf::from(DEFAULT_DATA)),
        apis: apis.unwrap_or_default(),
    };
    let result = document.finish(Some(settings));
    if foreign.is_empty() {
        return result;
    }
    let mut mistakes = result.err().map(|own| own.0).unwrap_or_default();
    mistakes.extend(foreign);
    Err(Mistakes(mistakes))
}

fn server(table: &Table<'_>) -> ServerSection {
    let default = ServerSection::default();
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let listen = address(table.get("listen")).unwrap_or(default.listen);
    let log = table.get("log").and_then(|it| it.choice(&formats));
    ServerSection {
        listen,
        admin_listen: admin_listen(table, listen).unwrap_or(default.admin_listen),
        log: log.unwrap_or(default.log),
        limits: limits(table),
        hashing: number(table.get("hashing"), 1, 64).unwrap_or(default.hashing),
        hashing_waiting: number(table.get("hashing_waiting"), 0, 10_000)
            .unwrap_or(default.hashing_waiting),
        trusted_proxies: trusted_proxies(table).unwrap_or_default(),
    }
}

fn trusted_proxies(table: &Table<'_>) -> Option<TrustedProxies> {
    let value = table.get("trusted_proxies")?;
    let parsed = TrustedProxies::parse(&value.texts()?);
    parsed
        .map_err(|error| value.blame(error.to_string(), None))
        .ok()
}

fn admin_listen(table: &Table<'_>, listen: SocketAddr) -> Option<SocketAddr> {
    let value = table.get("admin_listen")?;
    let address = address(table.get("admin_listen"))?;
    if !address.ip().is_loopback() {
        value.blame("is no loopback address, and the admin API has no TLS", None);
    } else if address == listen && address.port() != 0 {
        value.blame("is where the API listens", None);
    }
    Some(address)
}

fn limits(table: &Table<'_>) -> Limits {
    let default = Limits::default();
    let span = |key| table.get(key).and_then(|it| positive(&it));
    Limits {
        header_read_timeout: span("header_read_timeout").unwrap_or(default.header_read_timeout),
        idle_timeout: span("idle_timeout").unwrap_or(default.idle_timeout),
        body_timeout: span("body_timeout").unwrap_or(default.body_timeout),
        write_timeout: span("write_timeout").unwrap_or(default.write_timeout),
        request_timeout: span("request_timeout").or(default.request_timeout),
        drain_timeout: span("drain_timeout").unwrap_or(default.drain_timeout),
        max_connections: number(table.get("max_connections"), 1, 1_000_000)
            .unwrap_or(default.max_connections),
        ..default
    }
}

fn data(table: &Table<'_>) -> Option<PathBuf> {
    let value = table.get("data")?;
    match value.text()? {
        "" => {
            value.blame("names no directory", None);
            None
        }
        text => Some(PathBuf::from(text)),
    }
}

/// One `[apis.NAME]` table.
struct ApiReader<'a, 'd> {
    base: &'a Path,
    /// Mistakes in dialect files.
    foreign: &'a mut Vec<countersign_dialect::Mistake>,
    table: Table<'d>,
}

impl ApiReader<'_, '_> {
    fn read(&mut self, name: &Key<'_>, apis: &Table<'_>) -> Option<ApiSection> {
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
        let lifetimes = self.lifetimes(dialect.as_deref());
        let guard = self.guard(dialect.as_deref());
        Some(ApiSection {
            name: parsed?,
            dialect: dialect?,
            lifetimes: lifetimes?,
            passwords,
            guard: guard?,
        })
    }

    /// A name without a slash is a dialect that comes with the program, any
    /// other text a file.
    fn dialect(&mut self, value: &Value<'_>) -> Option<Arc<Dialect>> {
        let text = value.text()?;
        let is_file = text.contains('/') || Path::new(text).extension().is_some();
        let (source, origin) = if is_file {
            let path = self.base.join(text);
            let read = std::fs::read_to_string(&path);
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
        let dialect = compiled
            .map_err(|mistakes| self.foreign.extend(mistakes.0))
            .ok()?;
        if !dialect.serves().issuer {
            value.blame("is a dialect for clients only: it cannot issue", None);
            return None;
        }
        Some(Arc::new(dialect))
    }

    fn lifetimes(&self, dialect: Option<&Dialect>) -> Option<Lifetimes> {
        let given = ["access", "refresh", "absolute"].map(|key| self.lifetime(key));
        let window = self.window();
        let preset = dialect?.preset();
        let [access, refresh, absolute] = given;
        let lifetimes = Lifetimes {
            access: access.unwrap_or(Some(preset.access))?,
            refresh: refresh.unwrap_or(Some(preset.refresh))?,
            absolute: absolute.unwrap_or(Some(preset.absolute))?,
            window: window.unwrap_or(Some(DEFAULT_WINDOW))?,
        };
        if lifetimes.access > lifetimes.refresh || lifetimes.refresh > lifetimes.absolute {
            let written = ["access", "refresh", "absolute"].map(|key| self.table.get(key));
            let message = "needs access <= refresh <= absolute, also with the dialect's preset";
            written
                .iter()
                .flatten()
                .take(1)
                .for_each(|value| value.blame(message, None));
        }
        Some(lifetimes)
    }

    /// `None` if it is not given, `Some(None)` if it is wrong.
    fn lifetime(&self, key: &str) -> Option<Option<Duration>> {
        let value = self.table.get(key)?;
        let span = positive(&value);
        if span.is_some_and(|span| span.subsec_nanos() != 0) {
            value.blame(
                "is no whole number of seconds, which is how tokens say it",
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

    /// `Some(None)`: an issuer without a guard.
    fn guard(&self, dialect: Option<&Dialect>) -> Option<Option<GuardSection>> {
        let upstream = self.table.get("upstream").map(|value| upstream(&value));
        let guards = self.table.get("guards");
        let rules = self.table.get("routes").map(|value| rules(&value));
        let timeouts = timeouts(&self.table);
        let forward = self
            .table
            .get("forward_authorization")
            .and_then(|it| it.boolean());
        let forward_auth = self
            .table
            .get("forward_auth")
            .and_then(|it| it.choice(&Family::NAMED));
        let Some(guards) = guards else {
            let judges = forward_auth.is_some();
            let timed = ["connect_timeout", "response_timeout"];
            let timed = timed.iter().any(|key| self.table.get(key).is_some());
            if upstream.is_some() || rules.is_some() || forward.is_some() || judges || timed {
                let message = "needs `guards`, the paths that are guarded, e.g. [\"/v1/*\"]";
                self.table.blame(message);
            }
            return Some(None);
        };
        if upstream.is_none() && self.table.get("forward_auth").is_none() {
            let message = "needs `upstream`, the guarded API, e.g. \"http://127.0.0.1:9000\", or \
                           `forward_auth`, the kind of proxy that forwards to it";
            self.table.blame(message);
        }
        let routes = routes(&guards, rules.unwrap_or(Some(Vec::new())), dialect);
        Some(Some(GuardSection {
            upstream: upstream.map_or(Some(None), |it| it.map(Some))?,
            routes: routes?,
            timeouts,
            forward_authorization: forward.unwrap_or(false),
            forward_auth,
        }))
    }
}

/// A rule, and where its path stands.
type PlacedRule<'d> = (Rule, Value<'d>);

/// Rules that are wrong themselves (`None`) do not hide what is wrong with the
/// paths.
fn routes(
    guards: &Value<'_>,
    rules: Option<Vec<PlacedRule<'_>>>,
    dialect: Option<&Dialect>,
) -> Option<Routes> {
    let slash_optional =
        dialect.is_some_and(|it| it.operations().any(|operation| operation.slash_optional));
    let slash = if slash_optional {
        Slash::Optional
    } else {
        Slash::Exact
    };
    let good = rules.is_some();
    let (rules, places): (Vec<_>, Vec<_>) = rules.unwrap_or_default().into_iter().unzip();
    let paths: Vec<_> = rules.iter().map(|rule: &Rule| rule.path.clone()).collect();
    let compiled = Routes::new(&guards.texts()?, rules, slash);
    let routes = compiled.map_err(|faults| {
        for fault in faults {
            let (RouteFault::Pattern { path, .. }
            | RouteFault::Outside(path)
            | RouteFault::ScopesInPublic(path)
            | RouteFault::Scope { path, .. }
            | RouteFault::Twice { second: path, .. }) = &fault;
            let rule = paths.iter().rposition(|written| written == path);
            let place = rule.and_then(|rule| places.get(rule)).unwrap_or(guards);
            place.blame(fault.to_string(), None);
        }
    });
    routes.ok().filter(|_| good)
}

fn upstream(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let checked = text.parse::<UpstreamUrl>();
    checked
        .map_err(|fault| value.blame(fault.to_string(), None))
        .ok()?;
    Some(text.to_owned())
}

fn timeouts(table: &Table<'_>) -> Timeouts {
    let default = Timeouts::default();
    let span = |key| table.get(key).and_then(|it| positive(&it));
    Timeouts {
        connect: span("connect_timeout").unwrap_or(default.connect),
        response_head: span("response_timeout").unwrap_or(default.response_head),
        ..default
    }
}

fn rules<'d>(value: &Value<'d>) -> Option<Vec<PlacedRule<'d>>> {
    let rules = value
        .array()?
        .into_iter()
        .map(|it| it.table().and_then(|table| rule(&table)));
    // All are read before the first that fails ends it, so that all are reported.
    rules.collect::<Vec<_>>().into_iter().collect()
}

fn rule<'d>(table: &Table<'d>) -> Option<PlacedRule<'d>> {
    let accesses = [("public", Access::Public), ("protected", Access::Protected)];
    let path = table.require("path");
    let text = path.as_ref().and_then(Value::text);
    let access = table.require("access").and_then(|it| it.choice(&accesses));
    let methods = table
        .get("methods")
        .map_or(Some(Vec::new()), |it| methods(&it));
    let rule = Rule {
        methods: methods?,
        path: text?.to_owned(),
        access: access?,
        scopes: Vec::new(),
    };
    Some((rule, path?))
}

fn methods(value: &Value<'_>) -> Option<Vec<Method>> {
    let texts = value.texts()?;
    if texts.is_empty() {
        value.blame("names no method; leave it out for every method", None);
        return None;
    }
    let read = texts.into_iter().map(|text| {
        let known = Method::from_bytes(text.as_bytes()).ok();
        let known = known.filter(|_| text.bytes().all(|byte| byte.is_ascii_uppercase()));
        if known.is_none() {
            value.blame(
                format!("{text:?} is no method; write it in capitals, e.g. \"GET\""),
                None,
            );
        }
        known
    });
    read.collect::<Vec<_>>().into_iter().collect()
}

fn blame_overlaps(apis: &[ApiSection], table: &Table<'_>) {
    let anywhere = Site::default();
    let claims: Vec<Claim<'_>> = apis
        .iter()
        .map(|api| Claim {
            api: &api.name,
            site: &anywhere,
            dialect: &api.dialect,
            routes: api.guard.as_ref().map(|guard| &guard.routes),
        })
        .collect();
    for overlap in overlaps(&claims) {
        table.blame(overlap.to_string());
    }
}

fn address(value: Option<Value<'_>>) -> Option<SocketAddr> {
    let value = value?;
    let parsed = value.text()?.parse().ok();
    if parsed.is_none() {
        value.blame("is no address and port like 127.0.0.1:8080", None);
    }
    parsed
}

fn number(value: Option<Value<'_>>, least: i64, most: i64) -> Option<usize> {
    usize::try_from(value?.integer(least, most)?).ok()
}

fn positive(value: &Value<'_>) -> Option<Duration> {
    let span = value.duration()?;
    if span.is_zero() {
        value.blame("must be more than nothing", None);
        return None;
    }
    Some(span)
}
