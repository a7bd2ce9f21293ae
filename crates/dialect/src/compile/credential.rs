//! The section `[credential]`: the forms of logins and secrets, and further
//! parts.

use crate::CredentialForm;
use crate::credential_form::TextForm;
use crate::document::{TomlTable, TomlValue};

pub(super) struct CredentialSection<'d> {
    pub(super) form: Option<CredentialForm>,
    pub(super) extra: Vec<&'d str>,
}

pub(super) fn compile<'d>(root: &TomlTable<'d>) -> CredentialSection<'d> {
    let mut credential = CredentialSection {
        form: None,
        extra: Vec::new(),
    };
    let Some(table) = root.get("credential").and_then(|value| value.table()) else {
        return credential;
    };
    let forms = |key: &str| {
        let values = table
            .get(key)
            .and_then(|forms| forms.array())
            .unwrap_or_default();
        values.iter().filter_map(form).collect::<Vec<_>>()
    };
    let (login, secret) = (forms("login"), forms("secret"));
    if !login.is_empty() || !secret.is_empty() {
        credential.form = Some(CredentialForm { login, secret });
    }
    for name in table
        .get("extra")
        .and_then(|extra| extra.array())
        .unwrap_or_default()
    {
        credential.extra.extend(extra_name(&name));
    }
    credential
}

fn form(value: &TomlValue<'_>) -> Option<TextForm> {
    let flaw = |(at, what)| value.blame_inside(at, what, None);
    TextForm::parse(value.text()?).map_err(flaw).ok()
}

fn extra_name<'d>(value: &TomlValue<'d>) -> Option<&'d str> {
    let name = value.text()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(plain) {
        return Some(name);
    }
    value.blame("is not made of letters, digits, `_` and `-`", None);
    None
}
