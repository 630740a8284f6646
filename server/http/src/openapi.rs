//! `/openapi.json`: what is mounted, as OpenAPI 3.1, whose schemas are JSON Schema of draft 2020-12 like ours.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use descriptors::{access::Audience, route::HttpRoute};
use schemars::Schema;
use serde_json::{Map, Value, json};

use crate::{
    CSRF_TOKEN, SESSION_COOKIE,
    exposure::{Exposed, Routes},
    status,
};

const SCHEMAS: &str = "#/components/schemas/";

/// The document.
pub(crate) fn document(commands: &BTreeMap<&'static str, Exposed>, routes: &Routes) -> Value {
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for (id, command) in commands {
        hoist(&format!("{id}.input"), command.contract.input(), &mut schemas);
        hoist(&format!("{id}.output"), command.contract.output(), &mut schemas);
        let input = Input::of(command, &schemas);
        let operation = operation(command, id, 200, Vec::new(), Some(input.body(&[])));
        paths.insert(format!("/api/commands/{id}"), json!({ "get": shown(id), "post": operation }));
    }
    for methods in routes.values() {
        // Parameters of one path have one name here: the first route's.
        let Some((_, template)) = methods.values().next() else { continue };
        let operations = methods.iter().map(|(method, (command, route))| {
            (method.as_str().to_ascii_lowercase(), routed(command, *route, *template, &schemas))
        });
        paths.insert(template.path().to_owned(), operations.collect());
    }
    schemas.insert("Error".to_owned(), error());
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": "Chancery", "version": env!("CARGO_PKG_VERSION") },
        "paths": {},
        "components": {
            "schemas": {},
            "responses": responses(),
            "parameters": parameters(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": SESSION_COOKIE },
                "csrf": { "type": "apiKey", "in": "header", "name": CSRF_TOKEN.as_str() },
            },
        },
    });
    // Moved in: what is named in `json!` is copied.
    document["paths"] = paths.into();
    document["components"]["schemas"] = schemas.into();
    document
}

/// What a command takes and answers, for whoever may run it.
fn shown(id: &str) -> Value {
    let described = json!({
        "type": "object",
        "required": ["id", "summary", "routes", "input", "output"],
        "properties": { "id": { "const": id }, "summary": { "type": "string" }, "routes": { "type": "array" } },
    });
    let content = json!({ "application/json": { "schema": described } });
    let correlation = json!({ "$ref": "#/components/parameters/CorrelationId" });
    json!({
        "operationId": format!("{id}.0"),
        "summary": "Show this command: its routes, and the schemas of its input and output",
        "tags": ["commands"],
        "security": [{}, { "bearer": [] }],
        "parameters": [correlation],
        "responses": {
            "200": { "description": "The command.", "content": content },
            "default": { "$ref": "#/components/responses/OTHER" },
        },
    })
}

/// The operation of a command's own route.
fn routed(command: &Exposed, route: HttpRoute, template: HttpRoute, schemas: &Map<String, Value>) -> Value {
    let input = Input::of(command, schemas);
    let in_path: Vec<_> = route.parameters().collect();
    let mut parameters: Vec<_> = in_path
        .iter()
        .zip(template.parameters())
        .map(|(field, name)| json!({ "name": name, "in": "path", "required": true, "schema": input.field(field) }))
        .collect();
    let body = if route.method().has_body() {
        Some(input.body(&in_path))
    } else {
        // `tenant` in a query names the tenant of the call.
        let queried = input.fields().filter(|name| *name != "tenant" && !in_path.contains(name));
        parameters.extend(queried.map(|name| {
            json!({ "name": name, "in": "query", "required": input.requires(name), "schema": input.field(name) })
        }));
        None
    };
    let place = 1 + command.routes().take_while(|other| *other != route).count();
    operation(command, &format!("{}.{place}", command.id()), route.status(), parameters, body)
}

fn operation(
    command: &Exposed,
    operation_id: &str,
    success: u16,
    parameters: Vec<Value>,
    body: Option<Value>,
) -> Value {
    let id = command.id();
    let common = ["Tenant", "IdempotencyKey", "CorrelationId", "Traceparent"];
    let common = common.map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }));
    let answer = json!({ "application/json": { "schema": { "$ref": format!("{SCHEMAS}{id}.output") } } });
    let mut responses = Map::new();
    responses
        .insert(success.to_string(), json!({ "description": "The command's answer.", "content": answer }));
    for (category, status, _) in status::TABLE {
        let response = json!({ "$ref": format!("#/components/responses/{}", category.as_str()) });
        responses.insert(status.as_str().to_owned(), response);
    }
    responses.insert("default".to_owned(), json!({ "$ref": "#/components/responses/OTHER" }));
    let (bearer, session) = (json!({ "bearer": [] }), json!({ "session": [], "csrf": [] }));
    let security = match command.access.audience() {
        Audience::Public => vec![json!({}), bearer, session],
        _ => vec![bearer, session],
    };
    let mut operation = json!({
        "operationId": operation_id,
        "summary": command.contract.summary(),
        "tags": [id.module()],
        "security": security,
        "parameters": parameters.into_iter().chain(common).collect::<Vec<_>>(),
        "responses": responses,
    });
    if let Some(body) = body {
        operation["requestBody"] = body;
    }
    operation
}

