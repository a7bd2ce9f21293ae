//! What stands for secrets where a request is shown: the request is written
//! anew with placeholders, so that no secret is near what is printed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_dialect::{ClientValues, Dialect, ExtraParts, Secret, Variant};
use countersign_domain::TokenOperation;
use http::Request;

/// A placeholder for each secret that a request may hold.
pub(super) struct Placeholders {
    secret: Secret,
    extra: ExtraParts,
    /// What is found in a text, and the name of what it stands for.
    names: Vec<(String, String)>,
}

impl Placeholders {
    /// For a login's secret and further parts of these names.
    pub(super) fn new<'n>(extra: impl IntoIterator<Item = &'n str>) -> Self {
        let mut names = vec![(placeholder(0), "secret".to_owned())];
        for name in extra {
            names.push((placeholder(names.len()), name.to_owned()));
        }
        let parts = names.iter().skip(1);
        Self {
            secret: Secret::from(placeholder(0)),
            extra: parts
                .map(|(it, name)| (name.clone(), Secret::from(it.as_str())))
                .collect(),
            names,
        }
    }

    /// The request for a login.
    pub(super) fn request(
        &self,
        dialect: &Dialect,
        variant: Variant,
        login: &str,
    ) -> Option<Request<Bytes>> {
        let asking = ClientValues {
            login: Some(login),
            secret: Some(&self.secret),
            extra: Some(&self.extra),
            ..ClientValues::default()
        };
        dialect.request(TokenOperation::Login, variant, &asking)
    }

    /// A text for people: `[secret]`.
    pub(super) fn shown(&self, text: &str) -> String {
        if let Some(pair) = self.basic(text) {
            return format!("Basic [{}]", self.shown(&pair));
        }
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (it, name)| {
            text.replace(it, &format!("[{name}]"))
        })
    }

    /// A text as a word for a shell: `'…'"$COUNTERSIGN_SECRET"'…'`.
    pub(super) fn quoted(&self, text: &str) -> String {
        let mut word = String::new();
        let mut rest = text;
        while let Some((at, it, name)) = self.first_in(rest) {
            word.push_str(&single_quoted(rest.get(..at).unwrap_or_default()));
            word.push_str(&format!("\"${}\"", variable(name)));
            rest = rest.get(at + it.len()..).unwrap_or_default();
        }
        word.push_str(&single_quoted(rest));
        word
    }

    fn first_in(&self, text: &str) -> Option<(usize, &str, &str)> {
        let found = self.names.iter().filter_map(|(it, name)| {
            let at = text.find(it)?;
            Some((at, it.as_str(), name.as_str()))
        });
        found.min()
    }

    /// User and password of HTTP Basic (RFC 7617), if there is a placeholder in
    /// them.
    pub(super) fn basic(&self, value: &str) -> Option<String> {
        let pair = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let names = &mut self.names.iter();
        names.any(|(it, _)| pair.contains(it)).then_some(pair)
    }
}

fn single_quoted(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Letters and digits only, which every place of a request takes as they are.
fn placeholder(number: usize) -> String {
    format!("countersign{number}placeholder")
}

fn variable(name: &str) -> String {
    let upper = name.chars().map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    });
    format!("COUNTERSIGN_{}", upper.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_a_shell_keeps_every_character_and_names_the_secret() {
        let placeholders = Placeholders::new(["api-key"]);
        let (secret, key) = (placeholder(0), placeholder(1));
        for (text, word) in [
            (secret.clone(), r#""$COUNTERSIGN_SECRET""#),
            (format!("a={secret}"), r#"'a='"$COUNTERSIGN_SECRET""#),
            (
                format!("{key}{secret}''"),
                r#""$COUNTERSIGN_API_KEY""$COUNTERSIGN_SECRET"''\'''\'''"#,
            ),
            ("it's $HOME".to_owned(), r"'it'\''s $HOME'"),
        ] {
            assert_eq!(placeholders.quoted(&text), word);
        }
    }

    #[test]
    fn basic_is_shown_with_its_user_and_without_its_password() {
        let placeholders = Placeholders::new([]);
        let pair = STANDARD.encode(format!("acme:{}", placeholder(0)));
        let shown = placeholders.shown(&format!("Basic {pair}"));
        assert_eq!(shown, "Basic [acme:[secret]]");
    }
}
