//! What a vendor wrote, fit to be shown: secrets, tokens and signatures are
//! replaced, the structure stays.
//!
//! It must hold for replies that no dialect explains, too, so it goes by looks
//! and not by the dialect: known secrets, members whose name speaks of one, and
//! whatever is long and random. What is harmless and looks alike goes too.

use countersign_dialect::percent_encoded;
use http::{HeaderMap, HeaderName};
use serde_json::Value;

/// From here on a word may be a token.
const LONG: usize = 16;
/// From here on a word is one even if it has no digit.
const VERY_LONG: usize = 24;
/// More of a text is not shown: an error page is enough at its beginning.
const SHOWN: usize = 8 * 1024;

/// Parts of the names of members and headers that hold secrets.
const TELLING: [&str; 16] = [
    "access",
    "auth",
    "bearer",
    "cookie",
    "credential",
    "csrf",
    "jwt",
    "key",
    "otp",
    "pass",
    "pin",
    "refresh",
    "secret",
    "session",
    "sign",
    "token",
];

/// Headers that hold none, and are looked for when something is wrong.
const HARMLESS: [&str; 19] = [
    "accept",
    "accept-encoding",
    "allow",
    "cache-control",
    "cf-ray",
    "connection",
    "content-length",
    "content-type",
    "date",
    "retry-after",
    "server",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-correlation-id",
    "x-countersign-refusal",
    "x-request-id",
];

/// Replaces secrets: those that it knows, and texts that look like one.
#[derive(Default)]
pub struct Redactor {
    known: Vec<String>,
    /// A text that looks like a secret but is not one.
    public: String,
}

impl Redactor {
    /// Knows these secrets, as they are and as JSON and URLs write them.
    pub fn knowing<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let mut known: Vec<_> = secrets.into_iter().flat_map(spellings).collect();
        known.retain(|it| !it.is_empty());
        // The longest first: one may be a part of another.
        known.sort_by_key(|it| std::cmp::Reverse(it.len()));
        Self {
            known,
            public: String::new(),
        }
    }

    /// Shows this text wherever it stands alone: a login may look like a token.
    pub fn showing(self, public: &str) -> Self {
        Self {
            public: public.to_owned(),
            ..self
        }
    }

    /// A sentence of the vendor's.
    pub fn sentence(&self, text: &str) -> String {
        printable(&self.words(&self.without_known(text)))
    }

    /// A body.
    pub fn body(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let shown = match text.trim_start().chars().next() {
            Some('{' | '[' | '"') => self.json(&text),
            _ => self.words(&self.without_known(&text)),
        };
        lines(&shortened(&shown))
    }

    /// The headers, by name and value.
    pub fn headers(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let shown = headers.iter().map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), printable(&self.header(name, &text)))
        });
        shown.collect()
    }

    fn header(&self, name: &HeaderName, value: &str) -> String {
        let value = self.without_known(value);
        match name.as_str() {
            // Where it leads is what is looked for; a query may hold a token.
            "location" => value
                .split(['?', '#'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            name if HARMLESS.contains(&name) => value,
            name if is_telling(name) => redacted(&value),
            _ => self.words(&value),
        }
    }

    /// JSON, or what begins like it: only texts are replaced, so that it stays
    /// as it is written.
    fn json(&self, text: &str) -> String {
        let mut shown = String::new();
        let mut name = String::new();
        let mut rest = text;
        while let Some((before, literal, after)) = next_literal(rest) {
            shown.push_str(&self.words(before));
            if after.trim_start().starts_with(':') {
                name = unquoted(literal);
                shown.push_str(&self.without_known(literal));
            } else {
                shown.push_str(&self.member(&name, literal));
            }
            rest = after;
        }
        shown + &self.words(rest)
    }

    fn member(&self, name: &str, literal: &str) -> String {
        let text = unquoted(literal);
        let shown = if is_telling(name) && text.len() >= 8 && !is_time(&text) {
            redacted(&text)
        } else {
            self.words(&self.without_known(&text))
        };
        if shown == text {
            return literal.to_owned();
        }
        Value::String(shown).to_string()
    }

    fn without_known(&self, text: &str) -> String {
        let known = self.known.iter();
        known.fold(text.to_owned(), |text, it| {
            text.replace(it.as_str(), "[redacted]")
        })
    }

    /// Replaces the words that may be tokens.
    fn words(&self, text: &str) -> String {
        let mut shown = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(is_of_tokens) {
            let (before, from) = rest.split_at(at);
            let end = from.find(|c| !is_of_tokens(c)).unwrap_or(from.len());
            let (word, after) = from.split_at(end);
            shown.push_str(before);
            if is_opaque(word) && word != self.public {
                shown.push_str(&redacted(word));
            } else {
                shown.push_str(word);
            }
            rest = after;
        }
        shown + rest
    }
}

/// A secret as it is, and as it is written in JSON and in URLs and forms.
fn spellings(secret: &str) -> [String; 3] {
    let quoted = Value::from(secret).to_string();
    [
        secret.to_owned(),
        quoted.trim_matches('"').to_owned(),
        percent_encoded(secret).to_string(),
    ]
}

/// What comes before the next text in quotes, that text, and what comes after.
fn next_literal(text: &str) -> Option<(&str, &str, &str)> {
    let begin = text.find('"')?;
    let inside = text.get(begin + 1..)?;
    let mut escaped = false;
    let end = inside.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let end = end.map_or(text.len(), |end| begin + 1 + end + 1);
    Some((text.get(..begin)?, text.get(begin..end)?, text.get(end..)?))
}

/// The text that a literal stands for; the raw text if it is not a valid literal.
fn unquoted(literal: &str) -> String {
    serde_json::from_str(literal).unwrap_or_else(|_| literal.trim_matches('"').to_owned())
}

fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|part| name.contains(part))
}

