//! Options of the command line that override the configuration file.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Options of the command line that override the configuration file.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Overrides {
    /// The data directory [default: ./countersign-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The address of the API [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// The address of the admin API [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// An address that serves only /healthz, /readyz and /metrics [default: that of the admin API]
    #[arg(long, value_name = "ADDR")]
    pub(crate) probe_listen: Option<SocketAddr>,
}
