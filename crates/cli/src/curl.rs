//! Requests as curl commands, secrets included: for the demo and the sandbox, whose secrets are
//! public.

use bytes::Bytes;
use countersign_dialect::Dialect;
use http::{HeaderName, HeaderValue, Request};

/// The line that sends a request, whose URI is a path, to `url`.
pub(crate) fn line(url: &str, request: &Request<Bytes>) -> String {
    let headers = headers(request.headers().iter());
    let target = quoted(&format!("{url}{}", request.uri()));
    let body = String::from_utf8_lossy(request.body());
    let body = match body.is_empty() {
        true => String::new(),
        false => format!(" -d {}", quoted(&body)),
    };
    format!("curl -X {} {target}{headers}{body}\n", request.method())
}

/// The line that calls a guarded path with a token.
pub(crate) fn call(url: &str, path: &str, dialect: &Dialect, token: &str) -> String {
    let presented = dialect
        .present(token, &dialect.parts_for_a_sandbox())
        .unwrap_or_default();
    let headers = headers(presented.iter().map(|(name, value)| (name, value)));
    format!("curl {}{headers}\n", quoted(&format!("{url}{path}")))
}

/// The line that sends a login and keeps the access token, which the reply has
/// under this name, in the shell's variable `TOKEN`.
pub(crate) fn into_variable(url: &str, request: &Request<Bytes>, member: &str) -> String {
    let line = line(url, request);
    let line = line.trim_end().replacen("curl ", "curl -s ", 1);
    let pick = quoted(&format!(r#"s/.*"{member}": *"\([^"]*\)".*/\1/p"#));
    format!("TOKEN=$({line} | sed -n {pick})\n")
}

/// The line that calls a guarded path with the token in the shell's `TOKEN`.
pub(crate) fn call_with_variable(url: &str, path: &str, dialect: &Dialect) -> String {
    const PLACE: &str = "THE-ACCESS-TOKEN";
    call(url, path, dialect, PLACE).replace(PLACE, "'\"$TOKEN\"'")
}

/// A word that a shell takes as it is.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn headers<'h>(headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>) -> String {
    let option = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        format!(" -H {}", quoted(&format!("{name}: {value}")))
    };
    headers.map(option).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_secret_does_not_end_the_word() {
        let request = Request::post("/login").header("x-key", "a'b");
        let request = request.body(Bytes::from("it's")).unwrap();
        assert_eq!(
            line("http://localhost", &request),
            "curl -X POST 'http://localhost/login' -H 'x-key: a'\\''b' -d 'it'\\''s'\n"
        );
    }
}
