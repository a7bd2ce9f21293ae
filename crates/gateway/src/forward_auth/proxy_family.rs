//! The kinds of proxies that may ask for a verdict.

/// A kind of proxy, by the headers that it sends with a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyFamily {
    /// `X-Original-Method`, `X-Original-URI`, `X-Forwarded-For`; only 401 and
    /// 403 can be passed on.
    Nginx,
    /// `X-Forwarded-Method`, `X-Forwarded-Uri`, `X-Forwarded-For`.
    Traefik,
    /// The same as Traefik.
    Caddy,
    /// The same as nginx, sent by our Lua action, which passes on any status.
    Haproxy,
    /// The check's own method, the path below the api's, and `X-Forwarded-For`; over
    /// HTTP/1.1 alone.
    Envoy,
}

impl ProxyFamily {
    /// The kinds and their names in configurations.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("nginx", Self::Nginx),
        ("traefik", Self::Traefik),
        ("caddy", Self::Caddy),
        ("haproxy", Self::Haproxy),
        ("envoy", Self::Envoy),
    ];

    /// The name in configuration.
    pub fn name(self) -> &'static str {
        let mut named = Self::NAMED.into_iter();
        named
            .find(|(_, family)| *family == self)
            .map_or("", |(name, _)| name)
    }
}
