//! The query of a listing, and one page of it.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::{Map, Value};

use super::fields::{NamedValues, ValueSource};
use super::problem::{AdminProblem, FieldFault};

/// How many items a page has if the query does not say.
const USUAL: usize = 100;
/// How many items a page has at most.
const MOST: u64 = 1_000;

/// The parameters of a query, not yet looked at.
pub(super) struct QueryParameters(Map<String, Value>);

impl QueryParameters {
    /// Reads every parameter with `read`; see [`NamedValues::read`].
    pub(super) fn read<T>(
        self,
        read: impl FnOnce(&mut NamedValues) -> Option<T>,
    ) -> Result<T, AdminProblem> {
        NamedValues::new(self.0, ValueSource::Query).read(read)
    }
}

impl<S: Sync> FromRequestParts<S> for QueryParameters {
    type Rejection = AdminProblem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, AdminProblem> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| AdminProblem::malformed("the query cannot be read"))?;
        let mut values = Map::new();
        for (name, value) in pairs.0 {
            if values.insert(name.clone(), Value::String(value)).is_some() {
                return Err(twice(name));
            }
        }
        Ok(Self(values))
    }
}

fn twice(name: String) -> AdminProblem {
    AdminProblem::invalid_parameters(vec![FieldFault {
        pointer: None,
        parameter: Some(name),
        detail: "occurs twice".to_owned(),
    }])
}

/// How many items the query asks for.
pub(super) fn limit(fields: &mut NamedValues) -> usize {
    let asked = fields.number("limit", 1..=MOST);
    asked.and_then(|n| usize::try_from(n).ok()).unwrap_or(USUAL)
}

/// A page of a listing.
#[derive(Serialize)]
pub(super) struct ListPage<T, N> {
    /// The items.
    items: Vec<T>,
    /// The `after` of the next page; null on the last one.
    next: Option<N>,
}

impl<T, N> ListPage<T, N> {
    /// The page of `found`, which was asked for one item more than `limit` so
    /// that it tells whether there is a next page.
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

    /// A listing that has but one page.
    pub(super) fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}
