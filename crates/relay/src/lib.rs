//! Carries requests to an upstream and its answers back, and judges none of them.
//!
//! The guard's built-in proxy and the sidecar stand on this: connections that are kept
//! alive ([`Upstream`]), health checks, bodies that stream both ways, WebSocket
//! tunnels, and the header fields that must not pass. Who may call is decided above;
//! what went wrong on the way is a [`RelayError`].

mod answer_body;
mod error;
mod headers;
mod idempotent_methods;
mod idle;
mod public_origin;
mod relay;
mod reserved;
mod tunnel;
mod upload;
mod upstream;
mod upstream_metrics;

pub use answer_body::{AnswerBody, BrokenAnswer};
pub use error::RelayError;
pub use headers::{connection_options, end_to_end, folded, trailing, visible};

pub use public_origin::PublicOrigin;
pub use relay::{Relay, UpstreamExchange, is_switched};
pub use reserved::{FieldShape, ReservedFields, is_reserved, reserved_fields};
pub use tunnel::{TunnelSlots, TunnelSwitch, asked_for_websocket};
pub use upload::{BoxError, CleanTrailers, Upload};
pub use upstream::{
    HealthCheck, Upstream, UpstreamFault, UpstreamHost, UpstreamSettings, UpstreamState,
    UpstreamTimeouts,
};
pub use upstream_metrics::UpstreamMetrics;
