//! The sections `[errors]`, `[refusals]` and `[refusals.on.OPERATION]`.

use std::collections::BTreeMap;

use countersign_domain::{Refusal, TokenOperation};
use http::{HeaderName, HeaderValue, StatusCode};

use super::headers::headers;
use super::{CompileContext, form, standard};
use crate::DialectSide;
use crate::document::{TomlTable, TomlValue, did_you_mean};
use crate::form::ConstantValue;
use crate::hole_word::{HoleWord, WordVocabulary};
use crate::pattern::TextPattern;
use crate::refusals::{KnownRefusal, RefusalTable, SpelledRefusal, answers};
use crate::template::JsonTemplate;

/// What `[errors]` says for all.
struct ErrorsSection {
    media: Option<HeaderValue>,
    body: Option<JsonTemplate>,
}

/// One entry, as written; merged where an operation changes a part of it.
#[derive(Clone)]
struct RefusalRow<'d> {
    place: TomlValue<'d>,
    status: StatusCode,
    status_stated: bool,
    headers: Vec<(HeaderName, TextPattern)>,
    media: Option<HeaderValue>,
    body: Option<JsonTemplate>,
    pointer: Option<String>,
    fields: BTreeMap<&'d str, ConstantValue>,
}

/// The rows of the file: for all operations, and for one.
#[derive(Default)]
struct RefusalRows<'d> {
    general: BTreeMap<Refusal, RefusalRow<'d>>,
    on: BTreeMap<(TokenOperation, Refusal), RefusalRow<'d>>,
}

pub(super) fn compile<'d>(
    root: &TomlTable<'d>,
    context: &CompileContext<'d>,
    serves: DialectSide,
) -> Option<RefusalTable> {
    let errors = errors(root, context, serves);
    let section = match serves.issuer {
        true => Some(root.require("refusals")?),
        false => root.get("refusals"),
    };
    let rows = match section {
        None => RefusalRows::default(),
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
    let mut refusals = RefusalTable {
        shape: errors.body.clone(),
        ..RefusalTable::default()
    };
    for operation in TokenOperation::ALL {
        for refusal in Refusal::ALL {
            let row = rows.row(operation, refusal);
            let usual = (standard && row.is_none())
                .then(|| standard::spelled(operation, refusal))
                .flatten();
            let spelled = usual.unwrap_or_else(|| spelled(row.as_ref(), refusal, &errors));
            refusals.spelled.push(spelled);
            refusals.known.extend(known(&rows, operation, refusal));
        }
    }
    if standard {
        standard::add(&mut refusals).ok()?;
    }
    Some(refusals)
}

fn errors<'d>(
    root: &TomlTable<'d>,
    context: &CompileContext<'d>,
    serves: DialectSide,
) -> ErrorsSection {
    let section = match serves.issuer {
        true => root.require("errors"),
        false => root.get("errors"),
    };
    let table = section.and_then(|errors| errors.table());
    let get = |key: &str| table.as_ref()?.get(key);
    ErrorsSection {
        media: get("media").and_then(|media| form::media(&media)),
        body: get("body").and_then(|body| context.template(&body, &WordVocabulary::REFUSAL)),
    }
}

