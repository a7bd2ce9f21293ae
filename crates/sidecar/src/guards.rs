//! Who may use a sidecar: programs on this machine, but no page in a browser.
//!
//! A page can make a browser send requests to ports of this machine, and with a host name of
//! its own that resolves to this machine (DNS rebinding) can even read the responses. So on a
//! port the `Host` must be the sidecar's own, and requests with headers that only browsers send
//! are refused. No page can reach a Unix domain socket.

use countersign_dialect::Secret;
use countersign_transport::is_loopback_host;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, header};

use crate::problem::{ProblemCause, SidecarProblem};

/// The field in which a program sends the key, if a sidecar requires one. It is never
/// forwarded.
pub const KEY: HeaderName = HeaderName::from_static("x-countersign-key");

/// Where requests arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SidecarEntrance {
    /// A socket file, which only its owner can open.
    File,
    /// A port, which every program on this machine can reach.
    Port(u16),
}

/// Refuses requests from pages, and requests without the key.
pub(crate) fn admit(
    fields: &HeaderMap,
    entrance: SidecarEntrance,
    key: Option<&Secret>,
) -> Result<(), SidecarProblem> {
    if let SidecarEntrance::Port(port) = entrance {
        check_host(fields, port)?;
        check_no_browser(fields)?;
    }
    match key {
        Some(key) => check_key(fields, key),
        None => Ok(()),
    }
}

/// Refuses hosts other than this machine.
pub(crate) fn check_host(fields: &HeaderMap, port: u16) -> Result<(), SidecarProblem> {
    let mut hosts = fields.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|it| it.to_str().ok());
    if hosts.next().is_none() && host.is_some_and(|it| is_own(it, port)) {
        return Ok(());
    }
    Err(SidecarProblem::new(
        ProblemCause::ForeignHost,
        format!("the Host is not this sidecar's own: ask for localhost:{port} or 127.0.0.1:{port}"),
    ))
}

fn is_own(host: &str, port: u16) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    is_loopback_host(authority.host())
        && authority.port_u16().unwrap_or(80) == port
        && !host.contains('@')
}

fn check_no_browser(fields: &HeaderMap) -> Result<(), SidecarProblem> {
    let is_of_browsers =
        |name: &HeaderName| *name == header::ORIGIN || name.as_str().starts_with("sec-fetch-");
    match fields.keys().find(|name| is_of_browsers(name)) {
        None => Ok(()),
        Some(name) => Err(SidecarProblem::new(
            ProblemCause::Browser,
            format!("{name} is a header of browsers, and no page may use this sidecar"),
        )),
    }
}

/// In constant time.
fn check_key(fields: &HeaderMap, key: &Secret) -> Result<(), SidecarProblem> {
    let mut sent = fields.get_all(KEY).iter();
    let only = sent.next().filter(|_| sent.next().is_none());
    let text = only.and_then(|it| it.to_str().ok());
    if text.is_some_and(|it| Secret::from(it) == *key) {
        return Ok(());
    }
    Err(SidecarProblem::new(
        ProblemCause::Key,
        "this sidecar asks for its key, which is missing or wrong: send it in X-Countersign-Key",
    ))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const PORT: SidecarEntrance = SidecarEntrance::Port(9001);

    fn refused(
        entrance: SidecarEntrance,
        key: Option<&str>,
        sent: &[(&'static str, &str)],
    ) -> String {
        let mut fields = HeaderMap::new();
        for (name, value) in sent {
            fields.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let key = key.map(Secret::from);
        let refused = admit(&fields, entrance, key.as_ref()).err();
        refused.map_or("", |problem| problem.code()).to_owned()
    }

    #[test]
    fn over_a_port_the_host_is_its_own() {
        for own in [
            "127.0.0.1:9001",
            "localhost:9001",
            "LocalHost:9001",
            "[::1]:9001",
            "127.9.9.9:9001",
        ] {
            assert_eq!(refused(PORT, None, &[("host", own)]), "", "{own}");
        }
        for foreign in [
            "",
            "localhost",
            "localhost:9002",
            "127.0.0.1",
            "rebound.example:9001",
            "localhost.example:9001",
            "127.0.0.1.example:9001",
            "10.0.0.1:9001",
            "[::2]:9001",
            "a@localhost:9001",
        ] {
            let found = refused(PORT, None, &[("host", foreign)]);
            assert_eq!(found, "foreign_host", "{foreign}");
        }
        assert_eq!(refused(PORT, None, &[]), "foreign_host");
        let twice = [("host", "localhost:9001"), ("host", "localhost:9001")];
        assert_eq!(refused(PORT, None, &twice), "foreign_host");
        let default = SidecarEntrance::Port(80);
        assert_eq!(refused(default, None, &[("host", "localhost")]), "");
    }

    #[test]
    fn over_a_port_no_page_is_let_in() {
        for (name, value) in [
            ("origin", "null"),
            ("origin", "http://localhost:9001"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "navigate"),
        ] {
            let sent = [("host", "localhost:9001"), (name, value)];
            assert_eq!(refused(PORT, None, &sent), "browser", "{name}");
            assert_eq!(refused(SidecarEntrance::File, None, &sent), "", "{name}");
        }
    }

    #[test]
    fn a_key_is_asked_for_at_every_entrance() {
        const NAME: &str = "x-countersign-key";
        for (sent, expected) in [
            (&[(NAME, "good")][..], ""),
            (&[], "key"),
            (&[(NAME, "")], "key"),
            (&[(NAME, "goo")], "key"),
            (&[(NAME, "good!")], "key"),
            (&[(NAME, "good"), (NAME, "good")], "key"),
        ] {
            assert_eq!(refused(SidecarEntrance::File, Some("good"), sent), expected);
            let mut over_port = vec![("host", "localhost:9001")];
            over_port.extend(sent);
            assert_eq!(refused(PORT, Some("good"), &over_port), expected);
        }
    }
}
