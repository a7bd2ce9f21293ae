//! Admin keys: who the operator is, checked before anything else.
//!
//! The owner's key is in the data directory and may do everything. Named keys are in the
//! store, each with a role, the apis that it sees, and an expiry time. All are random, so
//! a fast hash is enough; a key itself is never stored.

use std::collections::BTreeMap;
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
use countersign_domain::{ApiName, ApiScope, Role};

use super::AdminState;
use super::problem::AdminProblem;
use countersign_server::api::IssuingApi;
use countersign_server::generated_key::admin_key_id;
use countersign_store::{AuditActor, StoredAdminKey};

/// The hash of the owner's key. Cheap to clone.
#[derive(Clone)]
pub struct AdminKey {
    name: Arc<str>,
    hash: [u8; 32],
}

impl AdminKey {
    /// The key with this text. `name` identifies it in the audit log, and no named key
    /// may have that name.
    pub fn new(name: &str, key: &Secret) -> Self {
        Self {
            name: name.into(),
            hash: hash(key.expose()),
        }
    }

    /// The name that identifies it in the audit log.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdminKey({:?})", self.name)
    }
}

/// An operator whose key was checked. Only [`authenticate`] makes one.
#[derive(Clone, Debug)]
pub(super) struct AuthenticatedOperator {
    name: Arc<str>,
    role: Role,
    scope: ApiScope,
}

impl AuthenticatedOperator {
    fn owner(key: &AdminKey) -> Self {
        Self {
            name: key.name.clone(),
            role: Role::Own,
            scope: ApiScope::All,
        }
    }

    fn named(key: StoredAdminKey) -> Self {
        Self {
            name: key.name.into(),
            role: key.role,
            scope: key.scope,
        }
    }

    /// As written in the audit log.
    pub(super) fn actor(&self) -> AuditActor {
        AuditActor::Operator(self.name.to_string())
    }

    /// The name of the key.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What its holder may do.
    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// The apis with which its holder may do it.
    pub(super) fn scope(&self) -> &ApiScope {
        &self.scope
    }

    /// Whether the operator sees this api. To an operator who does not see it, nothing of
    /// it exists.
    pub(super) fn sees(&self, api: &ApiName) -> bool {
        self.scope.has(api)
    }

    /// The apis that are served and that the operator sees.
    pub(super) fn apis(&self, admin: &AdminState) -> BTreeMap<ApiName, Arc<IssuingApi>> {
        let served = admin.apis.iter().filter(|(name, _)| self.sees(name));
        served
            .map(|(name, api)| (name.clone(), api.clone()))
            .collect()
    }
}

impl<S: Sync> FromRequestParts<S> for AuthenticatedOperator {
    type Rejection = AdminProblem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, AdminProblem> {
        let operator = parts.extensions.get::<Self>();
        operator.cloned().ok_or_else(AdminProblem::no_key)
    }
}

/// Lets a request through if it has an admin key that is accepted.
pub(super) async fn authenticate(
    State(admin): State<AdminState>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(presented) = bearer(request.headers()).map(Secret::from) else {
        return AdminProblem::no_key().into_response();
    };
    match operator(&admin, presented.expose()).await {
        Ok(operator) => request.extensions_mut().insert(operator),
        Err(problem) => return problem.into_response(),
    };
    next.run(request).await
}

/// The owner of the presented key. The id in a named key is public and looked up; the
/// secret part is compared as a hash, in constant time.
async fn operator(
    admin: &AdminState,
    presented: &str,
) -> Result<AuthenticatedOperator, AdminProblem> {
    let hash = hash(presented);
    if verify_slices_are_equal(&admin.key.hash, &hash).is_ok() {
        return Ok(AuthenticatedOperator::owner(&admin.key));
    }
    let id = admin_key_id(presented).ok_or_else(AdminProblem::wrong_key)?;
    let found = admin.store.admin_key_with_id(id).await?;
    let key = found
        .filter(|key| verify_slices_are_equal(&key.hash, &hash).is_ok())
        .ok_or_else(AdminProblem::wrong_key)?;
    if key.expires_at.is_some_and(|end| end <= admin.store.now()) {
        return Err(AdminProblem::expired_key());
    }
    Ok(AuthenticatedOperator::named(key))
}

/// The bearer token of a request that has exactly one `Authorization` header.
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

/// What is stored of an admin key.
pub(super) fn hash(key: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
    hash
}
