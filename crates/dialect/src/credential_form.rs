//! The forms of logins and secrets that a vendor fixes: `apr-{hex:32}`,
//! `{lower:2-8}-{hex:32}`. Unlike a regular expression, a form can be generated
//! as well as matched.

/// The longest run of one class.
const LONGEST: usize = 128;

/// The forms of a dialect's credentials.
#[derive(Debug)]
pub struct CredentialForm {
    pub(crate) login: Vec<TextForm>,
    pub(crate) secret: Vec<TextForm>,
}

/// One form: fixed texts and runs of characters of one class.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TextForm(Vec<CharacterRun>);

#[derive(Debug, PartialEq, Eq)]
enum CharacterRun {
    Fixed(String),
    Class {
        alphabet: &'static str,
        least: usize,
        most: usize,
    },
}

/// The classes of characters, by name.
pub(crate) const CLASSES: [(&str, &str); 6] = [
    ("hex", "0123456789abcdef"),
    ("digit", "0123456789"),
    ("lower", "abcdefghijklmnopqrstuvwxyz"),
    ("upper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    (
        "alnum",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    ),
    (
        "base64url",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    ),
];

impl CredentialForm {
    /// Whether a login has one of the forms; any has if the dialect fixes none.
    pub fn login_matches(&self, login: &str) -> bool {
        matches(&self.login, login)
    }

    /// Whether a secret has one of the forms; any has if the dialect fixes
    /// none.
    pub fn secret_matches(&self, secret: &str) -> bool {
        matches(&self.secret, secret)
    }

    /// A random login of the first form, or with `prefix` of the first form
    /// that can begin with it (`btc` for `{lower:2-8}-{hex:32}`); `None` if
    /// none does. `random` fills a buffer with random bytes.
    pub fn generate_login(
        &self,
        prefix: Option<&str>,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Option<String> {
        match prefix {
            None => self.login.first().map(|form| form.generate(random)),
            Some(prefix) => self
                .login
                .iter()
                .find_map(|form| form.generate_with(prefix, random)),
        }
    }

    /// A random secret of the first form; `None` if the dialect fixes none.
    pub fn generate_secret(&self, random: &mut dyn FnMut(&mut [u8])) -> Option<String> {
        self.secret.first().map(|form| form.generate(random))
    }
}

fn matches(forms: &[TextForm], text: &str) -> bool {
    forms.is_empty() || forms.iter().any(|form| form.matches(text))
}

impl TextForm {
    /// Reads a form; the error is a byte of it and what is wrong there.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut runs = Vec::new();
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let fixed = rest.find('{').unwrap_or(rest.len());
            if let Some(fixed) = rest.get(..fixed).filter(|fixed| !fixed.is_empty()) {
                runs.push(CharacterRun::Fixed(fixed.to_owned()));
                at += fixed.len();
                continue;
            }
            let end = rest
                .find('}')
                .ok_or((at, "a class that does not end".to_owned()))?;
            runs.push(class(rest.get(1..end).unwrap_or_default()).map_err(|what| (at + 1, what))?);
            at += end + 1;
        }
        if runs.is_empty() || runs.len() > 16 {
            return Err((0, "is empty or has more than 16 parts".to_owned()));
        }
        Ok(Self(runs))
    }

    /// Whether the whole text is of this form. Every place that the runs so far
    /// can reach is kept, so the cost is linear in the text for each run.
    fn matches(&self, text: &str) -> bool {
        let mut reached = vec![0];
        for run in &self.0 {
            let mut next: Vec<usize> = reached
                .iter()
                .flat_map(|from| run.ends(text.get(*from..).unwrap_or_default(), *from))
                .collect();
            next.sort_unstable();
            next.dedup();
            reached = next;
        }
        reached.contains(&text.len())
    }

    fn generate(&self, random: &mut dyn FnMut(&mut [u8])) -> String {
        self.0.iter().map(|run| run.generate(random)).collect()
    }

    /// A text whose first run is, or begins with, `prefix`.
    fn generate_with(&self, prefix: &str, random: &mut dyn FnMut(&mut [u8])) -> Option<String> {
        let (first, others) = self.0.split_first()?;
        let first = match first {
            CharacterRun::Fixed(fixed) => fixed.starts_with(prefix).then(|| fixed.clone())?,
            class => class
                .ends(prefix, 0)
                .contains(&prefix.len())
                .then(|| prefix.to_owned())?,
        };
        Some(
            first
                + &others
                    .iter()
                    .map(|run| run.generate(random))
                    .collect::<String>(),
        )
    }
}

impl CharacterRun {
    /// Where this run can end in `rest`, which begins at `from`.
    fn ends(&self, rest: &str, from: usize) -> Vec<usize> {
        match self {
            Self::Fixed(fixed) if rest.starts_with(fixed.as_str()) => vec![from + fixed.len()],
            Self::Fixed(_) => Vec::new(),
            Self::Class {
                alphabet,
                least,
                most,
            } => {
                let run = rest
                    .chars()
                    .take(*most)
                    .take_while(|c| alphabet.contains(*c))
                    .count();
                (*least..=run).map(|length| from + length).collect()
            }
        }
    }

