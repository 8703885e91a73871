//! Filters of SCIM.

use gatewright_directory::scim::{
    Attributes, Filter,
    filter::{LONGEST, MOST_TERMS},
    schema::{RESOURCE_TYPES, USER},
};
use serde_json::json;

/// A filter that is taken is within its bounds and reads back from how it is written; what it means is the opposite of what its
/// negation means.
pub fn scim_filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(filter) = Filter::parse(text) else {
        return;
    };
    assert!(text.len() <= LONGEST);
    assert!(terms(&filter) <= MOST_TERMS);
    let written = filter.to_string();
    if written.len() <= LONGEST {
        assert_eq!(Filter::parse(&written).as_ref(), Ok(&filter), "{written}");
    }
    let negated = Filter::Not(Box::new(filter.clone()));
    for resource_type in RESOURCE_TYPES {
        let (bound, not) = (filter.bind(resource_type), negated.bind(resource_type));
        assert_eq!(bound.is_ok(), not.is_ok());
        if let (Ok(bound), Ok(not)) = (bound, not) {
            let ann = ann();
            assert_ne!(bound.matches(&ann), not.matches(&ann), "{written}");
            // What has to be so for it to hold is so where it holds.
            if std::ptr::eq(resource_type, &raw const USER) && bound.matches(&ann) {
                assert!(
                    bound
                        .required("userName")
                        .is_none_or(|name| name == "ann@example.com")
                );
                assert!(
                    bound
                        .required("externalId")
                        .is_none_or(|name| name == "X-1")
                );
            }
        }
    }
}

fn terms(filter: &Filter) -> usize {
    match filter {
        Filter::All(filters) | Filter::Any(filters) => filters.iter().map(terms).sum(),
        Filter::Not(filter) | Filter::Within(_, filter) => terms(filter),
        _ => 1,
    }
}

fn ann() -> Attributes {
    let ann = json!({
        "id": "1", "externalId": "X-1", "userName": "Ann@example.com", "active": true, "displayName": "Ann",
        "emails": [{"type": "work", "value": "ann@example.com", "primary": true}, {"type": "home", "value": "a@b.example"}],
        "meta": {"created": "2026-11-27T10:00:00Z"},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Sales"},
    });
    ann.as_object().cloned().expect("an object")
}
