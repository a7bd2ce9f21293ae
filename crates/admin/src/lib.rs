//! The admin API under `/admin/v1/`: what an operator does with accounts, credentials and
//! sessions. Errors are problem documents (RFC 9457) with a stable `code`.
//!
//! Every path under it needs the admin key as a bearer token (RFC 6750 section 2.1), even
//! paths that do not exist: a stranger learns nothing. Whatever it does not understand is
//! refused: unknown members and parameters, repeated ones, wrong types. It never shows a
//! secret twice, and never one that the operator chose.

mod account;
mod admin_key;
mod apis;
mod audit;
mod body;
mod credential;
mod explain;
mod idempotency;
mod key;
mod keys;
mod member_list;
mod member_number;
mod member_reader;
mod member_text;
mod member_words;
mod members;
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

/// The admin API. Other paths get 404 with a valid key, and 401 without one.
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

/// All operations, and the role that each requires.
fn operations() -> Vec<AdminOperation> {
    let groups = [
        ("server", server()),
        ("apis", apis()),
        ("accounts", accounts()),
        ("credentials", credentials()),
        ("sessions", sessions()),
        ("keys", keys()),
        ("admin-keys", admin_keys()),
        ("refusals", refusals()),
    ];
    let tagged = |(tag, group): (&'static str, Vec<AdminOperation>)| {
        group
            .into_iter()
            .map(move |operation| operation.tagged(tag))
    };
    groups.into_iter().flat_map(tagged).collect()
}

fn server() -> Vec<AdminOperation> {
    vec![
        get("/openapi.json", Read, openapi::show).says(
            "getDescription",
            "Show the description of this API",
            "In OpenAPI 3.1, with the apis that the admin key sees.",
        ),
        get("/stats", Read, stats::show).for_every_api().says(
            "getStats",
            "Show what is in the store, in numbers",
            "How many accounts, credentials, sessions and revocations there are, and how large \
             the database is.",
        ),
        get("/audit", Read, audit::list).says(
            "listAuditEntries",
            "List the audit log",
            "Each login, revocation and change by an operator has one entry, which stays. Those \
             of apis that the admin key does not see are left out.",
        ),
    ]
}

fn apis() -> Vec<AdminOperation> {
    vec![
        get("/apis", Read, apis::list).says(
            "listApis",
            "List the apis that are served",
            "Every api that is served and that the admin key sees, on one page.",
        ),
        get("/apis/{api}", Read, apis::show).says(
            "getApi",
            "Show an api",
            "Its dialect, its place, and what holds for accounts that have no limits of their \
             own.",
        ),
        get("/apis/{api}/jwks", Read, keys::jwks).says(
            "listPublicKeys",
            "List the public keys of an api",
            "The JWK Set (RFC 7517) that the api's own listener serves, too: keys that sign \
             nothing yet are in it.",
        ),
        post("/apis/{api}/revoke-all", Own, apis::revoke_all).says(
            "revokeApi",
            "End everything of every account of an api",
            "Every session and every token of every account of the api is refused from then on. \
             Sent again, it also ends the sessions that began since.",
        ),
    ]
}

fn accounts() -> Vec<AdminOperation> {
    const ACCOUNT: &str = "/accounts/{account}";
    vec![
        get("/accounts", Read, account::list).says(
            "listAccounts",
            "List accounts",
            "Accounts in the order of their ids.",
        ),
        post("/accounts", Operate, account::create)
            .says(
                "createAccount",
                "Create an account with its first credential",
                "A secret that is generated is shown in this reply and never again.",
            )
            .refuses(&[409]),
        get(ACCOUNT, Read, account::show).says(
            "getAccount",
            "Show an account",
            "Its state, its networks and its limits.",
        ),
        patch(ACCOUNT, Operate, account::change).says(
            "updateAccount",
            "Change an account",
            "What is given replaces what was there. To disable an account ends its sessions at \
             once.",
        ),
        delete(ACCOUNT, Operate, account::delete).says(
            "deleteAccount",
            "Delete an account",
            "Its credentials are deleted and its sessions ended. Its id is never used again.",
        ),
    ]
}

fn credentials() -> Vec<AdminOperation> {
    const CREDENTIALS: &str = "/accounts/{account}/credentials";
    const CREDENTIAL: &str = "/accounts/{account}/credentials/{credential}";
    vec![
        get(CREDENTIALS, Read, credential::list).says(
            "listCredentials",
            "List the credentials of an account",
            "All of them on one page, without their secrets.",
        ),
        post(CREDENTIALS, Operate, credential::create)
            .says(
                "createCredential",
                "Create a further credential",
                "To replace a secret without an interruption, create the new credential first \
                 and then delete the old one. A secret that is generated is shown in this reply \
                 and never again.",
            )
            .refuses(&[409]),
        get(CREDENTIAL, Read, credential::show).says(
            "getCredential",
            "Show a credential",
            "Its login, its scopes and its state, without its secret.",
        ),
        patch(CREDENTIAL, Operate, credential::change).says(
            "updateCredential",
            "Change a credential",
            "What is given replaces what was there. To disable a credential ends the sessions \
             that it opened.",
        ),
        delete(CREDENTIAL, Operate, credential::delete).says(
            "deleteCredential",
            "Delete a credential",
            "The sessions that it opened are ended.",
        ),
    ]
}

