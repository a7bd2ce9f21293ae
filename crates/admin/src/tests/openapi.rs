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
         `cargo test -p countersign-server write_the_description -- --ignored`"
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
    for operation in operations() {
        assert!(!operation.saying.summary.is_empty(), "{}", operation.path);
    }
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
