//! What is still known, when the transport refuses a request, of a request that a page
//! in a browser sent.

use http::header::{HOST, ORIGIN};
use http::{HeaderValue, Method, Request, Uri};

use crate::head;

/// A request with an `Origin` that no service saw: its method, its target as far as
/// that can be read, and of its fields `Host` and `Origin`.
pub type RefusedPageRequest = Request<()>;

/// Of a request that was read whole. None without an `Origin`: then nobody asks who
/// may read the answer.
pub(crate) fn by<B>(request: &Request<B>) -> Option<Box<RefusedPageRequest>> {
    let origins = request.headers().get_all(ORIGIN);
    origins.iter().next()?;
    let mut asked = Box::new(RefusedPageRequest::default());
    *asked.method_mut() = request.method().clone();
    *asked.uri_mut() = request.uri().clone();
    let authority = request.uri().authority();
    let host = authority.and_then(|it| HeaderValue::from_str(it.as_str()).ok());
    if let Some(host) = host.or_else(|| request.headers().get(HOST).cloned()) {
        asked.headers_mut().insert(HOST, host);
    }
    for origin in origins {
        asked.headers_mut().append(ORIGIN, origin.clone());
    }
    Some(asked)
}

/// Of the bytes of a head that was refused, be it whole or not.
pub(crate) fn in_head(bytes: &[u8]) -> Option<Box<RefusedPageRequest>> {
    let mut asked = Box::new(RefusedPageRequest::default());
    for (name, value) in head::fields(bytes) {
        let name = [HOST, ORIGIN]
            .into_iter()
            .find(|it| name.eq_ignore_ascii_case(it.as_str().as_bytes()));
        if let Some((name, value)) = name.zip(HeaderValue::from_bytes(value).ok()) {
            asked.headers_mut().append(name, value);
        }
    }
    asked.headers().get(ORIGIN)?;
    let (method, path) = head::method_and_path(bytes);
    *asked.method_mut() = Method::from_bytes(method).ok()?;
    *asked.uri_mut() = Uri::try_from(path).ok()?;
    Some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(head: &str) -> Option<String> {
        let asked = in_head(head.as_bytes())?;
        let field = |name| {
            let values = asked.headers().get_all(name).iter();
            let values: Vec<_> = values.map(|it| it.to_str().unwrap()).collect();
            values.join(" and ")
        };
        let (method, uri) = (asked.method(), asked.uri());
        Some(format!(
            "{method} {uri} of {} by {}",
            field(HOST),
            field(ORIGIN)
        ))
    }

    #[test]
    fn a_refused_head_tells_whose_page_asked_for_what_as_far_as_it_can_be_read() {
        for (head, expected) in [
            (
                "GET /a^b?c HTTP/1.1\r\nHost: h\r\nORIGIN: https://a\r\n\r\n",
                Some("GET /a of h by https://a"),
            ),
            (
                "PUT http://h/x HTTP/1.1\r\nOrigin: https://a\r\nHost: h\r\nX: cut o",
                Some("PUT /x of h by https://a"),
            ),
            (
                "GET /x HTTP/1.1\r\nHost: h\r\nHost: i\r\nOrigin: https://a\r\nOrigin: b\r\n\r\n",
                Some("GET /x of h and i by https://a and b"),
            ),
            (
                "\r\nGET nowhere HTTP/1.1\r\nOrigin: https://a\r\n\r\n",
                Some("GET / of  by https://a"),
            ),
            ("GET /x HTTP/1.1\r\nHost: h\r\n\r\n", None),
            ("GET /x HTTP/1.1\r\nHost: h\r\nOrigin: htt", None),
            ("GET /x", None),
            ("", None),
        ] {
            assert_eq!(told(head).as_deref(), expected, "{head}");
        }
    }
}
