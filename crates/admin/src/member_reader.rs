//! Reads a JSON value as a type that derives `Deserialize`, and says in plain words what
//! does not fit, and where. Null never counts as an absent member.

use std::collections::BTreeSet;
use std::fmt::Display;

use countersign_domain::account::InvalidText;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

/// Where values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueSource {
    /// A JSON body.
    Body,
    /// A query: every value is text.
    Query,
}

/// The names of members and indexes of items that lead to a value.
pub(super) type MemberPlace = Vec<String>;

/// What is skipped, because it is known to be wrong.
pub(super) type WrongPlaces = BTreeSet<MemberPlace>;

/// Why a value could not be read.
#[derive(Debug)]
pub(super) enum MemberFault {
    /// A required member is missing, or was skipped.
    Missing,
    /// The value at this place is wrong.
    Wrong {
        place: MemberPlace,
        fault: InvalidText,
    },
}

/// What stands between what is wrong and what would do, as the text of an error: serde
/// carries nothing else. No text of a peer's has it, since those are written with their
/// line breaks escaped.
const HELP: &str = "\nhelp: ";

/// The error of a text that is not valid.
pub(super) fn invalid<E: Error>(InvalidText { message, help }: InvalidText) -> E {
    match help {
        Some(help) => E::custom(format!("{message}{HELP}{help}")),
        None => E::custom(message),
    }
}

/// A value to read, and its place.
#[derive(Clone)]
pub(super) struct ValueReader<'v> {
    value: &'v Value,
    place: MemberPlace,
    source: ValueSource,
    wrong: &'v WrongPlaces,
}

impl<'v> ValueReader<'v> {
    /// A reader of the whole value that skips what is `wrong`.
    pub(super) fn new(value: &'v Value, source: ValueSource, wrong: &'v WrongPlaces) -> Self {
        Self {
            value,
            place: MemberPlace::new(),
            source,
            wrong,
        }
    }

    /// The reader of the member with this name, unless that is wrong.
    fn within(&self, name: &str, value: &'v Value) -> Option<Self> {
        let mut place = self.place.clone();
        place.push(name.to_owned());
        (!self.wrong.contains(&place)).then(|| Self {
            value,
            place,
            ..self.clone()
        })
    }

    /// Adds the place of a fault, if that is not known yet.
    fn located(fault: MemberFault, at: &MemberPlace) -> MemberFault {
        match fault {
            MemberFault::Wrong { place, fault } if place.is_empty() => MemberFault::Wrong {
                place: at.clone(),
                fault,
            },
            fault => fault,
        }
    }

    fn members(self, members: &'v Map<String, Value>) -> MembersOf<'v> {
        let within = members
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), self.within(name, value)?)));
        MembersOf {
            rest: within.collect::<Vec<_>>().into_iter(),
            value: None,
        }
    }

    fn items(self, items: &'v [Value]) -> ItemsOf<'v> {
        let within = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| self.within(&index.to_string(), item));
        ItemsOf {
            rest: within.collect::<Vec<_>>().into_iter(),
        }
    }
}

