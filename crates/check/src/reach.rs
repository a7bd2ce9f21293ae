//! The way to the vendor, a step at a time: its name and each of its addresses,
//! or the proxy that knows them, TLS, and whether somebody answers where the login is.
//!
//! The login's path is asked for with a method that it is not served with, and
//! without credentials: that changes nothing (RFC 9110 section 9.2.1) and counts
//! for no vendor as a failed login.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use countersign_client::{Clock, Error, Profile, SystemClock};
use countersign_dialect::redirect_target;
use countersign_domain::{Timestamp, TokenOperation};
use countersign_outbound::{
    HTTP_1_1, HandshakeDistrust, OutboundProxy, OutboundTls, ProxyRules, ServerConnector,
    ServerStream, ServerUrl, TlsOnPlainPort, TrustedRoots, client_config, failure_help,
    failure_reason,
};
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::{CheckFinding, CheckVerdict, vendor_clock};

/// How long each step may take.
const LIMIT: Duration = Duration::from_secs(5);
/// A certificate that ends sooner should have been renewed.
const SOON: Duration = Duration::from_secs(14 * 24 * 3_600);

/// Looks at the way to the vendor's token endpoints, and to its API if that is
/// elsewhere.
///
/// # Errors
///
/// The certificate authorities that the profile names cannot be read.
pub async fn way_findings(profile: &Profile) -> Result<Vec<CheckFinding>, Error> {
    let mut operations = profile.dialect.operations();
    let login = operations
        .find(|it| it.operation == TokenOperation::Login && it.variant == profile.variant);
    let Some(login) = login else {
        return Ok(Vec::new());
    };
    let (roots, proxies) = (profile.roots()?, profile.proxies());
    let target = VendorTarget {
        url: &profile.auth_url,
        roots: &roots,
        proxies: &proxies,
        login: Some((&login.path, &login.method)),
    };
    let mut found = checks(&target).await;
    if profile.auth_url != profile.url {
        let api = VendorTarget {
            url: &profile.url,
            roots: &roots,
            proxies: &proxies,
            login: None,
        };
        found.extend(checks(&api).await);
    }
    Ok(found)
}

/// Where the vendor is, and what is asked there.
struct VendorTarget<'p> {
    url: &'p ServerUrl,
    roots: &'p TrustedRoots,
    proxies: &'p ProxyRules,
    /// The path of the login, and the method that it is served with, if it is
    /// there.
    login: Option<(&'p str, &'p Method)>,
}

impl VendorTarget<'_> {
    fn path(&self) -> &str {
        self.login.map_or("/", |(path, _)| path)
    }

    /// What is looked at, for people.
    fn what(&self) -> &'static str {
        self.login.map_or("API", |_| "login path")
    }

    /// Makes further connections, in the open.
    fn another_way(&self) -> Option<ServerConnector> {
        let proxy = self.proxies.proxy_for(self.url).ok()?;
        Some(ServerConnector::new(None, LIMIT).through(proxy))
    }

    /// A safe method that nothing is served with which changes something.
    fn harmless(&self) -> Method {
        match self.login {
            Some((_, served)) if *served != Method::GET => Method::GET,
            _ => Method::HEAD,
        }
    }
}

/// Goes as far as the way leads.
async fn checks(target: &VendorTarget<'_>) -> Vec<CheckFinding> {
    let mut checks = Vec::new();
    // What has failed is among the checks.
    let _ = go(target, &mut checks).await;
    checks
}

async fn go(target: &VendorTarget<'_>, checks: &mut Vec<CheckFinding>) -> Option<()> {
    let uri = target.url.target(target.path(), None).ok()?;
    let stream = match proxy(target, checks)? {
        Some(proxy) => led(&proxy, &uri, checks).await?,
        None => {
            let addresses = resolve(target, &uri, checks).await?;
            ServerStream::plain(connect(&addresses, checks).await?)
        }
    };
    if !target.url.is_https() {
        let said = "nothing is encrypted: the URL is http";
        checks.push(CheckFinding::new("TLS", CheckVerdict::Skipped, said));
        return ask(target, &uri, stream, checks).await;
    }
    let stream = secure(target, &uri, stream, checks).await?;
    ask(target, &uri, stream, checks).await
}

/// The proxy on the way, if there is one.
fn proxy(
    target: &VendorTarget<'_>,
    checks: &mut Vec<CheckFinding>,
) -> Option<Option<OutboundProxy>> {
    if let Some(source) = target.proxies.passed_over(target.url) {
        let said = format!(
            "{source} is not used for {}, which is on this machine or in NO_PROXY",
            target.url.name()
        );
        checks.push(CheckFinding::new("proxy", CheckVerdict::Skipped, said));
    }
    let proxy = target.proxies.proxy_for(target.url);
    let proxy = proxy.map_err(|fault| {
        let check = CheckFinding::new("proxy", CheckVerdict::Bad, fault.to_string());
        checks.push(check.with_help_of(fault.help()));
    });
    proxy.ok()
}

