//! The opaque claim: which session a token belongs to, sealed by itself.
//!
//! Fixed layout, big-endian: one byte of version and kind, session id (16),
//! generation (4), account (8), credential (8), epoch (4), expiry in seconds (8),
//! in a refresh token the seed (32), and 16 bytes of HMAC-SHA256 under a key that only tokens
//! of this kind, key and api use. Written as base64url.

use aws_lc_rs::{constant_time, hmac};
use countersign_domain::account::Epoch;
use countersign_domain::{AccountId, CredentialId, SessionId, Timestamp, TokenKind};

use crate::compact::{decode, encode};
use crate::seed::RefreshSeed;

const BODY: usize = 1 + 16 + 4 + 8 + 8 + 4 + 8;
const SEED: usize = 32;
const MAC: usize = 16;

/// What the claim says.
#[derive(Clone, Debug)]
pub struct SessionClaim {
    /// The session.
    pub session: SessionId,
    /// Its generation.
    pub generation: u32,
    /// The account.
    pub account: AccountId,
    /// The credential that opened the session.
    pub credential: CredentialId,
    /// The account's epoch at login.
    pub epoch: Epoch,
    /// When the token runs out, in whole seconds.
    pub expires_at: Timestamp,
    /// The seed: in refresh tokens only.
    pub seed: Option<RefreshSeed>,
}

impl SessionClaim {
    /// A claim with a seed stands in a refresh token, one without in an access
    /// token.
    pub fn kind(&self) -> TokenKind {
        if self.seed.is_some() {
            TokenKind::Refresh
        } else {
            TokenKind::Access
        }
    }

    /// The claim as it stands in a token.
    pub(crate) fn seal(&self, key: &hmac::Key) -> String {
        let mut bytes = Vec::with_capacity(BODY + SEED + MAC);
        bytes.push(tag(self.kind()));
        bytes.extend_from_slice(&self.session.0);
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.account.number().to_be_bytes());
        bytes.extend_from_slice(&self.credential.0.to_be_bytes());
        bytes.extend_from_slice(&self.epoch.0.to_be_bytes());
        bytes.extend_from_slice(&self.expires_at.as_seconds().to_be_bytes());
        if let Some(seed) = &self.seed {
            bytes.extend_from_slice(seed.bytes());
        }
        let mac = hmac::sign(key, &bytes);
        bytes.extend_from_slice(&mac.as_ref()[..MAC]);
        encode(bytes)
    }

    /// The claim in `text`, if `key` sealed it as one of this kind.
    pub(crate) fn open(text: &str, kind: TokenKind, key: &hmac::Key) -> Option<Self> {
        let sealed = decode(text).filter(|bytes| bytes.len() == length(kind))?;
        let (body, mac) = sealed.split_at(sealed.len() - MAC);
        let ours = hmac::sign(key, body);
        constant_time::verify_slices_are_equal(&ours.as_ref()[..MAC], mac).ok()?;
        Self::read(body, kind)
    }

    fn read(body: &[u8], kind: TokenKind) -> Option<Self> {
        let (tagged, rest) = body.split_first()?;
        let (session, rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (account, rest) = rest.split_first_chunk()?;
        let (credential, rest) = rest.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (expires_at, rest) = rest.split_first_chunk()?;
        let seed = rest
            .first_chunk::<SEED>()
            .map(|bytes| RefreshSeed::new(*bytes));
        // RFC 8725 section 3.12: "If more than one kind of JWT can be issued by the same issuer,
        // the validation rules for those JWTs MUST be written such that they are mutually
        // exclusive, rejecting JWTs of the wrong kind."
        (*tagged == tag(kind)).then_some(())?;
        Some(Self {
            session: SessionId(*session),
            generation: u32::from_be_bytes(*generation),
            account: AccountId::new(u64::from_be_bytes(*account))?,
            credential: CredentialId(u64::from_be_bytes(*credential)),
            epoch: Epoch(u32::from_be_bytes(*epoch)),
            expires_at: Timestamp::from_seconds(i64::from_be_bytes(*expires_at)),
            seed,
        })
    }
}

