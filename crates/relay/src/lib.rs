//! Carries requests to an upstream and its responses back, and judges none of them.
//!
//! The guard's built-in proxy and the sidecar are built on this: pooled connections
//! ([`Upstream`]), health checks, bodies that stream both ways, WebSocket tunnels, and
//! removal of the header fields that must not pass. The callers decide which requests may
//! pass. What goes wrong on the way is a [`RelayError`].

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

pub use answer_body::{AnswerBody, ResponseBodyError};
pub use error::RelayError;
pub use headers::{connection_options, end_to_end, folded, trailing, visible};

pub use public_origin::PublicOrigin;
pub use relay::{Relay, UpstreamExchange, is_switched};
pub use reserved::{FieldShape, is_reserved, known_reserved_fields, reserved_shapes};
pub use tunnel::{TunnelSlots, TunnelSwitch, asked_for_websocket};
pub use upload::{BoxError, FilteredTrailers, Upload};
pub use upstream::{
    HealthCheck, Upstream, UpstreamFault, UpstreamHost, UpstreamSettings, UpstreamState,
    UpstreamTimeouts,
};
pub use upstream_metrics::UpstreamMetrics;
