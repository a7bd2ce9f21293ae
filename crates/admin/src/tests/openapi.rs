//! The description and the router are the same, and the description is the one
//! in the repository.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::openapi::document;
use crate::operations;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

fn described() -> String {
    let mut text = serde_json::to_string_pretty(&document(&operations())).unwrap();
    text.push('\n');
    text
}

#[test]
fn the_description_is_the_one_in_the_repository() {
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(
        described() == golden,
        "docs/openapi.json is out of date: if the change is meant, run \
         `cargo test -p countersign-admin write_the_description -- --ignored`"
    );
}

#[test]
#[ignore = "writes docs/openapi.json"]
fn write_the_description() {
    std::fs::create_dir_all(Path::new(GOLDEN).parent().unwrap()).unwrap();
    std::fs::write(GOLDEN, described()).unwrap();
}

#[tokio::test]
async fn every_role_reads_the_description() {
    let server = Server::start().await;
    let key = json!({ "name": "eye", "role": "read", "apis": ["pay"] });
    let key = server.admin_key(key).await;
    let path = "/admin/v1/openapi.json";
    let reply = server.call_as(&key, Method::GET, path, Body::empty()).await;
    let mut described = document(&operations());
    described["components"]["schemas"]["ServedApi"]["enum"] = json!(["pay"]);
    assert_eq!(reply.body, described);
}

/// The router answers 405 with the methods that a path has: they must be those
/// that are described, and each described one must be answered otherwise.
#[tokio::test]
async fn every_method_of_the_router_is_described_and_the_reverse() {
    let server = Server::start().await;
    let document = document(&operations());
    for (path, item) in document["paths"].as_object().unwrap() {
        let place = path.replace(['{', '}'], "");
        let described: BTreeSet<_> = item.as_object().unwrap().keys().cloned().collect();
        let reply = server.call(Method::PUT, &place, Body::empty()).await;
        assert_eq!(reply.problem(), (405, "method_not_allowed"), "{path}");
        let allowed = reply.header("allow").split(',');
        let allowed: BTreeSet<_> = allowed
            .filter(|method| *method != "HEAD")
            .map(str::to_ascii_lowercase)
            .collect();
        assert_eq!(allowed, described, "{path}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_nothing_is_described_in_vain() {
    let document = document(&operations());
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    for reference in &used {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for kind in ["schemas", "parameters", "responses", "headers"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(used.contains(&reference), "{reference} is never used");
        }
    }
}

/// Clients are generated from it, and read by people who have nothing else.
#[test]
fn every_operation_says_what_it_does_and_has_a_verb_for_a_name() {
    const VERBS: [&str; 10] = [
        "create", "delete", "explain", "get", "list", "publish", "revoke", "rotate", "update",
        "end",
    ];
    let document = document(&operations());
    let tags: Vec<_> = document["tags"].as_array().unwrap().iter().collect();
    let mut ids = BTreeSet::new();
    for operation in described_operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{id} stands twice");
        let verb = VERBS.iter().find(|verb| id.starts_with(**verb));
        let noun = id.strip_prefix(*verb.expect(id)).unwrap();
        assert!(noun.starts_with(char::is_uppercase), "{id}");
        assert!(noun.chars().all(|it| it.is_ascii_alphanumeric()), "{id}");
        let tag = &operation["tags"][0];
        assert!(tags.iter().any(|it| it["name"] == *tag), "{id}: {tag}");
        let summary = operation["summary"].as_str().unwrap();
        assert!(summary.starts_with(char::is_uppercase), "{id}: {summary}");
        assert!(!summary.ends_with('.'), "{id}: {summary}");
        check_sentence(&operation["description"], id);
        for parameter in operation["parameters"].as_array().unwrap() {
            let described = &resolved(&document, parameter)["description"];
            check_sentence(described, &format!("{id} {parameter}"));
        }
    }
}

#[test]
fn every_property_and_every_schema_is_described() {
    let document = document(&operations());
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        check_sentence(&schema["description"], name);
        let choices = schema["oneOf"].as_array().into_iter().flatten();
        for schema in choices.chain([schema]) {
            let properties = schema["properties"].as_object().into_iter().flatten();
            for (property, schema) in properties {
                check_sentence(&schema["description"], &format!("{name}.{property}"));
            }
        }
    }
}

/// What is described of a request is all that it may have, as its type refuses the rest;
/// what is described of a reply is all that it has.
#[test]
fn every_object_with_properties_is_closed() {
    let document = document(&operations());
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let choices = schema["oneOf"].as_array().into_iter().flatten();
        for schema in choices.chain([schema]) {
            let closed = schema["additionalProperties"] == false;
            assert_eq!(closed, schema["properties"].is_object(), "{name}");
        }
    }
}

#[test]
fn an_option_is_absent_in_a_request_and_null_in_a_reply() {
    let document = document(&operations());
    let schema = |name: &str| &document["components"]["schemas"][name];
    let id = &schema("NewAccount")["properties"]["id"];
    assert_eq!(id["$ref"], "#/components/schemas/AccountId");
    assert_eq!(schema("NewAccount")["required"], json!(["api"]));
    let role = &schema("AdminKey")["properties"]["apis"];
    assert_eq!(role["type"], json!(["array", "null"]));
    let required = schema("AdminKey")["required"].as_array().unwrap();
    assert!(required.contains(&json!("apis")));
    let required = schema("CreatedAccount")["required"].as_array().unwrap();
    assert!(required.contains(&json!("login")) && !required.contains(&json!("secret")));
}

fn described_operations(document: &Value) -> Vec<&Value> {
    let paths = document["paths"].as_object().unwrap().values();
    paths
        .flat_map(|item| item.as_object().unwrap().values())
        .collect()
}

fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => value,
    }
}

fn check_sentence(text: &Value, place: &str) {
    let text = text.as_str().unwrap_or_default();
    let whole = text.starts_with(|it: char| it.is_uppercase() || it == '`');
    assert!(whole && text.ends_with('.'), "{place}: {text:?}");
    assert!(
        !text.contains("  ") && !text.contains('\n'),
        "{place}: {text:?}"
    );
}

fn references(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                used.insert(reference.to_owned());
            }
            members.values().for_each(|value| references(value, used));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, used)),
        _ => {}
    }
}

impl Server {
    /// Checks that the status and media type of a reply are described.
    pub(super) fn check_described(method: &Method, path: &str, reply: &Reply) {
        let path = path.split('?').next().unwrap_or_default();
        let Some(operation) = operations()
            .into_iter()
            .find(|it| it.method == *method && is_instance(path, &format!("/admin/v1{}", it.path)))
        else {
            return;
        };
        let document = document(&operations());
        let full = format!("/admin/v1{}", operation.path);
        let method = operation.method.as_str().to_ascii_lowercase();
        let responses = &document["paths"][&full][&method]["responses"];
        let status = reply.status.as_str();
        assert!(responses.get(status).is_some(), "{method} {full}: {status}");
    }
}

fn is_instance(path: &str, template: &str) -> bool {
    let (mut path, mut template) = (path.split('/'), template.split('/'));
    loop {
        match (path.next(), template.next()) {
            (None, None) => return true,
            (Some(segment), Some(known)) if known == segment || known.starts_with('{') => {}
            _ => return false,
        }
    }
}
