//! The members of a JSON body, or the parameters of a query, as a value of a type that
//! derives `Deserialize`: the type that is described is the type that is read.
//!
//! A deserializer stops at the first mistake, but an operator wants to know all of them.
//! So whatever is wrong is skipped and the value is read again without it, until nothing
//! is wrong or a required member is missing.

use std::collections::{BTreeMap, BTreeSet};

use countersign_domain::ApiName;
use countersign_domain::account::InvalidText;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, schema::Schema};

use super::member_reader::{MemberFault, MemberPlace, ValueReader, ValueSource, WrongPlaces};
use super::member_text::ServedApi;
use super::problem::{AdminProblem, FieldFault};

/// Named values that are not parsed yet.
pub(super) struct GivenMembers {
    values: Value,
    given: usize,
    source: ValueSource,
}

/// What is wrong with them.
pub(super) struct MemberFaults {
    source: ValueSource,
    given: usize,
    faults: Vec<FieldFault>,
}

impl GivenMembers {
    pub(super) fn new(values: Map<String, Value>, source: ValueSource) -> Self {
        Self {
            given: values.len(),
            values: Value::Object(values),
            source,
        }
    }

    /// Reads all of them as a `T`, from which `judge` makes the value that the server
    /// works with. It returns `None` only if it reports a fault.
    pub(super) fn read<T: DeserializeOwned + ToSchema, U>(
        self,
        judge: impl FnOnce(T, &mut MemberFaults) -> Option<U>,
    ) -> Result<U, AdminProblem> {
        let mut faults = MemberFaults {
            source: self.source,
            given: self.given,
            faults: Vec::new(),
        };
        let read = faults.gather(&self.values);
        let judged = read.and_then(|read| judge(read, &mut faults));
        match judged {
            Some(judged) if faults.faults.is_empty() => Ok(judged),
            _ => Err(match self.source {
                ValueSource::Body => AdminProblem::invalid_members(faults.faults),
                ValueSource::Query => AdminProblem::invalid_parameters(faults.faults),
            }),
        }
    }
}

impl MemberFaults {
    /// The value without what is wrong, unless that is required.
    fn gather<T: DeserializeOwned + ToSchema>(&mut self, values: &Value) -> Option<T> {
        let mut wrong = WrongPlaces::new();
        loop {
            let reader = ValueReader::new(values, self.source, &wrong);
            let fault = match T::deserialize(reader) {
                Ok(read) => return Some(read),
                Err(fault) => fault,
            };
            let MemberFault::Wrong { place, fault } = fault else {
                self.report_missing::<T>(values);
                return None;
            };
            self.report(&place, fault);
            if place.is_empty() || !wrong.insert(place) {
                return None;
            }
        }
    }

    fn report_missing<T: ToSchema>(&mut self, values: &Value) {
        let RefOr::T(Schema::Object(described)) = T::schema() else {
            return;
        };
        for name in described.required {
            if values.get(&name).is_none() {
                self.report(&vec![name], InvalidText::new("is missing"));
            }
        }
    }

    /// Reports what is wrong with a value.
    pub(super) fn fault<T>(&mut self, name: &str, detail: impl Into<String>) -> Option<T> {
        self.invalid(name, InvalidText::new(detail))
    }

    /// The same, with what would do.
    pub(super) fn invalid<T>(&mut self, name: &str, fault: InvalidText) -> Option<T> {
        let place = match name {
            "" => MemberPlace::new(),
            name => vec![name.to_owned()],
        };
        self.report(&place, fault);
        None
    }

    fn report(&mut self, place: &MemberPlace, fault: InvalidText) {
        let (pointer, parameter) = match self.source {
            ValueSource::Body => (Some(pointer(place)), None),
            ValueSource::Query => (None, Some(place.concat())),
        };
        self.faults.push(FieldFault {
            pointer,
            parameter,
            detail: fault.message,
            help: fault.help,
        });
    }

    /// Whether nothing at all was given.
    pub(super) fn nothing_given(&self) -> bool {
        self.given == 0
    }

    /// Parses a text, if it is there.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        text: Option<impl AsRef<str>>,
        parse: impl FnOnce(&str) -> Result<T, InvalidText>,
    ) -> Option<T> {
        let parsed = parse(text?.as_ref());
        parsed.map_or_else(|fault| self.invalid(name, fault), Some)
    }

    /// One of the `known` names, if it is there.
    pub(super) fn api<T>(
        &mut self,
        api: Option<ServedApi>,
        known: &BTreeMap<ApiName, T>,
    ) -> Option<ApiName> {
        match one_of(&api?, known) {
            Ok(api) => Some(api),
            Err(fault) => self.invalid("api", fault),
        }
    }

    /// Several of the `known` names, if they are there.
    pub(super) fn apis<T>(
        &mut self,
        apis: Option<Vec<ServedApi>>,
        known: &BTreeMap<ApiName, T>,
    ) -> Option<BTreeSet<ApiName>> {
        let asked = apis?;
        let (mut found, mut wrong) = (BTreeSet::new(), false);
        for (index, api) in asked.iter().enumerate() {
            match one_of(api, known) {
                Ok(api) => drop(found.insert(api)),
                Err(fault) => {
                    wrong = true;
                    self.report(&vec!["apis".to_owned(), index.to_string()], fault);
                }
            }
        }
        (!wrong).then_some(found)
    }
}

/// A JSON pointer (RFC 6901 section 3) in which long names are cut off.
fn pointer(place: &MemberPlace) -> String {
    let escaped = |name: &String| format!("/{}", short(name).replace('~', "~0").replace('/', "~1"));
    place.iter().map(escaped).collect()
}

fn one_of<T>(api: &ServedApi, known: &BTreeMap<ApiName, T>) -> Result<ApiName, InvalidText> {
    let parsed = api.0.parse::<ApiName>().ok();
    if let Some(found) = parsed.filter(|api| known.contains_key(api)) {
        return Ok(found);
    }
    let names: Vec<_> = known.keys().map(ApiName::as_str).collect();
    let fault = InvalidText::new(format!("there is no api {:?}", short(&api.0)));
    Err(match names[..] {
        [] => fault,
        [only] => fault.with_help(format!("name {only}, the only one")),
        _ => fault.with_help(format!("name one of {}", names.join(", "))),
    })
}

/// The beginning of a text, so that an answer never repeats a whole body.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 64;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
