//! How lenient a dialect is about what peers send.

use std::borrow::Cow;

/// What a dialect accepts besides its own spelling.
#[derive(Debug)]
pub(crate) struct AcceptedSpellings {
    /// Paths match with and without their trailing slash.
    pub(crate) slash_optional: bool,
    /// Several slashes in a row count as one.
    pub(crate) slashes_merge: bool,
    /// The media types of a JSON body, in lower case; an empty one stands for no
    /// `Content-Type`.
    pub(crate) media: Vec<String>,
    /// The largest request body, in bytes.
    pub(crate) max_body: usize,
    /// How a field of the wrong type is refused.
    pub(crate) mistyped: MistypedField,
    /// Numbers are accepted where strings are expected.
    pub(crate) numbers: bool,
    /// White space around a login is removed.
    pub(crate) trim_login: bool,
    /// A login is converted to lower case.
    pub(crate) lower_login: bool,
}

/// How a field of the wrong type is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MistypedField {
    /// As `malformed`.
    Malformed,
    /// As `missing_field`, as vendors do that check all of a field at once.
    Missing,
}

impl Default for AcceptedSpellings {
    fn default() -> Self {
        Self {
            slash_optional: false,
            slashes_merge: false,
            media: vec!["application/json".to_owned()],
            max_body: 64 * 1024,
            mistyped: MistypedField::Malformed,
            numbers: false,
            trim_login: false,
            lower_login: false,
        }
    }
}

impl AcceptedSpellings {
    /// Whether two paths, after merging slashes, belong to the same forms.
    pub(crate) fn is_path(&self, one: &str, other: &str) -> bool {
        let bare = |path| match self.slash_optional {
            true => str::strip_suffix(path, "/").unwrap_or(path),
            false => path,
        };
        bare(one) == bare(other)
    }

    /// The path with every run of slashes as one slash, if the dialect merges them.
    /// Encoded slashes do not count.
    pub(crate) fn merged<'p>(&self, path: &'p str) -> Cow<'p, str> {
        if !self.slashes_merge || !path.contains("//") {
            return Cow::Borrowed(path);
        }
        let mut merged = String::with_capacity(path.len());
        for character in path.chars() {
            if character != '/' || !merged.ends_with('/') {
                merged.push(character);
            }
        }
        Cow::Owned(merged)
    }

    /// A login in the form in which it is looked up.
    pub(crate) fn fold_login(&self, login: &str) -> String {
        let login = if self.trim_login { login.trim() } else { login };
        if self.lower_login {
            login.to_lowercase()
        } else {
            login.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_slashes_is_one_only_where_they_merge() {
        let exact = AcceptedSpellings::default();
        let merging = AcceptedSpellings {
            slashes_merge: true,
            ..AcceptedSpellings::default()
        };
        for (path, merged) in [
            ("", ""),
            ("/", "/"),
            ("/token/", "/token/"),
            ("//", "/"),
            ("////", "/"),
            ("//token/", "/token/"),
            ("/token//", "/token/"),
            ("/token///refresh//", "/token/refresh/"),
            ("/.//token/", "/./token/"),
            ("/%2ftoken//", "/%2ftoken/"),
            ("/%2f/%2F//a", "/%2f/%2F/a"),
            ("/\u{e9}//\u{e9}", "/\u{e9}/\u{e9}"),
            ("*", "*"),
        ] {
            assert_eq!(merging.merged(path), merged, "{path:?}");
            assert_eq!(exact.merged(path), path, "{path:?}");
        }
    }
}
