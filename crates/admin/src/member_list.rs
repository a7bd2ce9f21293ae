//! Lists of texts that form one value for the server, with a maximum length.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use countersign_domain::Scopes;
use countersign_domain::account::{Allowlist, InvalidText};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::member_reader::invalid;
use super::member_text::{NetworkEntry, ReadForm, ScopeToken, TextMember};

/// A value that is a list of texts.
pub(super) struct ListMember<T>(pub(super) T);

/// How it is parsed and described.
pub(super) trait ListForm: Sized {
    /// The name of its schema.
    const NAME: &'static str;
    /// The name of its items.
    const ITEMS: &'static str;
    /// How many items it may have.
    const MOST: usize;
    /// An item.
    type Item: ReadForm;
    /// The whole list.
    fn gather(items: Vec<Self::Item>) -> Result<Self, InvalidText>;
}

pub(super) type NetworkList = ListMember<Allowlist>;
pub(super) type ScopeList = ListMember<Scopes>;

impl ListForm for Allowlist {
    const NAME: &'static str = "NetworkList";
    const ITEMS: &'static str = "networks";
    const MOST: usize = 256;
    type Item = NetworkEntry;

    fn gather(items: Vec<NetworkEntry>) -> Result<Self, InvalidText> {
        let items: Vec<_> = items.into_iter().map(|item| item.0).collect();
        Self::parse(&items)
    }
}

impl ListForm for Scopes {
    const NAME: &'static str = "ScopeList";
    const ITEMS: &'static str = "scopes";
    const MOST: usize = 64;
    type Item = ScopeToken;

    fn gather(items: Vec<ScopeToken>) -> Result<Self, InvalidText> {
        let items: Vec<_> = items.into_iter().map(|item| item.0).collect();
        Self::parse(&items)
    }
}

impl<T: ListForm> ToSchema for ListMember<T> {
    fn name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let item = TextMember::<T::Item>::schema();
        schemas.push((TextMember::<T::Item>::name().into_owned(), item));
    }
}

impl<T: ListForm> PartialSchema for ListMember<T> {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(Ref::from_schema_name(TextMember::<T::Item>::name()))
            .max_items(Some(T::MOST))
            .description(Some(format!("A list of {}.", T::ITEMS)))
            .into()
    }
}

impl<'de, T: ListForm> Deserialize<'de> for ListMember<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: ListForm> Visitor<'de> for ListVisitor<T> {
    type Value = ListMember<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", T::ITEMS)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut given: A) -> Result<ListMember<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(TextMember(item)) = given.next_element::<TextMember<T::Item>>()? {
            if items.len() == T::MOST {
                let told = format!("has more than {} {}", T::MOST, T::ITEMS);
                return Err(A::Error::custom(told));
            }
            items.push(item);
        }
        let gathered = T::gather(items);
        gathered.map(ListMember).map_err(invalid)
    }
}
