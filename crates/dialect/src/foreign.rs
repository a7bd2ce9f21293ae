//! Replies that are not the dialect's: a redirect, a page, another server. What is
//! told of them is what finds the mistake: status, media type, and where they lead.

use std::fmt;

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Response, Uri};

use crate::json::{Json, JsonNode};
use crate::template::{JsonTemplate, TemplateShape};

/// The longest text of a header that is repeated.
const LONGEST: usize = 120;

/// What a reply is by its head: status and media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyHead {
    /// The status.
    pub status: u16,
    /// The media type as it was sent, without parameters; `None` if none was.
    pub media: Option<String>,
}

impl ReplyHead {
    /// That of a reply.
    pub fn of<B>(response: &Response<B>) -> Self {
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

/// Where a redirect leads, without user, query and fragment, which may hold
/// secrets.
pub(crate) fn target(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(LOCATION)?.to_str().ok()?;
    let text = text.split(['?', '#']).next()?.trim();
    let shown = match text.parse::<Uri>().ok().as_ref().and_then(Uri::authority) {
        Some(authority) if authority.as_str().contains('@') => {
            let host = authority.as_str().rsplit('@').next().unwrap_or_default();
            text.replacen(authority.as_str(), host, 1)
        }
        _ => text.to_owned(),
    };
    (!shown.is_empty()).then(|| printable(&shown))
}

fn printable(text: &str) -> String {
    let shown = text.chars().filter(|it| it.is_ascii_graphic());
    shown.take(LONGEST).collect()
}

/// Whether a JSON value has anything of one of these templates: a member of that
/// name at its top, or the same kind of value where there are no members.
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
        headers.insert(LOCATION, location.parse().unwrap());
        target(&headers)
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
            ReplyHead::of(&response)
        };
        assert_eq!(
            head(Some("Text/HTML; charset=x")).to_string(),
            "200, Text/HTML"
        );
        assert!(head(Some("Text/HTML; charset=x")).is_html());
        assert_eq!(head(None).to_string(), "200, no media type");
    }
}
