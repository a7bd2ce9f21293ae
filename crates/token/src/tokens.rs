//! The tokens of one api: what its dialect says of their form, and the keys that
//! make and check them.

mod diagnosis;
mod minting;

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use countersign_dialect::{Dialect, TokenForm, Variant};
use countersign_domain::key::{KeyRecord, KeyRing, KeyState, RingFault};
use countersign_domain::session::{AccessClaims, RefreshClaims};
use countersign_domain::{Algorithm, Kid, Reason, Timestamp, TokenKind};

use crate::claim::{self, SessionClaim};
use crate::compact::{CompactJws, decode, encode};
use crate::key::{KeyMaterial, KindKey, MaterialFault, SigningKey};
use crate::public::PublicKey;
use crate::seed::RefreshSeed;

pub use diagnosis::{KeyFate, TokenDiagnosis};
pub use minting::{MintFault, TokenPair};

/// Evidence that a token is ours, of the right kind and not expired. Only this
/// crate can make it.
#[derive(Clone, Debug)]
pub struct Verified<T> {
    value: T,
    kid: Arc<Kid>,
    variant: Variant,
}

impl<T> Verified<T> {
    /// The key that it was verified with.
    pub fn kid(&self) -> &Kid {
        &self.kid
    }

    /// The variant whose form the token has: the first of those that cannot be
    /// told apart.
    pub fn variant(&self) -> Variant {
        self.variant
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// What a verified refresh token gives: its claims, and the seed that its
/// successor is made from.
#[derive(Clone, Debug)]
pub struct VerifiedRefresh {
    /// The claims.
    pub claims: RefreshClaims,
    /// The session's seed.
    pub seed: RefreshSeed,
}

/// Why an api's keys and dialect do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokensFault {
    /// The keys of an algorithm do not form a ring.
    #[error("the {algorithm} keys: {fault}")]
    Ring {
        /// Whose.
        algorithm: Algorithm,
        /// What is wrong.
        fault: RingFault,
    },
    /// Key material cannot be read.
    #[error("key {kid}: {fault}")]
    Material {
        /// Whose.
        kid: Kid,
        /// What is wrong.
        fault: MaterialFault,
    },
}

/// How many dead keys are kept to tell what a refused token was.
const MAX_DEAD: usize = 8;

/// Makes and verifies the tokens of one api with the keys that it has now. A key
/// rotation makes a new value.
pub struct Tokens {
    dialect: Arc<Dialect>,
    keys: Vec<LoadedKey>,
    /// Never accepted: they tell only what a refused token was.
    dead: Vec<LoadedKey>,
    rings: Vec<KeyRing>,
    access: Vec<AcceptedForm>,
    refresh: Vec<AcceptedForm>,
}

struct LoadedKey {
    algorithm: Algorithm,
    kid: Arc<Kid>,
    state: KeyState,
    key: SigningKey,
}

/// One form under one key: the header that such a token has, and where to go
/// on. Tokens without structure have none.
struct AcceptedForm {
    header: Option<String>,
    variant: Variant,
    key: usize,
}

/// The algorithms for which an api that speaks `dialect` needs a key: those of
/// its access tokens. Opaque access tokens are sealed by an HS256 key.
pub fn algorithms(dialect: &Dialect) -> BTreeSet<Algorithm> {
    let variants = dialect.variants();
    variants
        .filter_map(|variant| algorithm_of(dialect, variant))
        .collect()
}

/// The algorithm that signs or seals the access tokens of a variant; `None` if
/// it has none.
pub fn algorithm_of(dialect: &Dialect, variant: Variant) -> Option<Algorithm> {
    dialect
        .token_form(variant, TokenKind::Access)
        .map(algorithm)
}

impl Tokens {
    /// The tokens of an api that speaks `dialect` with these keys, as they are
    /// at `now`. Each algorithm of [`algorithms`] needs a ring of its own.
    ///
    /// # Errors
    ///
    /// [`TokensFault::Ring`], if the keys of an algorithm that the dialect needs do not make a
    /// [`KeyRing`], and [`TokensFault::Material`], if a living key cannot be read.
    pub fn new(
        dialect: Arc<Dialect>,
        keys: &[(KeyRecord, KeyMaterial)],
        now: Timestamp,
    ) -> Result<Self, TokensFault> {
        let wanted = algorithms(&dialect);
        Self::with_algorithms(dialect, &wanted, keys, now)
    }

