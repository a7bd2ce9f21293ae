//! Makes the tokens of a session, which are the same bytes each time.

use countersign_dialect::{Secret, TokenClaims, TokenForm};
use countersign_domain::{Kid, Session, TokenKind};

use super::{LoadedKey, Tokens};
use crate::claim::SessionClaim;
use crate::compact::encode;
use crate::seed::RefreshSeed;

/// The tokens of one generation of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPair {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token, where the variant has one.
    pub refresh_token: Option<Secret>,
}

/// Why no tokens could be made for a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintFault {
    /// The key that signs the session's generation is gone.
    #[error("the key {0} that signs this session is not alive")]
    KeyGone(Kid),
    /// The dialect no longer has the session's variant.
    #[error("the dialect has no variant {0:?} that makes access tokens")]
    VariantGone(String),
    /// The cryptographic library failed.
    #[error("the signature could not be made")]
    NotSigned,
}

impl Tokens {
    /// The tokens of the session's current generation: the same bytes whenever
    /// it is asked for the same row.
    ///
    /// # Errors
    ///
    /// [`MintFault::VariantGone`], if the dialect no longer makes access tokens in the
    /// session's variant, [`MintFault::KeyGone`], if the key of the session's generation is no
    /// longer alive, and [`MintFault::NotSigned`], if the cryptographic library fails.
    pub fn mint(
        &self,
        session: &Session,
        seed: &RefreshSeed,
        login: &str,
    ) -> Result<TokenPair, MintFault> {
        let variant_gone = || MintFault::VariantGone(session.variant.clone());
        let variant = self
            .dialect
            .variant(&session.variant)
            .ok_or_else(variant_gone)?;
        let key = self.keys.iter().find(|key| *key.kid == session.kid);
        let key = key.ok_or_else(|| MintFault::KeyGone(session.kid.clone()))?;
        let mint = |kind| {
            let form = self.dialect.token_form(variant, kind)?;
            Some(
                UnsignedToken {
                    session,
                    seed,
                    login,
                    kind,
                    key,
                }
                .token(form),
            )
        };
        Ok(TokenPair {
            access_token: mint(TokenKind::Access).ok_or_else(variant_gone)??,
            refresh_token: mint(TokenKind::Refresh).transpose()?,
        })
    }
}

/// One token in the making.
struct UnsignedToken<'a> {
    session: &'a Session,
    seed: &'a RefreshSeed,
    login: &'a str,
    kind: TokenKind,
    key: &'a LoadedKey,
}

impl UnsignedToken<'_> {
    fn token(&self, form: &TokenForm) -> Result<Secret, MintFault> {
        let key = self.key.key.for_kind(self.kind);
        let sealed = self.claim().seal(&key.claim);
        match form {
            TokenForm::Opaque(form) => form
                .token(&sealed)
                .map(Secret::from)
                .ok_or(MintFault::NotSigned),
            TokenForm::Jwt(form) => {
                let mut token = encode(form.header(&self.key.kid.0));
                token.push('.');
                token.push_str(&encode(form.claims(&self.claims(&sealed))));
                let signature = key.sign(token.as_bytes()).ok_or(MintFault::NotSigned)?;
                token.push('.');
                token.push_str(&encode(signature));
                Ok(Secret::from(token))
            }
        }
    }

    fn claim(&self) -> SessionClaim {
        let session = self.session;
        let (expires_at, seed) = match self.kind {
            TokenKind::Access => (session.access_expires_at, None),
            TokenKind::Refresh => (session.refresh_expires_at, Some(self.seed.clone())),
        };
        SessionClaim {
            session: session.id,
            generation: session.generation,
            account: session.account,
            credential: session.credential,
            epoch: session.epoch,
            expires_at: expires_at.floor_to_second(),
            seed,
        }
    }

    fn claims<'a>(&'a self, sealed: &'a str) -> TokenClaims<'a> {
        TokenClaims {
            session: sealed,
            issued_at: self.session.rotated_at,
            access_expires_at: self.session.access_expires_at,
            refresh_expires_at: self.session.refresh_expires_at,
            jti: self.seed.jti(self.session.generation, self.kind),
            client_id: self.session.account.number(),
            login: self.login,
        }
    }
}
