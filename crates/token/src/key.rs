//! Signing keys: the secret material as it is sealed and stored, and what is
//! derived from it for each kind of token.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{constant_time, hmac};
use countersign_domain::{Algorithm, TokenKind};
use zeroize::Zeroizing;

use crate::public::modulus_and_exponent;

const ROOT: usize = 32;

/// The secret of a signing key: 32 random bytes from which the keys of each kind
/// are derived, and for RS256 a private key as PKCS #8 behind them.
///
/// A key is made for one api and never shared, so no token of one api verifies
/// at another.
#[derive(Clone)]
pub struct KeyMaterial(Zeroizing<Vec<u8>>);

/// Why bytes are not key material.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaterialFault {
    /// The length or the encoded private key is wrong.
    #[error("these bytes are not a {0} key")]
    Unreadable(Algorithm),
    /// The system's source of randomness or the key generator failed.
    #[error("no {0} key could be generated")]
    NotGenerated(Algorithm),
}

impl KeyMaterial {
    /// New material for a key of this algorithm. RSA keys have 2048 bits and
    /// take some tenths of a second.
    ///
    /// # Errors
    ///
    /// [`MaterialFault::NotGenerated`], if the system gives no random bytes or the library
    /// makes no RSA key.
    pub fn generate(algorithm: Algorithm) -> Result<Self, MaterialFault> {
        let failed = MaterialFault::NotGenerated(algorithm);
        // RFC 7518 section 3.2: "A key of the same size as the hash output (for instance, 256
        // bits for "HS256") or larger MUST be used with this algorithm."
        let mut root = Zeroizing::new([0; ROOT]);
        SystemRandom::new().fill(&mut *root).map_err(|_| failed)?;
        let pair = match algorithm {
            Algorithm::Hs256 => None,
            // Section 3.3: "A key of size 2048 bits or larger MUST be used with these
            // algorithms."
            Algorithm::Rs256 => Some(RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| failed)?),
        };
        let der: Option<Pkcs8V1Der<'_>> = pair
            .as_ref()
            .map(AsDer::as_der)
            .transpose()
            .map_err(|_| failed)?;
        let der = der.as_ref().map_or(&[][..], |der| der.as_ref());
        // Room for all: growing would leave a copy behind that is not zeroed.
        let mut bytes = Zeroizing::new(Vec::with_capacity(ROOT + der.len()));
        bytes.extend_from_slice(&*root);
        bytes.extend_from_slice(der);
        Ok(Self(bytes))
    }

    /// The material with these bytes, as [`KeyMaterial::bytes`] gave them.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The bytes to seal and store.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyMaterial(..)")
    }
}

/// A key ready for use: one signer and one seal for each kind of token.
pub(crate) struct SigningKey {
    access: KindKey,
    refresh: KindKey,
}

/// What signs tokens of one kind.
pub(crate) struct KindKey {
    signer: TokenSigner,
    /// Seals the opaque claim.
    pub(crate) claim: hmac::Key,
}

/// A closed enum: what the key is decides the algorithm, the token does not.
// RFC 8725 section 3.1: "each key MUST be used with exactly one algorithm, and this MUST be
// checked when the cryptographic operation is performed."
enum TokenSigner {
    /// Boxed: the expanded key has more than a kilobyte.
    Hs256(Box<hmac::Key>),
    Rs256(std::sync::Arc<RsaKey>),
}

struct RsaKey {
    private: RsaKeyPair,
    public: ParsedPublicKey,
}

impl SigningKey {
    pub(crate) fn new(algorithm: Algorithm, material: &KeyMaterial) -> Result<Self, MaterialFault> {
        let unreadable = MaterialFault::Unreadable(algorithm);
        let (root, rest) = material.bytes().split_at_checked(ROOT).ok_or(unreadable)?;
        let root = hmac::Key::new(hmac::HMAC_SHA256, root);
        let rsa = match algorithm {
            Algorithm::Hs256 if rest.is_empty() => None,
            Algorithm::Hs256 => return Err(unreadable),
            Algorithm::Rs256 => Some(std::sync::Arc::new(RsaKey::new(rest).ok_or(unreadable)?)),
        };
        let kind_key = |kind| KindKey {
            signer: match &rsa {
                None => TokenSigner::Hs256(Box::new(derive(&root, kind, "signature"))),
                Some(rsa) => TokenSigner::Rs256(rsa.clone()),
            },
            claim: derive(&root, kind, "claim"),
        };
        Ok(Self {
            access: kind_key(TokenKind::Access),
            refresh: kind_key(TokenKind::Refresh),
        })
    }

    /// Modulus and exponent, if the key has a public half.
    pub(crate) fn public(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        match &self.access.signer {
            TokenSigner::Hs256(_) => None,
            TokenSigner::Rs256(rsa) => modulus_and_exponent(rsa.private.public_key().as_ref()),
        }
    }

    pub(crate) const fn for_kind(&self, kind: TokenKind) -> &KindKey {
        match kind {
            TokenKind::Access => &self.access,
            TokenKind::Refresh => &self.refresh,
        }
    }
}

impl KindKey {
    /// The signature over `message`; the same bytes for the same message, since
    /// both algorithms are deterministic. `None` if the library fails.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.signer {
            TokenSigner::Hs256(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
            TokenSigner::Rs256(rsa) => rsa.sign(message),
        }
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.signer {
            TokenSigner::Hs256(key) => {
                // RFC 7518 section 3.2: "The comparison of the computed HMAC value to the JWS
                // Signature value MUST be done in a constant-time manner to thwart timing
                // attacks."
                let ours = hmac::sign(key, message);
                constant_time::verify_slices_are_equal(ours.as_ref(), signature).is_ok()
            }
            TokenSigner::Rs256(rsa) => verify_rs256(&rsa.public, message, signature),
        }
    }
}

impl RsaKey {
    fn new(pkcs8: &[u8]) -> Option<Self> {
        let private = RsaKeyPair::from_pkcs8(pkcs8).ok()?;
        let spki: PublicKeyX509Der<'_> = private.public_key().as_der().ok()?;
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki.as_ref()).ok()?;
        Some(Self { private, public })
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.private.public_modulus_len()];
        self.private
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .ok()?;
        Some(signature)
    }
}

fn verify_rs256(public: &ParsedPublicKey, message: &[u8], signature: &[u8]) -> bool {
    public.verify_sig(message, signature).is_ok()
}

/// One HMAC as the PRF of RFC 5869 section 2.3 with a single block: the root is
/// uniformly random, so nothing needs extracting.
fn derive(root: &hmac::Key, kind: TokenKind, purpose: &str) -> hmac::Key {
    let info = format!("countersign/1/{}/{purpose}", kind.name());
    let derived = hmac::sign(root, info.as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
}

#[cfg(test)]
mod tests;