    /// The same of these algorithms alone: variants that want another make no
    /// tokens, and none of theirs is accepted.
    ///
    /// # Errors
    ///
    /// As [`Tokens::new`].
    pub fn with_algorithms(
        dialect: Arc<Dialect>,
        algorithms: &BTreeSet<Algorithm>,
        keys: &[(KeyRecord, KeyMaterial)],
        now: Timestamp,
    ) -> Result<Self, TokensFault> {
        let rings = algorithms
            .iter()
            .copied()
            .map(|algorithm| ring(keys, algorithm, now))
            .collect::<Result<Vec<_>, _>>()?;
        let alive: BTreeSet<&Kid> = rings
            .iter()
            .flat_map(|ring| ring.live(now).map(|key| &key.kid))
            .collect();
        let (living, dead): (Vec<_>, Vec<_>) =
            keys.iter().partition(|(key, _)| alive.contains(&key.kid));
        let keys = living
            .into_iter()
            .map(|(key, material)| load(key, material))
            .collect::<Result<Vec<_>, _>>()?;
        let mut tokens = Self {
            dialect,
            keys,
            dead: load_dead(dead),
            rings,
            access: Vec::new(),
            refresh: Vec::new(),
        };
        tokens.access = tokens.accepted(TokenKind::Access);
        tokens.refresh = tokens.accepted(TokenKind::Refresh);
        Ok(tokens)
    }

    /// The key that signs what is new in this variant; `None` if the variant
    /// has no access token, or none of its algorithm can be made.
    pub fn active_kid(&self, variant: Variant) -> Option<&Kid> {
        self.ring_of(variant).map(KeyRing::active)
    }

    /// The keys whose signatures are accepted at `now`.
    pub fn live_kids(&self, now: Timestamp) -> Vec<Kid> {
        self.keys
            .iter()
            .filter(|key| key.lives(now))
            .map(|key| Kid::clone(&key.kid))
            .collect()
    }

    /// The public halves of the keys whose signatures are accepted at `now`,
    /// those that sign nothing yet too.
    pub fn public_keys(&self, now: Timestamp) -> Vec<PublicKey> {
        let alive = self.keys.iter().filter(|key| key.lives(now));
        let public = alive.filter_map(|key| {
            let (modulus, exponent) = key.key.public()?;
            Some(PublicKey {
                kid: Kid::clone(&key.kid),
                algorithm: key.algorithm,
                modulus: encode(modulus),
                exponent: encode(exponent),
            })
        });
        public.collect()
    }

