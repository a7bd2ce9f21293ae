//! Path patterns.
//!
//! A pattern is segments after a `/`, each of them
//!
//! - text, which a segment of the path must equal;
//! - `{login}`, which any segment fits and which the guard then compares with
//!   the caller's login;
//! - `{name}`, which any segment fits;
//! - `*`, only as the last: whatever follows, to any depth. `/a/*` has `/a` and
//!   `/a/` too.
//!
//! Segments are never empty, but for a slash at the end.

use std::cmp::Ordering;

use crate::account::InvalidText;
use crate::path::JudgedPath;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct PathPattern {
    text: String,
    segments: Vec<PatternSegment>,
    end: PatternEnd,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternSegment {
    /// This text.
    Text(String),
    /// Any segment.
    Any,
    /// Any segment, which is then compared with the caller's login.
    Login,
}

/// What may follow the last segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternEnd {
    /// Nothing.
    Nothing,
    /// A slash.
    Slash,
    /// With or without a slash.
    Either,
    /// Anything.
    Rest,
}

impl PathPattern {
    /// Compiles `text`. With `slash_optional`, a path matches with and without a slash at
    /// its end.
    ///
    /// # Errors
    ///
    /// What is wrong: the text does not begin with `/`, or a segment has none of the forms
    /// above.
    pub fn compile(text: &str, slash_optional: bool) -> Result<Self, InvalidText> {
        let path = text.strip_prefix('/');
        let path = path.ok_or_else(|| InvalidText::new("it does not begin with /"))?;
        let mut parts: Vec<&str> = path.split('/').collect();
        let last = parts.pop_if(|part| matches!(*part, "*" | ""));
        let end = match last {
            Some("*") => PatternEnd::Rest,
            _ if slash_optional => PatternEnd::Either,
            Some(_) => PatternEnd::Slash,
            None => PatternEnd::Nothing,
        };
        let segments = parts.into_iter().map(segment).collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.to_owned(),
            segments,
            end,
        })
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The segments before the end.
    pub fn segments(&self) -> &[PatternSegment] {
        &self.segments
    }

    /// What may follow the last segment.
    pub fn end(&self) -> PatternEnd {
        self.end
    }

    /// This pattern below `prefix`, which is empty or consists of plain segments. The
    /// pattern `/` becomes the prefix itself.
    pub fn behind(self, prefix: &str) -> Self {
        let before = prefix.split('/').skip(1);
        let is_root =
            self.segments.is_empty() && self.end == PatternEnd::Slash && !prefix.is_empty();
        Self {
            segments: before
                .map(|text| PatternSegment::Text(text.to_owned()))
                .chain(self.segments)
                .collect(),
            text: format!("{prefix}{}", self.text),
            end: if is_root {
                PatternEnd::Either
            } else {
                self.end
            },
        }
    }

    /// The segments in the places of `{login}`; `None` if the path does not match.
    pub fn matches<'p>(&self, path: &'p JudgedPath<'_>) -> Option<Vec<&'p str>> {
        let (head, tail) = path.segments().split_at_checked(self.segments.len())?;
        if !self.end.fits(tail) {
            return None;
        }
        let mut logins = Vec::new();
        for (segment, part) in self.segments.iter().zip(head) {
            match segment {
                PatternSegment::Text(text) if text == part => {}
                PatternSegment::Text(_) => return None,
                // A slash at the end is not a segment.
                PatternSegment::Any | PatternSegment::Login if part.is_empty() => return None,
                PatternSegment::Any => {}
                PatternSegment::Login => logins.push(part.as_ref()),
            }
        }
        Some(logins)
    }

    /// `Less` is the more specific pattern: at the first segment that differs, text comes
    /// before a wildcard, and a wildcard before `*`.
    pub fn specificity(&self, other: &Self) -> Ordering {
        let kinds = self.kinds().zip(other.kinds());
        kinds
            .map(|(own, theirs)| own.cmp(&theirs))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| other.segments.len().cmp(&self.segments.len()))
    }

    fn kinds(&self) -> impl Iterator<Item = u8> {
        let segments = self.segments.iter().map(|segment| match segment {
            PatternSegment::Text(_) => 0,
            PatternSegment::Any | PatternSegment::Login => 1,
        });
        let end = match self.end {
            PatternEnd::Nothing | PatternEnd::Slash => 0,
            PatternEnd::Either => 1,
            PatternEnd::Rest => 2,
        };
        segments.chain([end])
    }

    /// Whether some path matches both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let common = self.segments.len().min(other.segments.len());
        let meet = self.segments.iter().zip(&other.segments);
        let apart = |(own, theirs): (&PatternSegment, &PatternSegment)| match (own, theirs) {
            (PatternSegment::Text(own), PatternSegment::Text(theirs)) => own != theirs,
            _ => false,
        };
        if meet.into_iter().any(apart) {
            return false;
        }
        let longer = |pattern: &Self| pattern.segments.len() > common;
        match (longer(self), longer(other)) {
            (false, false) => self.end.meets(other.end),
            (true, _) => other.end == PatternEnd::Rest,
            (_, true) => self.end == PatternEnd::Rest,
        }
    }
}

