//! The name that was probably meant.

/// The one of `known` that is nearest to `written`, as a question for a message;
/// `None` if none is near.
pub fn did_you_mean<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    let near = |name: &str| {
        let shorter = name.chars().count().min(written.chars().count());
        (shorter * 2 / 5).min(3)
    };
    known
        .into_iter()
        .filter(|name| name.len() < 64 && written.len() < 64)
        .map(|name| (distance(written, name), name))
        .filter(|(distance, name)| *distance <= near(name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// The Levenshtein distance in characters.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (j, b) in to.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX - 1);
            let cost = diagonal + usize::from(a != *b);
            diagonal = above;
            let cell = cost.min(above + 1).min(left + 1);
            if let Some(slot) = row.get_mut(j) {
                *slot = left;
            }
            left = cell;
        }
        if let Some(last) = row.last_mut() {
            *last = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_the_textbook_ones() {
        for (from, to, apart) in [
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("abc", "", 3),
            ("flaw", "lawn", 2),
            ("a", "a", 0),
        ] {
            assert_eq!(distance(from, to), apart, "{from} {to}");
        }
    }

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["access_token", "refresh_token", "login"];
        let meant = did_you_mean("acces_token", known);
        assert_eq!(meant.as_deref(), Some("did you mean `access_token`?"));
        assert_eq!(did_you_mean("password", known), None);
    }
}
