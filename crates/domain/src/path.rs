//! Judges a path in the form in which it is forwarded.
//!
//! If a proxy and its upstream read one path differently, that is a way around the guard.
//! So everything that servers are known to read differently is refused: dot segments and
//! whatever some servers shorten to one (`.. `, `..#x`), empty segments, `\`, `;`, `?`,
//! `#`, the percent-encoded forms of these and of `/`, characters that become one of them
//! in another character set (`．`, `／`), control characters, bytes that are not UTF-8, and
//! what is still percent-encoded after decoding. Everything else is forwarded byte for
//! byte.

use std::borrow::Cow;

use crate::Reason;
use unicode_normalization::UnicodeNormalization;

/// A path that every server reads alike. Its segments are compared in decoded form: by
/// RFC 3986 section 6.2.2.2, `%61` and `a` are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedPath<'a>(Vec<Cow<'a, str>>);

impl<'a> JudgedPath<'a> {
    /// Judges the path of a request target, without query and authority.
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

    /// The segments of any path, read as leniently as possible. Good enough to find out
    /// whose path it is, but not to let it pass.
    pub fn guess(path: &'a str) -> Self {
        let segments = path.strip_prefix('/').unwrap_or(path).split('/');
        Self(
            segments
                .map(|segment| plain(segment).unwrap_or(Cow::Borrowed(segment)))
                .collect(),
        )
    }

    /// Whether every server reads the segment of a path as `text`.
    pub fn reads_as(segment: &str, text: &str) -> bool {
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

/// The decoded segment, if every server reads it alike.
fn plain(segment: &str) -> Option<Cow<'_, str>> {
    let odd = |b: u8| !b.is_ascii_graphic() || divides(char::from(b));
    if segment.bytes().any(odd) {
        return None;
    }
    let decoded = if segment.contains('%') {
        Cow::Owned(decode(segment)?)
    } else {
        Cow::Borrowed(segment)
    };
    (!is_like_dots(&decoded)).then_some(decoded)
}

fn decode(segment: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'%' {
            let byte = encoded_byte(rest)?;
            rest = &rest[2..];
            if byte == b'.' || divides(char::from(byte)) {
                return None;
            }
            decoded.push(byte);
        } else {
            decoded.push(first);
        }
    }
    let decoded = String::from_utf8(decoded).ok()?;
    // RFC 3986 section 2.4: "Implementations must not percent-encode or decode the same string
    // more than once". There are those that do, and for them `%252e` would be a dot.
    let mut percents = decoded.as_bytes().split(|b| *b == b'%').skip(1);
    let again = percents.any(|after| encoded_byte(after).is_some());
    (!again && !decoded.chars().any(char::is_control) && reads_alike(&decoded)).then_some(decoded)
}

/// Whether a character ends a segment, or a path, for some servers.
const fn divides(it: char) -> bool {
    matches!(it, '/' | '\\' | ';' | '?' | '#')
}

/// Whether a segment stays the same when characters are replaced by their plain forms:
/// NFKC turns a full-width dot into a dot, and `…` into three, and the tables by which
/// systems convert to their own character set know more slashes.
fn reads_alike(segment: &str) -> bool {
    if segment.is_ascii() {
        return true;
    }
    let slashes = [
        '\u{2044}', '\u{2215}', '\u{2216}', '\u{29f5}', '\u{29f8}', '\u{29f9}',
    ];
    let dots = ['\u{3002}', '\u{ff61}'];
    let invisible = [
        '\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}',
    ];
    let seen = segment.replace(invisible, "");
    let replaced = seen.replace(slashes, "/").replace(dots, ".");
    let replaced: String = replaced.nfkc().collect();
    !replaced
        .chars()
        .any(|it| divides(it) || it == '%' && !segment.contains('%'))
        && !is_like_dots(&replaced)
}

/// Whether some server takes a segment for `.` or `..`, because it drops white space and
/// dots at the end, or whatever follows a character that ends a name for it.
fn is_like_dots(segment: &str) -> bool {
    let segment = segment.trim();
    if let Some(after) = segment.strip_prefix("..") {
        return !after.starts_with(char::is_alphanumeric);
    }
    let mut rest = segment.chars();
    rest.next() == Some('.') && rest.all(|it| it == '.' || it.is_whitespace())
}

/// The byte that the first two characters of `text` write in hexadecimal.
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
            "/a%3fb",
            "/a%3Fb/c",
            "/a%23b",
            "/a?b",
            "/a#b",
            "/..#/x",
            "/..%3f/x",
            "/..%23/x",
            "/..%20/x",
            "/..%20",
            "/%20../x",
            "/..%c2%a0/x",
            "/.%20/x",
            "/.%20./x",
            "/...",
            "/..../x",
            "/..,x",
            "/..-/x",
            "/..:$DATA",
            "/..%e2%80%8b/x",
            "/.%e2%80%8b./x",
            "/%ef%bb%bf../x",
            "/..%ef%bc%8fx",
            "/a%ef%bc%8fb",
            "/a%ef%bc%bcb",
            "/a%e2%88%95b",
            "/a%e2%81%84b",
            "/a%e2%84%80b",
            "/a%ef%bc%9fb",
            "/a%ef%bc%83b",
            "/a%ef%bc%9bb",
            "/a%cd%beb",
            "/%ef%bc%852e%ef%bc%852e/x",
            "/%ef%bc%8e%ef%bc%8e/x",
            "/%ef%bc%8e/x",
            "/.%ef%bc%8e/x",
            "/%e2%80%a5/x",
            "/%e2%80%a6/x",
            "/%e2%80%a4%e2%80%a4/x",
            "/%ef%b9%92%ef%b9%92/x",
            "/%e3%80%82%e3%80%82/x",
            "/%ef%bd%a1%ef%bd%a1/x",
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
            ("/..a/.b", &["..a", ".b"]),
            ("/a../b..c", &["a..", "b..c"]),
            ("/._a/.-", &["._a", ".-"]),
            ("/..%C3%A9", &["..é"]),
            ("/%E6%96%87%E6%9B%B8/%C2%BD", &["文書", "½"]),
            ("/a%20/%20b", &["a ", " b"]),
            ("/caf%65%CC%81%25", &["cafe\u{301}%"]),
            ("/a.b/.well-known", &["a.b", ".well-known"]),
            ("/a,b:c@d!$&'()*+=~", &["a,b:c@d!$&'()*+=~"]),
        ] {
            let judged = JudgedPath::judge(path).unwrap();
            assert_eq!(judged.segments(), segments, "{path:?}");
        }
    }

    #[test]
    fn a_segment_reads_as_a_text_if_it_does_for_every_server() {
        assert!(JudgedPath::reads_as("%61pi", "api"));
        assert!(JudgedPath::reads_as("api", "api"));
        for (segment, text) in [("API", "api"), ("a%2fb", "a/b"), ("..", ".."), ("", "api")] {
            assert!(!JudgedPath::reads_as(segment, text), "{segment} {text}");
        }
    }
}
