//! What a token is for, and how it is signed. Signing itself is in `countersign-token`.

use crate::coded;

coded! {
    /// The kind of a token. Each kind has its own keys, so that one is never accepted as
    /// the other. These names appear in dialect files and logs.
    TokenKind(name, from_name) {
        /// Sent with each guarded request; short-lived.
        Access = "access",
        /// Exchanged for a new pair; replaced by each refresh.
        Refresh = "refresh",
    }
}

coded! {
    /// The algorithm of a key, from RFC 7518 section 3.1, named as in a token's `alg`
    /// header.
    ///
    /// It belongs to the key and is never taken from a token: a token that names another
    /// algorithm is refused (RFC 8725 section 3.1).
    Algorithm(name, from_name) {
        /// HMAC with SHA-256.
        Hs256 = "HS256",
        /// RSASSA-PKCS1-v1_5 with SHA-256.
        Rs256 = "RS256",
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
