//! The description of the admin API (OpenAPI 3.1), made from the list of
//! operations that the router is made from. What bodies and parameters look
//! like stands in `components.json`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use countersign_domain::audit::Action;
use countersign_domain::{ApiName, Reason, Refusal, Role};
use serde_json::{Map, Value, json};

use super::AdminState;
use super::key::AuthenticatedOperator;
use super::operation::{AdminOperation, ROOT};
use super::operations;

/// What the description says of an operation beyond its method and path.
#[derive(Clone, Copy, Default)]
pub(super) struct OperationText {
    /// In a few words.
    pub(super) summary: &'static str,
    /// The names of its query parameters, in `components.json`.
    pub(super) query: &'static [&'static str],
    /// The schema of its body.
    pub(super) body: Option<&'static str>,
    /// The status and the schema of its reply.
    pub(super) reply: (u16, Option<&'static str>),
    /// Statuses that follow from nothing else.
    pub(super) refusals: &'static [u16],
    /// Whether it takes an `Idempotency-Key`.
    pub(super) once: bool,
}

/// The description as it is served: with the apis that the operator sees.
pub(super) async fn show(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
) -> Json<Value> {
    let mut document = document(&operations());
    let served = operator.apis(&admin);
    let names = served.keys().map(ApiName::as_str);
    document["components"]["schemas"]["ServedApi"]["enum"] = names.collect();
    Json(document)
}

/// The description of these operations.
pub(super) fn document(operations: &[AdminOperation]) -> Value {
    let mut paths = Map::new();
    for operation in operations {
        let path = format!("{ROOT}{}", operation.path);
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[operation.method.as_str().to_ascii_lowercase()] = describe(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign admin API",
            "version": "1",
            "description": "What an operator does with accounts, credentials, sessions and keys.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "adminKey": [] }],
        "paths": paths,
        "components": components(),
    })
}

/// Those of the file, with the codes that have a list of their own.
fn components() -> Value {
    // A test reads it, so what is built in can be read.
    let file = serde_json::from_str(include_str!("components.json"));
    let mut components: Value = file.unwrap_or_default();
    let refusals = Refusal::ALL.iter().map(|refusal| refusal.code());
    let reasons = Reason::ALL.iter().map(|reason| reason.code());
    let codes: BTreeSet<_> = refusals.chain(reasons).collect();
    components["schemas"]["RefusalCode"]["enum"] = codes.into_iter().collect();
    components["schemas"]["Action"]["enum"] =
        Action::ALL.iter().map(|action| action.code()).collect();
    components
}

fn describe(operation: &AdminOperation) -> Value {
    let saying = operation.saying;
    let mut described = json!({
        "operationId": id(operation),
        "summary": saying.summary,
        "x-role": operation.needs.role.name(),
        "parameters": parameters(operation),
        "responses": responses(operation),
    });
    if let Some(schema) = saying.body {
        let body = json!({ "schema": reference("schemas", schema) });
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": body },
        });
    }
    if operation.needs.every_api {
        described["x-every-api"] = true.into();
    }
    described
}

/// `get_accounts_account_sessions`.
fn id(operation: &AdminOperation) -> String {
    let path: String = operation
        .path
        .chars()
        .filter(|c| !matches!(c, '{' | '}'))
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    format!("{}{path}", operation.method.as_str().to_ascii_lowercase())
}

fn parameters(operation: &AdminOperation) -> Vec<Value> {
    let in_path = names(operation.path);
    let in_query = operation.saying.query.iter().copied();
    let once = operation.saying.once.then_some("idempotency-key");
    in_path
        .chain(in_query)
        .chain(once)
        .map(|name| reference("parameters", name))
        .collect()
}

/// The parameters of a path.
fn names(path: &'static str) -> impl Iterator<Item = &'static str> {
    let segments = path.split('/');
    segments.filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn responses(operation: &AdminOperation) -> Value {
    let mut responses = Map::new();
    let (status, schema) = operation.saying.reply;
    responses.insert(status.to_string(), reply(operation, status, schema));
    for status in refusals(operation) {
        let problem = reference("responses", &status.to_string());
        responses.insert(status.to_string(), problem);
    }
    Value::Object(responses)
}

fn reply(operation: &AdminOperation, status: u16, schema: Option<&str>) -> Value {
    let reason = StatusCode::from_u16(status).ok();
    let reason = reason.and_then(|status| status.canonical_reason());
    let mut reply = json!({ "description": reason.unwrap_or_default() });
    if let Some(schema) = schema {
        let body = json!({ "schema": reference("schemas", schema) });
        reply["content"] = json!({ "application/json": body });
    }
    if status == StatusCode::CREATED {
        reply["headers"]["Location"] = reference("headers", "Location");
    }
    if operation.saying.once {
        let name = "Idempotent-Replayed";
        reply["headers"][name] = reference("headers", name);
    }
    reply
}

/// Every status that a refusal of the operation may have.
fn refusals(operation: &AdminOperation) -> Vec<u16> {
    let saying = operation.saying;
    let mut statuses = vec![401, 500, 503];
    if operation.needs.role > Role::Read || operation.needs.every_api {
        statuses.push(403);
    }
    if names(operation.path).next().is_some() {
        statuses.push(404);
    }
    if !saying.query.is_empty() || saying.body.is_some() || saying.once {
        statuses.push(400);
    }
    if saying.body.is_some() {
        statuses.extend([413, 415, 422]);
    }
    statuses.extend(saying.refusals);
    statuses
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

impl AdminOperation {
    /// What it does, in a few words.
    #[must_use]
    pub(super) fn says(mut self, summary: &'static str) -> Self {
        self.saying.summary = summary;
        self.saying.reply = match self.method {
            Method::DELETE => (204, None),
            _ => self.saying.reply,
        };
        self
    }

    /// The query parameters that it reads.
    #[must_use]
    pub(super) fn asks(mut self, query: &'static [&'static str]) -> Self {
        self.saying.query = query;
        self
    }

    /// The schema of the body that it reads.
    #[must_use]
    pub(super) fn takes(mut self, schema: &'static str) -> Self {
        self.saying.body = Some(schema);
        self
    }

    /// The schema of its reply.
    #[must_use]
    pub(super) fn gives(mut self, schema: &'static str) -> Self {
        self.saying.reply = (200, Some(schema));
        self
    }

    /// The schema of its reply, which says where the new thing is; it is made
    /// once for an idempotency key.
    #[must_use]
    pub(super) fn creates(mut self, schema: &'static str) -> Self {
        self.saying.reply = (201, Some(schema));
        self.once()
    }

    /// It happens once for an idempotency key.
    #[must_use]
    pub(super) fn once(mut self) -> Self {
        self.saying.once = true;
        self
    }

    /// Statuses of refusals that follow from nothing else.
    #[must_use]
    pub(super) fn refuses(mut self, statuses: &'static [u16]) -> Self {
        self.saying.refusals = statuses;
        self
    }
}