fn rows<'d>(table: &TomlTable<'d>, context: &CompileContext<'d>) -> RefusalRows<'d> {
    let mut rows = RefusalRows::default();
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

fn on<'d>(value: &TomlValue<'d>, context: &CompileContext<'d>, rows: &mut RefusalRows<'d>) {
    let Some(table) = value.table() else { return };
    for operation in TokenOperation::ALL {
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

fn refusal(table: &TomlTable<'_>, key: &crate::document::TomlKey<'_>) -> Option<Refusal> {
    let found = Refusal::from_code(key.name);
    if found.is_none() {
        let help = did_you_mean(key.name, Refusal::ALL.iter().map(|refusal| refusal.code()));
        table.blame_key(key, "is not a refusal", help);
    }
    found
}

fn row<'d>(
    value: &TomlValue<'d>,
    refusal: Refusal,
    context: &CompileContext<'d>,
) -> Option<RefusalRow<'d>> {
    let table = value.table()?;
    let stated = table.get("status").and_then(|status| form::status(&status));
    let headers = table
        .get("headers")
        .map(|v| headers(&v, &WordVocabulary::REFUSAL));
    let media = table.get("media").and_then(|media| form::media(&media));
    let body = table
        .get("body")
        .and_then(|v| context.template(&v, &WordVocabulary::REFUSAL));
    let pointer = table
        .get("pointer")
        .and_then(|pointer| super::pointer(&pointer));
    let reserved = ["status", "headers", "media", "body", "pointer"];
    let fields = table
        .entries()
        .into_iter()
        .filter(|(key, _)| !reserved.contains(&key.name));
    let fields = fields.filter_map(|(key, value)| Some((key.name, form::constant(&value)?)));
    Some(RefusalRow {
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

impl<'d> RefusalRows<'d> {
    /// What stands for a refusal on an operation, over all fallbacks.
    fn row(&self, operation: TokenOperation, refusal: Refusal) -> Option<RefusalRow<'d>> {
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

    fn fallback(&self, operation: TokenOperation, refusal: Refusal) -> Option<RefusalRow<'d>> {
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
fn merged<'d>(mut base: RefusalRow<'d>, own: &RefusalRow<'d>) -> RefusalRow<'d> {
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
fn complete(rows: &RefusalRows<'_>, table: &TomlTable<'_>) {
    let absent = |refusal: &&Refusal| {
        let mut operations = TokenOperation::ALL
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

fn spelled(
    row: Option<&RefusalRow<'_>>,
    refusal: Refusal,
    errors: &ErrorsSection,
) -> SpelledRefusal {
    let Some(row) = row else { return bare(refusal) };
    let body = row
        .body
        .as_ref()
        .or(errors.body.as_ref())
        .map(|body| filled(body, row));
    SpelledRefusal {
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
fn bare(refusal: Refusal) -> SpelledRefusal {
    let told = match refusal.fallback() {
        Some(fallback) if !keeps_status(refusal) => fallback,
        _ => refusal,
    };
    let status = StatusCode::from_u16(told.default_status());
    SpelledRefusal {
        status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        headers: Vec::new(),
        media: None,
        body: None,
        pointer: None,
    }
}

/// The body with the fields of a row in their holes.
fn filled(body: &JsonTemplate, row: &RefusalRow<'_>) -> JsonTemplate {
    for hole in body.holes() {
        if let HoleWord::Field(name) = &hole.word
            && !row.fields.contains_key(&**name)
            && !hole.optional
        {
            row.place.blame(
                format!("has no `{name}`, for which the body has a hole"),
                None,
            );
        }
    }
    JsonTemplate::compile(body.shape.filled(&|hole| match &hole.word {
        HoleWord::Field(name) => row.fields.get(&**name).map(ConstantValue::shape),
        _ => None,
    }))
}

/// How a refusal that can be told from others is recognised: the file spells it,
/// or it has a status of its own.
fn known(
    rows: &RefusalRows<'_>,
    operation: TokenOperation,
    refusal: Refusal,
) -> Option<KnownRefusal> {
    let spelled =
        rows.on.contains_key(&(operation, refusal)) || rows.general.contains_key(&refusal);
    let told = spelled || keeps_status(refusal);
    let row = told.then(|| rows.row(operation, refusal)).flatten()?;
    answers(operation, refusal).then(|| KnownRefusal {
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

fn text(constant: &ConstantValue) -> String {
    match constant {
        ConstantValue::Text(text) => text.clone(),
        ConstantValue::Number(number) => number.to_string(),
        ConstantValue::Bool(value) => value.to_string(),
    }
}
