//! The description of the admin API (OpenAPI 3.1), made from the list of operations from
//! which the router is made, and from the types of their handlers.

pub(super) mod handler_shape;
mod responses;
mod schemas;

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use countersign_domain::{ApiName, Role};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::AdminState;
use super::key::AuthenticatedOperator;
use super::operation::{AdminOperation, OPERATION_GROUPS, ROOT};
use super::operations;
use super::path_params::path_parameter;
use handler_shape::SchemaSource;
use responses::reply;
use schemas::{SchemaSet, SchemaUse, reference};

/// The part of an operation's description that does not follow from its types.
#[derive(Clone, Copy, Default)]
pub(super) struct OperationText {
    /// The group that it belongs to.
    pub(super) tag: &'static str,
    /// A verb and a noun, as the name for clients.
    pub(super) id: &'static str,
    /// A summary.
    pub(super) summary: &'static str,
    /// In whole sentences.
    pub(super) description: &'static str,
}

/// The description of the API.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct ApiDescription(Value);

impl ToSchema for ApiDescription {
    fn name() -> Cow<'static, str> {
        "Description".into()
    }
}

impl PartialSchema for ApiDescription {
    fn schema() -> RefOr<Schema> {
        let described = ObjectBuilder::new().schema_type(Type::Object);
        described
            .description(Some("A document of OpenAPI 3.1."))
            .into()
    }
}

/// The description as it is served: with the apis that the operator sees.
pub(super) async fn show(
    State(admin): State<AdminState>,
    operator: AuthenticatedOperator,
) -> Json<ApiDescription> {
    let mut document = document(&operations());
    let served = operator.apis(&admin);
    let names = served.keys().map(ApiName::as_str);
    document["components"]["schemas"]["ServedApi"]["enum"] = names.collect();
    Json(ApiDescription(document))
}

/// The description of these operations.
pub(super) fn document(operations: &[AdminOperation]) -> Value {
    let mut schemas = SchemaSet::default();
    let mut paths = Map::new();
    for operation in operations {
        let path = format!("{ROOT}{}", operation.path);
        let item = paths.entry(path).or_insert_with(|| json!({}));
        let method = operation.method.as_str().to_ascii_lowercase();
        item[method] = describe(operation, &mut schemas);
    }
    let components = components(&Value::Object(paths.clone()), schemas);
    let tags = OPERATION_GROUPS
        .map(|(name, description)| json!({ "name": name, "description": description }));
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
        "tags": tags,
        "paths": paths,
        "components": components,
    })
}

fn components(paths: &Value, mut schemas: SchemaSet) -> Value {
    let problem = SchemaSource::for_type::<super::problem::ProblemDocument>();
    let problem = schemas.refer(problem, SchemaUse::Reply);
    let responses = responses::problems(&problem);
    let used = json!([paths, responses]);
    json!({
        "securitySchemes": {
            "adminKey": { "type": "http", "scheme": "bearer", "description": "An admin key." },
        },
        "schemas": schemas.finish(&used),
        "responses": responses,
        "headers": responses::headers(),
        "parameters": { "idempotency-key": idempotency_key() },
    })
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "A request that is sent again with it gets the first reply again, for a \
                        day, and changes nothing: 1 to 255 visible ASCII characters.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
    })
}

fn describe(operation: &AdminOperation, schemas: &mut SchemaSet) -> Value {
    let (text, shape) = (operation.text, operation.shape);
    let mut described = json!({
        "tags": [text.tag],
        "operationId": text.id,
        "summary": text.summary,
        "description": description(operation),
        "x-role": operation.needs.role.name(),
        "parameters": parameters(operation, schemas),
        "responses": responses(operation, schemas),
    });
    if let Some(body) = shape.body {
        let schema = schemas.refer(body, SchemaUse::Request);
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": schema } },
        });
    }
    if operation.needs.every_api {
        described["x-every-api"] = true.into();
    }
    described
}

/// Adds who may use the operation.
fn description(operation: &AdminOperation) -> String {
    let needs = match (operation.needs.role, operation.needs.every_api) {
        (Role::Read, false) => "Every admin key may ask.",
        (Role::Read, true) => "It takes an admin key for all apis.",
        (Role::Operate, false) => "It takes an admin key with the role operate or own.",
        (Role::Operate, true) => {
            "It takes an admin key with the role operate or own, for all apis."
        }
        (Role::Own, false) => "It takes an admin key with the role own.",
        (Role::Own, true) => "It takes an admin key with the role own, for all apis.",
    };
    format!("{} {needs}", operation.text.description)
}

fn parameters(operation: &AdminOperation, schemas: &mut SchemaSet) -> Vec<Value> {
    let mut parameters = Vec::new();
    for name in names(operation.path) {
        let (description, source) = path_parameter(name);
        parameters.push(json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": description,
            "schema": schemas.refer(source, SchemaUse::Request),
        }));
    }
    let in_query = operation.shape.query.map(|query| schemas.parameters(query));
    parameters.extend(in_query.into_iter().flatten());
    let once = operation.shape.once;
    parameters.extend(once.then(|| reference("parameters", "idempotency-key")));
    parameters
}

/// The parameters of a path.
fn names(path: &'static str) -> impl Iterator<Item = &'static str> {
    let segments = path.split('/');
    segments.filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn responses(operation: &AdminOperation, schemas: &mut SchemaSet) -> Value {
    let shape = operation.shape;
    let body = shape.reply.map(|it| schemas.refer(it, SchemaUse::Reply));
    let mut responses = Map::new();
    responses.insert(shape.status.to_string(), reply(shape, body));
    for status in refusals(operation) {
        let problem = reference("responses", &status.to_string());
        responses.insert(status.to_string(), problem);
    }
    Value::Object(responses)
}

/// Every status that a refusal of the operation may have.
fn refusals(operation: &AdminOperation) -> Vec<u16> {
    let shape = operation.shape;
    let mut statuses = vec![401, 500, 503];
    if operation.needs.role > Role::Read || operation.needs.every_api {
        statuses.push(403);
    }
    if names(operation.path).next().is_some() {
        statuses.push(404);
    }
    if shape.query.is_some() || shape.body.is_some() {
        statuses.push(400);
    }
    if shape.body.is_some() {
        statuses.extend([413, 415, 422]);
    }
    statuses.extend(operation.refusals);
    statuses
}
