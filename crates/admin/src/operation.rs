//! One method on one path of the admin API: its handler, who may use it, and its
//! description.
//!
//! The router and the description are made from the same list, so that neither lacks what
//! the other has. An operation without a role does not compile.

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
use super::openapi::handler_shape::{DescribedHandler, OperationShape};
use super::problem::AdminProblem;

/// The prefix of all other paths.
pub(super) const ROOT: &str = "/admin/v1";

/// The groups of operations, in the order in which they are shown.
pub(super) const OPERATION_GROUPS: [(&str, &str); 8] = [
    (
        "server",
        "The server itself: this description, numbers and the audit log.",
    ),
    ("apis", "The apis that are served."),
    ("accounts", "The partners' accounts."),
    ("credentials", "Logins and secrets of an account."),
    (
        "sessions",
        "What logins opened, with the tokens that belong to it.",
    ),
    ("keys", "Signing keys and peppers, never their material."),
    ("admin-keys", "Who operates the server."),
    ("refusals", "Who was refused, and why."),
];

/// One method on one path.
pub(super) struct AdminOperation {
    pub(super) method: Method,
    /// The path below [`ROOT`].
    pub(super) path: &'static str,
    pub(super) needs: RequiredRole,
    pub(super) text: OperationText,
    /// What its handler accepts and returns.
    pub(super) shape: OperationShape,
    /// Statuses of refusals that do not follow from anything else.
    pub(super) refusals: &'static [u16],
    handler: MethodRouter<AdminState>,
}

/// Who may use an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequiredRole {
    /// The least role.
    pub(super) role: Role,
    /// Whether the key must also see every api.
    pub(super) every_api: bool,
}

/// `GET`, and with it `HEAD`.
pub(super) fn get<H, T, A>(path: &'static str, role: Role, handler: H) -> AdminOperation
where
    H: Handler<T, AdminState> + DescribedHandler<A>,
    T: 'static,
{
    AdminOperation::new(Method::GET, path, role, H::shape(), routing::get(handler))
}

/// `POST`.
pub(super) fn post<H, T, A>(path: &'static str, role: Role, handler: H) -> AdminOperation
where
    H: Handler<T, AdminState> + DescribedHandler<A>,
    T: 'static,
{
    AdminOperation::new(Method::POST, path, role, H::shape(), routing::post(handler))
}

/// `PATCH`.
pub(super) fn patch<H, T, A>(path: &'static str, role: Role, handler: H) -> AdminOperation
where
    H: Handler<T, AdminState> + DescribedHandler<A>,
    T: 'static,
{
    AdminOperation::new(
        Method::PATCH,
        path,
        role,
        H::shape(),
        routing::patch(handler),
    )
}

/// `DELETE`.
pub(super) fn delete<H, T, A>(path: &'static str, role: Role, handler: H) -> AdminOperation
where
    H: Handler<T, AdminState> + DescribedHandler<A>,
    T: 'static,
{
    AdminOperation::new(
        Method::DELETE,
        path,
        role,
        H::shape(),
        routing::delete(handler),
    )
}

impl AdminOperation {
    fn new(
        method: Method,
        path: &'static str,
        role: Role,
        shape: OperationShape,
        handler: MethodRouter<AdminState>,
    ) -> Self {
        Self {
            method,
            path,
            needs: RequiredRole {
                role,
                every_api: false,
            },
            text: OperationText::default(),
            shape,
            refusals: &[],
            handler,
        }
    }

    /// Sets its name for clients, a verb and a noun; a summary; and a description in
    /// whole sentences.
    #[must_use]
    pub(super) fn says(
        mut self,
        id: &'static str,
        summary: &'static str,
        description: &'static str,
    ) -> Self {
        self.text = OperationText {
            id,
            summary,
            description,
            ..self.text
        };
        self
    }

    /// Sets the group of [`OPERATION_GROUPS`] that it belongs to.
    #[must_use]
    pub(super) fn tagged(mut self, tag: &'static str) -> Self {
        self.text.tag = tag;
        self
    }

    /// Adds statuses of refusals that do not follow from anything else.
    #[must_use]
    pub(super) fn refuses(mut self, statuses: &'static [u16]) -> Self {
        self.refusals = statuses;
        self
    }

    /// Restricts it to keys that see every api, because it shows or does something that
    /// belongs to none.
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

/// Lets an operator through whose key has sufficient rights.
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