    /// Verifies an access token.
    ///
    /// # Errors
    ///
    /// [`Reason::TokenMalformed`], [`Reason::TokenForged`] or
    /// [`Reason::TokenExpired`].
    pub fn verify_access(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Verified<AccessClaims>, Reason> {
        let (claim, accepted) = self.verify(TokenKind::Access, token, now)?;
        let claims = AccessClaims {
            session: claim.session,
            generation: claim.generation,
            account: claim.account,
            credential: claim.credential,
            epoch: claim.epoch,
            expires_at: claim.expires_at,
        };
        Ok(self.verified(claims, accepted))
    }

    /// Verifies a refresh token: D0 of the rotation protocol, and the part of
    /// D1 that needs no row.
    ///
    /// # Errors
    ///
    /// As [`Tokens::verify_access`].
    pub fn verify_refresh(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Verified<VerifiedRefresh>, Reason> {
        let (claim, accepted) = self.verify(TokenKind::Refresh, token, now)?;
        let seed = claim.seed.ok_or(Reason::TokenMalformed)?;
        let claims = RefreshClaims {
            session: claim.session,
            generation: claim.generation,
            account: claim.account,
            epoch: claim.epoch,
            seed_hash: seed.hash(),
            expires_at: claim.expires_at,
        };
        let refreshing = VerifiedRefresh { claims, seed };
        Ok(self.verified(refreshing, accepted))
    }

    fn verified<T>(&self, value: T, accepted: &AcceptedForm) -> Verified<T> {
        Verified {
            value,
            kid: Arc::clone(&self.keys[accepted.key].kid),
            variant: accepted.variant,
        }
    }

    fn verify(
        &self,
        kind: TokenKind,
        token: &str,
        now: Timestamp,
    ) -> Result<(SessionClaim, &AcceptedForm), Reason> {
        let compact = CompactJws::split(token);
        let mut told = if compact.is_some() {
            Reason::TokenForged
        } else {
            Reason::TokenMalformed
        };
        for accepted in self.accepting(kind) {
            let key = &self.keys[accepted.key];
            if !key.lives(now) {
                continue;
            }
            let form = self.dialect.token_form(accepted.variant, kind);
            match open(accepted, form, key.key.for_kind(kind), kind, token, compact) {
                // RFC 7519 section 4.1.4: "The "exp" (expiration time) claim identifies the
                // expiration time on or after which the JWT MUST NOT be accepted for
                // processing."
                Ok(claim) if claim.expires_at <= now => return Err(Reason::TokenExpired),
                Ok(claim) => return Ok((claim, accepted)),
                Err(Some(reason)) => told = reason,
                Err(None) => {}
            }
        }
        Err(told)
    }

    fn accepting(&self, kind: TokenKind) -> &[AcceptedForm] {
        match kind {
            TokenKind::Access => &self.access,
            TokenKind::Refresh => &self.refresh,
        }
    }

    fn accepted(&self, kind: TokenKind) -> Vec<AcceptedForm> {
        let mut accepted = Vec::new();
        for variant in self.dialect.variants() {
            let Some(form) = self.dialect.token_form(variant, kind) else {
                continue;
            };
            let Some(ring) = self.ring_of(variant) else {
                continue;
            };
            for (index, key) in self.keys.iter().enumerate() {
                if ring.keys().iter().any(|known| known.kid == *key.kid) {
                    accepted.push(AcceptedForm {
                        header: header(form, &key.kid),
                        variant,
                        key: index,
                    });
                }
            }
        }
        accepted
    }

    /// The keys that sign in this variant: those of its access tokens, for
    /// refresh tokens too, since one key signs a generation.
    fn ring_of(&self, variant: Variant) -> Option<&KeyRing> {
        let algorithm = algorithm_of(&self.dialect, variant)?;
        self.rings
            .iter()
            .find(|ring| ring.keys()[0].algorithm == algorithm)
    }
}

impl LoadedKey {
    fn lives(&self, now: Timestamp) -> bool {
        !matches!(self.state, KeyState::Retiring { until } if until <= now)
    }
}

/// Opens a token as this form under this key. `Err(None)` means that it is not
/// of this form and key at all, so that others are to be tried.
fn open(
    accepted: &AcceptedForm,
    form: Option<&TokenForm>,
    key: &KindKey,
    kind: TokenKind,
    token: &str,
    compact: Option<CompactJws<'_>>,
) -> Result<SessionClaim, Option<Reason>> {
    let form = match form.ok_or(None)? {
        TokenForm::Jwt(form) => form,
        TokenForm::Opaque(form) => {
            let digits = 2 * claim::length(kind);
            let token = (token.len() == digits).then_some(token).ok_or(None)?;
            let sealed = form.session(token).ok_or(None)?;
            return SessionClaim::open(&sealed, kind, &key.claim).ok_or(None);
        }
    };
    let compact = compact
        .filter(|it| Some(it.header) == accepted.header.as_deref())
        .ok_or(None)?;
    // RFC 8725 section 3.3: "All cryptographic operations used in the JWT MUST be validated and
    // the entire JWT MUST be rejected if any of them fail to validate."
    let signature = decode(compact.signature).ok_or(None)?;
    if !key.verify(compact.signed.as_bytes(), &signature) {
        return Err(None);
    }
    // The signature is ours; what does not fit from here on was made by an
    // earlier version of the dialect file or by another form under this key.
    let claims = decode(compact.claims).ok_or(Some(Reason::TokenMalformed))?;
    let read = form
        .read_claims(&claims)
        .map_err(|_| Some(Reason::TokenMalformed))?;
    let claim = SessionClaim::open(&read.session, kind, &key.claim);
    claim
        .filter(|claim| claim.expires_at == read.expires_at)
        .ok_or(Some(Reason::TokenForged))
}

fn ring(
    keys: &[(KeyRecord, KeyMaterial)],
    algorithm: Algorithm,
    now: Timestamp,
) -> Result<KeyRing, TokensFault> {
    let keys = keys
        .iter()
        .map(|(key, _)| key)
        .filter(|key| key.algorithm == algorithm);
    KeyRing::new(keys.cloned().collect(), now)
        .map_err(|fault| TokensFault::Ring { algorithm, fault })
}

fn load(key: &KeyRecord, material: &KeyMaterial) -> Result<LoadedKey, TokensFault> {
    let signing =
        SigningKey::new(key.algorithm, material).map_err(|fault| TokensFault::Material {
            kid: key.kid.clone(),
            fault,
        })?;
    Ok(LoadedKey {
        algorithm: key.algorithm,
        kid: Arc::new(key.kid.clone()),
        state: key.state,
        key: signing,
    })
}

/// The keys that died last. One whose material cannot be read is left out:
/// nothing depends on it.
fn load_dead(mut dead: Vec<&(KeyRecord, KeyMaterial)>) -> Vec<LoadedKey> {
    dead.sort_by_key(|(key, _)| std::cmp::Reverse(key.created_at));
    let loaded = dead.into_iter().take(MAX_DEAD);
    loaded
        .filter_map(|(key, material)| load(key, material).ok())
        .collect()
}

fn algorithm(form: &TokenForm) -> Algorithm {
    match form {
        TokenForm::Jwt(form) => form.algorithm(),
        TokenForm::Opaque(_) => Algorithm::Hs256,
    }
}

fn header(form: &TokenForm, kid: &Kid) -> Option<String> {
    match form {
        TokenForm::Jwt(form) => Some(encode(form.header(&kid.0))),
        TokenForm::Opaque(_) => None,
    }
}

#[cfg(test)]
mod tests;
