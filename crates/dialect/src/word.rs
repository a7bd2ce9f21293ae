//! What a hole can stand for, and the values that fill one or come out of one.

use std::time::Duration;

use countersign_domain::Timestamp;
use zeroize::Zeroizing;

use crate::codec::Codec;
use crate::document::did_you_mean;

/// What a hole stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
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
    /// A further part of a credential or token: `{extra.NAME}`.
    Extra(Box<str>),
    /// A field of a refusal: `{detail}`, `{code}` and what the file invents.
    Field(Box<str>),
}

impl Word {
    /// Whether the value is an instant.
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

/// The words that one place of a file may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vocabulary<'v> {
    words: &'static [(&'static str, Word)],
    /// Names after `extra.`.
    extra: &'v [&'v str],
    /// Whether further parts may stand here at all.
    parts: bool,
    /// Whether any other name is a field of the refusals.
    fields: bool,
    /// Whether holes say how they are written; a signature takes over how the
    /// reply writes them.
    pub(crate) codecs: bool,
}

const REQUEST: &[(&str, Word)] = &[
    ("login", Word::Login),
    ("secret", Word::Secret),
    ("access_token", Word::AccessToken),
    ("refresh_token", Word::RefreshToken),
];

const REPLY: &[(&str, Word)] = &[
    ("login", Word::Login),
    ("access_token", Word::AccessToken),
    ("refresh_token", Word::RefreshToken),
    ("access_expires_at", Word::AccessExpiresAt),
    ("refresh_expires_at", Word::RefreshExpiresAt),
    ("now", Word::Now),
    ("client_id", Word::ClientId),
    ("signature", Word::Signature),
];

const SIGNATURE: &[(&str, Word)] = &[
    ("login", Word::Login),
    ("secret", Word::Secret),
    ("access_token", Word::AccessToken),
    ("refresh_token", Word::RefreshToken),
    ("access_expires_at", Word::AccessExpiresAt),
    ("refresh_expires_at", Word::RefreshExpiresAt),
    ("now", Word::Now),
    ("client_id", Word::ClientId),
];

const TOKEN_HEADER: &[(&str, Word)] = &[("alg", Word::Alg), ("kid", Word::Kid)];

const CLAIMS: &[(&str, Word)] = &[
    ("session", Word::Session),
    ("access_expires_at", Word::AccessExpiresAt),
    ("refresh_expires_at", Word::RefreshExpiresAt),
    ("issued_at", Word::IssuedAt),
    ("jti", Word::Jti),
    ("client_id", Word::ClientId),
    ("login", Word::Login),
];

const REFUSAL: &[(&str, Word)] = &[
    ("status", Word::Status),
    ("pointer", Word::Pointer),
    ("retry_after", Word::RetryAfter),
    ("allow", Word::Allow),
];

const PRESENTATION: &[(&str, Word)] = &[("access_token", Word::AccessToken)];

impl<'v> Vocabulary<'v> {
    pub(crate) const TOKEN_HEADER: Self = Self::plain(TOKEN_HEADER);
    pub(crate) const CLAIMS: Self = Self::plain(CLAIMS);
    pub(crate) const REFUSAL: Self = Self {
        words: REFUSAL,
        extra: &[],
        parts: false,
        fields: true,
        codecs: true,
    };

    const fn plain(words: &'static [(&'static str, Word)]) -> Self {
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

    /// The word of this name, or what may have been meant.
    pub(crate) fn word(&self, name: &str) -> Result<Word, Option<String>> {
        if let Some((_, word)) = self.words.iter().find(|(known, _)| *known == name) {
            return Ok(word.clone());
        }
        if let Some(extra) = name
            .strip_prefix("extra.")
            .filter(|name| self.extra.contains(name))
        {
            return Ok(Word::Extra(extra.into()));
        }
        if self.fields && !name.contains('.') {
            return Ok(Word::Field(name.into()));
        }
        Err(self.meant(name))
    }

    /// What may have been meant by a name that is none: the nearest, or all.
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

    /// The name of every word there is, for the reference.
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
pub(crate) enum Datum<'a> {
    Text(&'a str),
    Number(u64),
    Time(Timestamp),
    Bytes([u8; 16]),
}

/// What fills the holes of a template.
pub(crate) trait Values {
    /// The value for a word, if there is one.
    fn datum(&self, word: &Word) -> Option<Datum<'_>>;

    /// What relative times count from.
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
}

/// Seconds to wait, rounded up: a peer that comes back then is not too early.
pub(crate) fn whole_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

/// What came out of the holes of a text.
pub(crate) struct Bindings {
    /// What relative times count from.
    pub(crate) now: Timestamp,
    bound: Vec<(Word, Bound)>,
}

/// One value: its text as it stood on the wire, and what it means.
pub(crate) struct Bound {
    pub(crate) wire: Zeroizing<String>,
    pub(crate) time: Option<Timestamp>,
    pub(crate) number: Option<u64>,
    /// Whether the time was told as so long from now.
    pub(crate) relative: bool,
}

impl Bindings {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            now,
            bound: Vec::new(),
        }
    }

    /// Binds a word to what stood on the wire. False if the text does not fit
    /// the codec, or the word stood elsewhere with another value.
    pub(crate) fn bind(&mut self, word: &Word, codec: &Codec, wire: &str) -> bool {
        let Some((time, number)) = codec.read(word, wire, self.now) else {
            return false;
        };
        if let Some(earlier) = self.get(word) {
            return match time {
                Some(time) => earlier.time == Some(time),
                None => *earlier.wire == *wire,
            };
        }
        let wire = Zeroizing::new(wire.to_owned());
        let bound = Bound {
            wire,
            time,
            number,
            relative: codec.is_relative(),
        };
        self.bound.push((word.clone(), bound));
        true
    }

    pub(crate) fn get(&self, word: &Word) -> Option<&Bound> {
        self.bound
            .iter()
            .find(|(known, _)| known == word)
            .map(|(_, bound)| bound)
    }

    pub(crate) fn text(&self, word: &Word) -> Option<&str> {
        self.get(word).map(|bound| bound.wire.as_str())
    }

    pub(crate) fn time(&self, word: &Word) -> Option<Timestamp> {
        self.get(word)?.time
    }

    /// How long it is to a time that was told so.
    pub(crate) fn life(&self, word: &Word) -> Option<Duration> {
        let bound = self.get(word).filter(|bound| bound.relative)?;
        Some(bound.time?.since(self.now))
    }

    pub(crate) fn number(&self, word: &Word) -> Option<u64> {
        self.get(word)?.number
    }

    /// The further parts.
    pub(crate) fn extra(&self) -> crate::Extra {
        let part = |(word, bound): &(Word, Bound)| match word {
            Word::Extra(name) => Some((name.to_string(), bound.wire.as_str().into())),
            _ => None,
        };
        self.bound.iter().filter_map(part).collect()
    }
}
