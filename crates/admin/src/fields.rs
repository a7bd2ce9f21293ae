//! The members of a JSON body, or the parameters of a query, read one by one. All mistakes are
//! reported at once, unknown names included.

use std::collections::{BTreeMap, BTreeSet};

use countersign_domain::account::{Allowlist, InvalidText};
use countersign_domain::{AccountId, AccountLimits, ApiName, Scopes, Timestamp};
use serde_json::{Map, Value};

use super::problem::{AdminProblem, FieldFault};

/// Named values that are taken out one by one.
pub(super) struct NamedValues {
    values: Map<String, Value>,
    found: usize,
    source: ValueSource,
    known: Vec<&'static str>,
    faults: Vec<FieldFault>,
}

/// Where the values come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueSource {
    /// A JSON body.
    Body,
    /// A query: every value is text.
    Query,
}

impl NamedValues {
    pub(super) fn new(values: Map<String, Value>, source: ValueSource) -> Self {
        Self {
            found: values.len(),
            values,
            source,
            known: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Reads with `read`, which gives `None` only where it reported a fault.
    pub(super) fn read<T>(
        mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<T, AdminProblem> {
        let value = read(&mut self);
        self.report_unknown();
        match value {
            Some(value) if self.faults.is_empty() => Ok(value),
            _ => Err(match self.source {
                ValueSource::Body => AdminProblem::invalid_members(self.faults),
                ValueSource::Query => AdminProblem::invalid_parameters(self.faults),
            }),
        }
    }

    /// A text, if it is there.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => self.wrong_type(name, "text", &other),
        }
    }

    /// Reports a value that is not there and must be.
    pub(super) fn require(&mut self, name: &'static str) {
        if !self.values.contains_key(name) {
            self.push(name, "is missing");
        }
    }

    /// Takes values that cannot be judged because another one is wrong.
    pub(super) fn pass_over(&mut self, names: &[&'static str]) {
        for name in names {
            self.take(name);
        }
    }

    /// Whether there was nothing to read at all.
    pub(super) fn is_empty(&self) -> bool {
        self.found == 0
    }

    /// A text that `parse` accepts, if it is there.
    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, InvalidText>,
    ) -> Option<T> {
        let text = self.text(name)?;
        parse(&text).map_or_else(|InvalidText(why)| self.fault(name, why), Some)
    }

    /// An account id, if it is there.
    pub(super) fn account_id(&mut self, name: &'static str) -> Option<AccountId> {
        let number = self.number(name, 1..=AccountId::MAX)?;
        AccountId::new(number)
    }

    /// A whole number in range, if it is there.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = self.take(name)?;
        let number = match (&value, self.source) {
            (Value::Number(number), ValueSource::Body) => number.as_u64(),
            (Value::String(text), ValueSource::Query) => text.parse().ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| range.contains(number)) {
            return Some(number);
        }
        let (least, most) = (range.start(), range.end());
        self.fault(
            name,
            format!("must be a whole number from {least} to {most}"),
        )
    }

