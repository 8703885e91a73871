//! The description of the API (OpenAPI 3.1), made from its routes.

use axum::Json;
use http::Method;
use serde_json::{Map, Value, json};

use super::{
    endpoints::{Answers, Endpoint, endpoints},
    form::add,
};

/// What documents look like (JSON Schema, draft 2020-12).
const SCHEMAS: &str = include_str!("openapi/schemas.json");

/// The description.
pub(crate) fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoints() {
        let path = paths
            .entry(format!("/api/v1{}", endpoint.path))
            .or_insert_with(|| json!({ "parameters": of_path(&endpoint.path) }));
        let method = endpoint.method.as_str().to_ascii_lowercase();
        add(path, &method, operation(&endpoint));
    }
    // INVARIANT: the file is JSON; a test reads it.
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gatewright's admin API",
            "version": "1",
            "description": "What administrators read and change. Every change is decided by the policy engine, is in the audit log before it is made, and is in force once it is answered. Errors are problem details (RFC 9457).",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "Problem": {
                    "description": "It was not done. The last part of `type` is stable.",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                },
            },
            "securitySchemes": {
                "token": {
                    "type": "http", "scheme": "bearer",
                    "description": "An access token for the admin listener. On the local socket the kernel says who asks.",
                },
            },
        },
        "security": [{"token": []}, {}],
    })
}

pub(super) async fn show() -> Json<Value> {
    Json(document())
}

fn of_path(path: &str) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let mut schema = json!({"type": "string"});
            if name == "kind" {
                add(&mut schema, "enum", json!(["users", "groups", "agents"]));
            }
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        })
        .collect()
}

fn operation(endpoint: &Endpoint) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    let mut asks = |name: &str, schema: Value, description: &str| {
        parameters.push(
            json!({"name": name, "in": "query", "schema": schema, "description": description}),
        );
    };
    if matches!(endpoint.answers, Answers::Page(_)) {
        asks(
            "limit",
            json!({"type": "integer", "minimum": 1, "maximum": 500, "default": 100}),
            "How many at most",
        );
        asks(
            "cursor",
            json!({"type": "string"}),
            "`next` of the page before",
        );
    }
    for name in &endpoint.query {
        asks(
            name,
            json!({"type": "string"}),
            "Only those; one of these at a time in lists",
        );
    }
    if endpoint.is_conditional && endpoint.method != Method::GET {
        let mut conditions = vec![(
            "If-Match",
            "The ETag that the change was decided on, or `*`",
        )];
        if endpoint.method == Method::PUT {
            conditions.push(("If-None-Match", "`*`: only if there is none yet"));
        }
        for (name, description) in conditions {
            parameters.push(json!({
                "name": name, "in": "header", "schema": {"type": "string"}, "description": description,
            }));
        }
    }
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary,
        "responses": responses(endpoint),
    });
    if !parameters.is_empty() {
        add(&mut operation, "parameters", parameters);
    }
    if let Some(verb) = endpoint.verb {
        add(&mut operation, "x-gatewright-action", verb.name());
    }
    if let Some(schema) = endpoint.takes {
        let media = match endpoint.method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let body = json!({
            "required": schema != "PublishNote",
            "content": {media: {"schema": reference(schema)}},
        });
        add(&mut operation, "requestBody", body);
    }
    operation
}

fn responses(endpoint: &Endpoint) -> Value {
    let json = |schema: Value| json!({"application/json": {"schema": schema}});
    let (status, response) = match endpoint.answers {
        Answers::Nothing => ("204", json!({"description": "Done"})),
        Answers::One(schema) => (
            "200",
            json!({"description": "It", "content": json(reference(schema))}),
        ),
        Answers::Made(schema) => (
            "201",
            json!({"description": "Made", "content": json(reference(schema))}),
        ),
        Answers::Page(schema) => {
            let page = json!({
                "type": "object",
                "required": ["items"],
                "properties": {
                    "items": {"type": "array", "items": reference(schema)},
                    "next": {"type": "string", "description": "The cursor of the next page, if there is one"},
                },
            });
            (
                "200",
                json!({"description": "A page", "content": json(page)}),
            )
        }
        Answers::Lines => (
            "200",
            json!({"description": "A record a line", "content": {"application/x-ndjson": {"schema": {"type": "string"}}}}),
        ),
    };
    let mut all = json!({
        status: response,
        "default": {"$ref": "#/components/responses/Problem"},
    });
    if endpoint.method == Method::PUT && endpoint.is_conditional {
        add(
            &mut all,
            "201",
            json!({"description": "It was not there before"}),
        );
    }
    all
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

/// As `put-users-id`: one for each route.
fn operation_id(endpoint: &Endpoint) -> String {
    let path = endpoint.path.replace("/tenants/{tenant}/", "/");
    let words = path
        .split(['/', '{', '}', '.'])
        .filter(|word| !word.is_empty());
    let method = endpoint.method.as_str().to_ascii_lowercase();
    [method.as_str()]
        .into_iter()
        .chain(words)
        .collect::<Vec<_>>()
        .join("-")
}
