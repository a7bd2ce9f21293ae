//! The sections `[errors]`, `[refusals]` and `[refusals.on.OPERATION]`.

use std::collections::BTreeMap;

use countersign_domain::{Operation, Refusal};
use http::{HeaderName, HeaderValue, StatusCode};

use super::headers::headers;
use super::{Context, form, standard};
use crate::Serves;
use crate::document::{Table, Value, did_you_mean};
use crate::form::Constant;
use crate::pattern::Pattern;
use crate::refusals::{Known, Refusals, Spelled, answers};
use crate::template::Template;
use crate::word::{Vocabulary, Word};

/// What `[errors]` says for all.
struct Errors {
    media: Option<HeaderValue>,
    body: Option<Template>,
}

/// One entry, as written; merged where an operation changes a part of it.
#[derive(Clone)]
struct Row<'d> {
    place: Value<'d>,
    status: StatusCode,
    status_stated: bool,
    headers: Vec<(HeaderName, Pattern)>,
    media: Option<HeaderValue>,
    body: Option<Template>,
    pointer: Option<String>,
    fields: BTreeMap<&'d str, Constant>,
}

/// The rows of the file: for all operations, and for one.
#[derive(Default)]
struct Rows<'d> {
    general: BTreeMap<Refusal, Row<'d>>,
    on: BTreeMap<(Operation, Refusal), Row<'d>>,
}

pub(super) fn read<'d>(
    root: &Table<'d>,
    context: &Context<'d>,
    serves: Serves,
) -> Option<Refusals> {
    let errors = errors(root, context, serves);
    let section = match serves.issuer {
        true => Some(root.require("refusals")?),
        false => root.get("refusals"),
    };
    let rows = match section {
        None => Rows::default(),
        Some(section) => {
            let table = section.table()?;
            let rows = rows(&table, context);
            if serves.issuer {
                complete(&rows, &table);
            }
            rows
        }
    };
    let standard = !serves.issuer && errors.body.is_none();
    let mut refusals = Refusals {
        shape: errors.body.clone(),
        ..Refusals::default()
    };
    for operation in Operation::ALL {
        for refusal in Refusal::ALL {
            let row = rows.row(operation, *refusal);
            let usual = (standard && row.is_none())
                .then(|| standard::spelled(operation, *refusal))
                .flatten();
            let spelled = usual.unwrap_or_else(|| spelled(row.as_ref(), *refusal, &errors));
            refusals.spelled.push(spelled);
            refusals.known.extend(known(&rows, operation, *refusal));
        }
    }
    if standard {
        standard::add(&mut refusals).ok()?;
    }
    Some(refusals)
}

fn errors<'d>(root: &Table<'d>, context: &Context<'d>, serves: Serves) -> Errors {
    let section = match serves.issuer {
        true => root.require("errors"),
        false => root.get("errors"),
    };
    let table = section.and_then(|errors| errors.table());
    let get = |key: &str| table.as_ref()?.get(key);
    Errors {
        media: get("media").and_then(|media| form::media(&media)),
        body: get("body").and_then(|body| context.template(&body, &Vocabulary::REFUSAL)),
    }
}

fn rows<'d>(table: &Table<'d>, context: &Context<'d>) -> Rows<'d> {
    let mut rows = Rows::default();
    for (key, value) in table.entries() {
        if key.name == "on" {
            on(&value, context, &mut rows);
        } else if let Some(refusal) = refusal(table, &key) {
            rows.general
                .extend(row(&value, refusal, context).map(|row| (refusal, row)));
        }
    }
    rows
}

fn on<'d>(value: &Value<'d>, context: &Context<'d>, rows: &mut Rows<'d>) {
    let Some(table) = value.table() else { return };
    for operation in Operation::ALL {
        let Some(of) = table.get(operation.name()).and_then(|of| of.table()) else {
            continue;
        };
        for (key, value) in of.entries() {
            let Some(refusal) = refusal(&of, &key) else {
                continue;
            };
            let row = row(&value, refusal, context);
            rows.on.extend(row.map(|row| ((operation, refusal), row)));
        }
    }
}

fn refusal(table: &Table<'_>, key: &crate::document::Key<'_>) -> Option<Refusal> {
    let found = Refusal::from_code(key.name);
    if found.is_none() {
        let help = did_you_mean(key.name, Refusal::ALL.iter().map(|refusal| refusal.code()));
        table.blame_key(key, "is not a refusal", help);
    }
    found
}

fn row<'d>(value: &Value<'d>, refusal: Refusal, context: &Context<'d>) -> Option<Row<'d>> {
    let table = value.table()?;
    let stated = table.get("status").and_then(|status| form::status(&status));
    let headers = table
        .get("headers")
        .map(|v| headers(&v, &Vocabulary::REFUSAL));
    let media = table.get("media").and_then(|media| form::media(&media));
    let body = table
        .get("body")
        .and_then(|v| context.template(&v, &Vocabulary::REFUSAL));
    let pointer = table
        .get("pointer")
        .and_then(|pointer| super::pointer(&pointer));
    let reserved = ["status", "headers", "media", "body", "pointer"];
    let fields = table
        .entries()
        .into_iter()
        .filter(|(key, _)| !reserved.contains(&key.name));
    let fields = fields.filter_map(|(key, value)| Some((key.name, form::constant(&value)?)));
    Some(Row {
        place: value.clone(),
        status: stated.or(StatusCode::from_u16(refusal.default_status()).ok())?,
        status_stated: stated.is_some(),
        headers: headers.unwrap_or_default(),
        media,
        body,
        pointer: pointer.map(str::to_owned),
        fields: fields.collect(),
    })
}

