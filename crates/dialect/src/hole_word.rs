//! The words that a hole can stand for, and the values that fill it or are read from it.

use std::time::Duration;

use countersign_domain::Timestamp;
use zeroize::Zeroizing;

use crate::codec::ValueCodec;
use crate::document::did_you_mean;

/// What a hole stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HoleWord {
    Login,
    Secret,
    AccessToken,
    RefreshToken,
    AccessExpiresAt,
    RefreshExpiresAt,
    IssuedAt,
    Now,
    ClientId,
    Signature,
    Session,
    Jti,
    Alg,
    Kid,
    Status,
    Pointer,
    RetryAfter,
    Allow,
    /// An extra part of a credential or token: `{extra.NAME}`.
    Extra(Box<str>),
    /// A field of a refusal: `{detail}`, `{code}`, and whatever the file adds.
    Field(Box<str>),
}

impl HoleWord {
    /// Whether the value is a time.
    pub(crate) fn is_time(&self) -> bool {
        matches!(
            self,
            Self::AccessExpiresAt | Self::RefreshExpiresAt | Self::IssuedAt | Self::Now
        )
    }

    /// Whether the value is a number unless a codec says otherwise.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::ClientId | Self::Status | Self::RetryAfter)
    }
}

/// The words that are allowed in one place of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WordVocabulary<'v> {
    words: &'static [(&'static str, HoleWord)],
    /// The names after `extra.`.
    extra: &'v [&'v str],
    /// Whether extra parts are allowed here at all.
    parts: bool,
    /// Whether any other name is a field of a refusal.
    fields: bool,
    /// Whether holes state their codec; a signature takes over the codecs of the reply.
    pub(crate) codecs: bool,
}

const REQUEST: &[(&str, HoleWord)] = &[
    ("login", HoleWord::Login),
    ("secret", HoleWord::Secret),
    ("access_token", HoleWord::AccessToken),
    ("refresh_token", HoleWord::RefreshToken),
];

const REPLY: &[(&str, HoleWord)] = &[
    ("login", HoleWord::Login),
    ("access_token", HoleWord::AccessToken),
    ("refresh_token", HoleWord::RefreshToken),
    ("access_expires_at", HoleWord::AccessExpiresAt),
    ("refresh_expires_at", HoleWord::RefreshExpiresAt),
    ("now", HoleWord::Now),
    ("client_id", HoleWord::ClientId),
    ("signature", HoleWord::Signature),
];

const SIGNATURE: &[(&str, HoleWord)] = &[
    ("login", HoleWord::Login),
    ("secret", HoleWord::Secret),
    ("access_token", HoleWord::AccessToken),
    ("refresh_token", HoleWord::RefreshToken),
    ("access_expires_at", HoleWord::AccessExpiresAt),
    ("refresh_expires_at", HoleWord::RefreshExpiresAt),
    ("now", HoleWord::Now),
    ("client_id", HoleWord::ClientId),
];

const TOKEN_HEADER: &[(&str, HoleWord)] = &[("alg", HoleWord::Alg), ("kid", HoleWord::Kid)];

const CLAIMS: &[(&str, HoleWord)] = &[
    ("session", HoleWord::Session),
    ("access_expires_at", HoleWord::AccessExpiresAt),
    ("refresh_expires_at", HoleWord::RefreshExpiresAt),
    ("issued_at", HoleWord::IssuedAt),
    ("jti", HoleWord::Jti),
    ("client_id", HoleWord::ClientId),
    ("login", HoleWord::Login),
];

const REFUSAL: &[(&str, HoleWord)] = &[
    ("status", HoleWord::Status),
    ("pointer", HoleWord::Pointer),
    ("retry_after", HoleWord::RetryAfter),
    ("allow", HoleWord::Allow),
];

const PRESENTATION: &[(&str, HoleWord)] = &[("access_token", HoleWord::AccessToken)];

impl<'v> WordVocabulary<'v> {
    pub(crate) const TOKEN_HEADER: Self = Self::plain(TOKEN_HEADER);
    pub(crate) const CLAIMS: Self = Self::plain(CLAIMS);
    pub(crate) const REFUSAL: Self = Self {
        words: REFUSAL,
        extra: &[],
        parts: false,
        fields: true,
        codecs: true,
    };

