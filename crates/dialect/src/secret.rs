//! Secrets: login secrets, tokens and static keys while they are in memory.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

/// A text that must stay secret: it is zeroed when dropped, does not print, and compares
/// in constant time.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself. The caller must keep it out of logs and errors.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Invisible characters at the beginning or end that nobody meant, as editors and web
    /// pages leave them; described as what the secret does with them.
    pub fn unseen_end(&self) -> Option<String> {
        let ends = [
            ("begins", self.0.chars().next()),
            ("ends", self.0.chars().next_back()),
        ];
        let unseen = ends
            .into_iter()
            .find_map(|(verb, c)| Some((verb, c.filter(|c| is_unseen(*c))?)));
        let (verb, c) = unseen?;
        Some(format!(
            "{verb} with {}, which cannot be seen",
            unseen_name(c)
        ))
    }

    /// What to do about an [unseen end](Self::unseen_end).
    pub const UNSEEN_HELP: &str = "remove it";

    /// Whether it begins or ends with a blank. That may belong to a password, and looks as if
    /// it did not.
    pub fn has_blank_end(&self) -> bool {
        self.0.starts_with([' ', '\t']) || self.0.ends_with([' ', '\t'])
    }

    /// What may have come into it by mistake, described as what the secret does. It may be
    /// meant: a passphrase may have several lines, or a blank that is not of ASCII.
    pub fn oddity(&self) -> Option<String> {
        if self.has_blank_end() {
            return Some("begins or ends with a blank".to_owned());
        }
        let meant = |c: char| c.is_whitespace() && c != '\u{a0}';
        let unseen = self.0.chars().find(|c| is_unseen(*c) && !meant(*c));
        if let Some(c) = unseen {
            return Some(format!("contains {}, which cannot be seen", unseen_name(c)));
        }
        // A key in PEM has lines.
        let is_odd = self.0.contains(char::is_control) && !self.0.starts_with("-----BEGIN ");
        is_odd.then(|| "has several lines, or a tab".to_owned())
    }
}

fn unseen_name(c: char) -> String {
    match c {
        '\u{feff}' => "a byte order mark".to_owned(),
        '\u{a0}' => "a no-break space (U+00A0)".to_owned(),
        c => format!("the character U+{:04X}", u32::from(c)),
    }
}

/// Spaces outside ASCII, control characters, and characters without width. A space in
/// ASCII may belong to a password.
fn is_unseen(c: char) -> bool {
    let of_no_width = matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
    );
    of_no_width || c.is_control() || (c.is_whitespace() && !c.is_ascii())
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::from("hunter2")), "Secret(..)");
    }

    #[test]
    fn what_cannot_be_seen_at_either_end_is_told() {
        let told = |text: &str| Secret::from(text).unseen_end();
        for seen in ["", "s3cret", " s3cret ", "s\u{feff}t", "s\u{a0}t", "пароль"] {
            assert_eq!(told(seen), None, "{seen:?}");
        }
        let begins = told("\u{feff}s3cret").unwrap();
        assert!(begins.starts_with("begins with a byte order mark"));
        let ends = told("s3cret\u{200b}").unwrap();
        assert!(ends.starts_with("ends with the character U+200B"), "{ends}");
    }

    #[test]
    fn what_may_be_a_mistake_is_told_and_what_is_plain_is_not() {
        let told = |text: &str| Secret::from(text).oddity();
        for seen in [
            "",
            "s3cret",
            "two words",
            "-----BEGIN PRIVATE KEY-----\nMC4C\n",
            "пароль",
            "a\u{3000}b",
            "e\u{301}",
        ] {
            assert_eq!(told(seen), None, "{seen:?}");
        }
        for (text, what) in [
            ("s\0t", "the character U+0000"),
            ("s\u{1b}t", "the character U+001B"),
            ("s\u{200b}t", "the character U+200B"),
            ("s\u{200d}t", "the character U+200D"),
            ("s\u{feff}t", "a byte order mark"),
            ("s\u{a0}t", "a no-break space"),
        ] {
            let told = told(text).unwrap();
            assert!(told.starts_with(&format!("contains {what}")), "{told}");
        }
        for text in [" s3cret", "s3cret ", "s3cret\t", " \n"] {
            assert_eq!(told(text).as_deref(), Some("begins or ends with a blank"));
        }
        for text in ["a\nb", "a\r\nb", "a\tb"] {
            assert_eq!(told(text).as_deref(), Some("has several lines, or a tab"));
        }
    }

    #[test]
    fn equal_means_every_byte() {
        assert_eq!(Secret::from("a"), Secret::from("a".to_owned()));
        assert_ne!(Secret::from("a"), Secret::from("ab"));
        assert_ne!(Secret::from("a"), Secret::from("b"));
    }
}
