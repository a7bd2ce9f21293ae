//! Admin keys: who operates, checked before anything else is looked at.
//!
//! The owner's key lies in the data directory and opens everything. Named keys
//! are in the store, each with a role, the apis that it sees, and an end. All
//! are random, so a fast hash is enough; a key itself is never kept.

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

/// The owner's key by its hash. Cheap to clone.
#[derive(Clone)]
pub struct AdminKey {
    name: Arc<str>,
    hash: [u8; 32],
}

impl AdminKey {
    /// The key with this text; `name` stands for it in the audit log, and no
    /// named key may have it.
    pub fn new(name: &str, key: &Secret) -> Self {
        Self {
            name: name.into(),
            hash: hash(key.expose()),
        }
    }

    /// What stands for it in the audit log.
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

    /// For the audit log.
    pub(super) fn actor(&self) -> AuditActor {
        AuditActor::Operator(self.name.to_string())
    }

    /// The name of the key.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What the key lets its holder do.
    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// With which apis.
    pub(super) fn scope(&self) -> &ApiScope {
        &self.scope
    }

    /// Whether the operator sees this api. What belongs to one that it does not
    /// see does not exist for it.
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

/// Lets a request through if it carries an admin key that lives.
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

/// Whose key was presented. The id in a named key is public and looked up; what
/// is secret is compared as a hash in constant time.
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

/// What is kept of an admin key.
pub(super) fn hash(key: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
    hash
}