/// The version of the layout, 2, in the upper half, and the kind in the lower.
const fn tag(kind: TokenKind) -> u8 {
    match kind {
        TokenKind::Access => 0x21,
        TokenKind::Refresh => 0x22,
    }
}

/// How many bytes a sealed claim has.
pub(crate) const fn length(kind: TokenKind) -> usize {
    match kind {
        TokenKind::Access => BODY + MAC,
        TokenKind::Refresh => BODY + SEED + MAC,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    fn claim(seed: Option<RefreshSeed>) -> SessionClaim {
        SessionClaim {
            session: SessionId([0xab; 16]),
            generation: 7,
            account: AccountId::new(123_456).unwrap(),
            credential: CredentialId(31),
            epoch: Epoch(2),
            expires_at: Timestamp::from_seconds(1_718_215_364),
            seed,
        }
    }

    #[test]
    fn what_was_sealed_is_read_back() {
        let sealed = claim(Some(RefreshSeed::new([9; 32]))).seal(&key(1));
        let read = SessionClaim::open(&sealed, TokenKind::Refresh, &key(1)).unwrap();
        assert_eq!(read.session, SessionId([0xab; 16]));
        assert_eq!(
            (
                read.generation,
                read.account.number(),
                read.credential.0,
                read.epoch.0
            ),
            (7, 123_456, 31, 2)
        );
        assert_eq!(read.expires_at, Timestamp::from_seconds(1_718_215_364));
        assert_eq!(read.seed.unwrap().bytes(), [9; 32]);
    }

    #[test]
    fn a_claim_is_sealed_as_every_release_sealed_it() {
        let access = "Iaurq6urq6urq6urq6urq6sAAAAHAAAAAAAB4kAAAAAA\
            AAAAHwAAAAIAAAAAZmnixFRb2p17JvGV41ph2Z4Jf8I";
        assert_eq!(claim(None).seal(&key(1)), access);
        let refresh = "Iqurq6urq6urq6urq6urq6sAAAAHAAAAAAAB4kAAAAAA\
            AAAAHwAAAAIAAAAAZmnixAkJCQkJCQkJCQkJCQkJCQkJ\
            CQkJCQkJCQkJCQkJCQkJToX6B_rEdWB61K-1VPt5tQ";
        assert_eq!(
            claim(Some(RefreshSeed::new([9; 32]))).seal(&key(1)),
            refresh
        );
    }

    #[test]
    fn one_kind_is_never_the_other_even_under_one_key() {
        let access = claim(None).seal(&key(1));
        let refresh = claim(Some(RefreshSeed::new([9; 32]))).seal(&key(1));
        assert!(SessionClaim::open(&access, TokenKind::Refresh, &key(1)).is_none());
        assert!(SessionClaim::open(&refresh, TokenKind::Access, &key(1)).is_none());
    }

    #[test]
    fn a_sealed_claim_of_another_version_is_refused() {
        let mut body = decode(&claim(None).seal(&key(1))).unwrap();
        body.truncate(BODY);
        body[0] = (1 << 4) | 1;
        let mac = hmac::sign(&key(1), &body);
        body.extend_from_slice(&mac.as_ref()[..MAC]);
        assert!(SessionClaim::open(&encode(body), TokenKind::Access, &key(1)).is_none());
    }

    #[test]
    fn every_changed_character_breaks_the_seal() {
        let sealed = claim(None).seal(&key(1));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(
                SessionClaim::open(&changed, TokenKind::Access, &key(1)).is_none(),
                "at {at}"
            );
        }
        for cut in 0..sealed.len() {
            assert!(SessionClaim::open(&sealed[..cut], TokenKind::Access, &key(1)).is_none());
        }
        assert!(SessionClaim::open(&sealed, TokenKind::Access, &key(2)).is_none());
        assert!(SessionClaim::open(&format!("{sealed}A"), TokenKind::Access, &key(1)).is_none());
    }
}
