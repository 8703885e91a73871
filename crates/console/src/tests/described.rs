use std::collections::BTreeSet;

use gatewright_directory::{model::Document, records::Kind};

use super::*;
use crate::api::{COLLECTIONS, endpoints, openapi};

#[test]
fn the_description_is_what_it_was() {
    insta::assert_json_snapshot!("openapi", openapi());
}

#[tokio::test]
async fn it_is_served_and_needs_somebody_who_asks_nothing_more() {
    let bed = Bed::new().await;
    let served = bed.get(&Who::Root, "/openapi.json").await.is(200);
    assert_eq!(served.body, openapi());
    assert_eq!(served.body["openapi"], "3.1.0");
}

#[test]
fn every_route_is_described_once_and_what_it_refers_to_is_there() {
    let document = openapi();
    let mut operations = 0;
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let named = path.matches('{').count();
        assert_eq!(
            item["parameters"].as_array().unwrap().len(),
            named,
            "{path}"
        );
        for (method, operation) in item.as_object().unwrap() {
            if method == "parameters" {
                continue;
            }
            operations += 1;
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id}");
        }
    }
    assert_eq!(operations, endpoints().len());
    let text = document.to_string();
    for reference in text.split("\"#/components/").skip(1) {
        let place = reference.split('"').next().unwrap();
        assert!(
            !document
                .pointer(&format!("/components/{place}"))
                .unwrap_or(&Value::Null)
                .is_null(),
            "{place}"
        );
    }
    for endpoint in endpoints() {
        let open = endpoint.path == "/openapi.json";
        assert_eq!(endpoint.verb.is_none(), open, "{}", endpoint.path);
    }
}

/// With every member that there is.
fn whole(kind: Kind) -> Value {
    let identity = json!([{"issuer": IDP, "subject": "x"}]);
    match kind {
        Kind::Tenant => {
            json!({"title": "t", "disabled": true, "create_people_on_sight": true, "api_keys_for_people": true})
        }
        Kind::User => {
            json!({"user_name": "a", "display_name": "A", "external_id": "e", "active": true,
            "disabled": {"reason": "r", "at": 1}, "identities": identity,
            "invited": {"email": "a@a.example", "expires": 1}, "origin": "scim", "attributes": {"a": 1}})
        }
        Kind::Group => {
            json!({"display_name": "g", "external_id": "e", "origin": "scim", "attributes": {"a": 1}})
        }
        Kind::Agent => {
            json!({"name": "a", "external_id": "e", "owner": "o", "purpose": "p", "expires": 1, "status": "active",
            "origin": "scim", "identities": identity})
        }
        Kind::Role => json!({"name": "r", "description": "d", "inherits": ["x"],
            "permissions": [{"servers": ["*"]}], "admin": [{"actions": ["*"]}]}),
        Kind::Grant => {
            json!({"role": "r", "to": {"user": "u"}, "over": {"server": "s"}, "expires": 1, "reason": "r"})
        }
        Kind::Server => json!({"disabled": true, "env": {"A": "b"}}),
        Kind::VirtualServer => json!({"title": "t", "parts": [{"server": "s"}]}),
        Kind::Issuer => {
            json!({"issuer": IDP, "scim_attribute": "externalId", "email_domains": ["a.example"]})
        }
        Kind::ScimToken => {
            json!({"name": "n", "digest": "d", "scopes": ["users:read"], "created_at": 1, "expires_at": 1})
        }
        Kind::Policies => {
            json!({"files": {}, "note": "n", "by": "b", "base": "v0001", "at": 1, "drafted_by": identity})
        }
        _ => json!({}),
    }
}

#[test]
fn schemas_have_what_documents_have() {
    let document = openapi();
    let schemas = COLLECTIONS
        .iter()
        .map(|collection| (collection.kind, collection.schema));
    for (kind, schema) in schemas.chain([(Kind::Tenant, "Tenant"), (Kind::Policies, "Policies")]) {
        // Strict forms take all of these, so that each is a member that there is.
        let read = Document::parse(kind, &"r".into(), &whole(kind).to_string()).unwrap();
        let properties = &document["components"]["schemas"][schema]["properties"];
        let written = read.to_value();
        for name in written
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| *name != "digest")
        {
            assert!(properties.get(name).is_some(), "{schema} lacks {name}");
        }
        let own = properties.as_object().unwrap().keys();
        for name in own.filter(|name| !["id", "meta", "built_in"].contains(&name.as_str())) {
            assert!(
                written.get(name).is_some(),
                "{schema} has {name}, which is none"
            );
        }
    }
}
