//! Replies that are not in the dialect: a redirect, a web page, another server's answer.
//! They are reported with what helps to find the mistake: status, media type, and where a
//! redirect leads.

use std::fmt;

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Response};
use percent_encoding::{AsciiSet, percent_encode};

use crate::json::{Json, JsonNode};
use crate::template::{JsonTemplate, TemplateShape};

/// The longest header text that is repeated in a message.
const LONGEST: usize = 120;

/// The status and media type of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyHead {
    /// The status.
    pub status: u16,
    /// The media type as it was sent, without parameters; `None` if there was none.
    pub media: Option<String>,
}

impl ReplyHead {
    /// The status and media type of this reply.
    pub fn from_response<B>(response: &Response<B>) -> Self {
        let media = response.headers().get(CONTENT_TYPE);
        let media = media.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        let essence = media.and_then(|it| Some(printable(it.split(';').next()?.trim())));
        Self {
            status: response.status().as_u16(),
            media: essence.filter(|it| !it.is_empty()),
        }
    }

    pub(crate) fn is_html(&self) -> bool {
        let media = self.media.as_deref().unwrap_or_default();
        ["text/html", "application/xhtml+xml"]
            .iter()
            .any(|it| media.eq_ignore_ascii_case(it))
    }
}

impl fmt::Display for ReplyHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.media {
            Some(media) => write!(f, "{}, {media}", self.status),
            None => write!(f, "{}, no media type", self.status),
        }
    }
}

/// The target of a redirect, without user, query and fragment, which may contain secrets.
pub fn redirect_target(headers: &HeaderMap) -> Option<String> {
    let text = in_ascii(headers.get(LOCATION)?.as_bytes());
    let text = text.split(['?', '#']).next()?.trim();
    let (before, rest) = match text.find("//") {
        Some(at) if at == 0 || text.get(..at).is_some_and(|it| it.ends_with(':')) => {
            text.split_at(at + 2)
        }
        _ => ("", text),
    };
    let authority = match before {
        "" => "",
        _ => rest.split('/').next().unwrap_or_default(),
    };
    let user = authority.rfind('@').map_or(0, |at| at + 1);
    let shown = printable(&format!("{before}{}", rest.get(user..)?));
    (!shown.is_empty()).then_some(shown)
}

/// Percent-encodes what is not ASCII (RFC 3986 section 2.1): some servers send it as it
/// is.
fn in_ascii(bytes: &[u8]) -> String {
    percent_encode(bytes, &AsciiSet::EMPTY).to_string()
}

fn printable(text: &str) -> String {
    let shown = text.chars().filter(|it| it.is_ascii_graphic());
    shown.take(LONGEST).collect()
}

/// Whether a JSON value resembles one of these templates: it has one of the members of
/// its top object, or is of the same kind if it has no members.
pub(crate) fn is_kin<'t>(
    node: &JsonNode<'_>,
    templates: impl IntoIterator<Item = &'t JsonTemplate>,
) -> bool {
    templates
        .into_iter()
        .any(|template| match (&template.shape, &node.value) {
            (TemplateShape::Object(wanted), Json::Object(found)) => {
                wanted.is_empty()
                    || wanted.iter().any(|(key, _)| match key.as_fixed() {
                        Some(name) => found.iter().any(|member| *member.key == *name),
                        None => true,
                    })
            }
            (TemplateShape::Array(_), Json::Array(_)) => true,
            (TemplateShape::Object(_) | TemplateShape::Array(_), _) => false,
            (_, Json::Object(_) | Json::Array(_)) => false,
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads_to(location: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        let value = http::HeaderValue::from_bytes(location.as_bytes()).unwrap();
        headers.insert(LOCATION, value);
        redirect_target(&headers)
    }

    #[test]
    fn the_target_of_a_redirect_is_told_without_what_may_be_secret() {
        for (location, told) in [
            ("https://other.example/login", "https://other.example/login"),
            (
                "https://other.example/x?code=s3cret#f",
                "https://other.example/x",
            ),
            (
                "https://ann:s3cret@other.example/",
                "https://other.example/",
            ),
            ("//other.example/login?a", "//other.example/login"),
            ("/auth/login/", "/auth/login/"),
            ("https://other.example/é?ü", "https://other.example/%C3%A9"),
            ("https://ann:s3cret@é.example/", "https://%C3%A9.example/"),
            ("//ann@s3cret:pw@é.example/x@y", "//%C3%A9.example/x@y"),
        ] {
            assert_eq!(leads_to(location).as_deref(), Some(told));
        }
        assert_eq!(leads_to("?s3cret"), None);
    }

    #[test]
    fn a_head_is_told_with_its_media_type() {
        let head = |media: Option<&str>| {
            let mut response = Response::new(());
            media.map(|it| {
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, it.parse().unwrap())
            });
            ReplyHead::from_response(&response)
        };
        assert_eq!(
            head(Some("Text/HTML; charset=x")).to_string(),
            "200, Text/HTML"
        );
        assert!(head(Some("Text/HTML; charset=x")).is_html());
        assert_eq!(head(None).to_string(), "200, no media type");
    }
}
