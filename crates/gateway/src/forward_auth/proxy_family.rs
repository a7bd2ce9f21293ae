//! The kinds of proxies that may ask for a verdict.

/// A kind of proxy, according to the headers that it sends when it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyFamily {
    /// `X-Original-Method`, `X-Original-URI`, `X-Forwarded-For`; it can only pass on 401
    /// and 403.
    Nginx,
    /// `X-Forwarded-Method`, `X-Forwarded-Uri`, `X-Forwarded-For`.
    Traefik,
    /// The same as Traefik.
    Caddy,
    /// The same as nginx, sent by our Lua action, which can pass on any status.
    Haproxy,
    /// The method of the question itself, the path below the api's, and
    /// `X-Forwarded-For`; over HTTP/1.1 only.
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
