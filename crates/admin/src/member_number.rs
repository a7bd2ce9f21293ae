//! Whole numbers in a range, each parsed and described in one place.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use countersign_domain::AccountId;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct WholeNumber<const LEAST: u64, const MOST: u64>(pub(super) u64);

/// How many items a page may have.
pub(super) type PageLimit = WholeNumber<1, 1_000>;
/// The number of an entry in a log, or of anything else that the server numbers.
pub(super) type EntryNumber = WholeNumber<1, { u64::MAX >> 1 }>;

/// The id of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct CredentialNumber(pub(super) u64);

/// The id of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AccountNumber(pub(super) AccountId);

/// A limit of an account; `None`, which is null, stands for its api's limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct AccountLimit(pub(super) Option<u32>);

/// The highest limit of an account.
const MAX_LIMIT: u32 = 1_000_000_000;

fn whole(range: RangeInclusive<u64>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(*range.start()))
        .maximum(Some(*range.end()))
}

impl<const LEAST: u64, const MOST: u64> ToSchema for WholeNumber<LEAST, MOST> {}

impl<const LEAST: u64, const MOST: u64> PartialSchema for WholeNumber<LEAST, MOST> {
    fn schema() -> RefOr<Schema> {
        whole(LEAST..=MOST).into()
    }
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for WholeNumber<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = WholeVisitor {
            range: LEAST..=MOST,
            or_null: false,
        };
        let number = deserializer.deserialize_u64(visitor)?;
        Ok(Self(number.unwrap_or(LEAST)))
    }
}

impl ToSchema for CredentialNumber {
    fn name() -> Cow<'static, str> {
        "CredentialId".into()
    }
}

impl PartialSchema for CredentialNumber {
    fn schema() -> RefOr<Schema> {
        let described = whole(1..=u64::MAX >> 1);
        described
            .description(Some("The id of a credential."))
            .into()
    }
}

impl ToSchema for AccountNumber {
    fn name() -> Cow<'static, str> {
        "AccountId".into()
    }
}

impl PartialSchema for AccountNumber {
    fn schema() -> RefOr<Schema> {
        let described = whole(1..=AccountId::MAX);
        described.description(Some("The id of an account.")).into()
    }
}

impl Serialize for AccountNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0.number())
    }
}

impl<'de> Deserialize<'de> for AccountNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let range = 1..=AccountId::MAX;
        let visitor = WholeVisitor {
            range: range.clone(),
            or_null: false,
        };
        let number = deserializer.deserialize_u64(visitor)?;
        let id = number.and_then(AccountId::new);
        id.map(Self)
            .ok_or_else(|| D::Error::custom(must_be(&range)))
    }
}

impl ToSchema for AccountLimit {
    fn name() -> Cow<'static, str> {
        "Limit".into()
    }
}

impl PartialSchema for AccountLimit {
    fn schema() -> RefOr<Schema> {
        whole(1..=MAX_LIMIT.into())
            .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
            .description(Some("A limit, or null."))
            .into()
    }
}

impl<'de> Deserialize<'de> for AccountLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = WholeVisitor {
            range: 1..=MAX_LIMIT.into(),
            or_null: true,
        };
        let number = deserializer.deserialize_u64(visitor)?;
        Ok(Self(number.and_then(|number| u32::try_from(number).ok())))
    }
}

struct WholeVisitor {
    range: RangeInclusive<u64>,
    or_null: bool,
}

impl WholeVisitor {
    fn refuse<T, E: Error>(&self) -> Result<T, E> {
        Err(E::custom(format!("must be {self}")))
    }
}

fn must_be(range: &RangeInclusive<u64>) -> String {
    format!(
        "must be a whole number from {} to {}",
        range.start(),
        range.end()
    )
}

impl fmt::Display for WholeVisitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expecting(f)
    }
}

impl Visitor<'_> for WholeVisitor {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let null = if self.or_null { "null or " } else { "" };
        let (least, most) = (self.range.start(), self.range.end());
        write!(f, "{null}a whole number from {least} to {most}")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<u64>, E> {
        if self.range.contains(&number) {
            return Ok(Some(number));
        }
        self.refuse()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<u64>, E> {
        self.refuse()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<u64>, E> {
        self.refuse()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Option<u64>, E> {
        self.refuse()
    }

    fn visit_unit<E: Error>(self) -> Result<Option<u64>, E> {
        if self.or_null {
            return Ok(None);
        }
        Err(E::invalid_type(serde::de::Unexpected::Unit, &self))
    }
}
