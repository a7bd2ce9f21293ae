//! What a token is for and how it is signed. The signing itself is the
//! business of `countersign-token`.

use std::fmt;

/// The kind of a token. Each kind has keys of its own, so that one is never
/// taken for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Sent with each guarded request; short-lived.
    Access,
    /// Traded for a new pair; rotates.
    Refresh,
}

impl TokenKind {
    /// The stable name, as in dialect files and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        }
    }
}

/// The algorithm of a key, from RFC 7518 section 3.1.
///
/// It belongs to the key and is never read from a token: a token that names
/// another is refused (RFC 8725 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl Algorithm {
    /// Every algorithm that a key can have.
    pub const ALL: [Self; 2] = [Self::Hs256, Self::Rs256];

    /// The name that stands in a token's `alg` header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm with this `alg` name, in exactly this spelling.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_no_algorithm_in_any_case() {
        for name in [
            "none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "HS512", "ES256",
        ] {
            assert_eq!(Algorithm::from_name(name), None, "{name:?}");
        }
        assert_eq!(Algorithm::from_name("RS256"), Some(Algorithm::Rs256));
    }

    #[test]
    fn an_algorithm_is_read_as_it_is_written() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
            assert_eq!(algorithm.to_string(), algorithm.name());
        }
    }

    #[test]
    fn a_token_of_each_kind_is_called_by_its_kind() {
        let names = [TokenKind::Access, TokenKind::Refresh].map(TokenKind::name);
        assert_eq!(names, ["access", "refresh"]);
    }
}
