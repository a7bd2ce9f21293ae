//! The section `[guard]`: how guarded requests carry their credential.

use http::HeaderName;

use super::{Context, pattern};
use crate::StaticKeyPlace;
use crate::document::{Table, Value};
use crate::pattern::Pattern;
use crate::word::Vocabulary;

#[derive(Default)]
pub(super) struct Guard {
    pub(super) present: Vec<(HeaderName, Pattern)>,
    pub(super) static_key: Option<StaticKeyPlace>,
}

pub(super) fn read<'d>(root: &Table<'d>, context: &Context<'d>) -> Guard {
    let mut guard = Guard::default();
    let Some(table) = root.require("guard").and_then(|guard| guard.table()) else {
        return guard;
    };
    for value in table
        .require("present")
        .and_then(|present| present.array())
        .unwrap_or_default()
    {
        guard.present.extend(presentation(&value, context));
    }
    guard.static_key = table.get("static_key").and_then(|key| static_key(&key));
    guard
}

fn presentation(value: &Value<'_>, context: &Context<'_>) -> Option<(HeaderName, Pattern)> {
    let table = value.table()?;
    let name = table.require("header").and_then(|name| header_name(&name));
    let vocabulary = Vocabulary::presentation(&context.extra);
    let value = table
        .require("value")
        .and_then(|value| pattern(&value, &vocabulary));
    Some((name?, value?))
}

fn header_name(value: &Value<'_>) -> Option<HeaderName> {
    let name = value.text()?.parse().ok();
    if name.is_none() {
        value.blame("is no header name", None);
    }
    name
}

fn static_key(value: &Value<'_>) -> Option<StaticKeyPlace> {
    let table = value.table()?;
    let query = table
        .get("query")
        .and_then(|name| name.text())
        .map(str::to_owned);
    let body = table.get("body").and_then(|member| {
        let name = member
            .text()?
            .strip_prefix('/')
            .filter(|name| !name.contains(['/', '~']));
        if name.is_none() {
            member.blame(
                "is no pointer to a member of the top object, such as /key",
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
