//! The admin API under `/admin/v1/`: what an operator does with accounts,
//! credentials and sessions. Errors are problem documents (RFC 9457) with a
//! stable `code`.
//!
//! Every path under it needs the admin key as a bearer (RFC 6750 section 2.1),
//! those that do not exist too: a stranger learns nothing. It refuses what it
//! does not understand: unknown members and parameters, repeated ones, wrong
//! types. It never shows a secret twice, and never one that the operator chose.

mod account;
mod admin_key;
mod apis;
mod audit;
mod body;
mod credential;
mod explain;
mod fields;
mod instant;
mod key;
mod keys;
mod once;
mod operation;
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
use countersign_domain::ApiName;
use countersign_domain::Role::{Operate, Own, Read};

use crate::api::Api;
use crate::password::Passwords;
use crate::refusals::Refusals;
use crate::seal::MasterKey;
use crate::store::Store;

pub use key::AdminKey;
use operation::{Operation, delete, get, patch, post};
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
    /// The owner's key; named ones are in the store.
    pub key: AdminKey,
    /// Seals new signing keys, and the replies that are remembered.
    pub master: Arc<MasterKey>,
}

/// The admin API. Paths beside its own are 404 for who has a key, and 401 for
/// everybody else.
pub fn router(state: AdminState) -> Router {
    operations()
        .into_iter()
        .fold(Router::new(), |router, operation| operation.route(router))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(state.clone(), key::authenticate))
        .layer(map_response(keep_private))
        .with_state(state)
}

/// Everything that can be asked, and the role that it takes.
fn operations() -> Vec<Operation> {
    let mut all = vec![
        get("/audit", Read, audit::list),
        get("/stats", Read, stats::show).for_every_api(),
    ];
    all.extend(apis());
    all.extend(accounts());
    all.extend(keys());
    all.extend(admin_keys());
    all.extend(refusals());
    all
}

fn apis() -> Vec<Operation> {
    vec![
        get("/apis", Read, apis::list),
        get("/apis/{api}", Read, apis::show),
        get("/apis/{api}/jwks", Read, keys::jwks),
        post("/apis/{api}/revoke-all", Own, apis::revoke_all),
    ]
}

fn accounts() -> Vec<Operation> {
    const ACCOUNT: &str = "/accounts/{account}";
    const CREDENTIALS: &str = "/accounts/{account}/credentials";
    const CREDENTIAL: &str = "/accounts/{account}/credentials/{credential}";
    const SESSIONS: &str = "/accounts/{account}/sessions";
    vec![
        get("/accounts", Read, account::list),
        post("/accounts", Operate, account::create),
        get(ACCOUNT, Read, account::show),
        patch(ACCOUNT, Operate, account::change),
        delete(ACCOUNT, Operate, account::delete),
        get(CREDENTIALS, Read, credential::list),
        post(CREDENTIALS, Operate, credential::create),
        get(CREDENTIAL, Read, credential::show),
        patch(CREDENTIAL, Operate, credential::change),
        delete(CREDENTIAL, Operate, credential::delete),
        get(SESSIONS, Read, session::list),
        delete(SESSIONS, Operate, session::end_all),
        get("/sessions/{session}", Read, session::show),
        delete("/sessions/{session}", Operate, session::end),
    ]
}

fn keys() -> Vec<Operation> {
    vec![
        get("/keys", Read, keys::list),
        post("/keys", Own, keys::publish),
        post("/keys/rotate", Own, keys::rotate),
        get("/keys/{kid}", Read, keys::show),
        patch("/keys/{kid}", Own, keys::change),
    ]
}

fn admin_keys() -> Vec<Operation> {
    const KEY: &str = "/admin-keys/{name}";
    let all = [
        get("/admin-keys", Own, admin_key::list),
        post("/admin-keys", Own, admin_key::create),
        get(KEY, Own, admin_key::show),
        delete(KEY, Own, admin_key::delete),
    ];
    all.into_iter().map(Operation::for_every_api).collect()
}

fn refusals() -> Vec<Operation> {
    vec![
        get("/refusals", Read, refusals::list),
        get("/refusals/{refusal}", Read, refusals::show),
        get("/explain", Read, explain::by_login),
    ]
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