    /// True or false, if it is there.
    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(flag) => Some(flag),
            other => self.wrong_type(name, "true or false", &other),
        }
    }

    /// A list of scopes, if it is there.
    pub(super) fn scopes(&mut self, name: &'static str) -> Option<Scopes> {
        let texts = self.texts(name, "a list of scopes", MAX_SCOPES)?;
        Scopes::parse(&texts).map_or_else(|InvalidText(why)| self.fault(name, why), Some)
    }

    /// The limits of an account, if they are there: all four at once, and null
    /// or nothing is the api's.
    pub(super) fn limits(&mut self, name: &'static str) -> Option<AccountLimits> {
        let mut members = match self.take(name)? {
            Value::Object(members) => members,
            other => return self.wrong_type(name, "an object", &other),
        };
        let mut limit = |limit: &str| self.limit(name, limit, members.remove(limit));
        let limits = AccountLimits {
            budget: limit("budget"),
            sessions: limit("sessions"),
            mints_per_minute: limit("mints_per_minute"),
            requests_per_second: limit("requests_per_second"),
        };
        for unknown in members.keys() {
            let place = format!("{name}/{}", escaped(unknown));
            let known = "budget, sessions, mints_per_minute, requests_per_second";
            self.push(&place, format!("is unknown; known here: {known}"));
        }
        Some(limits)
    }

    fn limit(&mut self, name: &str, limit: &str, value: Option<Value>) -> Option<u32> {
        let value = value.filter(|value| !value.is_null())?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| (1..=MAX_LIMIT).contains(number)) {
            Some(number) => Some(number),
            None => {
                let why = format!("must be null or a whole number from 1 to {MAX_LIMIT}");
                self.fault(&format!("{name}/{limit}"), why)
            }
        }
    }

    /// `active` or `disabled`, if it is there; whether it is the first.
    pub(super) fn active(&mut self, name: &'static str) -> Option<bool> {
        match self.text(name)?.as_str() {
            "active" => Some(true),
            "disabled" => Some(false),
            _ => self.fault(name, "must be \"active\" or \"disabled\""),
        }
    }

    /// A list of networks, if it is there.
    pub(super) fn networks(&mut self, name: &'static str) -> Option<Allowlist> {
        let items = match self.take(name)? {
            Value::Array(items) => items,
            other => return self.wrong_type(name, "a list of networks", &other),
        };
        if items.len() > MAX_NETWORKS {
            return self.fault(name, format!("has more than {MAX_NETWORKS} networks"));
        }
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item.as_str().map(|text| Allowlist::parse(&[text])) {
                Some(Ok(_)) => texts.extend(item.as_str()),
                Some(Err(InvalidText(why))) => self.push(&format!("{name}/{index}"), why),
                None => {
                    let why = format!("must be text, not {}", kind(item));
                    self.push(&format!("{name}/{index}"), why);
                }
            }
        }
        Allowlist::parse(&texts).ok()
    }

    /// The name of one of `known`, if it is there.
    pub(super) fn api<T>(
        &mut self,
        name: &'static str,
        known: &BTreeMap<ApiName, T>,
    ) -> Option<ApiName> {
        let text = self.text(name)?;
        match one_of(&text, known) {
            Ok(api) => Some(api),
            Err(why) => self.fault(name, why),
        }
    }

    /// A list of names of `known`, if it is there.
    pub(super) fn apis<T>(
        &mut self,
        name: &'static str,
        known: &BTreeMap<ApiName, T>,
    ) -> Option<BTreeSet<ApiName>> {
        let texts = self.texts(name, "a list of apis", known.len())?;
        let (mut apis, mut wrong) = (BTreeSet::new(), false);
        for (index, text) in texts.iter().enumerate() {
            match one_of(text, known) {
                Ok(api) => drop(apis.insert(api)),
                Err(why) => {
                    wrong = true;
                    self.push(&format!("{name}/{index}"), why);
                }
            }
        }
        (!wrong).then_some(apis)
    }

    /// A list of at most `most` texts, if it is there.
    fn texts(&mut self, name: &'static str, wanted: &str, most: usize) -> Option<Vec<String>> {
        let items = match self.take(name)? {
            Value::Array(items) if items.len() <= most => items,
            Value::Array(_) => return self.fault(name, format!("has more than {most} items")),
            other => return self.wrong_type(name, wanted, &other),
        };
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text),
                other => {
                    let why = format!("must be text, not {}", kind(&other));
                    return self.fault(&format!("{name}/{index}"), why);
                }
            }
        }
        Some(texts)
    }

    /// An instant as RFC 3339 writes it, if it is there.
    pub(super) fn instant(&mut self, name: &'static str) -> Option<Timestamp> {
        let text = self.text(name)?;
        match text.parse() {
            Ok(instant) => Some(instant),
            Err(_) => self.fault(name, "must be an instant such as 2027-01-15T08:00:00Z"),
        }
    }

    /// Reports what is wrong with a value.
    pub(super) fn fault<T>(&mut self, name: &str, detail: impl Into<String>) -> Option<T> {
        self.push(name, detail);
        None
    }

    fn push(&mut self, name: &str, detail: impl Into<String>) {
        let (pointer, parameter) = match self.source {
            ValueSource::Body if name.is_empty() => (Some(String::new()), None),
            ValueSource::Body => (Some(format!("/{name}")), None),
            ValueSource::Query => (None, Some(name.to_owned())),
        };
        self.faults.push(FieldFault {
            pointer,
            parameter,
            detail: detail.into(),
        });
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.values.remove(name)
    }

    fn wrong_type<T>(&mut self, name: &str, wanted: &str, found: &Value) -> Option<T> {
        self.fault(name, format!("must be {wanted}, not {}", kind(found)))
    }

    fn report_unknown(&mut self) {
        let known = self.known.join(", ");
        let unknown: Vec<_> = self.values.keys().cloned().collect();
        for name in unknown {
            self.push(&escaped(&name), format!("is unknown; known here: {known}"));
        }
    }
}

/// A name as a part of a JSON pointer (RFC 6901 section 3), if it is long only its
/// beginning.
fn escaped(name: &str) -> String {
    short(name).replace('~', "~0").replace('/', "~1")
}

/// The most scopes that a credential may have.
const MAX_SCOPES: usize = 64;
/// The greatest limit of an account.
const MAX_LIMIT: u32 = 1_000_000_000;

/// The most networks that an account may be allowed from.
const MAX_NETWORKS: usize = 256;

fn one_of<T>(text: &str, known: &BTreeMap<ApiName, T>) -> Result<ApiName, String> {
    let parsed = text.parse::<ApiName>().ok();
    if let Some(found) = parsed.filter(|api| known.contains_key(api)) {
        return Ok(found);
    }
    let names: Vec<_> = known.keys().map(ApiName::as_str).collect();
    let names = names.join(", ");
    Err(format!(
        "there is no api {:?}; there is {names}",
        short(text)
    ))
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The beginning of a text, so that an answer never repeats a whole body.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 64;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