impl<'d> Rows<'d> {
    /// What stands for a refusal on an operation, over all fallbacks.
    fn row(&self, operation: Operation, refusal: Refusal) -> Option<Row<'d>> {
        match (
            self.on.get(&(operation, refusal)),
            self.general.get(&refusal),
        ) {
            (None, Some(general)) => Some(general.clone()),
            (None, None) => self.fallback(operation, refusal),
            (Some(own), Some(general)) => Some(merged(general.clone(), own)),
            (Some(own), None) => Some(
                self.fallback(operation, refusal)
                    .map_or_else(|| own.clone(), |row| merged(row, own)),
            ),
        }
    }

    fn fallback(&self, operation: Operation, refusal: Refusal) -> Option<Row<'d>> {
        let mut row = self.row(operation, refusal.fallback()?)?;
        if keeps_status(refusal) {
            row.status = StatusCode::from_u16(refusal.default_status()).ok()?;
        }
        Some(row)
    }
}

/// What falls back to the words of another refusal, but not to its status.
const fn keeps_status(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Forbidden | Refusal::BadGateway | Refusal::GatewayTimeout
    )
}

/// `base` with what `own` says instead.
fn merged<'d>(mut base: Row<'d>, own: &Row<'d>) -> Row<'d> {
    base.place = own.place.clone();
    if own.status_stated {
        base.status = own.status;
    }
    for (name, value) in &own.headers {
        base.headers.retain(|(known, _)| known != name);
        base.headers.push((name.clone(), value.clone()));
    }
    base.media = own.media.clone().or(base.media);
    base.body = own.body.clone().or(base.body);
    base.pointer = own.pointer.clone().or(base.pointer);
    base.fields.extend(
        own.fields
            .iter()
            .map(|(name, value)| (*name, value.clone())),
    );
    base
}

/// An issuer must be able to say every refusal. One that falls back needs no
/// spelling of its own.
fn complete(rows: &Rows<'_>, table: &Table<'_>) {
    let absent = |refusal: &&Refusal| {
        let mut operations = Operation::ALL
            .into_iter()
            .filter(|op| answers(*op, **refusal));
        operations.any(|operation| rows.row(operation, **refusal).is_none())
    };
    let needed = Refusal::ALL
        .iter()
        .filter(|refusal| refusal.fallback().is_none());
    let absent: Vec<_> = needed
        .filter(absent)
        .map(|refusal| format!("`{refusal}`"))
        .collect();
    if !absent.is_empty() {
        table.blame(format!("an issuer must spell {} too", absent.join(", ")));
    }
}

fn spelled(row: Option<&Row<'_>>, refusal: Refusal, errors: &Errors) -> Spelled {
    let Some(row) = row else { return bare(refusal) };
    let body = row
        .body
        .as_ref()
        .or(errors.body.as_ref())
        .map(|body| filled(body, row));
    Spelled {
        status: row.status,
        headers: row.headers.clone(),
        media: row
            .media
            .clone()
            .or(errors.media.clone())
            .or(Some(HeaderValue::from_static("application/json"))),
        body,
        pointer: row.pointer.clone(),
    }
}

/// What a client-only dialect says for a refusal that it does not spell.
fn bare(refusal: Refusal) -> Spelled {
    let told = match refusal.fallback() {
        Some(fallback) if !keeps_status(refusal) => fallback,
        _ => refusal,
    };
    let status = StatusCode::from_u16(told.default_status());
    Spelled {
        status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        headers: Vec::new(),
        media: None,
        body: None,
        pointer: None,
    }
}

/// The body with the fields of a row in their holes.
fn filled(body: &Template, row: &Row<'_>) -> Template {
    for hole in body.holes() {
        if let Word::Field(name) = &hole.word
            && !row.fields.contains_key(&**name)
            && !hole.optional
        {
            row.place.blame(
                format!("has no `{name}`, for which the body has a hole"),
                None,
            );
        }
    }
    Template::of(body.shape.filled(&|hole| match &hole.word {
        Word::Field(name) => row.fields.get(&**name).map(Constant::shape),
        _ => None,
    }))
}

/// How a refusal that can be told from others is recognised: the file spells it,
/// or it has a status of its own.
fn known(rows: &Rows<'_>, operation: Operation, refusal: Refusal) -> Option<Known> {
    let spelled =
        rows.on.contains_key(&(operation, refusal)) || rows.general.contains_key(&refusal);
    let told = spelled || keeps_status(refusal);
    let row = told.then(|| rows.row(operation, refusal)).flatten()?;
    answers(operation, refusal).then(|| Known {
        operation,
        refusal,
        status: row.status,
        stated: spelled,
        fields: row
            .fields
            .iter()
            .map(|(name, value)| ((*name).into(), text(value)))
            .collect(),
        shape: row.body.clone(),
    })
}

fn text(constant: &Constant) -> String {
    match constant {
        Constant::Text(text) => text.clone(),
        Constant::Number(number) => number.to_string(),
        Constant::Bool(value) => value.to_string(),
    }
}
