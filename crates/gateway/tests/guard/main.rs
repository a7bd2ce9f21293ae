//! The guard and its proxy as a client and an upstream see them, on sockets of
//! the loopback network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    reason = "a test that cannot go on may stop"
)]

mod authorizing;
mod budget;
mod fields;
mod forward_auth;
mod grpc;
mod health;
mod hosts;
mod lengths;
mod lies_over_http2;
mod log;
mod paths;
mod retries;
mod retries_over_http2;
mod static_keys;
mod streaming;
mod tls;
mod trailers;
mod tunnels;
mod upstreams;
mod world;
