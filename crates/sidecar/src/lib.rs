//! Carries plain HTTP from a program on this machine to the vendor, with a fresh token.
//!
//! A [`Sidecar`] serves one profile. A request arrives at a [`SidecarEntrance`], passes the
//! guards (a page in a browser must not borrow the token), is rewritten for the vendor, and the
//! vendor's response streams back. Answers of the sidecar itself are problem documents (RFC 9457)
//! with the field `X-Countersign-Sidecar`, never in the vendor's spelling. This crate reads no
//! files and no configuration: it is given a source of tokens.

mod access;
mod address;
mod content;
mod guards;
mod meter;
mod problem;
mod serve;
mod sidecar;

pub use access::AllowFault;
pub use address::{AddressFault, BindFault, BoundSidecar, SidecarAddress};
pub use guards::{KEY, SidecarEntrance};
pub use problem::SIDECAR;
pub use serve::serve;
pub use sidecar::{READY, SetupFault, Sidecar, SidecarBody, SidecarSetup};