/// Names are not looked up here: that is the proxy's part.
async fn led(
    proxy: &OutboundProxy,
    uri: &Uri,
    checks: &mut Vec<CheckFinding>,
) -> Option<ServerStream> {
    let begun = Instant::now();
    let connected = proxy.connect(uri, LIMIT).await;
    let source = proxy.source();
    let check = match &connected {
        Ok(_) => {
            let said = format!(
                "{proxy} (of {source}) connects to {}",
                uri.host().unwrap_or("")
            );
            CheckFinding::new("proxy", CheckVerdict::Good, said)
        }
        Err(error) => {
            let said = format!("{} (of {source})", failure_reason(&**error));
            CheckFinding::new("proxy", CheckVerdict::Unreachable, said)
                .with_help_of(failure_help(&**error))
        }
    };
    checks.push(check.in_time(begun.elapsed()));
    connected.ok()
}

async fn resolve(
    target: &VendorTarget<'_>,
    uri: &Uri,
    checks: &mut Vec<CheckFinding>,
) -> Option<Vec<SocketAddr>> {
    let port = if target.url.is_https() { 443 } else { 80 };
    let host = (target.url.name(), uri.port_u16().unwrap_or(port));
    let begun = Instant::now();
    let found = in_time(tokio::net::lookup_host(host)).await;
    let found: io::Result<Vec<_>> = found.map(Iterator::collect);
    checks.push(named(target.url.name(), &found).in_time(begun.elapsed()));
    found.ok()
}

fn named(name: &str, found: &io::Result<Vec<SocketAddr>>) -> CheckFinding {
    let (found, said) = match found {
        Ok(_) if name.parse::<IpAddr>().is_ok() => (
            CheckVerdict::Good,
            format!("{name} is an address, not a name"),
        ),
        Ok(addresses) => {
            let addresses: Vec<_> = addresses.iter().map(|it| it.ip().to_string()).collect();
            (
                CheckVerdict::Good,
                format!("{name} is {}", addresses.join(", ")),
            )
        }
        Err(error) => {
            let said = format!("{name} has no address: {error}");
            (CheckVerdict::Unreachable, said)
        }
    };
    CheckFinding::new("DNS", found, said)
}

/// Tries every address: a vendor that allows one of ours may see another when
/// we reach it over IPv6.
async fn connect(addresses: &[SocketAddr], checks: &mut Vec<CheckFinding>) -> Option<TcpStream> {
    let mut connected = None;
    for address in addresses {
        let begun = Instant::now();
        let stream = in_time(TcpStream::connect(address)).await;
        let check = match &stream {
            Ok(stream) => {
                let from = stream.local_addr().map(|it| it.ip().to_string());
                let from = from.unwrap_or_default();
                CheckFinding::new(
                    "TCP",
                    CheckVerdict::Good,
                    format!("{address} answers, from {from}"),
                )
            }
            Err(error) => {
                let said = format!("{address} does not answer: {error}");
                CheckFinding::new("TCP", CheckVerdict::Unreachable, said)
            }
        };
        checks.push(check.in_time(begun.elapsed()));
        connected = connected.or(stream.ok());
    }
    if connected.is_some() {
        soften(checks);
    }
    connected
}

/// Where one address answers, another that does not is only slow.
fn soften(checks: &mut [CheckFinding]) {
    for check in checks {
        if check.found == CheckVerdict::Unreachable {
            check.found = CheckVerdict::Doubtful;
        }
    }
}

async fn secure(
    target: &VendorTarget<'_>,
    uri: &Uri,
    stream: ServerStream,
    checks: &mut Vec<CheckFinding>,
) -> Option<ServerStream> {
    let begun = Instant::now();
    let shaken = shake_hands(target, uri, stream).await;
    let check = match &shaken {
        Ok(wire) => described(wire),
        Err(Untrusted::Other(why)) => CheckFinding::new("TLS", CheckVerdict::Bad, why),
        Err(Untrusted::Handshake(error)) => {
            let found = match error.is_of_the_certificate() {
                true => CheckVerdict::Bad,
                false => CheckVerdict::Unreachable,
            };
            CheckFinding::new("TLS", found, failure_reason(error)).with_help_of(cure(error))
        }
    };
    checks.push(check.in_time(begun.elapsed()));
    shaken.ok()
}

/// What mends it, if that is known.
fn cure(error: &HandshakeDistrust) -> Option<&'static str> {
    match error {
        HandshakeDistrust::Issuer(_) => {
            Some("name the PEM file of its authority with `roots` in the profile")
        }
        other => other.help(),
    }
}

enum Untrusted {
    Handshake(HandshakeDistrust),
    Other(String),
}

async fn shake_hands(
    target: &VendorTarget<'_>,
    uri: &Uri,
    stream: ServerStream,
) -> Result<ServerStream, Untrusted> {
    let other = |why: &dyn std::fmt::Display| Untrusted::Other(why.to_string());
    let config = client_config(target.roots, &[HTTP_1_1]).map_err(|it| other(&it))?;
    let name = ServerName::try_from(target.url.name().to_owned()).map_err(|it| other(&it))?;
    let shaken = tokio::time::timeout(LIMIT, OutboundTls::new(config, name).secured(stream)).await;
    let shaken = shaken.unwrap_or_else(|_| Err(HandshakeDistrust::from_error(late())));
    match (shaken, target.another_way()) {
        (Ok(wire), _) => Ok(wire),
        (Err(why), Some(again)) => Err(Untrusted::Handshake(again.explained(why, uri).await)),
        (Err(why), None) => Err(Untrusted::Handshake(why)),
    }
}