/// `2024-06-12T18:02:44.405243Z` and its like.
fn is_time(text: &str) -> bool {
    let parts = text.chars();
    text.contains(':') && { parts }.all(|c| c.is_ascii_digit() || "TtZz:.+- ".contains(c))
}

fn is_of_tokens(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_+/=.~".contains(c)
}

fn is_opaque(word: &str) -> bool {
    let random = word.len() >= LONG && word.contains(|c: char| c.is_ascii_digit());
    random || word.len() >= VERY_LONG
}

fn redacted(text: &str) -> String {
    format!("[redacted, {} characters]", text.chars().count())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} [and more]", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Text that cannot move the cursor or colour the terminal, whoever wrote it.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// The same lines, none of which can move the cursor.
fn lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MTgyMTUzNjR9.c2lnbmF0dXJl";

    fn shown(body: &str) -> String {
        Redactor::default().body(body.as_bytes())
    }

    #[test]
    fn tokens_and_signatures_go_and_the_structure_stays() {
        let sign = "39c2".repeat(16);
        let body = format!(
            r#"{{"data": {{"id": null, "attributes": {{"refresh": "{JWT}", "access": "{JWT}",
  "access_expired_at": "2024-06-12T18:02:44.405243Z", "is_2fa_confirmed": false}}}},
  "meta": {{"time": "2024-06-12T17:47:44.405243Z", "sign": "{sign}"}}}}"#
        );
        let length = JWT.len();
        let expected = body
            .replace(JWT, &format!("[redacted, {length} characters]"))
            .replace(&sign, "[redacted, 64 characters]");
        assert_eq!(shown(&body), expected);
    }

    #[test]
    fn what_a_vendor_says_about_a_mistake_is_shown_as_it_is() {
        for body in [
            r#"{"errors": [{"detail": "No active account found with the given credentials", "status": "400", "source": {"pointer": "/data"}, "code": "2006"}]}"#,
            r#"{"error":{"name":"UnauthorizedError","code":"VALIDATION_FAILURE","message":"Username and password are required"}}"#,
            r#"{"expires_in": 3599, "token_type": "Bearer"}"#,
            "<html><body>Bad Gateway</body></html>",
            "",
        ] {
            assert_eq!(shown(body), body);
        }
    }

    #[test]
    fn a_token_is_found_wherever_it_stands() {
        let escaped = JWT.replace('.', "\\u002e");
        for body in [
            format!("token={JWT}&x=1"),
            format!("<p>{JWT}</p>"),
            format!(r#"["{JWT}"]"#),
            format!(r#""{JWT}""#),
            format!(r#"{{"message": "the token {JWT} is bad"}}"#),
            format!(r#"{{"message": "{escaped}"}}"#),
            format!(r#"{{"access": "{JWT}"#),
            format!(r#"{{"broken {JWT}"#),
        ] {
            let shown = shown(&body);
            assert!(!shown.contains("eyJ"), "{body} gave {shown}");
        }
    }

    #[test]
    fn a_short_secret_is_known_by_the_name_of_its_member() {
        let shown = shown(r#"{"password": "hunter22", "user": "hunter22"}"#);
        assert_eq!(
            shown,
            r#"{"password": "[redacted, 8 characters]", "user": "hunter22"}"#
        );
    }

    #[test]
    fn a_known_secret_goes_in_every_spelling() {
        let redactor = Redactor::knowing(["a\"b/c"]);
        for body in [
            r#"{"message": "a\"b/c is wrong"}"#,
            r#"{"message": "a\u0022b/c is wrong"}"#,
            r#"{"a\"b/c": 1}"#,
            "password=a%22b%2Fc",
            "password a\"b/c",
        ] {
            let shown = redactor.body(body.as_bytes());
            assert!(
                shown.contains("[redacted]") && !shown.contains('b'),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_login_that_looks_like_a_token_is_shown_and_no_other() {
        let login = format!("apr-{}", "3f0f7d0f".repeat(4));
        let redactor = Redactor::default().showing(&login);
        let body = format!(r#"{{"login": "{login}", "other": "{login}0"}}"#);
        let expected = format!(r#"{{"login": "{login}", "other": "[redacted, 37 characters]"}}"#);
        assert_eq!(redactor.body(body.as_bytes()), expected);
    }

    #[test]
    fn headers_that_hold_tokens_are_hidden_and_those_that_help_are_not() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("set-cookie", "id=short"),
            ("x-security-token", "abc"),
            ("cst", JWT),
            ("x-request-id", "3f0f7d0f9f3e4f0a8f0e6d5c4b3a2910"),
            ("location", "https://api.example.com/login?token=abc"),
            ("content-type", "application/vnd.api+json"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let shown: Vec<_> = Redactor::default().headers(&headers);
        let shown: Vec<_> = shown.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(
            shown,
            [
                "[redacted, 8 characters]",
                "[redacted, 3 characters]",
                &format!("[redacted, {} characters]", JWT.len()),
                "3f0f7d0f9f3e4f0a8f0e6d5c4b3a2910",
                "https://api.example.com/login",
                "application/vnd.api+json",
            ]
        );
    }

    #[test]
    fn a_vendor_cannot_colour_the_terminal() {
        let shown = shown("a\u{1b}[31m\r\nb");
        assert!(
            !shown.replace('\n', "").contains(char::is_control),
            "{shown:?}"
        );
    }
}
