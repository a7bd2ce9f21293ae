//! The configuration of `countersign serve` with one api behind a proxy, and behind
//! its own.

use std::net::SocketAddr;

use crate::programs::Proxy;

/// The api's own proxy answers what is sent straight to the server, so that both
/// can be compared.
pub(crate) fn configuration(proxy: Proxy, api: SocketAddr, keys: &str) -> String {
    format!(
        r#"
[server]
trusted_proxies = ["127.0.0.1"]
client_address = "x-forwarded-for"

[apis.shop]
dialect = "apirone"
forward_auth = "{}"
guards = ["/api/v2/accounts/{{login}}/*", "/public/*"]
upstream = "http://{api}"
{keys}

[[apis.shop.routes]]
methods = ["GET"]
path = "/public/*"
access = "public"

[[apis.shop.routes]]
path = "/api/v2/accounts/{{login}}/payouts"
access = "protected"
scopes = ["payout"]
"#,
        proxy.name()
    )
}
