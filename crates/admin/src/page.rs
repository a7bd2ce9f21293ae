//! The query of a list, and one page of it.

use std::borrow::Cow;
use std::marker::PhantomData;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::member_number::PageLimit;
use super::member_reader::ValueSource;
use super::members::{GivenMembers, MemberFaults};
use super::problem::{AdminProblem, FieldFault};

/// How many items a page has if the query does not say so.
pub(super) const USUAL_LIMIT: u64 = 100;

/// The parameters of a query that should be a `T`, not parsed yet.
pub(super) struct RequestQuery<T> {
    parameters: Map<String, Value>,
    wanted: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + ToSchema> RequestQuery<T> {
    /// Reads every parameter; see [`GivenMembers::read`].
    pub(super) fn read<U>(
        self,
        judge: impl FnOnce(T, &mut MemberFaults) -> Option<U>,
    ) -> Result<U, AdminProblem> {
        GivenMembers::new(self.parameters, ValueSource::Query).read(judge)
    }
}

impl<S: Sync, T> FromRequestParts<S> for RequestQuery<T> {
    type Rejection = AdminProblem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, AdminProblem> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| AdminProblem::malformed("the query cannot be read"))?;
        let mut parameters = Map::new();
        for (name, value) in pairs.0 {
            let value = Value::String(value);
            if parameters.insert(name.clone(), value).is_some() {
                return Err(twice(name));
            }
        }
        Ok(Self {
            parameters,
            wanted: PhantomData,
        })
    }
}

fn twice(name: String) -> AdminProblem {
    AdminProblem::invalid_parameters(vec![FieldFault {
        pointer: None,
        parameter: Some(name),
        detail: "occurs twice".to_owned(),
        help: None,
    }])
}

/// How many items a query asks for.
pub(super) fn items(limit: Option<PageLimit>) -> usize {
    let asked = limit.map_or(USUAL_LIMIT, |limit| limit.0);
    usize::try_from(asked).unwrap_or(usize::MAX)
}

/// A page of a list.
#[derive(Serialize)]
pub(super) struct ListPage<T, N> {
    /// The items.
    items: Vec<T>,
    /// The `after` of the next page; null on the last page.
    next: Option<N>,
}

impl<T, N> ListPage<T, N> {
    /// The page of `found`, for which one item more than `limit` was requested, in order
    /// to know whether there is a next page.
    pub(super) fn new<F>(
        mut found: Vec<F>,
        limit: usize,
        place: impl FnOnce(&F) -> N,
        view: impl Fn(F) -> T,
    ) -> Self {
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(place);
        let items = found.into_iter().map(view).collect();
        Self { items, next }
    }

    /// The items, and the `after` of the next page.
    pub(super) fn into_parts(self) -> (Vec<T>, Option<N>) {
        (self.items, self.next)
    }
}

/// A page without a next one.
#[derive(Serialize)]
pub(super) enum NoNextPage {}

impl<T> ListPage<T, NoNextPage> {
    /// A list that has only one page.
    pub(super) fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// The position at which the next page begins.
pub(super) trait PagePlace {
    /// Its schema, including null.
    fn next() -> RefOr<Schema>;
}

impl PagePlace for NoNextPage {
    fn next() -> RefOr<Schema> {
        let described = ObjectBuilder::new().schema_type(Type::Null);
        described
            .description(Some("Null: the list is always whole. The member is there so that all lists are read alike."))
            .into()
    }
}

/// A position that a query accepts as `after`.
impl<T: ToSchema> PagePlace for T {
    fn next() -> RefOr<Schema> {
        let null = ObjectBuilder::new().schema_type(Type::Null);
        OneOfBuilder::new()
            .item(null)
            .item(T::schema())
            .description(Some("The `after` of the next page; null on the last one."))
            .into()
    }
}

impl<T: ToSchema, N: PagePlace> ToSchema for ListPage<T, N> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

impl<T: ToSchema, N: PagePlace> PartialSchema for ListPage<T, N> {
    fn schema() -> RefOr<Schema> {
        let items = ArrayBuilder::new()
            .items(Ref::from_schema_name(T::name()))
            .description(Some("The items of this page."));
        ObjectBuilder::new()
            .property("items", items)
            .required("items")
            .property("next", N::next())
            .required("next")
            .description(Some("A page of a listing."))
            .into()
    }
}
