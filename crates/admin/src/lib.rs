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
mod idempotency;
mod key;
mod keys;
mod openapi;
mod operation;
mod page;
mod path_params;
mod probe;
mod problem;
mod query_instant;
pub mod refusal_ring;
mod refusals;
mod secret;
mod session;
mod state;
mod stats;
mod view;

use axum::Router;
use axum::http::{HeaderValue, Method, Uri, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use countersign_domain::Role::{Operate, Own, Read};

pub use explain::{
    DryRun, DryRunCredential, DryRunGuard, DryRunStep, DryRunVerdict, PeerReply, TokenBearer,
};
pub use key::AdminKey;
use operation::{AdminOperation, delete, get, patch, post};
pub use probe::{HealthProbes, probes};
use problem::AdminProblem;
pub use state::AdminState;

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
fn operations() -> Vec<AdminOperation> {
    let groups = [
        server(),
        apis(),
        accounts(),
        credentials(),
        sessions(),
        keys(),
        admin_keys(),
        refusals(),
    ];
    groups.into_iter().flatten().collect()
}

fn server() -> Vec<AdminOperation> {
    const AUDIT: &[&str] = &[
        "of-account",
        "of-api",
        "of-action",
        "since",
        "until",
        "order",
        "after-number",
        "limit",
    ];
    vec![
        get("/openapi.json", Read, openapi::show)
            .says("This description")
            .gives("Description"),
        get("/stats", Read, stats::show)
            .for_every_api()
            .says("What is in the store, in numbers")
            .gives("Stats"),
        get("/audit", Read, audit::list)
            .says("The audit log")
            .asks(AUDIT)
            .gives("AuditPage"),
    ]
}

fn apis() -> Vec<AdminOperation> {
    vec![
        get("/apis", Read, apis::list)
            .says("List the apis that are served")
            .gives("ApiPage"),
        get("/apis/{api}", Read, apis::show)
            .says("Show an api")
            .gives("Api"),
        get("/apis/{api}/jwks", Read, keys::jwks)
            .says("The public keys of an api")
            .gives("JwkSet"),
        post("/apis/{api}/revoke-all", Own, apis::revoke_all)
            .says("End everything of every account of an api")
            .gives("RevokedApi"),
    ]
}

fn accounts() -> Vec<AdminOperation> {
    const ACCOUNT: &str = "/accounts/{account}";
    vec![
        get("/accounts", Read, account::list)
            .says("List accounts")
            .asks(&["of-api", "of-login", "after-account", "limit"])
            .gives("AccountPage"),
        post("/accounts", Operate, account::create)
            .says("Create an account with its first credential")
            .takes("NewAccount")
            .creates("CreatedAccount")
            .refuses(&[409]),
        get(ACCOUNT, Read, account::show)
            .says("Show an account")
            .gives("Account"),
        patch(ACCOUNT, Operate, account::change)
            .says("Change an account")
            .takes("AccountChange")
            .gives("Account"),
        delete(ACCOUNT, Operate, account::delete)
            .says("Delete an account with its credentials, and end its sessions"),
    ]
}

fn credentials() -> Vec<AdminOperation> {
    const CREDENTIALS: &str = "/accounts/{account}/credentials";
    const CREDENTIAL: &str = "/accounts/{account}/credentials/{credential}";
    vec![
        get(CREDENTIALS, Read, credential::list)
            .says("List the credentials of an account")
            .gives("CredentialPage"),
        post(CREDENTIALS, Operate, credential::create)
            .says("Create a further credential")
            .takes("NewCredential")
            .creates("CreatedCredential")
            .refuses(&[409]),
        get(CREDENTIAL, Read, credential::show)
            .says("Show a credential")
            .gives("Credential"),
        patch(CREDENTIAL, Operate, credential::change)
            .says("Change a credential")
            .takes("CredentialChange")
            .gives("Credential"),
        delete(CREDENTIAL, Operate, credential::delete)
            .says("Delete a credential, and end the sessions that it opened"),
    ]
}

fn sessions() -> Vec<AdminOperation> {
    const SESSIONS: &str = "/accounts/{account}/sessions";
    const SESSION: &str = "/sessions/{session}";
    vec![
        get(SESSIONS, Read, session::list)
            .says("List the sessions of an account, newest first")
            .asks(&["after-session", "limit"])
            .gives("SessionPage"),
        delete(SESSIONS, Operate, session::end_all)
            .says("End all sessions of an account")
            .gives("EndedSessions"),
        get(SESSION, Read, session::show)
            .says("Show a session")
            .gives("Session"),
        delete(SESSION, Operate, session::end)
            .says("End a session")
            .gives("Session"),
    ]
}

fn keys() -> Vec<AdminOperation> {
    const KEY: &str = "/keys/{kid}";
    vec![
        get("/keys", Read, keys::list)
            .says("List signing keys and peppers, never their material")
            .asks(&["of-api"])
            .gives("KeyPage"),
        post("/keys", Own, keys::publish)
            .says("Publish a signing key, which signs nothing yet")
            .takes("NewKey")
            .creates("Key")
            .refuses(&[409]),
        post("/keys/rotate", Own, keys::rotate)
            .says("Make the pending key active")
            .takes("KeyRotation")
            .gives("ChangedKeys")
            .once()
            .refuses(&[409]),
        get(KEY, Read, keys::show).says("Show a key").gives("Key"),
        patch(KEY, Own, keys::change)
            .says("Retire the active key, or kill one")
            .takes("KeyChange")
            .gives("ChangedKeys")
            .refuses(&[409]),
    ]
}

fn admin_keys() -> Vec<AdminOperation> {
    const KEY: &str = "/admin-keys/{name}";
    let all = [
        get("/admin-keys", Own, admin_key::list)
            .says("List admin keys")
            .asks(&["after-name", "limit"])
            .gives("AdminKeyPage"),
        post("/admin-keys", Own, admin_key::create)
            .says("Make an admin key")
            .takes("NewAdminKey")
            .creates("CreatedAdminKey")
            .refuses(&[409]),
        get(KEY, Own, admin_key::show)
            .says("Show an admin key")
            .gives("AdminKey"),
        delete(KEY, Own, admin_key::delete)
            .says("Delete an admin key: it opens nothing from then on")
            .refuses(&[409]),
    ];
    all.into_iter().map(AdminOperation::for_every_api).collect()
}

fn refusals() -> Vec<AdminOperation> {
    const FILTERS: &[&str] = &[
        "of-account",
        "of-login",
        "of-address",
        "of-code",
        "of-api",
        "since",
        "until",
        "after-number",
        "limit",
    ];
    vec![
        get("/refusals", Read, refusals::list)
            .says("Who was refused, when and why")
            .asks(FILTERS)
            .gives("RefusalPage"),
        get("/refusals/{refusal}", Read, refusals::show)
            .says("Show a refusal")
            .gives("Refusal"),
        get("/explain", Read, explain::by_login)
            .says("Why a login is refused, by cause")
            .asks(&["login", "of-api", "since"])
            .gives("Explanation"),
        post("/explain", Read, explain::dry_run)
            .says("What the guard would decide about a request now")
            .takes("DryRun")
            .gives("DryRunVerdict"),
    ]
}

async fn no_such_path(uri: Uri) -> AdminProblem {
    AdminProblem::not_found("not_found", format!("there is nothing at {}", uri.path()))
}

async fn no_such_method(method: Method, uri: Uri) -> AdminProblem {
    AdminProblem::method_not_allowed(&method, uri.path())
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