/// The schema of an input, as it stands among the document's.
struct Input<'s> {
    name: String,
    schema: &'s Value,
}

impl<'s> Input<'s> {
    fn of(command: &Exposed, schemas: &'s Map<String, Value>) -> Self {
        let name = format!("{}.input", command.id());
        let schema = schemas.get(&name).expect("the schema of every command is hoisted first");
        Self { name, schema }
    }

    fn fields(&self) -> impl Iterator<Item = &'s str> {
        self.schema["properties"].as_object().into_iter().flat_map(Map::keys).map(String::as_str)
    }

    fn field(&self, name: &str) -> Value {
        self.schema["properties"].get(name).cloned().unwrap_or_else(|| json!({}))
    }

    fn requires(&self, name: &str) -> bool {
        self.schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name))
    }

    /// The request body that carries all fields but these.
    fn body(&self, elsewhere: &[&str]) -> Value {
        let required = self.fields().any(|name| self.requires(name) && !elsewhere.contains(&name));
        let schema = if elsewhere.is_empty() {
            json!({ "$ref": format!("{SCHEMAS}{}", self.name) })
        } else {
            self.without(elsewhere)
        };
        json!({ "required": required, "content": { "application/json": { "schema": schema } } })
    }

    fn without(&self, elsewhere: &[&str]) -> Value {
        let mut schema = self.schema.clone();
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|name, _| !elsewhere.contains(&name.as_str()));
        }
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| !elsewhere.iter().any(|other| name == other));
        }
        schema
    }
}

/// Puts a schema among the document's under `name`, and its definitions beside it under names that begin so.
fn hoist(name: &str, schema: Schema, schemas: &mut Map<String, Value>) {
    let mut schema = schema.to_value();
    let definitions = schema.as_object_mut().and_then(|schema| {
        schema.remove("$schema");
        schema.remove("$defs")
    });
    refer(&mut schema, name);
    schemas.insert(name.to_owned(), schema);
    let Some(Value::Object(definitions)) = definitions else { return };
    for (definition, mut schema) in definitions {
        refer(&mut schema, name);
        schemas.insert(hoisted(name, &definition), schema);
    }
}

/// Lets references within a schema find what was hoisted out of it.
fn refer(schema: &mut Value, name: &str) {
    match schema {
        Value::Object(keywords) => {
            if let Some(Value::String(reference)) = keywords.get_mut("$ref") {
                if reference == "#" {
                    *reference = format!("{SCHEMAS}{name}");
                } else if let Some(definition) = reference.strip_prefix("#/$defs/") {
                    let definition = definition.replace("~1", "/").replace("~0", "~");
                    *reference = format!("{SCHEMAS}{}", hoisted(name, &definition));
                }
            }
            keywords.values_mut().for_each(|value| refer(value, name));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| refer(item, name)),
        _ => {}
    }
}

/// A name as OpenAPI allows it: `^[a-zA-Z0-9._-]+$`.
fn hoisted(name: &str, definition: &str) -> String {
    let allowed =
        |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' };
    format!("{name}.{}", definition.chars().map(allowed).collect::<String>())
}

fn responses() -> Value {
    let content = json!({ "application/json": { "schema": { "$ref": format!("{SCHEMAS}Error") } } });
    let header = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    let listed = status::TABLE.iter().map(|(category, status, description)| {
        let mut response = json!({ "description": description, "content": content });
        match *status {
            StatusCode::UNAUTHORIZED => {
                response["headers"]["WWW-Authenticate"] = header("The challenge of RFC 6750 and RFC 9470.");
            }
            StatusCode::TOO_MANY_REQUESTS => {
                response["headers"]["Retry-After"] = header("Seconds to wait.");
            }
            _ => {}
        }
        (category.as_str().to_owned(), response)
    });
    let other = json!({ "description": "Any other failure, in the same form.", "content": content });
    listed.chain([("OTHER".to_owned(), other)]).collect()
}

fn parameters() -> Value {
    let parameter = |place: &str, name: &str, description: &str, pattern: &str| {
        let schema = json!({ "type": "string", "pattern": pattern });
        json!({ "name": name, "in": place, "description": description, "schema": schema })
    };
    // A malformed `traceparent` is no error, as the standard says.
    let anything = ".*";
    json!({
        "Tenant": parameter("query", "tenant", "The slug of the tenant to act for; needs the permission `tenants.act`.", "^(?!.*--)[a-z][a-z0-9-]{0,62}$"),
        "IdempotencyKey": parameter("header", "Idempotency-Key", "Calls with the same key are the same call.", "^[!-~]{1,255}$"),
        "CorrelationId": parameter("header", "x-correlation-id", "Ties together what this request causes; in every answer.", "^[!-~]{1,128}$"),
        "Traceparent": parameter("header", "traceparent", "The trace of W3C Trace Context that the call belongs to.", anything),
    })
}

fn error() -> Value {
    let text = json!({ "type": "string" });
    let categories = status::TABLE.map(|(category, ..)| category.as_str());
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "message", "category", "correlationId", "details"],
            "properties": {
                "code": text,
                "message": text,
                "category": { "type": "string", "enum": categories },
                "correlationId": text,
                "details": { "type": "object" },
            },
        }},
    })
}
