//! Media types (RFC 9110 section 8.3.1) and the urlencoded form.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode,
};

use crate::json::{Json, JsonMember, JsonNode};

/// The media type of a message in lower case, without parameters; empty if there is none.
/// The error says what is wrong.
pub(crate) fn essence(headers: &HeaderMap) -> Result<String, &'static str> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let Some(value) = values.next() else {
        return Ok(String::new());
    };
    if values.next().is_some() {
        return Err("Content-Type is sent twice");
    }
    let text = value.to_str().map_err(|_| "Content-Type is not ASCII")?;
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        // RFC 9110 section 5.6.6 has no blanks here; a reader may allow them.
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        if name.eq_ignore_ascii_case("charset") && !is_utf8(value) {
            return Err("the charset is not UTF-8");
        }
    }
    Ok(essence)
}

fn is_utf8(charset: &str) -> bool {
    ["utf-8", "utf8", "us-ascii"]
        .iter()
        .any(|known| charset.eq_ignore_ascii_case(known))
}

/// Whether the body has a content coding (RFC 9110 section 8.4), which is never decoded
/// here.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Reads `application/x-www-form-urlencoded` as an object of strings.
pub(crate) fn urlencoded(body: &[u8]) -> Result<JsonNode<'_>, &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "the form is not UTF-8")?;
    let mut members: Vec<JsonMember<'_>> = Vec::new();
    for field in text.split('&').filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let key = decode(name).ok_or("the form has a name that cannot be decoded")?;
        let value = decode(value).ok_or("the form has a value that cannot be decoded")?;
        let node = JsonNode {
            span: 0..0,
            value: Json::Text(value),
        };
        members.push(JsonMember {
            start: 0,
            key,
            node,
        });
    }
    // RFC 6749 section 3.2: "Request and response parameters MUST NOT be included more than
    // once."
    let mut names: Vec<&str> = members.iter().map(|member| &*member.key).collect();
    names.sort_unstable();
    if names
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a == b))
    {
        return Err("a field twice in the form");
    }
    Ok(JsonNode {
        span: 0..0,
        value: Json::Object(members),
    })
}

/// Undoes percent-encoding, where `+` is a space; `None` if it is broken or not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let is_hex = |it: &[u8]| it.iter().all(u8::is_ascii_hexdigit);
    let mut codes = text.as_bytes().split(|byte| *byte == b'%').skip(1);
    if !codes.all(|after| after.get(..2).is_some_and(is_hex)) {
        return None;
    }
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}

/// The characters that RFC 3986 section 2.3 does not call unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Text as a segment of a path, or a name or value in a query or form (RFC 3986 section
/// 2.1): every byte but the unreserved ones is percent-encoded.
pub fn percent_encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

/// Joins fields as a query or form.
pub(crate) fn join<'f>(fields: impl Iterator<Item = (&'f str, String)>) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.extend(percent_encoded(name));
        text.push('=');
        text.extend(percent_encoded(&value));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(content_type: &'static str) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        essence(&headers)
    }

    #[test]
    fn parameters_and_case_do_not_matter_but_the_charset_does() {
        assert_eq!(
            of("application/json;charset=utf-8"),
            Ok("application/json".into())
        );
        assert_eq!(
            of("Application/JSON ; x=1; Charset=\"UTF-8\""),
            Ok("application/json".into())
        );
        assert_eq!(
            of("application/json; charset=latin1"),
            Err("the charset is not UTF-8")
        );
        assert_eq!(
            of("application/json; charset = latin1"),
            Err("the charset is not UTF-8")
        );
        assert_eq!(
            of("application/json; charset = \"utf-8\""),
            Ok("application/json".into())
        );
        assert_eq!(essence(&HeaderMap::new()), Ok(String::new()));
    }

    #[test]
    fn a_broken_or_ambiguous_form_is_refused() {
        for body in ["a=%", "a=%f", "a=%zz", "a=%ff", "%+=1", "a=1&%61=2"] {
            assert!(urlencoded(body.as_bytes()).is_err(), "{body}");
        }
        assert!(urlencoded(b"a=%\xff").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_encoded_and_decoded(text in ".{0,30}") {
            let encoded = percent_encoded(&text).to_string();
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
            let decoded = decode(&encoded).unwrap();
            prop_assert_eq!(decoded, text);
        }
    }
}
