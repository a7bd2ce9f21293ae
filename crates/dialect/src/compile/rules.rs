//! What must hold between the sections of a file.

use countersign_domain::{Operation, RefreshMode};

use crate::document::Table;
use crate::form::Form;
use crate::word::Word;
use crate::{Dialect, TokenForm, Variant};

pub(super) fn check(root: &Table<'_>, dialect: &Dialect) {
    let blame = |message: String| root.blame(message);
    if dialect.variants.is_empty() {
        blame("has no `[[login]]`".to_owned());
    }
    for form in &dialect.forms {
        every_form(form, dialect, &blame);
    }
    for pair in same_place(dialect) {
        blame(format!(
            "{pair}: nothing tells the two apart; give one a `when`"
        ));
    }
    let logs_out = dialect
        .forms
        .iter()
        .any(|form| form.operation == Operation::Logout);
    if logs_out != dialect.logout_scope.is_some() {
        blame("`/session/logout` and `[[logout]]` go together".to_owned());
    }
    if dialect.serves.issuer {
        issuer(dialect, &blame);
    }
}

/// What a form needs to be of use on either side.
fn every_form(form: &Form, dialect: &Dialect, blame: &dyn Fn(String)) {
    let name = format!("{} {}", form.operation, form.path);
    let lacks = |side: &str, hole: &str| blame(format!("the {side} of {name} has no {hole}"));
    let asks = |word: Word| form.request.has(&word);
    match form.operation {
        Operation::Login if !asks(Word::Login) || !asks(Word::Secret) => {
            lacks("request", "`{login}` and `{secret}`");
        }
        Operation::Refresh if !asks(Word::RefreshToken) && !asks(Word::AccessToken) => {
            lacks("request", "`{refresh_token}`");
        }
        _ => (),
    }
    if form.operation == Operation::Logout {
        return;
    }
    if !form.reply.has(&Word::AccessToken) {
        lacks("reply", "`{access_token}`");
    }
    let told = form.reply.has(&Word::AccessExpiresAt)
        || dialect.expiry.access.is_some()
        || dialect.expiry.sliding.is_some();
    if !told {
        blame(format!(
            "nothing tells when the access token of {name} ends: give `/expiry/access`"
        ));
    }
}

/// Forms at one place that no `when` tells apart.
fn same_place(dialect: &Dialect) -> Vec<String> {
    let mut found = Vec::new();
    for (index, form) in dialect.forms.iter().enumerate() {
        let twin = dialect.forms.iter().skip(index + 1).find(|other| {
            other.method == form.method && other.path == form.path && other.when == form.when
        });
        found.extend(twin.map(|_| format!("two forms at {} {}", form.method, form.path)));
    }
    found
}

/// What only an issuer needs.
fn issuer(dialect: &Dialect, blame: &dyn Fn(String)) {
    if dialect.expiry.sliding.is_some() {
        blame("an issuer cannot serve `/expiry/sliding`: its tokens end when they say".to_owned());
    }
    let refreshes = dialect
        .forms
        .iter()
        .any(|form| form.operation == Operation::Refresh);
    if refreshes == (dialect.refresh_mode == RefreshMode::None) {
        blame("`/session/refresh` is not `none` exactly where there is a `[[refresh]]`".to_owned());
    }
    for form in &dialect.forms {
        issued_form(form, dialect, blame);
    }
    for variant in dialect.variants() {
        token_forms(variant, dialect, blame);
    }
    if !dialect
        .present
        .iter()
        .any(|(_, value)| value.holes().any(|h| h.word == Word::AccessToken))
    {
        blame("`/guard/present` has no `{access_token}`".to_owned());
    }
}

fn issued_form(form: &Form, dialect: &Dialect, blame: &dyn Fn(String)) {
    let name = format!("{} {}", form.operation, form.path);
    match form.operation {
        Operation::Refresh => {
            if !form.request.has(&Word::RefreshToken) {
                blame(format!(
                    "an issuer cannot serve {name}: it has no `{{refresh_token}}`"
                ));
            }
            let replaces = form.reply.has(&Word::RefreshToken);
            if replaces != (dialect.refresh_mode == RefreshMode::Rotate) {
                blame(format!(
                    "the reply of {name} has a `{{refresh_token}}` exactly if refresh is `rotate`"
                ));
            }
        }
        Operation::Logout if !form.request.has(&Word::AccessToken) => {
            blame(format!(
                "an issuer cannot serve {name}: it has no `{{access_token}}`"
            ));
        }
        _ => (),
    }
    if form
        .reply
        .holes()
        .iter()
        .any(|hole| matches!(hole.word, Word::Extra(_)) && !hole.optional)
    {
        blame(format!(
            "an issuer cannot fill the `extra` holes in the reply of {name}"
        ));
    }
}

fn token_forms(variant: Variant, dialect: &Dialect, blame: &dyn Fn(String)) {
    let name = dialect.variant_name(variant);
    let has = |kind| {
        dialect
            .token_form(variant, kind)
            .is_some_and(|_form: &TokenForm| true)
    };
    if !has(countersign_domain::Kind::Access) {
        blame(format!("`/tokens/{name}/access` is missing"));
    }
    if dialect.refreshes(variant) != has(countersign_domain::Kind::Refresh) {
        blame(format!(
            "`/tokens/{name}/refresh` is there exactly if the variant has a refresh"
        ));
    }
}
