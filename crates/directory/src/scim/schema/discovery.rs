//! What the service says of itself (RFC 7643 §5 to §7, RFC 9865 §4).

use serde_json::{Map, Value, json};

use super::{
    Attribute, AttributeType, Mutability, RESOURCE_TYPES, ResourceType, Returned, Schema,
    Uniqueness,
};
use crate::scim::page;

/// The paths at which the service says what it is.
pub const ENDPOINTS: [&str; 3] = ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"];

const CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// Where the service is, as `https://gateway.example.com/scim/v2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location(String);

impl Location {
    /// At this URL, with or without a slash at its end.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self(url.trim_end_matches('/').to_owned())
    }

    /// The URI of a resource of a type.
    #[must_use]
    pub fn of(&self, resource_type: &ResourceType, id: &str) -> String {
        format!("{}{}/{id}", self.0, resource_type.endpoint)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

/// What the service can do. `bulk` is how many operations and bytes one bulk request can have.
#[must_use]
pub fn service_provider_config(location: &Location, bulk: (usize, usize)) -> Value {
    let (operations, bytes) = bulk;
    json!({
        "schemas": [CONFIG],
        "patch": {"supported": true},
        "bulk": {"supported": true, "maxOperations": operations, "maxPayloadSize": bytes},
        "filter": {"supported": true, "maxResults": page::LARGEST_PAGE},
        "changePassword": {"supported": false},
        "sort": {"supported": true},
        "etag": {"supported": true},
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": page::USUAL_PAGE,
            "maxPageSize": page::LARGEST_PAGE,
            "cursorTimeout": page::CURSOR_SECONDS,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token of the tenant, in the Authorization header (RFC 6750 §2.1)",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": location.at("/ServiceProviderConfig"),
        },
    })
}

/// Every type of resources, with its name.
#[must_use]
pub fn resource_types(location: &Location) -> Vec<(&'static str, Value)> {
    let of = |resource_type: &ResourceType| {
        let extensions: Vec<Value> = resource_type
            .extensions
            .iter()
            .map(|extension| json!({"schema": extension.id, "required": false}))
            .collect();
        json!({
            "schemas": [TYPE],
            "id": resource_type.name,
            "name": resource_type.name,
            "endpoint": resource_type.endpoint,
            "description": resource_type.description,
            "schema": resource_type.schema.id,
            "schemaExtensions": extensions,
            "meta": {
                "resourceType": "ResourceType",
                "location": location.at(&format!("/ResourceTypes/{}", resource_type.name)),
            },
        })
    };
    RESOURCE_TYPES
        .iter()
        .map(|resource_type| (resource_type.name, of(resource_type)))
        .collect()
}

/// Every schema, with its URN.
#[must_use]
pub fn schemas(location: &Location) -> Vec<(&'static str, Value)> {
    RESOURCE_TYPES
        .iter()
        .flat_map(|resource_type| {
            std::iter::once(resource_type.schema).chain(resource_type.extensions.iter().copied())
        })
        .map(|schema| (schema.id, document(schema, location)))
        .collect()
}

fn document(schema: &Schema, location: &Location) -> Value {
    json!({
        "schemas": [SCHEMA],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": schema.attributes.iter().map(attribute).collect::<Vec<_>>(),
        "meta": {
            "resourceType": "Schema",
            "location": location.at(&format!("/Schemas/{}", schema.id)),
        },
    })
}

fn attribute(attribute: &Attribute) -> Value {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("name", attribute.name.into());
    put("type", type_name(attribute.r#type).into());
    put("multiValued", attribute.multi_valued.into());
    put("description", attribute.description.into());
    put("required", attribute.required.into());
    put("mutability", mutability(attribute.mutability).into());
    put("returned", returned(attribute.returned).into());
    if attribute.r#type != AttributeType::Complex {
        put("caseExact", attribute.case_exact.into());
        put("uniqueness", uniqueness(attribute.uniqueness).into());
    }
    if !attribute.canonical_values.is_empty() {
        put("canonicalValues", attribute.canonical_values.into());
    }
    if attribute.r#type == AttributeType::Reference {
        put("referenceTypes", attribute.reference_types.into());
    }
    if attribute.r#type == AttributeType::Complex {
        let subs: Vec<Value> = attribute
            .sub_attributes
            .iter()
            .map(self::attribute)
            .collect();
        put("subAttributes", subs.into());
    }
    Value::Object(members)
}

const fn type_name(r#type: AttributeType) -> &'static str {
    match r#type {
        AttributeType::String => "string",
        AttributeType::Boolean => "boolean",
        AttributeType::Integer => "integer",
        AttributeType::DateTime => "dateTime",
        AttributeType::Binary => "binary",
        AttributeType::Reference => "reference",
        AttributeType::Complex => "complex",
    }
}

const fn mutability(mutability: Mutability) -> &'static str {
    match mutability {
        Mutability::ReadOnly => "readOnly",
        Mutability::ReadWrite => "readWrite",
        Mutability::Immutable => "immutable",
    }
}

const fn returned(returned: Returned) -> &'static str {
    match returned {
        Returned::Always => "always",
        Returned::Default => "default",
        Returned::Request => "request",
    }
}

const fn uniqueness(uniqueness: Uniqueness) -> &'static str {
    match uniqueness {
        Uniqueness::None => "none",
        Uniqueness::Server => "server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_of_every_type_is_there_once() {
        let location = Location::new("https://gw.example.com/scim/v2/");
        let schemas = schemas(&location);
        let types = resource_types(&location);
        assert_eq!((schemas.len(), types.len()), (4, 3));
        for (_, document) in types {
            let named = document.get("schema").and_then(Value::as_str).unwrap();
            assert!(schemas.iter().any(|(id, _)| *id == named), "{named}");
        }
        let (id, user) = &schemas[0];
        assert_eq!(
            user.pointer("/meta/location").unwrap(),
            &format!("https://gw.example.com/scim/v2/Schemas/{id}")
        );
    }

    #[test]
    fn no_schema_has_a_password() {
        let all = serde_json::to_string(
            &schemas(&Location::new("https://x.example"))
                .iter()
                .map(|(_, d)| d)
                .collect::<Vec<_>>(),
        )
        .unwrap();
        assert!(!all.to_lowercase().contains("password"));
    }

    #[test]
    fn an_attribute_has_what_rfc7643_7_asks_for() {
        let schemas = schemas(&Location::new("https://gw.example.com"));
        let user_name = schemas[0].1.pointer("/attributes/0").unwrap();
        assert_eq!(
            user_name,
            &json!({
                "name": "userName", "type": "string", "multiValued": false, "required": true,
                "description": "The name by which the person is known to the identity provider.",
                "caseExact": false, "mutability": "readWrite", "returned": "default", "uniqueness": "server",
            })
        );
    }
}
