//! Finds the name that was probably meant.

use strsim::levenshtein;

/// The name among `known` that is most similar to `written`, as a question for a message;
/// `None` if none is similar.
pub fn did_you_mean<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    let near = |name: &str| {
        let shorter = name.chars().count().min(written.chars().count());
        (shorter * 2 / 5).min(3)
    };
    known
        .into_iter()
        .filter(|name| name.len() < 64 && written.len() < 64)
        .map(|name| (levenshtein(written, name), name))
        .filter(|(distance, name)| *distance <= near(name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["access_token", "refresh_token", "login"];
        let meant = did_you_mean("acces_token", known);
        assert_eq!(meant.as_deref(), Some("did you mean `access_token`?"));
        assert_eq!(did_you_mean("password", known), None);
    }
}
