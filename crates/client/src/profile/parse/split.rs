//! Splits a profiles file that does not parse into its profiles, so that text that is
//! not TOML in one of them does not affect the others.

/// The lines of one profile, with all others empty: each keeps its line number.
pub(super) struct ProfilePiece {
    /// The name of the profile; `None` for what precedes the first.
    pub(super) name: Option<String>,
    pub(super) text: String,
}

/// Splits a text into pieces, in the order in which they begin.
pub(super) fn by_profile(text: &str) -> Vec<ProfilePiece> {
    let mut pieces = vec![ProfilePiece {
        name: None,
        text: String::new(),
    }];
    let mut current = 0;
    for line in text.split_inclusive('\n') {
        if let Some(name) = header(line) {
            let known = pieces
                .iter()
                .position(|it| it.name.as_deref() == Some(name));
            current = known.unwrap_or(pieces.len());
            if known.is_none() {
                let before = pieces.first().map_or(0, |it| it.text.matches('\n').count());
                pieces.push(ProfilePiece {
                    name: Some(name.to_owned()),
                    text: "\n".repeat(before),
                });
            }
        }
        // No break at the end of the text: no piece has a line more than it.
        let empty = if line.ends_with('\n') { "\n" } else { "" };
        for (index, piece) in pieces.iter_mut().enumerate() {
            piece
                .text
                .push_str(if index == current { line } else { empty });
        }
    }
    pieces
}

/// The profile whose table a line begins: `[NAME]`, or `[NAME.extra]`. A name with
/// spaces is not valid, which is a mistake of that profile.
fn header(line: &str) -> Option<&str> {
    let line = line.trim_start().strip_prefix('[')?;
    let inside = line.split([']', '#']).next()?.trim_start_matches('[');
    let name = inside.split('.').next()?.trim();
    let name = name.trim_matches(['"', '\'']);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b' ');
    (!name.is_empty() && name.bytes().all(is_name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_profile_keeps_its_lines() {
        let text = "top\n[pay]\na = \n[\"gift\"]\nb\n[pay.extra] # more\nc\n[ 1, 2 ]\n";
        let pieces: Vec<_> = by_profile(text)
            .into_iter()
            .map(|it| (it.name, it.text))
            .collect();
        assert_eq!(
            pieces,
            [
                (None, "top\n\n\n\n\n\n\n\n".to_owned()),
                (
                    Some("pay".to_owned()),
                    "\n[pay]\na = \n\n\n[pay.extra] # more\nc\n[ 1, 2 ]\n".to_owned()
                ),
                (
                    Some("gift".to_owned()),
                    "\n\n\n[\"gift\"]\nb\n\n\n\n".to_owned()
                ),
            ]
        );
    }
}
