//! What a refused token is, in truth: for the operator's record only. Here dead
//! keys are tried too, so nothing that comes from here is evidence.

use countersign_dialect::Variant;
use countersign_domain::key::KeyState;
use countersign_domain::{AccountId, Epoch, Kid, SessionId, Timestamp, TokenKind};

use super::{AcceptedForm, LoadedKey, Tokens, header, open};
use crate::compact::CompactJws;

/// What is known of a token that was refused. It proves nothing: a request must
/// never be let through for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenDiagnosis {
    /// Its kind, which need not be the one that was due.
    pub kind: TokenKind,
    /// Its account.
    pub account: AccountId,
    /// Its session.
    pub session: SessionId,
    /// The account's epoch at login.
    pub epoch: Epoch,
    /// The session's generation that it belongs to.
    pub generation: u32,
    /// When it runs out, or ran out.
    pub expires_at: Timestamp,
    /// The key that signed it.
    pub kid: Kid,
    /// What became of that key.
    pub key: KeyFate,
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFate {
    /// Its signatures are accepted.
    Alive,
    /// It retired, and its last token has expired.
    Gone {
        /// Since when.
        since: Timestamp,
    },
    /// It was killed.
    Killed,
}

impl Tokens {
    /// What a token is that was refused at `now`: whose, of which kind, and
    /// signed by which key, dead ones too. `None` if it was never ours.
    ///
    /// Costs at most one signature for each form and key that its header fits.
    pub fn diagnose(&self, token: &str, now: Timestamp) -> Option<TokenDiagnosis> {
        let compact = CompactJws::split(token);
        let forms = [TokenKind::Access, TokenKind::Refresh]
            .into_iter()
            .flat_map(|kind| {
                let variants = self.dialect.variants();
                variants.map(move |variant| (kind, variant))
            });
        forms
            .flat_map(|form| self.all_keys().map(move |key| (form, key)))
            .find_map(|((kind, variant), key)| {
                self.diagnose_as(kind, variant, key, token, compact, now)
            })
    }

    fn all_keys(&self) -> impl Iterator<Item = &LoadedKey> {
        self.keys.iter().chain(&self.dead)
    }

    fn diagnose_as(
        &self,
        kind: TokenKind,
        variant: Variant,
        key: &LoadedKey,
        token: &str,
        compact: Option<CompactJws<'_>>,
        now: Timestamp,
    ) -> Option<TokenDiagnosis> {
        let form = self.dialect.token_form(variant, kind)?;
        let ring = self.ring_of(variant)?;
        if !ring.keys().iter().any(|known| known.kid == *key.kid) {
            return None;
        }
        let accepted = AcceptedForm {
            header: header(form, &key.kid),
            variant,
            key: 0,
        };
        let claim = open(
            &accepted,
            Some(form),
            key.key.for_kind(kind),
            kind,
            token,
            compact,
        )
        .ok()?;
        Some(TokenDiagnosis {
            kind,
            account: claim.account,
            epoch: claim.epoch,
            session: claim.session,
            generation: claim.generation,
            expires_at: claim.expires_at,
            kid: (*key.kid).clone(),
            key: fate(key.state, now),
        })
    }
}

fn fate(state: KeyState, now: Timestamp) -> KeyFate {
    match state {
        KeyState::Retiring { until } if until <= now => KeyFate::Gone { since: until },
        KeyState::Killed => KeyFate::Killed,
        _ => KeyFate::Alive,
    }
}
