//! The admin key: who may operate, checked before anything else is looked at.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use countersign_dialect::Secret;

use super::AdminState;
use super::problem::Problem;
use crate::store::Actor;

/// An admin key by its hash. The key itself is random, so a fast hash is
/// enough, and is not kept. Cheap to clone.
#[derive(Clone)]
pub struct AdminKey {
    name: Arc<str>,
    hash: [u8; 32],
}

impl AdminKey {
    /// The key with this text; `name` stands for it in the audit log.
    pub fn new(name: &str, key: &Secret) -> Self {
        Self {
            name: name.into(),
            hash: sha256(key.expose()),
        }
    }

    /// Whether this is the key, in constant time.
    fn matches(&self, presented: &str) -> bool {
        verify_slices_are_equal(&self.hash, &sha256(presented)).is_ok()
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdminKey({:?})", self.name)
    }
}

/// An operator whose key was checked. Only [`authenticate`] makes one.
#[derive(Clone, Debug)]
pub(super) struct Operator(Actor);

impl Operator {
    /// For the audit log.
    pub(super) fn actor(&self) -> Actor {
        self.0.clone()
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let operator = parts.extensions.get::<Self>();
        operator.cloned().ok_or_else(Problem::no_key)
    }
}

/// Lets a request through if it carries the admin key.
pub(super) async fn authenticate(
    State(admin): State<AdminState>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(presented) = bearer(request.headers()) else {
        return Problem::no_key().into_response();
    };
    if !admin.key.matches(presented) {
        return Problem::wrong_key().into_response();
    }
    let operator = Operator(Actor::Operator(admin.key.name.to_string()));
    request.extensions_mut().insert(operator);
    next.run(request).await
}

/// The bearer of a request that has exactly one `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| credentials.trim())
}

fn sha256(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}
