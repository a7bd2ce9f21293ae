//! How a request without content states that it has none.

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method};

/// Adds `Content-Length: 0` to the fields of a request without content, if its method
/// gives content a meaning: POST, PUT and PATCH (RFC 9110 section 8.6). The HTTP client
/// leaves it out, and strict servers then answer 411.
///
/// A length that is there already is kept, whatever the method.
pub fn tell_no_content(method: &Method, fields: &mut HeaderMap) {
    if [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        fields
            .entry(CONTENT_LENGTH)
            .or_insert(HeaderValue::from_static("0"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_methods_whose_content_means_something_say_that_there_is_none() {
        for (method, told) in [
            ("POST", true),
            ("PUT", true),
            ("PATCH", true),
            ("GET", false),
            ("HEAD", false),
            ("DELETE", false),
            ("OPTIONS", false),
            ("PROPFIND", false),
        ] {
            let mut fields = HeaderMap::new();
            tell_no_content(&method.parse().unwrap(), &mut fields);
            let length = fields.get(CONTENT_LENGTH).map(HeaderValue::as_bytes);
            assert_eq!(length, told.then_some(&b"0"[..]), "{method}");
        }
    }
}
