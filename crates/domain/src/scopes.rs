//! Scopes: what a credential may be used for. Routes require them.

use std::collections::BTreeSet;

use crate::account::InvalidText;

/// A set of scope tokens (RFC 6749 section 3.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// No scope.
    pub(crate) const fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// The set of these tokens: at most 64, of up to 64 characters each.
    ///
    /// # Errors
    ///
    /// One of them is not a scope token, or there are too many.
    pub fn parse<T: AsRef<str>>(tokens: &[T]) -> Result<Self, InvalidText> {
        if tokens.len() > 64 {
            return Err(InvalidText::new("there are more than 64 scopes"));
        }
        let parsed = tokens.iter().map(|token| scope(token.as_ref()));
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// The tokens, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The first of `wanted` that is not in the set.
    pub fn first_missing<'w>(&self, wanted: &'w Self) -> Option<&'w str> {
        wanted.iter().find(|token| !self.0.contains(*token))
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn scope(text: &str) -> Result<String, InvalidText> {
    let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(InvalidText::new(format!("{text:?} is not a scope"))
        .with_help("write 1 to 64 visible characters without spaces, quotes and \\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_scope_that_is_not_there_is_named() {
        let has = Scopes::parse(&["payout:write", "read"]).unwrap();
        let missing = |wanted: &[&str]| {
            let wanted = Scopes::parse(wanted).unwrap();
            has.first_missing(&wanted).map(str::to_owned)
        };
        assert_eq!(missing(&[]), None);
        assert_eq!(missing(&["read"]), None);
        assert_eq!(missing(&["read", "admin"]), Some("admin".to_owned()));
    }

    #[test]
    fn a_scope_is_one_visible_word() {
        let long = "a".repeat(65);
        for bad in ["", "a b", "a\"", "a\\", "\u{e9}", "a\n", long.as_str()] {
            assert!(Scopes::parse(&[bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_set_of_scopes_says_what_is_in_it() {
        let scopes = Scopes::parse(&["read", "payout:write", "read"]).unwrap();
        assert!(!scopes.is_empty());
        assert_eq!(scopes.iter().collect::<Vec<_>>(), ["payout:write", "read"]);
        assert!(Scopes::default().is_empty());
        assert_eq!(Scopes::default().iter().next(), None);
    }

    #[test]
    fn a_credential_has_at_most_64_scopes_of_64_characters() {
        let many: Vec<String> = (0..65).map(|number| format!("scope-{number}")).collect();
        assert!(Scopes::parse(&many[..64]).is_ok());
        let refused = Scopes::parse(&many).unwrap_err();
        assert_eq!(refused.message, "there are more than 64 scopes");
        assert!(Scopes::parse(&["a".repeat(64)]).is_ok());
    }
}
