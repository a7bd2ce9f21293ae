//! The admin API's replies as tables for people. With `--json` a reply is printed as it came, so
//! nothing here decides what it contains.

use std::time::Duration;

use countersign_dialect::document::duration_text;
use countersign_dialect::percent_encoded;
use serde_json::{Map, Value};

use super::admin::Admin;
use crate::exit::Failure;
use crate::output::Output;
use crate::table::Table;
use crate::text::to_second;

/// What is said where a listing has another page, before its place.
pub(crate) const MORE: &str = "There are more: continue with --after";

/// Prints a page of a listing: its members `names` under `columns`.
pub(crate) fn page<const N: usize>(
    reply: &Value,
    columns: [&str; N],
    names: [&str; N],
    output: &mut Output,
) -> Result<(), Failure> {
    page_with(reply, columns, names, MORE, output)
}

/// The same, with other words for where to go on.
pub(crate) fn page_with<const N: usize>(
    reply: &Value,
    columns: [&str; N],
    names: [&str; N],
    more: &str,
    output: &mut Output,
) -> Result<(), Failure> {
    output.document(reply, &table(&reply["items"], columns, names))?;
    if !reply["next"].is_null() {
        output.aside(&format!("{more} {}", cell(&reply["next"])));
    }
    Ok(())
}

/// The members `names` of each of `items` under `columns`.
pub(crate) fn table<const N: usize>(items: &Value, columns: [&str; N], names: [&str; N]) -> String {
    let mut table = Table::new(columns);
    for item in items.as_array().map_or(&[][..], Vec::as_slice) {
        let cells = names.map(|name| member(name, &item[name]));
        table.row(cells.each_ref().map(String::as_str));
    }
    table.text()
}

/// Prints one thing, a line for each of its members.
pub(crate) fn one(reply: &Value, output: &mut Output) -> Result<(), Failure> {
    output.document(reply, &lines(reply))
}

/// Prints what was created: its members, and the generated secret with a
/// sentence that this is the only time.
pub(crate) fn created(what: &str, reply: &Value, output: &mut Output) -> Result<(), Failure> {
    let mut shown = reply.clone();
    if let Some(credential) = shown.get_mut("credential") {
        // Of the first credential of an account, what later commands ask for.
        *credential = credential["id"].take();
    }
    let secret = match reply["secret"].as_str() {
        Some(_) => "\nThe secret is shown this once and cannot be shown again: hand it over now.\n",
        None => "\nIts secret is the one that you gave.\n",
    };
    let lines = lines(&shown);
    output.document(reply, &format!("{what} is created.\n\n{lines}{secret}"))
}

/// Says that something is deleted or ended.
pub(crate) fn done(reply: &Value, sentence: &str, output: &mut Output) -> Result<(), Failure> {
    output.document(reply, sentence)
}

/// The id of the account that `text` names: an id, or the login of one of its
/// credentials.
pub(crate) fn account_id(admin: &Admin, text: &str) -> Result<u64, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let reply = admin.get(&format!("/accounts?login={}", percent_encoded(text)))?;
    let items = reply["items"].as_array().map_or(&[][..], Vec::as_slice);
    match items {
        [account] => account["id"]
            .as_u64()
            .ok_or_else(|| Failure::failed("the server sent an account without an id")),
        [] => Err(Failure::failed(format!(
            "no account has the login {text:?}"
        ))),
        several => {
            let accounts: Vec<_> = several
                .iter()
                .map(|it| format!("{} (api {})", cell(&it["id"]), cell(&it["api"])))
                .collect();
            let accounts = accounts.join(", ");
            Err(
                Failure::usage(format!("several accounts have the login {text:?}"))
                    .with_help(format!("name one by its id: {accounts}")),
            )
        }
    }
}

/// The path of the account that `text` names.
pub(crate) fn account_path(admin: &Admin, text: &str) -> Result<String, Failure> {
    Ok(format!("/accounts/{}", account_id(admin, text)?))
}

/// A query of those parameters that have a value.
pub(crate) fn query(parameters: &[(&str, Option<String>)]) -> String {
    let given: Vec<_> = parameters
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", percent_encoded(value.as_deref()?))))
        .collect();
    if given.is_empty() {
        return String::new();
    }
    format!("?{}", given.join("&"))
}

/// A body of those members that have a value.
pub(crate) fn body(members: Vec<(&str, Option<Value>)>) -> Value {
    let given = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

/// The members that people look for first, in their order.
const FIRST: [&str; 11] = [
    "kid",
    "name",
    "id",
    "api",
    "account",
    "credential",
    "login",
    "secret",
    "kind",
    "state",
    "ended",
];

/// What is shown of one thing: a line for each of its members.
pub(super) fn lines(reply: &Value) -> String {
    let rank = |name: &str| FIRST.iter().position(|first| *first == name);
    let members = reply.as_object().into_iter().flatten();
    let mut members: Vec<_> = members.collect();
    members.sort_by_key(|(name, _)| rank(name).unwrap_or(FIRST.len()));
    let mut table = Table::headless();
    for (name, value) in members {
        table.row([name, &member(name, value)]);
    }
    table.text()
}

/// A member for people. What an empty list or null means depends on which.
fn member(name: &str, value: &Value) -> String {
    let said = match (name, value) {
        ("allow", Value::Array(items)) if items.is_empty() => "all",
        ("hosts", Value::Array(items)) if items.is_empty() => "any",
        ("apis", Value::Null) => "all",
        ("expires_at" | "last_login_at", Value::Null) => "never",
        ("upstream" | "forward_auth", Value::Null) => "none",
        ("prefix", Value::String(text)) if text.is_empty() => "none",
        ("lifetimes", Value::Object(spans)) => return each(spans, span),
        ("limits", Value::Object(limits)) => return each(limits, limit),
        ("epoch", Value::Number(_)) => return format!("{value} (raised by each revocation)"),
        (at, Value::String(text)) if at == "at" || at.ends_with("_at") => return to_second(text),
        _ => return cell(value),
    };
    said.to_owned()
}

fn each(members: &Map<String, Value>, word: fn(&Value) -> String) -> String {
    let members = members.iter();
    let members = members.map(|(name, value)| format!("{name} {}", word(value)));
    members.collect::<Vec<_>>().join(", ")
}

/// A number of seconds as a span, such as `30d`.
fn span(seconds: &Value) -> String {
    let span = seconds.as_f64().map(Duration::try_from_secs_f64);
    span.and_then(Result::ok)
        .map_or_else(|| cell(seconds), duration_text)
}

/// A limit; an account without one of its own has the api's.
fn limit(value: &Value) -> String {
    match value {
        Value::Null => "default".to_owned(),
        value => cell(value),
    }
}

/// A value for people: text without quotes, lists and objects in one line.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Object(members) => each(members, cell),
        other => other.to_string(),
    }
}