fn described(wire: &ServerStream) -> CheckFinding {
    let tls = wire.tls();
    let version = tls.and_then(|it| it.protocol_version()?.as_str());
    let version = version.unwrap_or("TLS").replace('v', " ").replace('_', ".");
    let first = tls.and_then(|it| it.peer_certificates()?.first());
    let end = first.and_then(|it| countersign_transport::not_after(it));
    let Some(end) = end.map(Timestamp::from) else {
        return CheckFinding::new("TLS", CheckVerdict::Good, version);
    };
    let now = SystemClock.now();
    let found = if end.since(now) < SOON {
        CheckVerdict::Doubtful
    } else {
        CheckVerdict::Good
    };
    let said = format!("{version}, its certificate ends {}", end.relative_to(now));
    CheckFinding::new("TLS", found, said)
}

async fn ask<S>(
    target: &VendorTarget<'_>,
    uri: &Uri,
    stream: S,
    checks: &mut Vec<CheckFinding>,
) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let begun = Instant::now();
    let asked = SystemClock.now();
    let mut answer = in_time(exchange(target, uri, stream)).await;
    if speaks_tls(target, uri, &answer).await {
        answer = Err(io::Error::other(TlsOnPlainPort));
    }
    let answered = SystemClock.now();
    let check = match &answer {
        Ok((status, headers)) => judge(target, uri, *status, headers),
        Err(error) => {
            let said = format!("{} gives no answer: {}", uri.path(), failure_reason(error));
            CheckFinding::new(target.what(), CheckVerdict::Unreachable, said)
                .with_help_of(failure_help(error))
        }
    };
    checks.push(check.in_time(begun.elapsed()));
    let (_, headers) = answer.ok()?;
    checks.push(vendor_clock::check(
        vendor_clock::date(&headers),
        asked,
        answered,
    ));
    Some(())
}

/// Whether an answer in plaintext, or a missing one, is that of a server that speaks TLS. A
/// 400 need not say so, for example to HEAD.
async fn speaks_tls(
    target: &VendorTarget<'_>,
    uri: &Uri,
    answer: &io::Result<(StatusCode, HeaderMap)>,
) -> bool {
    let again = target.another_way().filter(|_| !target.url.is_https());
    let Some(again) = again else {
        return false;
    };
    match answer {
        Ok((StatusCode::BAD_REQUEST, _)) => again.finds_tls(uri).await,
        Ok(_) => false,
        Err(lost) => again.should_speak_tls(uri, lost).await,
    }
}

async fn exchange<S>(
    target: &VendorTarget<'_>,
    uri: &Uri,
    stream: S,
) -> io::Result<(StatusCode, HeaderMap)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // If the connection ends early, the request that waits for the answer fails with the error.
    tokio::spawn(async { drop(connection.await) });
    let request = Request::builder()
        .method(target.harmless())
        .uri(uri.path())
        .header(HOST, target.url.host())
        .header(USER_AGENT, "countersign")
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    let (head, _) = response.into_parts();
    Ok((head.status, head.headers))
}

fn judge(
    target: &VendorTarget<'_>,
    uri: &Uri,
    status: StatusCode,
    headers: &HeaderMap,
) -> CheckFinding {
    let (method, path) = (target.harmless(), uri.path());
    let answer = format!("{method} {path} is answered with {}", status.as_u16());
    let (found, meaning, help) = match status.as_u16() {
        300..=399 if target.login.is_none() => (CheckVerdict::Good, String::new(), None),
        300..=399 => (
            CheckVerdict::Bad,
            leads_to(headers),
            Some("write the right `url` in the profile"),
        ),
        403 => (
            CheckVerdict::Doubtful,
            ": this address may not be on the vendor's list".to_owned(),
            None,
        ),
        404 | 410 if target.login.is_some() => (
            CheckVerdict::Doubtful,
            String::new(),
            Some(
                "if a login fails, too, look at `url` in the profile, or name where the token \
                 endpoints are with `auth_url`",
            ),
        ),
        429 => (
            CheckVerdict::Doubtful,
            ": too many requests were made".to_owned(),
            None,
        ),
        500..=599 => (
            CheckVerdict::Unreachable,
            ": the vendor is in trouble".to_owned(),
            None,
        ),
        _ => (CheckVerdict::Good, String::new(), None),
    };
    CheckFinding::new(target.what(), found, format!("{answer}{meaning}")).with_help_of(help)
}

fn leads_to(headers: &HeaderMap) -> String {
    let to = redirect_target(headers).map(|it| format!(" to {it}"));
    let to = to.unwrap_or_default();
    format!(": a redirect{to}, which a login does not follow")
}

async fn in_time<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let done = tokio::time::timeout(LIMIT, step).await;
    done.unwrap_or_else(|_| Err(late()))
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}
