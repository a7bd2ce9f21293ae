//! Logins as the throttle counts them: spellings that differ only in case, white space or
//! Unicode normalization count as one.

use unicode_normalization::UnicodeNormalization;

/// No login is longer (see `countersign_domain::account::check_login`).
const MOST: usize = 128;

/// A login that is equal for all of its variants. It is only counted, never looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LoginKey(String);

impl LoginKey {
    /// The compatibility form (Unicode Standard Annex 15, NFKC) of the login, with its
    /// case folded and its white space removed.
    pub(super) fn normalize(login: &str) -> Self {
        let visible = |it: &char| !it.is_whitespace() && !it.is_control();
        let plain = login.chars().filter(visible).take(MOST).nfkc();
        // There and back: no single step makes one of ß, ẞ and ss.
        let folded = plain
            .flat_map(char::to_lowercase)
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase);
        Self(folded.nfkc().filter(visible).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_of_a_login_are_one() {
        for variants in [
            &[
                "partner",
                "Partner",
                " PARTNER\t",
                "part ner",
                "ｐａｒｔｎｅｒ",
                "partner\u{3000}",
            ][..],
            &["straße", "STRASSE", "Straẞe"],
            &["ÉCLAIR", "e\u{301}clair", "éclair"],
            &["Σίσυφος", "ΣΊΣΥΦΟΣ", "σίσυφοσ"],
            &["ﬁrm", "FIRM"],
        ] {
            for variant in variants {
                assert_eq!(
                    LoginKey::normalize(variant),
                    LoginKey::normalize(variants[0]),
                    "{variant}"
                );
            }
        }
        assert_ne!(
            LoginKey::normalize("partner"),
            LoginKey::normalize("partners")
        );
    }

    #[test]
    fn a_login_of_a_megabyte_is_cut() {
        assert!(LoginKey::normalize(&"ﷺ".repeat(300_000)).0.len() < 20_000);
    }
}
