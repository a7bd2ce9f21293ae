//! Judges a path in the form in which it is forwarded.
//!
//! A proxy and its upstream that read one path differently are a way around the
//! guard, so whatever servers are known to disagree about is refused: dot
//! segments, empty segments, `\`, `;`, the percent-encoded forms of these and of
//! `/`, control characters, what is no UTF-8, and what would be percent-encoded
//! still after decoding. Everything else goes on byte for byte.

use std::borrow::Cow;

use countersign_domain::Reason;

/// A path in which there is nothing to disagree about. Its segments are
/// compared decoded: RFC 3986 section 6.2.2.2 has `%61` and `a` be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedPath<'a>(Vec<Cow<'a, str>>);

impl<'a> JudgedPath<'a> {
    /// Judges the path of a request target; no query, no authority.
    ///
    /// # Errors
    ///
    /// [`Reason::PathAmbiguous`].
    pub fn judge(path: &'a str) -> Result<Self, Reason> {
        let segments = path.strip_prefix('/').ok_or(Reason::PathAmbiguous)?;
        let judged = segments.split('/').map(plain).collect::<Option<Vec<_>>>();
        judged
            .filter(|segments| only_the_last_is_empty(segments))
            .map(Self)
            .ok_or(Reason::PathAmbiguous)
    }

    /// The segments of any path, read as generously as possible: enough to say
    /// whose a path is, never to let it pass.
    pub(crate) fn guess(path: &'a str) -> Self {
        let segments = path.strip_prefix('/').unwrap_or(path).split('/');
        Self(
            segments
                .map(|segment| plain(segment).unwrap_or(Cow::Borrowed(segment)))
                .collect(),
        )
    }

    /// Whether a segment of a path is `text` for every server.
    pub(crate) fn reads_as(segment: &str, text: &str) -> bool {
        plain(segment).is_some_and(|read| read == text)
    }

    /// The decoded segments; the last is empty if the path ends with a slash.
    pub fn segments(&self) -> &[Cow<'a, str>] {
        &self.0
    }
}

fn only_the_last_is_empty(segments: &[Cow<'_, str>]) -> bool {
    let before_last = segments.len().saturating_sub(1);
    segments.iter().take(before_last).all(|it| !it.is_empty())
}

/// The segment decoded, if every server reads it alike.
fn plain(segment: &str) -> Option<Cow<'_, str>> {
    let odd = |b: u8| !b.is_ascii_graphic() || matches!(b, b'\\' | b';');
    if matches!(segment, "." | "..") || segment.bytes().any(odd) {
        return None;
    }
    if segment.contains('%') {
        decode(segment).map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(segment))
    }
}

fn decode(segment: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'%' {
            let byte = encoded_byte(rest)?;
            rest = &rest[2..];
            if matches!(byte, b'.' | b'/' | b'\\' | b';') {
                return None;
            }
            decoded.push(byte);
        } else {
            decoded.push(first);
        }
    }
    let decoded = String::from_utf8(decoded).ok()?;
    // `%252e` would be a dot for whoever decodes twice.
    let mut percents = decoded.as_bytes().split(|b| *b == b'%').skip(1);
    let again = percents.any(|after| encoded_byte(after).is_some());
    (!again && !decoded.chars().any(char::is_control)).then_some(decoded)
}

/// The byte that two hex digits at the start of `text` write.
fn encoded_byte(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_read_differently_is_refused() {
        for path in [
            "",
            "*",
            "a",
            "http://host/a",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/a/../b",
            "/a/./b",
            "/a/..",
            "/%2e",
            "/%2E%2e/a",
            "/.%2e/a",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a;b",
            "/a;jsessionid=1/b",
            "/a%3bb",
            "/a%00b",
            "/a%0ab",
            "/a%0d",
            "/a%1b",
            "/a%7f",
            "/a%c2%85",
            "/%ff",
            "/%c3",
            "/%c0%ae%c0%ae/",
            "/%ed%a0%80",
            "/%",
            "/%2",
            "/%zz",
            "/%+1",
            "/%252e%252e/",
            "/%25%32%65/",
            "/é",
            "/a b",
            "/a\tb",
        ] {
            assert_eq!(
                JudgedPath::judge(path),
                Err(Reason::PathAmbiguous),
                "{path:?}"
            );
        }
    }

    #[test]
    fn plain_paths_are_compared_decoded() {
        for (path, segments) in [
            ("/", &[""][..]),
            ("/a", &["a"]),
            ("/a/", &["a", ""]),
            ("/%61/b%20c", &["a", "b c"]),
            ("/100%25/x", &["100%", "x"]),
            ("/100%25x", &["100%x"]),
            ("/caf%C3%A9", &["café"]),
            ("/...", &["..."]),
            ("/a.b/.well-known", &["a.b", ".well-known"]),
            ("/a,b:c@d!$&'()*+=~", &["a,b:c@d!$&'()*+=~"]),
        ] {
            let judged = JudgedPath::judge(path).unwrap();
            assert_eq!(judged.segments(), segments, "{path:?}");
        }
    }
}
