//! The admin API under `/admin/v1/`: what an operator does with accounts,
//! credentials and sessions. Errors are problem documents (RFC 9457) with a
//! stable `code`.
//!
//! Every path under it needs the admin key as a bearer (RFC 6750 section 2.1),
//! those that do not exist too: a stranger learns nothing. It refuses what it
//! does not understand: unknown members and parameters, repeated ones, wrong
//! types. It never shows a secret twice, and never one that the operator chose.

mod account;
mod apis;
mod body;
mod credential;
mod fields;
mod instant;
mod key;
mod page;
mod place;
mod probe;
mod problem;
mod refusals;
mod secret;
mod session;
mod stats;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, Method, Uri, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::get;
use countersign_domain::ApiName;

use crate::api::Api;
use crate::password::Passwords;
use crate::refusals::Refusals;
use crate::store::Store;

pub use key::AdminKey;
pub use probe::{Probes, probes};
use problem::Problem;

/// What the admin API works on. Cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    /// Where accounts, credentials and sessions are.
    pub store: Store,
    /// The apis that are served, by name.
    pub apis: Arc<BTreeMap<ApiName, Arc<Api>>>,
    /// The pool in which passwords are hashed.
    pub passwords: Passwords,
    /// Why requests were refused.
    pub refusals: Refusals,
    /// The key that opens the admin API.
    pub key: AdminKey,
}

/// The admin API. Paths beside its own are 404 for who has the key, and 401 for
/// everybody else.
pub fn router(state: AdminState) -> Router {
    Router::new()
        .route("/admin/v1/apis", get(apis::list))
        .route("/admin/v1/stats", get(stats::show))
        .merge(accounts())
        .merge(credentials())
        .merge(sessions())
        .merge(refusals())
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(state.clone(), key::authenticate))
        .layer(map_response(keep_private))
        .with_state(state)
}

fn accounts() -> Router<AdminState> {
    Router::new()
        .route(
            "/admin/v1/accounts",
            get(account::list).post(account::create),
        )
        .route(
            "/admin/v1/accounts/{account}",
            get(account::show)
                .patch(account::change)
                .delete(account::delete),
        )
}

fn credentials() -> Router<AdminState> {
    Router::new()
        .route(
            "/admin/v1/accounts/{account}/credentials",
            get(credential::list).post(credential::create),
        )
        .route(
            "/admin/v1/accounts/{account}/credentials/{credential}",
            get(credential::show)
                .patch(credential::change)
                .delete(credential::delete),
        )
}

fn sessions() -> Router<AdminState> {
    Router::new()
        .route(
            "/admin/v1/accounts/{account}/sessions",
            get(session::list).delete(session::end_all),
        )
        .route(
            "/admin/v1/sessions/{session}",
            get(session::show).delete(session::end),
        )
}

fn refusals() -> Router<AdminState> {
    Router::new()
        .route("/admin/v1/refusals", get(refusals::list))
        .route("/admin/v1/refusals/{refusal}", get(refusals::show))
}

async fn no_such_path(uri: Uri) -> Problem {
    Problem::not_found("not_found", format!("there is nothing at {}", uri.path()))
}

async fn no_such_method(method: Method, uri: Uri) -> Problem {
    Problem::method_not_allowed(&method, uri.path())
}

/// Replies hold secrets that are shown once and the names of partners: no cache
/// keeps them (RFC 9111 section 5.2.2.5).
async fn keep_private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

#[cfg(test)]
mod tests;
