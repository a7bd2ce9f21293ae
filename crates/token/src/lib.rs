//! Proves: signs access and refresh tokens in the form that a dialect gives
//! them, and verifies the ones that come back.
//!
//! A dialect decides what a token looks like; what it *means* stands in one
//! opaque claim ([`claim`]) that is sealed by itself. The algorithm belongs to
//! the key and is never read from a token (RFC 8725 section 3.1): a token's
//! header must equal, byte for byte, one that this api writes itself. So `alg`
//! confusion, `jwk`, `jku`, `x5u`, `crit`, `b64` and `zip` need no rules of
//! their own.
//!
//! This crate refuses to decide whether a session lives: a [`Verified`] token is
//! ours, of the right kind and not expired, and no more.

#![warn(clippy::missing_errors_doc)]

pub mod claim;
mod compact;
#[doc(hidden)]
pub mod fuzzing;
pub mod key;
mod keychain;
pub mod pepper;
mod public;
pub mod seed;
pub mod tokens;

pub use key::{KeyMaterial, MaterialFault};
pub use keychain::Keychain;
pub use pepper::Pepper;
pub use public::PublicKey;
pub use seed::RefreshSeed;
pub use tokens::{
    KeyFate, MintFault, TokenDiagnosis, TokenPair, Tokens, Verified, VerifiedRefresh,
};
