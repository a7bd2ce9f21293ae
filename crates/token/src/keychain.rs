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
    pub fn current(&self) -> Arc<Tokens> {
        self.0.load_full()
    }

    /// Puts the tokens of another keychain in place.
    pub fn adopt(&self, other: &Self) {
        self.0.store(other.current());
    }

    /// Puts others in place: requests that come later are verified with them.
    pub fn replace(&self, tokens: Tokens) {
        self.0.store(Arc::new(tokens));
    }
}

#[cfg(test)]
mod tests {
    use countersign_dialect::Dialect;
    use countersign_domain::key::{KeyRecord, KeyState};
    use countersign_domain::{Algorithm, Kid, Timestamp};

    use super::*;
    use crate::key::KeyMaterial;

    const NOW: Timestamp = Timestamp::from_seconds(1_718_214_464);

    /// The tokens of an api whose only key is called `kid`.
    fn tokens(kid: &str) -> Tokens {
        let source = Dialect::shipped("mypopup").unwrap();
        let dialect = Arc::new(Dialect::compile(source, "mypopup").unwrap());
        let algorithm = Algorithm::Hs256;
        let key = KeyRecord {
            kid: Kid(kid.to_owned()),
            algorithm,
            state: KeyState::Active,
            created_at: NOW,
        };
        let material = KeyMaterial::generate(algorithm).unwrap();
        Tokens::new(dialect, &[(key, material)], NOW).unwrap()
    }

    fn signs_now(keychain: &Keychain) -> String {
        let kids = keychain.current().live_kids(NOW);
        kids.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn new_keys_reach_all_that_share_the_keychain_at_once() {
        let issuer = Keychain::new(tokens("a"));
        let guard = issuer.clone();
        let before = guard.current();
        issuer.replace(tokens("b"));
        assert_eq!(
            (signs_now(&issuer), signs_now(&guard)),
            ("b".into(), "b".into())
        );
        assert_eq!(
            before.live_kids(NOW),
            [Kid("a".to_owned())],
            "a request keeps its own"
        );
    }

    #[test]
    fn a_keychain_takes_over_what_another_has_now() {
        let (served, reloaded) = (Keychain::new(tokens("a")), Keychain::new(tokens("b")));
        served.adopt(&reloaded);
        assert_eq!(signs_now(&served), "b");
        reloaded.replace(tokens("c"));
        assert_eq!(signs_now(&served), "b", "they stay two");
    }
}
