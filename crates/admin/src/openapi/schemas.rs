//! The schemas that the operations need, as JSON. What utoipa derives is made exact here,
//! since it does not know whether a type is for requests or replies. In a request, a
//! member that is an `Option` may be absent and is never null. In a reply it is always
//! present and may be null, and a reply has no members besides those of its type.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::handler_shape::SchemaSource;

/// Whether a type is for requests or replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SchemaUse {
    Request,
    Reply,
}

/// Schemas by their names.
#[derive(Default)]
pub(super) struct SchemaSet(BTreeMap<String, Value>);

impl SchemaSet {
    /// Adds the schema with those that it needs, and returns a reference to it.
    pub(super) fn refer(&mut self, source: SchemaSource, used: SchemaUse) -> Value {
        let name = (source.name)();
        self.add(name.to_string(), &(source.schema)(), used);
        self.add_needed(source, used);
        reference("schemas", &name)
    }

    /// The parameters of a query; adds the schemas that they need.
    pub(super) fn parameters(&mut self, source: SchemaSource) -> Vec<Value> {
        self.add_needed(source, SchemaUse::Request);
        let described = exact(json_of(&(source.schema)()), SchemaUse::Request);
        let required = names(&described["required"]);
        let properties = described["properties"].as_object().cloned();
        let described = properties.unwrap_or_default().into_iter();
        described
            .map(|(name, mut schema)| {
                let needed = required.contains(&name);
                let description = schema
                    .as_object_mut()
                    .and_then(|it| it.remove("description"));
                json!({
                    "name": name,
                    "in": "query",
                    "required": needed,
                    "description": description,
                    "schema": schema,
                })
            })
            .collect()
    }

    fn add_needed(&mut self, source: SchemaSource, used: SchemaUse) {
        let mut needed = Vec::new();
        (source.needed)(&mut needed);
        for (name, schema) in needed {
            self.add(name, &schema, used);
        }
    }

    fn add(&mut self, name: String, schema: &RefOr<Schema>, used: SchemaUse) {
        self.0
            .entry(name)
            .or_insert_with(|| exact(json_of(schema), used));
    }

    /// All schemas that something refers to, except those that are written out where they
    /// are used.
    pub(super) fn finish(mut self, paths: &Value) -> Map<String, Value> {
        let flat: Vec<_> = self.0.keys().cloned().collect();
        for name in flat {
            let merged = self.merged(&self.0[&name]);
            self.0.insert(name, merged);
        }
        let mut kept = Map::new();
        let mut referring = vec![paths.clone()];
        while let Some(value) = referring.pop() {
            for name in references(&value) {
                if let Some(schema) = self.0.remove(&name) {
                    referring.push(schema.clone());
                    kept.insert(name, schema);
                }
            }
        }
        kept
    }

    /// Merges a schema that consists of others (`#[serde(flatten)]`).
    fn merged(&self, schema: &Value) -> Value {
        let Some(parts) = schema["allOf"].as_array() else {
            return schema.clone();
        };
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for part in parts {
            let named = part["$ref"].as_str().and_then(|it| it.rsplit('/').next());
            let part = self.merged(named.and_then(|name| self.0.get(name)).unwrap_or(part));
            required.extend(names(&part["required"]));
            let own = part["properties"].as_object().cloned();
            properties.extend(own.unwrap_or_default());
        }
        json!({
            "type": "object",
            "description": schema["description"],
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }
}

fn json_of(schema: &RefOr<Schema>) -> Value {
    // What utoipa builds is JSON.
    let mut schema = serde_json::to_value(schema).unwrap_or_default();
    mend(&mut schema);
    schema
}

/// Joins the lines of doc comments, and corrects what utoipa takes for signed: a `u32` is
/// not an `int32`.
fn mend(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(description)) = members.get_mut("description") {
                *description = description.split('\n').collect::<Vec<_>>().join(" ");
            }
            if members
                .get("format")
                .is_some_and(|format| format == "int32")
            {
                members.insert("format".to_owned(), "int64".into());
            }
            members.values_mut().for_each(mend);
        }
        Value::Array(items) => items.iter_mut().for_each(mend),
        _ => {}
    }
}

/// The schema for this use.
fn exact(mut schema: Value, used: SchemaUse) -> Value {
    if let Some(parts) = schema.get_mut("allOf").and_then(Value::as_array_mut) {
        for part in parts {
            *part = exact(part.take(), used);
        }
        return schema;
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return schema;
    };
    let mut always = Vec::new();
    for (name, property) in properties.iter_mut() {
        match used {
            SchemaUse::Reply if is_nullable(property) => {
                always.push(name.clone());
                hoist_description(property);
            }
            SchemaUse::Reply => {}
            SchemaUse::Request => *property = without_null(property.take()),
        }
    }
    if used == SchemaUse::Reply {
        let mut required = names(&schema["required"]);
        always.retain(|name| !required.contains(name));
        required.extend(always);
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema["additionalProperties"] = false.into();
    }
    schema
}

/// Moves the description of a nullable value beside its choices, for readers that do not
/// look into them.
fn hoist_description(schema: &mut Value) {
    let choices = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    let choices = choices.into_iter().flatten();
    let described = choices.filter_map(Value::as_object_mut);
    let description = described.filter_map(|it| it.remove("description")).next();
    if let (Some(description), None) = (description, schema.get("description")) {
        schema["description"] = description;
    }
}

fn is_nullable(schema: &Value) -> bool {
    let types = names(&schema["type"]);
    let choices = schema["oneOf"].as_array();
    types.iter().any(|name| name == "null")
        || choices.is_some_and(|all| all.iter().any(|choice| choice["type"] == "null"))
}

/// The schema that utoipa makes of an `Option`, without null.
fn without_null(schema: Value) -> Value {
    let Value::Object(mut schema) = schema else {
        return schema;
    };
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("oneOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [Value::Object(only)] = choices.as_slice() {
            let mut only = only.clone();
            schema.remove("oneOf");
            only.extend(schema);
            return Value::Object(only);
        }
    }
    Value::Object(schema)
}

fn names(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten();
    texts
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect()
}

/// The names of the schemas that a value refers to.
fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str);
            let own = own.and_then(|it| it.strip_prefix("#/components/schemas/"));
            let within = members.values().flat_map(references);
            own.map(str::to_owned).into_iter().chain(within).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// A reference to a component.
pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}
