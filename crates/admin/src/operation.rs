//! One method on one path of the admin API: what answers it, who may ask, and
//! what its description says.
//!
//! The router and the description are made from the same list, so neither has
//! what the other lacks. An operation that names no role does not compile.

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodRouter};
use countersign_domain::{ApiScope, Role};

use super::AdminState;
use super::key::AuthenticatedOperator;
use super::openapi::OperationText;
use super::problem::AdminProblem;

/// The path that all others begin with.
pub(super) const ROOT: &str = "/admin/v1";

/// One method on one path.
pub(super) struct AdminOperation {
    pub(super) method: Method,
    /// Below [`ROOT`].
    pub(super) path: &'static str,
    pub(super) needs: RequiredRole,
    pub(super) saying: OperationText,
    handler: MethodRouter<AdminState>,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequiredRole {
    /// At least this role.
    pub(super) role: Role,
    /// And a key that sees every api.
    pub(super) every_api: bool,
}

/// `GET`, and with it `HEAD`.
pub(super) fn get<H, T>(path: &'static str, role: Role, handler: H) -> AdminOperation
where
    H: Handler<T, AdminState>,
    T: 'static,
{
    AdminOperation::new(Method::GET, path, role, routing::get(handler))
}

/// `POST`.
pub(super) fn post<H, T>(path: &'static str, role: Role, handler: H) -> AdminOperation
where
    H: Handler<T, AdminState>,
    T: 'static,
{
    AdminOperation::new(Method::POST, path, role, routing::post(handler))
}

/// `PATCH`.
pub(super) fn patch<H, T>(path: &'static str, role: Role, handler: H) -> AdminOperation
where
    H: Handler<T, AdminState>,
    T: 'static,
{
    AdminOperation::new(Method::PATCH, path, role, routing::patch(handler))
}

/// `DELETE`.
pub(super) fn delete<H, T>(path: &'static str, role: Role, handler: H) -> AdminOperation
where
    H: Handler<T, AdminState>,
    T: 'static,
{
    AdminOperation::new(Method::DELETE, path, role, routing::delete(handler))
}

impl AdminOperation {
    fn new(
        method: Method,
        path: &'static str,
        role: Role,
        handler: MethodRouter<AdminState>,
    ) -> Self {
        Self {
            method,
            path,
            needs: RequiredRole {
                role,
                every_api: false,
            },
            saying: OperationText::default(),
            handler,
        }
    }

    /// Only for keys that see every api: what it shows or does belongs to none.
    #[must_use]
    pub(super) fn for_every_api(mut self) -> Self {
        self.needs.every_api = true;
        self
    }

    /// Adds the operation to a router.
    pub(super) fn route(self, router: Router<AdminState>) -> Router<AdminState> {
        let checked = from_fn_with_state(self.needs, admit);
        let path = format!("{ROOT}{}", self.path);
        router.route(&path, self.handler.route_layer(checked))
    }
}

/// Lets an operator through whose key suffices.
async fn admit(
    State(needs): State<RequiredRole>,
    operator: AuthenticatedOperator,
    request: Request,
    next: Next,
) -> Response {
    if operator.role() < needs.role {
        return AdminProblem::role_needed(needs.role, operator.role()).into_response();
    }
    if needs.every_api && *operator.scope() != ApiScope::All {
        return AdminProblem::every_api_needed().into_response();
    }
    next.run(request).await
}
