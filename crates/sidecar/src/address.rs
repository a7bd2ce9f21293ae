//! Where a sidecar listens: a Unix domain socket, or a loopback port.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use countersign_transport::{Listener, SocketFault, SocketFile};
use tokio::net::TcpListener;

use crate::SidecarEntrance;

/// Where a sidecar listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SidecarAddress {
    /// A socket file.
    File(PathBuf),
    /// A port of a loopback address.
    Port(SocketAddr),
}

/// A text is not a valid address of a sidecar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// It cannot be read.
    #[error("{0:?} is not an address")]
    Unreadable(String),
    /// The address can be reached from other machines.
    #[error("other machines can reach {0}, where a sidecar does not listen")]
    Open(SocketAddr),
}

impl AddressFault {
    /// What to do about it.
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => {
                "write /path/to.sock, unix:/path/to.sock, 127.0.0.1:9001 or [::1]:9001"
            }
            Self::Open(_) => "write a port of 127.0.0.1 or [::1], or a socket file",
        }
    }
}

/// Why it is not possible to listen at an address.
#[derive(Debug, thiserror::Error)]
pub enum BindFault {
    /// The socket file cannot be created.
    #[error(transparent)]
    File(#[from] SocketFault),
    /// The port cannot be opened.
    #[error("cannot listen on {address}: {error}")]
    Port {
        /// The address.
        address: SocketAddr,
        /// The system's message.
        error: std::io::Error,
    },
}

/// An address at which a sidecar listens.
#[derive(Debug)]
pub struct BoundSidecar {
    pub(crate) listener: Listener,
    pub(crate) entrance: SidecarEntrance,
    /// The port may have been chosen by the system.
    address: SidecarAddress,
}

impl SidecarAddress {
    /// Begins to listen there.
    ///
    /// # Errors
    ///
    /// Somebody else listens there, or the system refuses.
    pub async fn bind(&self) -> Result<BoundSidecar, BindFault> {
        match self {
            Self::File(path) => {
                let file = SocketFile::bind(path).await?;
                Ok(BoundSidecar {
                    listener: file.into(),
                    entrance: SidecarEntrance::File,
                    address: self.clone(),
                })
            }
            Self::Port(address) => {
                let refused = |error| BindFault::Port {
                    address: *address,
                    error,
                };
                let tcp = TcpListener::bind(address).await.map_err(refused)?;
                let address = tcp.local_addr().map_err(refused)?;
                Ok(BoundSidecar {
                    listener: tcp.into(),
                    entrance: SidecarEntrance::Port(address.port()),
                    address: Self::Port(address),
                })
            }
        }
    }
}

impl BoundSidecar {
    /// The address.
    pub fn address(&self) -> &SidecarAddress {
        &self.address
    }
}

impl FromStr for SidecarAddress {
    type Err = AddressFault;

    fn from_str(text: &str) -> Result<Self, AddressFault> {
        let path = text.strip_prefix("unix:");
        if let Some(path) = path.or_else(|| text.contains('/').then_some(text)) {
            let is_file = !path.is_empty() && !path.ends_with('/');
            let file = is_file.then(|| Self::File(PathBuf::from(path)));
            return file.ok_or_else(|| AddressFault::Unreadable(text.to_owned()));
        }
        let local = text.replacen("localhost:", "127.0.0.1:", 1);
        let address: SocketAddr = local
            .parse()
            .map_err(|_| AddressFault::Unreadable(text.to_owned()))?;
        if !address.ip().is_loopback() {
            return Err(AddressFault::Open(address));
        }
        Ok(Self::Port(address))
    }
}

/// The address as a program writes it.
impl fmt::Display for SidecarAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "unix:{}", path.display()),
            Self::Port(address) => write!(f, "http://{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_ports_of_this_machine_are_addresses() {
        for (text, shown) in [
            ("/run/pay.sock", "unix:/run/pay.sock"),
            ("unix:/run/pay.sock", "unix:/run/pay.sock"),
            ("unix:pay.sock", "unix:pay.sock"),
            ("./pay.sock", "unix:./pay.sock"),
            ("127.0.0.1:9001", "http://127.0.0.1:9001"),
            ("127.0.0.7:0", "http://127.0.0.7:0"),
            ("localhost:9001", "http://127.0.0.1:9001"),
            ("[::1]:9001", "http://[::1]:9001"),
        ] {
            assert_eq!(text.parse::<SidecarAddress>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_others_reach_and_what_is_no_address_is_refused() {
        for open in ["0.0.0.0:1", "10.0.0.1:9001", "[::]:9001", "192.0.2.1:80"] {
            let refused = open.parse::<SidecarAddress>();
            assert!(matches!(refused, Err(AddressFault::Open(_))), "{open}");
        }
        for odd in ["", "unix:", "9001", ":9001", "pay.example:9001", "/run/"] {
            let refused = odd.parse::<SidecarAddress>();
            assert!(matches!(refused, Err(AddressFault::Unreadable(_))), "{odd}");
        }
    }
}
