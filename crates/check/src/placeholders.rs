//! Placeholders for secrets in a request that is shown: the request is built again with the
//! placeholders, so no secret can get into what is printed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_client::RequestContext;
use countersign_dialect::{ClientValues, Dialect, ExtraParts, Secret, Variant};
use countersign_domain::TokenOperation;
use http::Request;

/// A placeholder for each secret that a request holds.
pub struct SecretPlaceholders {
    context: RequestContext,
    /// What is found in a text, and the name of what it stands for.
    names: Vec<(String, String)>,
}

impl SecretPlaceholders {
    /// For a request that has no secrets, or whose secrets may be seen.
    pub fn none() -> Self {
        Self {
            context: RequestContext {
                operation: TokenOperation::Login,
                secret: None,
                access_token: None,
                refresh_token: None,
                extra: ExtraParts::new(),
            },
            names: Vec::new(),
        }
    }

    /// For the secrets of a request. What is empty stays so: a dialect may leave it out.
    pub fn for_request(asked: &RequestContext) -> Self {
        let mut names = Vec::new();
        let mut stand_in = |name: &str, secret: &Secret| {
            if secret.expose().is_empty() {
                return secret.clone();
            }
            let word = placeholder(names.len());
            names.push((word.clone(), name.to_owned()));
            Secret::from(word)
        };
        let mut own = |name, secret: &Option<Secret>| {
            let secret = secret.as_ref();
            secret.map(|it| stand_in(name, it))
        };
        let secret = own("secret", &asked.secret);
        let access_token = own("access_token", &asked.access_token);
        let refresh_token = own("refresh_token", &asked.refresh_token);
        let extra = asked.extra.iter();
        let extra: ExtraParts = extra
            .map(|(name, part)| (name.clone(), stand_in(name, part)))
            .collect();
        Self {
            context: RequestContext {
                operation: asked.operation,
                secret,
                access_token,
                refresh_token,
                extra,
            },
            names,
        }
    }

    /// The request.
    pub fn request(
        &self,
        dialect: &Dialect,
        variant: Variant,
        login: &str,
    ) -> Option<Request<Bytes>> {
        let asking = request_values(&self.context, login);
        dialect.request(self.context.operation, variant, &asking)
    }

    /// A text for people: `[secret]`.
    pub(crate) fn shown(&self, text: &str) -> String {
        if let Some(pair) = self.basic(text) {
            return format!("Basic [{}]", self.shown(&pair));
        }
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (it, name)| {
            text.replace(it, &format!("[{name}]"))
        })
    }

    /// A text as a word for a shell: `'…'"$COUNTERSIGN_SECRET"'…'`.
    pub(crate) fn quoted(&self, text: &str) -> String {
        let mut word = String::new();
        let mut rest = text;
        while let Some((at, it, name)) = self.first_in(rest) {
            word.push_str(&quoted(rest.get(..at).unwrap_or_default()));
            word.push_str(&format!("\"${}\"", variable(name)));
            rest = rest.get(at + it.len()..).unwrap_or_default();
        }
        word.push_str(&quoted(rest));
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
    pub(crate) fn basic(&self, value: &str) -> Option<String> {
        let pair = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let names = &mut self.names.iter();
        names.any(|(it, _)| pair.contains(it)).then_some(pair)
    }
}

/// What a request is written with.
pub fn request_values<'a>(context: &'a RequestContext, login: &'a str) -> ClientValues<'a> {
    ClientValues {
        login: Some(login),
        secret: context.secret.as_ref(),
        access_token: context.access_token.as_ref(),
        refresh_token: context.refresh_token.as_ref(),
        extra: Some(&context.extra),
    }
}

/// A word that a shell takes as it is.
pub fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A part of a word.
fn quoted(text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => shell_word(text),
    }
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

/// A login with further parts of these names.
#[cfg(test)]
pub(crate) fn login_with<'n>(extra: impl IntoIterator<Item = &'n str>) -> RequestContext {
    let extra = extra.into_iter();
    RequestContext {
        operation: TokenOperation::Login,
        secret: Some(Secret::from("s3cret")),
        access_token: None,
        refresh_token: None,
        extra: extra
            .map(|name| (name.to_owned(), Secret::from("part")))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_a_shell_keeps_every_character_and_names_the_secret() {
        let placeholders = SecretPlaceholders::for_request(&login_with(["api-key"]));
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
        let placeholders = SecretPlaceholders::for_request(&login_with([]));
        let pair = STANDARD.encode(format!("acme:{}", placeholder(0)));
        let shown = placeholders.shown(&format!("Basic {pair}"));
        assert_eq!(shown, "Basic [acme:[secret]]");
    }
}
