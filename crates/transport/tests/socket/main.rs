//! The listener as a peer meets it: bytes over a socket on 127.0.0.0/8.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests, helpers included

mod cases;
mod flood;
mod gate;
mod http2;
mod server;
mod socket_file;
mod tls;