impl<'v> Deserializer<'v> for ValueReader<'v> {
    type Error = MemberFault;

    fn deserialize_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, MemberFault> {
        let place = self.place.clone();
        let read = match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(self.items(items)),
            Value::Object(members) => visitor.visit_map(self.members(members)),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(whole), _) => visitor.visit_u64(whole),
                (None, Some(negative)) => visitor.visit_i64(negative),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
        };
        read.map_err(|fault| Self::located(fault, &place))
    }

    /// A query consists of text only.
    fn deserialize_u64<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, MemberFault> {
        match (self.source, self.value.as_str().map(str::parse)) {
            (ValueSource::Query, Some(Ok(number))) => visitor
                .visit_u64(number)
                .map_err(|fault| Self::located(fault, &self.place)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, MemberFault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'v>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, MemberFault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'v>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, MemberFault> {
        let read = match self.value {
            Value::String(text) => {
                let text: StrDeserializer<'_, MemberFault> = text.as_str().into_deserializer();
                visitor.visit_enum(text)
            }
            other => Err(MemberFault::invalid_type(unexpected(other), &"text")),
        };
        read.map_err(|fault| Self::located(fault, &self.place))
    }

    /// serde would also accept an array with the members of a struct in their order.
    fn deserialize_struct<V: Visitor<'v>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, MemberFault> {
        match self.value {
            Value::Array(_) => {
                let fault = MemberFault::invalid_type(unexpected(self.value), &"an object");
                Err(Self::located(fault, &self.place))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        <V: Visitor<'v>> bool i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The members of an object.
struct MembersOf<'v> {
    rest: std::vec::IntoIter<(&'v str, ValueReader<'v>)>,
    value: Option<ValueReader<'v>>,
}

impl<'v> MapAccess<'v> for MembersOf<'v> {
    type Error = MemberFault;

    fn next_key_seed<K: DeserializeSeed<'v>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, MemberFault> {
        let Some((name, value)) = self.rest.next() else {
            return Ok(None);
        };
        let place = value.place.clone();
        self.value = Some(value);
        let name: StrDeserializer<'_, MemberFault> = name.into_deserializer();
        let key = seed.deserialize(name);
        key.map(Some)
            .map_err(|fault| ValueReader::located(fault, &place))
    }

    fn next_value_seed<S: DeserializeSeed<'v>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, MemberFault> {
        let value = self.value.take().ok_or(MemberFault::Missing)?;
        seed.deserialize(value)
    }
}

/// The items of a list.
struct ItemsOf<'v> {
    rest: std::vec::IntoIter<ValueReader<'v>>,
}

impl<'v> SeqAccess<'v> for ItemsOf<'v> {
    type Error = MemberFault;

    fn next_element_seed<S: DeserializeSeed<'v>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, MemberFault> {
        let item = self.rest.next();
        item.map(|item| seed.deserialize(item)).transpose()
    }
}

impl Error for MemberFault {
    fn custom<T: Display>(detail: T) -> Self {
        let told = detail.to_string();
        let fault = match told.split_once(HELP) {
            Some((message, help)) => InvalidText::new(message).with_help(help),
            None => InvalidText::new(told),
        };
        Self::Wrong {
            place: MemberPlace::new(),
            fault,
        }
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let wanted = wanted.to_string();
        Self::custom(format!("must be {}, not {}", plain(&wanted), kind(&found)))
    }

    fn unknown_variant(_found: &str, known: &'static [&'static str]) -> Self {
        let known: Vec<_> = known.iter().map(|name| format!("{name:?}")).collect();
        Self::custom(format!("must be {}", known.join(" or ")))
    }

    fn unknown_field(_found: &str, known: &'static [&'static str]) -> Self {
        let known = format!("use one of {}", known.join(", "));
        invalid(InvalidText::new("is unknown").with_help(known))
    }

    fn missing_field(_name: &'static str) -> Self {
        Self::Missing
    }
}

impl Display for MemberFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("a member is missing"),
            Self::Wrong { place, fault } => write!(f, "{}: {fault}", place.join("/")),
        }
    }
}

impl std::error::Error for MemberFault {}

/// What serde expects, in plain words.
fn plain(wanted: &str) -> &str {
    match wanted {
        "a string" => "text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        wanted if wanted.starts_with("struct ") => "an object",
        wanted => wanted,
    }
}

/// The kind of a value, in words.
fn kind(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Str(_) => "text",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        _ => "null",
    }
}

/// The kind of a value, for a fault.
pub(super) fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(flag) => Unexpected::Bool(*flag),
        Value::Number(number) => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

/// The kind of a value, in words.
pub(super) fn kind_of(value: &Value) -> &'static str {
    kind(&unexpected(value))
}
