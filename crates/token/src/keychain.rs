//! The tokens of an api as its keys are now: one value that the issuer and the
//! guard share, so that a change of keys reaches both at once.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::tokens::Tokens;

/// The tokens of an api, and whatever replaces them. Clones are the same.
#[derive(Clone)]
pub struct Keychain(Arc<ArcSwap<Tokens>>);

impl Keychain {
    /// A keychain that begins with these tokens.
    pub fn new(tokens: Tokens) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(tokens)))
    }

    /// The tokens as they are now. Takes no lock.
    pub fn now(&self) -> Arc<Tokens> {
        self.0.load_full()
    }

    /// Puts the tokens of another keychain in place.
    pub fn adopt(&self, other: &Self) {
        self.0.store(other.now());
    }

    /// Puts others in place: requests that come later are verified with them.
    pub fn replace(&self, tokens: Tokens) {
        self.0.store(Arc::new(tokens));
    }
}