impl PatternEnd {
    /// Whether it allows what follows the last segment.
    pub(crate) fn fits<S: AsRef<str>>(self, tail: &[S]) -> bool {
        let slash = || matches!(tail, [last] if last.as_ref().is_empty());
        match self {
            Self::Nothing => tail.is_empty(),
            Self::Slash => slash(),
            Self::Either => tail.is_empty() || slash(),
            Self::Rest => true,
        }
    }

    /// Whether both allow the same end of some path.
    pub fn meets(self, other: Self) -> bool {
        let open = |end| matches!(end, Self::Either | Self::Rest);
        open(self) || open(other) || self == other
    }
}

fn segment(part: &str) -> Result<PatternSegment, InvalidText> {
    if part == "{login}" {
        return Ok(PatternSegment::Login);
    }
    let name = part.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
    match name {
        Some(name) if is_name(name) => Ok(PatternSegment::Any),
        None if is_text(part) => Ok(PatternSegment::Text(part.to_owned())),
        _ => Err(InvalidText::new(format!("{part:?} is not a segment"))
            .with_help("write plain text, {login}, {name}, or * at the end")),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// Text is written decoded, so it has no `%`.
pub fn is_text(part: &str) -> bool {
    let odd =
        |c: char| c.is_control() || matches!(c, '{' | '}' | '*' | '\\' | ';' | '%' | '?' | '#');
    !matches!(part, "" | "." | "..") && !part.contains(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins(pattern: &str, path: &str, slash_optional: bool) -> Option<Vec<String>> {
        let pattern = PathPattern::compile(pattern, slash_optional).unwrap();
        let judged = JudgedPath::judge(path).unwrap();
        let found = pattern.matches(&judged)?;
        Some(found.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn what_a_pattern_matches() {
        for (pattern, yes, no) in [
            ("/", &["/"][..], &["/a"][..]),
            ("/*", &["/", "/a", "/a/b/"], &[]),
            ("/a", &["/a", "/%61"], &["/", "/a/", "/A", "/ab", "/a/b"]),
            ("/a/", &["/a/"], &["/a", "/a/b"]),
            (
                "/a/*",
                &["/a", "/a/", "/a/b", "/a/b/c/"],
                &["/", "/ab", "/b/a"],
            ),
            (
                "/a/{x}/c",
                &["/a/b/c", "/a/%20/c"],
                &["/a/c", "/a/b/c/", "/a/b/d", "/a/b"],
            ),
            ("/a/{x}", &["/a/b"], &["/a", "/a/", "/a/b/"]),
            ("/a b", &["/a%20b"], &["/a+b"]),
        ] {
            for path in yes {
                assert!(
                    logins(pattern, path, false).is_some(),
                    "{pattern} has {path}"
                );
            }
            for path in no {
                assert!(
                    logins(pattern, path, false).is_none(),
                    "{pattern} has not {path}"
                );
            }
        }
    }

    #[test]
    fn an_optional_slash_is_optional_both_ways() {
        for pattern in ["/a", "/a/"] {
            for path in ["/a", "/a/"] {
                assert!(logins(pattern, path, true).is_some(), "{pattern} {path}");
            }
            assert!(logins(pattern, "/a/b", true).is_none());
        }
    }

    #[test]
    fn a_login_is_bound_decoded() {
        let bound = logins("/v2/{login}/x/*", "/v2/J%C3%BCrgen%20K/x/y", false);
        assert_eq!(bound, Some(vec!["J\u{fc}rgen K".to_owned()]));
        assert_eq!(
            logins("/v2/{login}/*", "/v2/", false),
            None,
            "an empty login is none"
        );
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in [
            "", "a", "*", "//", "/a//b", "/*/a", "/a*", "/{", "/{}", "/{a}b", "/{A}", "/a/../b",
            "/a;b", "/%61", "/a?b", "/a#", "/a\\b", "/{login", "/a/**",
        ] {
            assert!(PathPattern::compile(bad, false).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn patterns_overlap_where_a_path_fits_both() {
        for (one, other, overlap) in [
            ("/a", "/a", true),
            ("/a", "/b", false),
            ("/a", "/a/", false),
            ("/a/*", "/a", true),
            ("/a/*", "/a/b/c", true),
            ("/a/*", "/ab/*", false),
            ("/*", "/x/{y}/z", true),
            ("/{x}/b", "/a/{y}", true),
            ("/{x}/b", "/a/c", false),
            ("/a/{x}", "/a/", false),
            ("/a/{x}", "/a/b/c", false),
            ("/a/{x}/*", "/a", false),
        ] {
            let (one, other) = (one, other);
            let compiled = [one, other].map(|text| PathPattern::compile(text, false).unwrap());
            assert_eq!(compiled[0].overlaps(&compiled[1]), overlap, "{one} {other}");
            assert_eq!(compiled[1].overlaps(&compiled[0]), overlap, "{other} {one}");
        }
        let either = PathPattern::compile("/a", true).unwrap();
        assert!(either.overlaps(&PathPattern::compile("/a/", false).unwrap()));
    }

    #[test]
    fn the_more_specific_of_two_patterns_comes_first() {
        let order = [
            "/a/b/c", "/a/b", "/a/b/*", "/a/{x}/c", "/a/{x}", "/a/{x}/*", "/a/*", "/{x}/b", "/*",
        ];
        for (at, first) in order.iter().enumerate() {
            for second in &order[at + 1..] {
                let [first, second] =
                    [first, second].map(|text| PathPattern::compile(text, false).unwrap());
                let (one, other) = (first.text(), second.text());
                assert!(first.specificity(&second).is_lt(), "{one} before {other}");
                assert!(second.specificity(&first).is_gt(), "{other} after {one}");
            }
        }
        let [one, other] =
            ["/a/{x}", "/a/{login}"].map(|it| PathPattern::compile(it, false).unwrap());
        assert!(one.specificity(&other).is_eq());
    }

    #[test]
    fn a_pattern_behind_a_prefix_has_the_paths_behind_it() {
        for (prefix, pattern, yes, no) in [
            ("/pay", "/", &["/pay", "/pay/"][..], &["/", "/pay/a"][..]),
            ("/pay/v1", "/a/{x}", &["/pay/v1/a/b"], &["/a/b", "/pay/a/b"]),
            ("/pay", "/a/", &["/pay/a/"], &["/pay/a"]),
            ("/pay", "/*", &["/pay", "/pay/a/b"], &["/", "/payment"]),
            ("", "/", &["/"], &["/a"]),
            ("", "/a", &["/a"], &["/", "/a/"]),
        ] {
            let pattern_behind = PathPattern::compile(pattern, false).unwrap().behind(prefix);
            assert_eq!(pattern_behind.text(), format!("{prefix}{pattern}"));
            let matched = |path: &&str| {
                pattern_behind
                    .matches(&JudgedPath::judge(path).unwrap())
                    .is_some()
            };
            assert!(yes.iter().all(matched), "{prefix} {pattern} has {yes:?}");
            assert!(
                !no.iter().any(matched),
                "{prefix} {pattern} has none of {no:?}"
            );
        }
    }
}