fn sessions() -> Vec<AdminOperation> {
    const SESSIONS: &str = "/accounts/{account}/sessions";
    const SESSION: &str = "/sessions/{session}";
    vec![
        get(SESSIONS, Read, session::list).says(
            "listSessions",
            "List the sessions of an account",
            "The newest first; ended sessions are listed until their records are deleted.",
        ),
        delete(SESSIONS, Operate, session::end_all).says(
            "revokeSessions",
            "End all sessions of an account",
            "Every token of the account is refused from then on; it may log in again.",
        ),
        get(SESSION, Read, session::show).says(
            "getSession",
            "Show a session",
            "Whether it is alive, and when it ends.",
        ),
        delete(SESSION, Operate, session::end).says(
            "revokeSession",
            "End a session",
            "Its tokens are refused from then on. A session that has ended stays as it is.",
        ),
    ]
}

fn keys() -> Vec<AdminOperation> {
    const KEY: &str = "/keys/{kid}";
    vec![
        get("/keys", Read, keys::list).says(
            "listKeys",
            "List signing keys and peppers",
            "All of them on one page, without secret material.",
        ),
        post("/keys", Own, keys::publish)
            .says(
                "publishKey",
                "Publish a signing key",
                "It signs nothing yet, so that everybody who verifies tokens knows it before its \
                 first use.",
            )
            .refuses(&[409]),
        post("/keys/rotate", Own, keys::rotate)
            .says(
                "rotateKey",
                "Make the pending key active",
                "Tokens signed by the previous key stay valid until they expire.",
            )
            .refuses(&[409]),
        get(KEY, Read, keys::show).says(
            "getKey",
            "Show a key",
            "Its state, without secret material.",
        ),
        patch(KEY, Own, keys::change)
            .says(
                "updateKey",
                "Retire the active key, or kill one",
                "A key retires when the pending one takes its place. Tokens signed by a killed \
                 key are refused from then on.",
            )
            .refuses(&[409]),
    ]
}

fn admin_keys() -> Vec<AdminOperation> {
    const KEY: &str = "/admin-keys/{name}";
    let all = [
        get("/admin-keys", Own, admin_key::list).says(
            "listAdminKeys",
            "List admin keys",
            "In the order of their names; the owner's key, a file in the data directory, is among \
             them.",
        ),
        post("/admin-keys", Own, admin_key::create)
            .says(
                "createAdminKey",
                "Create an admin key",
                "The key is shown in this reply and never again. What it may do cannot be \
                 changed.",
            )
            .refuses(&[409]),
        get(KEY, Own, admin_key::show).says(
            "getAdminKey",
            "Show an admin key",
            "Its role, its apis and when it expires, without the key itself.",
        ),
        delete(KEY, Own, admin_key::delete)
            .says(
                "deleteAdminKey",
                "Delete an admin key",
                "It is refused from then on. The owner's key is revoked by removing its file.",
            )
            .refuses(&[409]),
    ];
    all.into_iter().map(AdminOperation::for_every_api).collect()
}

fn refusals() -> Vec<AdminOperation> {
    vec![
        get("/refusals", Read, refusals::list).says(
            "listRefusals",
            "List who was refused, when and why",
            "The newest first, of the last seven days. If many of one kind come from one place, \
             some are only counted.",
        ),
        get("/refusals/{refusal}", Read, refusals::show).says(
            "getRefusal",
            "Show a refusal",
            "With its cause and a remedy in words. The id may be abbreviated as long as only one \
             refusal begins with it.",
        ),
        get("/explain", Read, explain::by_login).says(
            "explainLogin",
            "Explain why a login is refused",
            "Its refusals by cause, the changes just before, and the current state of its \
             accounts.",
        ),
        post("/explain", Read, explain::dry_run).says(
            "explainRequest",
            "Explain what the guard would decide about a request now",
            "No budget is spent, and nothing is logged or stored, in particular not the token.",
        ),
    ]
}

async fn no_such_path(uri: Uri) -> AdminProblem {
    AdminProblem::not_found("not_found", format!("there is nothing at {}", uri.path()))
}

async fn no_such_method(method: Method, uri: Uri) -> AdminProblem {
    AdminProblem::method_not_allowed(&method, uri.path())
}

/// Replies contain secrets that are shown once and the names of partners, so no cache may
/// keep them (RFC 9111 section 5.2.2.5).
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
