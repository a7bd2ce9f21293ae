//! `countersign serve`: the issuer, the guard and the admin API in one process.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Arguments of `countersign serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory [default: ./countersign-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where the API listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Where the admin API listens [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    pub admin_listen: Option<SocketAddr>,
    /// Serve the three shipped dialects with ready accounts and an echo upstream
    #[arg(long, conflicts_with = "config")]
    pub demo: bool,
}
