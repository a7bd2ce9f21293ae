//! Requests as curl commands. Secrets are shell variables in them, so that they can be shown and
//! kept, where the request was written with placeholders.

use bytes::Bytes;
use countersign_dialect::Dialect;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request};
use percent_encoding::percent_decode_str;

use crate::SecretPlaceholders;

/// The line that sends `request` to `url`.
pub fn curl_line(request: &Request<Bytes>, url: &str, secrets: &SecretPlaceholders) -> String {
    let mut words = vec!["curl".to_owned()];
    if *request.method() != implied(request) {
        words.push(format!("-X {}", request.method()));
    }
    words.push(secrets.quoted(url));
    for (name, value) in request.headers() {
        words.extend(header(name, value, secrets));
    }
    words.extend(body(request, secrets));
    words.join(" ")
}

/// The line that calls a guarded path with a token, which is written as it stands within
/// quotes: `'"$TOKEN"'` is a variable.
pub fn curl_call(url: &str, dialect: &Dialect, token: &str) -> String {
    const PLACE: &str = "THE-ACCESS-TOKEN";
    let mut call = Request::new(Bytes::new());
    let presented = dialect.present(PLACE, &dialect.parts_for_a_sandbox());
    call.headers_mut().extend(presented.unwrap_or_default());
    curl_line(&call, url, &SecretPlaceholders::none()).replace(PLACE, token)
}

/// The method that curl takes by itself.
fn implied(request: &Request<Bytes>) -> Method {
    if request.body().is_empty() {
        Method::GET
    } else {
        Method::POST
    }
}

fn header(name: &HeaderName, value: &HeaderValue, secrets: &SecretPlaceholders) -> Option<String> {
    let value = value.to_str().ok()?;
    if let Some(pair) = (*name == AUTHORIZATION)
        .then(|| secrets.basic(value))
        .flatten()
    {
        return Some(format!("-u {}", secrets.quoted(&pair)));
    }
    Some(format!(
        "-H {}",
        secrets.quoted(&format!("{name}: {value}"))
    ))
}

fn body(request: &Request<Bytes>, secrets: &SecretPlaceholders) -> Vec<String> {
    let text = String::from_utf8_lossy(request.body());
    if text.is_empty() {
        return Vec::new();
    }
    if !is_form(request) {
        return vec![format!("--data-raw {}", secrets.quoted(&text))];
    }
    // The form's media type is curl's own, but is sent as a header already.
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| format!("{name}={}", decoded(value)));
    pairs
        .map(|pair| format!("--data-urlencode {}", secrets.quoted(&pair)))
        .collect()
}

fn is_form(request: &Request<Bytes>) -> bool {
    let media = request.headers().get(CONTENT_TYPE);
    media.is_some_and(|it| {
        it.as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    })
}

/// A value of a form, as it was before it was encoded.
fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placeholders::login_with;

    /// The line for a dialect whose login request is this.
    fn line_of(request: &str) -> String {
        let source = format!(
            r#"
            schema = 1
            name = "small"
            serves = ["client"]
            session = {{ refresh = "none", login = "keeps" }}
            credential = {{ extra = ["tag"] }}
            guard = {{ present = [{{ header = "Authorization", value = "Bearer {{access_token}}" }}] }}
            errors = {{ body = '{{"message": "{{detail}}"}}' }}
            refusals = {{ bad_login = {{ detail = "No" }} }}
            [[login]]
            path = "/login"
            {request}
            reply.body = '{{"token": "{{access_token}}", "end": "{{access_expires_at:rfc3339}}"}}'
            "#
        );
        let dialect = Dialect::compile(&source, "small").unwrap();
        let variant = dialect.variants().next().unwrap();
        let placeholders = SecretPlaceholders::for_request(&login_with(["tag"]));
        let request = placeholders.request(&dialect, variant, "it's me");
        curl_line(
            &request.unwrap(),
            "https://api.example/login",
            &placeholders,
        )
    }

    #[test]
    fn a_secret_is_a_variable_wherever_the_dialect_puts_it() {
        let url = "curl 'https://api.example/login'";
        for (request, words) in [
            (
                r#"request.body = '{"l": "{login}", "p": "{secret}"}'"#,
                r#" -H 'content-type: application/json' --data-raw '{"l":"it'\''s me","p":"'"$COUNTERSIGN_SECRET"'"}'"#,
            ),
            (
                r#"request.form = { l = "{login}", p = "{secret}" }"#,
                r#" -H 'content-type: application/x-www-form-urlencoded' --data-urlencode 'l=it'\''s me' --data-urlencode 'p='"$COUNTERSIGN_SECRET""#,
            ),
            (
                r#"method = "GET"
                request.empty = true
                request.headers = { X-Login = "{login}", X-Key = "{secret}", X-Tag = "{extra.tag}" }"#,
                r#" -H 'x-key: '"$COUNTERSIGN_SECRET" -H 'x-login: it'\''s me' -H 'x-tag: '"$COUNTERSIGN_TAG""#,
            ),
            (
                r#"request.empty = true
                request.basic = { user = "{login}", password = "{secret}" }"#,
                r#" -u 'it'\''s me:'"$COUNTERSIGN_SECRET""#,
            ),
        ] {
            let line = line_of(request);
            let line = line.replacen("curl -X POST ", "curl ", 1);
            assert_eq!(line, format!("{url}{words}"));
        }
    }
}