    fn generate(&self, random: &mut dyn FnMut(&mut [u8])) -> String {
        match self {
            Self::Fixed(fixed) => fixed.clone(),
            Self::Class {
                alphabet,
                least,
                most,
            } => {
                let length = least + below(most - least + 1, random);
                let draw = |_| {
                    alphabet
                        .as_bytes()
                        .get(below(alphabet.len(), random))
                        .copied()
                        .map(char::from)
                };
                (0..length).filter_map(draw).collect()
            }
        }
    }
}

/// A number below `bound` (at most 256), each equally likely: bytes beyond the
/// last whole multiple of the bound are drawn again.
fn below(bound: usize, random: &mut dyn FnMut(&mut [u8])) -> usize {
    let fair = 256 - 256 % bound;
    loop {
        let mut byte = [0];
        random(&mut byte);
        let drawn = usize::from(byte[0]);
        if drawn < fair {
            return drawn % bound;
        }
    }
}

/// `hex:32` or `lower:2-8`.
fn class(text: &str) -> Result<CharacterRun, String> {
    let (name, length) = text
        .split_once(':')
        .ok_or("a class needs a length, as in `{hex:32}`")?;
    let alphabet = CLASSES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, alphabet)| *alphabet);
    let alphabet = alphabet.ok_or_else(|| {
        let names: Vec<_> = CLASSES
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        format!("no class `{name}`; there are {}", names.join(", "))
    })?;
    let (least, most) = length.split_once('-').unwrap_or((length, length));
    match (least.parse(), most.parse()) {
        (Ok(least), Ok(most)) if 0 < least && least <= most && most <= LONGEST => {
            Ok(CharacterRun::Class {
                alphabet,
                least,
                most,
            })
        }
        _ => Err(format!("`{length}` is not a length from 1 to {LONGEST}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apirone() -> CredentialForm {
        let form = |text| TextForm::parse(text).unwrap();
        CredentialForm {
            login: vec![form("apr-{hex:32}"), form("{lower:2-8}-{hex:32}")],
            secret: vec![form("{alnum:32}")],
        }
    }

    fn counting() -> impl FnMut(&mut [u8]) {
        let mut next = 0_u8;
        move |bytes| {
            bytes.iter_mut().for_each(|byte| {
                *byte = next;
                next = next.wrapping_mul(29).wrapping_add(7);
            });
        }
    }

    #[test]
    fn documented_credentials_match_and_others_do_not() {
        let form = apirone();
        for login in [
            "apr-e7be0e8eabd391b499fe64647576fad5",
            "btc-f43a47823c6f0894c83e3e364fa12654",
        ] {
            assert!(form.login_matches(login), "{login}");
        }
        for login in [
            "",
            "apr-",
            "apr-E7be0e8eabd391b499fe64647576fad5",
            "apr-e7be0e8eabd391b499fe64647576fad5 ",
            "b-f43a47823c6f0894c83e3e364fa12654",
            "btcbtcbtc-f43a47823c6f0894c83e3e364fa12654",
            "é",
        ] {
            assert!(!form.login_matches(login), "{login}");
        }
        assert!(form.secret_matches("CY2qGJ65OVc5X5KJbibOelc5bbZbnfqx"));
        assert!(!form.secret_matches("CY2qGJ65OVc5X5KJbibOelc5bbZbnfq-"));
    }

    #[test]
    fn what_is_generated_matches() {
        let (form, mut random) = (apirone(), counting());
        for prefix in [None, Some("apr"), Some("btc")] {
            let login = form.generate_login(prefix, &mut random).unwrap();
            assert!(form.login_matches(&login), "{login}");
            assert!(login.starts_with(prefix.unwrap_or("apr")), "{login}");
        }
        assert!(form.secret_matches(&form.generate_secret(&mut random).unwrap()));
        assert_eq!(form.generate_login(Some("BTC"), &mut random), None);
    }

    #[test]
    fn every_character_is_equally_likely() {
        let bytes_from = |mut next: u8| {
            move |bytes: &mut [u8]| {
                bytes.iter_mut().for_each(|byte| {
                    *byte = next;
                    next = next.wrapping_add(1);
                });
            }
        };
        let mut drawn = [0; 62];
        let mut every_byte_once = bytes_from(0);
        (0..248).for_each(|_| drawn[below(62, &mut every_byte_once)] += 1);
        assert_eq!(drawn, [4; 62]);
        assert_eq!(
            below(62, &mut bytes_from(249)),
            0,
            "249 to 255 are drawn again"
        );
    }

    #[test]
    fn a_form_that_cannot_be_read_is_told_with_its_byte() {
        for (text, at) in [
            ("a-{hexx:3}", 3),
            ("a{hex}", 2),
            ("{hex:0}", 1),
            ("{hex:9-2}", 1),
            ("{hex:999}", 1),
            ("{", 0),
            ("", 0),
        ] {
            assert_eq!(TextForm::parse(text).unwrap_err().0, at, "{text}");
        }
    }
}
