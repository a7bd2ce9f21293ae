//! Statuses and headers of replies in the description.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::handler_shape::OperationShape;
use super::schemas::reference;

/// What each status of a problem means.
const PROBLEMS: [(u16, &str); 10] = [
    (
        400,
        "The query, the body or the Idempotency-Key cannot be read.",
    ),
    (
        401,
        "No admin key was sent, a wrong one, or one that has expired.",
    ),
    (
        403,
        "The admin key does not have the role, or is for other apis.",
    ),
    (404, "It does not exist, or the admin key may not see it."),
    (409, "The current state does not allow the change."),
    (413, "The body is too large."),
    (415, "The body is not JSON."),
    (
        422,
        "Members of the body are wrong, or the Idempotency-Key was used for another request.",
    ),
    (500, "An internal error of the server."),
    (
        503,
        "The server did nothing, or does not know whether it did. Try again later.",
    ),
];

/// The refusals, by status.
pub(super) fn problems(schema: &Value) -> Value {
    let mut problems = Map::new();
    for (status, description) in PROBLEMS {
        let mut problem = json!({
            "description": description,
            "content": { "application/problem+json": { "schema": schema } },
        });
        match status {
            401 => add_header(&mut problem, "WWW-Authenticate"),
            503 => add_header(&mut problem, "Retry-After"),
            _ => {}
        }
        problems.insert(status.to_string(), problem);
    }
    Value::Object(problems)
}

/// The headers of replies.
pub(super) fn headers() -> Value {
    json!({
        "Location": {
            "description": "The path of what was created.",
            "required": true,
            "schema": { "type": "string" },
        },
        "Idempotent-Replayed": {
            "description": "`true` if this is the reply of an earlier time.",
            "schema": { "const": "true" },
        },
        "WWW-Authenticate": {
            "description": "How to authenticate (RFC 6750 section 3).",
            "required": true,
            "schema": { "type": "string" },
        },
        "Retry-After": {
            "description": "After how many seconds to ask again.",
            "schema": { "type": "string" },
        },
    })
}

/// The successful reply of an operation.
pub(super) fn reply(shape: OperationShape, schema: Option<Value>) -> Value {
    let reason = StatusCode::from_u16(shape.status).ok();
    let reason = reason.and_then(|status| status.canonical_reason());
    let mut reply = json!({ "description": reason.unwrap_or_default() });
    if let Some(schema) = schema {
        reply["content"] = json!({ "application/json": { "schema": schema } });
    }
    if shape.status == StatusCode::CREATED {
        add_header(&mut reply, "Location");
    }
    if shape.once {
        add_header(&mut reply, "Idempotent-Replayed");
    }
    reply
}

fn add_header(reply: &mut Value, name: &str) {
    reply["headers"][name] = reference("headers", name);
}