    const fn plain(words: &'static [(&'static str, HoleWord)]) -> Self {
        Self {
            words,
            extra: &[],
            parts: false,
            fields: false,
            codecs: true,
        }
    }

    pub(crate) const fn request(extra: &'v [&'v str]) -> Self {
        Self {
            words: REQUEST,
            extra,
            parts: true,
            fields: false,
            codecs: true,
        }
    }

    pub(crate) const fn reply(extra: &'v [&'v str]) -> Self {
        Self {
            words: REPLY,
            extra,
            parts: true,
            fields: false,
            codecs: true,
        }
    }

    pub(crate) const fn signature(extra: &'v [&'v str]) -> Self {
        Self {
            words: SIGNATURE,
            extra,
            parts: true,
            fields: false,
            codecs: false,
        }
    }

    pub(crate) const fn presentation(extra: &'v [&'v str]) -> Self {
        Self {
            words: PRESENTATION,
            extra,
            parts: true,
            fields: false,
            codecs: true,
        }
    }

    /// The word with this name, or what may have been meant.
    pub(crate) fn word(&self, name: &str) -> Result<HoleWord, Option<String>> {
        if let Some((_, word)) = self.words.iter().find(|(known, _)| *known == name) {
            return Ok(word.clone());
        }
        if let Some(extra) = name
            .strip_prefix("extra.")
            .filter(|name| self.extra.contains(name))
        {
            return Ok(HoleWord::Extra(extra.into()));
        }
        if self.fields && !name.contains('.') {
            return Ok(HoleWord::Field(name.into()));
        }
        Err(self.meant(name))
    }

    /// What may have been meant by an unknown name: the most similar one, or all of them.
    fn meant(&self, name: &str) -> Option<String> {
        let extra: Vec<String> = self
            .extra
            .iter()
            .map(|name| format!("extra.{name}"))
            .collect();
        let known = self.words.iter().map(|(name, _)| *name);
        let known: Vec<&str> = known.chain(extra.iter().map(String::as_str)).collect();
        let near = did_you_mean(name, known.iter().copied());
        if near.is_some() {
            return near;
        }
        if self.parts && name.starts_with("extra.") {
            return Some("name it in `[credential] extra`".to_owned());
        }
        let named: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
        Some(match self.parts && extra.is_empty() {
            true => format!(
                "the holes here are {}, and `extra.NAME` for what `[credential] extra` names",
                named.join(", ")
            ),
            false => format!("the holes here are {}", named.join(", ")),
        })
    }

    /// The names of all words, for the reference.
    #[cfg(test)]
    pub(crate) fn all_names() -> impl Iterator<Item = &'static str> {
        let all = [
            REQUEST,
            REPLY,
            SIGNATURE,
            TOKEN_HEADER,
            CLAIMS,
            REFUSAL,
            PRESENTATION,
        ];
        all.into_iter().flatten().map(|(name, _)| *name)
    }
}

/// A value that fills a hole.
#[derive(Clone, Copy)]
pub(crate) enum HoleValue<'a> {
    Text(&'a str),
    Number(u64),
    Time(Timestamp),
    Bytes([u8; 16]),
}

/// The values that fill the holes of a template.
pub(crate) trait HoleValues {
    /// The value of a word, if there is one.
    fn datum(&self, word: &HoleWord) -> Option<HoleValue<'_>>;

    /// The time from which relative times are counted.
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
}

/// Seconds to wait, rounded up, so that a peer that tries again then is not too early.
pub(crate) fn whole_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

/// The values that were read from the holes of a text.
pub(crate) struct HoleBindings {
    /// The time from which relative times are counted.
    pub(crate) now: Timestamp,
    bound: Vec<(HoleWord, BoundValue)>,
}

/// One value: its text as it was in the message, and its meaning.
pub(crate) struct BoundValue {
    pub(crate) wire: Zeroizing<String>,
    pub(crate) time: Option<Timestamp>,
    pub(crate) number: Option<u64>,
    /// Whether the text states a time relative to now.
    pub(crate) relative: bool,
}

impl HoleBindings {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            now,
            bound: Vec::new(),
        }
    }

    /// Binds a word to a text of a message. False if the text does not match the codec,
    /// or if the word was found elsewhere with another value.
    pub(crate) fn bind(&mut self, word: &HoleWord, codec: &ValueCodec, wire: &str) -> bool {
        let Some((time, number)) = codec.decode(word, wire, self.now) else {
            return false;
        };
        if let Some(earlier) = self.get(word) {
            return match time {
                Some(time) => earlier.time == Some(time),
                None => *earlier.wire == *wire,
            };
        }
        let wire = Zeroizing::new(wire.to_owned());
        let bound = BoundValue {
            wire,
            time,
            number,
            relative: codec.is_relative(),
        };
        self.bound.push((word.clone(), bound));
        true
    }

    pub(crate) fn get(&self, word: &HoleWord) -> Option<&BoundValue> {
        self.bound
            .iter()
            .find(|(known, _)| known == word)
            .map(|(_, bound)| bound)
    }

    pub(crate) fn text(&self, word: &HoleWord) -> Option<&str> {
        self.get(word).map(|bound| bound.wire.as_str())
    }

    pub(crate) fn time(&self, word: &HoleWord) -> Option<Timestamp> {
        self.get(word)?.time
    }

    /// How far away a time is, if the text states it so.
    pub(crate) fn life(&self, word: &HoleWord) -> Option<Duration> {
        let bound = self.get(word).filter(|bound| bound.relative)?;
        Some(bound.time?.since(self.now))
    }

    pub(crate) fn number(&self, word: &HoleWord) -> Option<u64> {
        self.get(word)?.number
    }

    /// The extra parts.
    pub(crate) fn extra(&self) -> crate::ExtraParts {
        let part = |(word, bound): &(HoleWord, BoundValue)| match word {
            HoleWord::Extra(name) => Some((name.to_string(), bound.wire.as_str().into())),
            _ => None,
        };
        self.bound.iter().filter_map(part).collect()
    }
}
