//! Connects to other servers: their URLs, connections to them, and which certificates to trust.
//!
//! The guard's upstreams, the client's vendors and the operator's admin API are all reached in
//! this way.

#![warn(clippy::missing_errors_doc)]

mod connect;
mod content;
mod failure_reason;
mod proxy;
mod proxy_rules;
mod stream;
mod trust;
mod url;
mod wrong_scheme;

pub use connect::{ConnectTimeout, OutboundTls, ServerConnector};
pub use content::tell_no_content;
pub use failure_reason::{failure_help, failure_reason};
pub use proxy::{OutboundProxy, ProxyError};
pub use proxy_rules::{ProxyFault, ProxyRules};
pub use stream::{BoxError, H2, HTTP_1_1, PlainStream, ServerStream};
pub use trust::{HandshakeDistrust, RootsFault, TrustedRoots, client_config};
pub use url::{ServerUrl, ServerUrlFault};
pub use wrong_scheme::TlsOnPlainPort;
