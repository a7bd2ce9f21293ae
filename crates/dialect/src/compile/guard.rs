//! The section `[guard]`: how guarded requests carry their credential.

use http::HeaderName;

use super::CompileContext;
use super::headers::presentation;
use crate::StaticKeyPlace;
use crate::document::{TomlTable, TomlValue};
use crate::hole_word::WordVocabulary;
use crate::pattern::TextPattern;

#[derive(Default)]
pub(super) struct GuardValues {
    pub(super) present: Vec<(HeaderName, TextPattern)>,
    pub(super) static_key: Option<StaticKeyPlace>,
}

pub(super) fn compile<'d>(root: &TomlTable<'d>, context: &CompileContext<'d>) -> GuardValues {
    let mut guard = GuardValues::default();
    let bearer = "for a bearer: `present = [{ header = \"Authorization\", value = \"Bearer \
                  {access_token}\" }]`";
    let Some(table) = root
        .require_or("guard", bearer)
        .and_then(|guard| guard.table())
    else {
        return guard;
    };
    let vocabulary = WordVocabulary::presentation(&context.extra);
    for value in table
        .require_or("present", bearer)
        .and_then(|present| present.array())
        .unwrap_or_default()
    {
        let header = value
            .table()
            .and_then(|table| presentation(&table, &vocabulary, &guard.present));
        guard.present.extend(header);
    }
    guard.static_key = table.get("static_key").and_then(|key| static_key(&key));
    guard
}

fn static_key(value: &TomlValue<'_>) -> Option<StaticKeyPlace> {
    let table = value.table()?;
    let query = table.get("query").and_then(|value| {
        let name = value.text()?;
        if name.is_empty() {
            value.blame("is not the name of a parameter", None);
        }
        Some(name.to_owned())
    });
    let body = table.get("body").and_then(|member| {
        let name = member
            .text()?
            .strip_prefix('/')
            .filter(|name| !name.is_empty() && !name.contains(['/', '~']));
        if name.is_none() {
            member.blame(
                "is not a pointer to a member of the top object, such as /key",
                None,
            );
        }
        name.map(str::to_owned)
    });
    if query.is_none() && body.is_none() {
        table.blame("names neither a `query` parameter nor a `body` member");
    }
    Some(StaticKeyPlace { query, body })
}
