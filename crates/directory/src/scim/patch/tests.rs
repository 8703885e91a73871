use std::borrow::Borrow;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    model::MemberKind,
    scim::schema::{GROUP, USER},
};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn ann() -> Value {
    json!({
        "userName": "ann",
        "active": true,
        "name": {"givenName": "Ann", "familyName": "Smith"},
        "emails": [
            {"type": "work", "value": "ann@work", "primary": true},
            {"type": "home", "value": "ann@home"},
        ],
        ENTERPRISE: {"department": "Sales", "manager": {"value": "m1"}},
    })
}

fn patch_of(operations: &Value) -> Value {
    json!({"schemas": [SCHEMA], "Operations": operations})
}

fn patched(resource: &Value, operations: &Value) -> Result<Value, ScimError> {
    let patch = Patch::parse(&USER, &patch_of(operations))?;
    let mut resource = resource.as_object().unwrap().clone();
    patch.apply("u1", &mut resource, &[])?;
    Ok(Value::Object(resource))
}

/// What of Ann differs after these operations.
fn after(operations: impl Borrow<Value>, expected: impl Borrow<Value>) {
    let (operations, expected) = (operations.borrow(), expected.borrow());
    let shown = operations.to_string();
    let found = patched(&ann(), operations).unwrap_or_else(|error| panic!("{shown}: {error}"));
    let mut wanted = ann();
    for (name, value) in expected.as_object().unwrap() {
        match value {
            Value::Null => wanted.as_object_mut().unwrap().remove(name),
            value => wanted
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    assert_eq!(found, wanted, "{shown}");
}

fn refused(operations: impl Borrow<Value>, expected: ScimType) {
    let shown = operations.borrow().to_string();
    let error = patched(&ann(), operations.borrow()).expect_err(&shown);
    assert_eq!(error.scim_type(), Some(expected), "{shown}");
}

fn one(op: &str, path: &str, value: impl Borrow<Value>) -> Value {
    json!([{"op": op, "path": path, "value": value.borrow()}])
}

#[test]
fn add_does_what_rfc7644_3_5_2_1_says() {
    after(one("add", "title", json!("Dr")), json!({"title": "Dr"}));
    after(one("add", "active", json!(false)), json!({"active": false}));
    after(
        one(
            "add",
            "name",
            json!({"middleName": "B", "givenName": "Anna"}),
        ),
        json!({"name": {"givenName": "Anna", "familyName": "Smith", "middleName": "B"}}),
    );
    after(
        json!([{"op": "add", "value": {"nickName": "A", "emails": [{"type": "other", "value": "ann@other"}]}}]),
        json!({"nickName": "A", "emails": [
            {"type": "work", "value": "ann@work", "primary": true},
            {"type": "home", "value": "ann@home"},
            {"type": "other", "value": "ann@other"},
        ]}),
    );
    // What is there already is not there twice.
    after(
        one(
            "add",
            "emails",
            json!([{"type": "home", "value": "ann@home"}]),
        ),
        json!({}),
    );
    // Of preferred values there is one, and the new one is it.
    after(
        one("add", "emails", json!({"value": "new@x", "primary": true})),
        json!({"emails": [
            {"type": "work", "value": "ann@work", "primary": false},
            {"type": "home", "value": "ann@home"},
            {"value": "new@x", "primary": true},
        ]}),
    );
    after(
        one("add", r#"emails[type eq "home"].primary"#, json!(true)),
        json!({"emails": [
            {"type": "work", "value": "ann@work", "primary": false},
            {"type": "home", "value": "ann@home", "primary": true},
        ]}),
    );
    after(
        one("add", &format!("{ENTERPRISE}:costCenter"), json!("42")),
        json!({ENTERPRISE: {"department": "Sales", "costCenter": "42", "manager": {"value": "m1"}}}),
    );
    after(
        one("add", ENTERPRISE, json!({"division": "D"})),
        json!({ENTERPRISE: {"department": "Sales", "division": "D", "manager": {"value": "m1"}}}),
    );
}

#[test]
fn replace_does_what_rfc7644_3_5_2_3_says() {
    after(
        one("replace", "userName", json!("anna")),
        json!({"userName": "anna"}),
    );
    after(one("replace", "title", json!("Dr")), json!({"title": "Dr"}));
    after(
        one("replace", "emails", json!([{"value": "x@x"}])),
        json!({"emails": [{"value": "x@x"}]}),
    );
    after(one("replace", "emails", json!([])), json!({"emails": null}));
    after(
        one(
            "replace",
            r#"emails[type eq "work"]"#,
            json!({"type": "work", "value": "new@work"}),
        ),
        json!({"emails": [{"type": "work", "value": "new@work"}, {"type": "home", "value": "ann@home"}]}),
    );
    after(
        one(
            "replace",
            r#"emails[type eq "work"].value"#,
            json!("new@work"),
        ),
        json!({"emails": [
            {"type": "work", "value": "new@work", "primary": true},
            {"type": "home", "value": "ann@home"},
        ]}),
    );
    after(
        json!([{"op": "replace", "value": {"displayName": "A", "name": {"givenName": "A"}}}]),
        json!({"displayName": "A", "name": {"givenName": "A", "familyName": "Smith"}}),
    );
    after(
        one("replace", "name.familyName", json!(null)),
        json!({"name": {"givenName": "Ann"}}),
    );
    refused(
        one("replace", r#"emails[type eq "fax"]"#, json!({"value": "x"})),
        ScimType::NoTarget,
    );
    refused(
        one("replace", r#"emails[value co "z"].value"#, json!("x")),
        ScimType::NoTarget,
    );
}

#[test]
fn remove_does_what_rfc7644_3_5_2_2_says() {
    let remove = |path: &str| json!([{"op": "remove", "path": path}]);
    after(remove("emails"), json!({"emails": null}));
    after(remove("nickName"), json!({}));
    after(
        remove("name.givenName"),
        json!({"name": {"familyName": "Smith"}}),
    );
    after(
        remove(r#"emails[type eq "work" and value ew "@work"]"#),
        json!({"emails": [{"type": "home", "value": "ann@home"}]}),
    );
    after(remove(r#"emails[type eq "fax"]"#), json!({}));
    // A value that has nothing left but its labels is gone.
    after(
        remove(r#"emails[type eq "home"].value"#),
        json!({"emails": [
            {"type": "work", "value": "ann@work", "primary": true},
        ]}),
    );
    after(remove(ENTERPRISE), json!({ENTERPRISE: null}));
    after(
        json!([
            {"op": "remove", "path": format!("{ENTERPRISE}:department")},
            {"op": "remove", "path": format!("{ENTERPRISE}:manager")},
        ]),
        json!({ENTERPRISE: null}),
    );
    after(
        one("remove", "emails", json!([{"value": "ann@home"}])),
        json!({"emails": [{"type": "work", "value": "ann@work", "primary": true}]}),
    );
    refused(remove("userName"), ScimType::Mutability);
    refused(json!([{"op": "remove"}]), ScimType::NoTarget);
}

#[test]
fn what_entra_id_writes_differently_is_understood() {
    after(
        one("Replace", "active", json!("False")),
        json!({"active": false}),
    );
    after(
        one("Replace", "active", json!([{"value": "False"}])),
        json!({"active": false}),
    );
    after(
        one("Add", r#"emails[type eq "home"].primary"#, json!("True")),
        json!({"emails": [
            {"type": "work", "value": "ann@work", "primary": false},
            {"type": "home", "value": "ann@home", "primary": true},
        ]}),
    );
    for op in ["Add", "Replace"] {
        after(
            one(op, r#"phoneNumbers[type eq "mobile"].value"#, json!("555")),
            json!({"phoneNumbers": [{"type": "mobile", "value": "555"}]}),
        );
        after(
            one(
                op,
                r#"addresses[type eq "work"].streetAddress"#,
                json!("Main St"),
            ),
            json!({"addresses": [{"type": "work", "streetAddress": "Main St"}]}),
        );
        after(
            one(op, &format!("{ENTERPRISE}:manager"), json!("m2")),
            json!({ENTERPRISE: {"department": "Sales", "manager": {"value": "m2"}}}),
        );
        after(
            one(
                op,
                &format!("{ENTERPRISE}:manager"),
                json!([{"$ref": "../Users/m2", "value": "m2"}]),
            ),
            json!({ENTERPRISE: {"department": "Sales", "manager": {"value": "m2"}}}),
        );
    }
    after(
        json!([{"op": "Replace", "value": {
            "displayName": "A",
            "name.givenName": "Anna",
            r#"emails[type eq "work"].value"#: "new@work",
            (format!("{ENTERPRISE}:department")): "IT",
        }}]),
        json!({
            "displayName": "A",
            "name": {"givenName": "Anna", "familyName": "Smith"},
            "emails": [
                {"type": "work", "value": "new@work", "primary": true},
                {"type": "home", "value": "ann@home"},
            ],
            ENTERPRISE: {"department": "IT", "manager": {"value": "m1"}},
        }),
    );
    after(
        json!([{"op": "Add", "value": {ENTERPRISE: {"department": "IT", "manager": "m2"}}}]),
        json!({ENTERPRISE: {"department": "IT", "manager": {"value": "m2"}}}),
    );
    // What is removed is not written instead.
    after(
        one(
            "Remove",
            r#"emails[type eq "home"].value"#,
            json!("other@home"),
        ),
        json!({"emails": [
            {"type": "work", "value": "ann@work", "primary": true},
        ]}),
    );
    // The members of the message in another case.
    let body = json!({"schemas": [SCHEMA], "operations": [{"OP": "Replace", "Path": "active", "Value": false}]});
    let patch = Patch::parse(&USER, &body).unwrap();
    let mut resource = ann().as_object().unwrap().clone();
    patch.apply("u1", &mut resource, &[]).unwrap();
    assert_eq!(resource["active"], json!(false));
}

#[test]
fn what_okta_writes_differently_is_understood() {
    after(
        json!([{"op": "replace", "value": {"active": false}}]),
        json!({"active": false}),
    );
    after(
        json!([{"op": "replace", "value": {"id": "u1", "displayName": "A", "schemas": ["x"]}}]),
        json!({"displayName": "A"}),
    );
    refused(
        json!([{"op": "replace", "value": {"id": "u2", "displayName": "A"}}]),
        ScimType::Mutability,
    );
}

#[test]
fn what_is_read_only_is_not_changed() {
    for op in ["add", "replace", "remove"] {
        for path in [
            "id",
            "meta",
            "meta.created",
            "groups",
            "groups.value",
            "schemas",
            r#"groups[value eq "g"]"#,
        ] {
            refused(one(op, path, json!("x")), ScimType::Mutability);
        }
        refused(
            one(op, &format!("{ENTERPRISE}:manager.displayName"), json!("x")),
            ScimType::Mutability,
        );
    }
    refused(
        json!([{"op": "add", "value": {"groups": [{"value": "g"}]}}]),
        ScimType::Mutability,
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    refused(one("add", "shoeSize", json!(38)), ScimType::InvalidPath);
    refused(one("add", "password", json!("x")), ScimType::InvalidPath);
    refused(one("move", "title", json!("x")), ScimType::InvalidSyntax);
    refused(
        json!([{"path": "title", "value": "x"}]),
        ScimType::InvalidSyntax,
    );
    refused(
        json!([{"op": "add", "path": 5, "value": "x"}]),
        ScimType::InvalidPath,
    );
    refused(
        json!([{"op": "add", "path": "title"}]),
        ScimType::InvalidValue,
    );
    refused(json!([{"op": "add", "value": "x"}]), ScimType::InvalidValue);
    refused(
        json!([{"op": "replace", "value": ["x"]}]),
        ScimType::InvalidValue,
    );
    refused(
        one("replace", "active", json!("maybe")),
        ScimType::InvalidValue,
    );
    refused(
        one("replace", "title", json!({"a": 1})),
        ScimType::InvalidValue,
    );
    refused(
        one("replace", "title", json!("a".repeat(1 << 20))),
        ScimType::InvalidValue,
    );
    refused(
        one("replace", "userName", json!(null)),
        ScimType::Mutability,
    );
    refused(one("add", ENTERPRISE, json!("x")), ScimType::InvalidValue);
    refused(
        one(
            "replace",
            "emails",
            json!([
                {"value": "a", "primary": true}, {"value": "b", "primary": true},
            ]),
        ),
        ScimType::InvalidValue,
    );
    refused(json!([]), ScimType::InvalidSyntax);
    let many = vec![json!({"op": "add", "path": "title", "value": "x"}); MOST_OPERATIONS + 1];
    refused(json!(many), ScimType::TooMany);
    for body in [
        json!([]),
        json!({}),
        json!({"Operations": []}),
        json!({"schemas": ["x"], "Operations": [{}]}),
    ] {
        assert!(Patch::parse(&USER, &body).is_err(), "{body}");
    }
    // As many values as are allowed, and one more in a later operation.
    let emails: Vec<Value> = (0..100)
        .map(|n| json!({"value": format!("{n}@x")}))
        .collect();
    refused(
        json!([
            {"op": "replace", "path": "emails", "value": emails},
            {"op": "add", "path": "emails", "value": [{"value": "more@x"}]},
        ]),
        ScimType::InvalidValue,
    );
}

fn edits(operations: impl Borrow<Value>, present: &[Member]) -> Result<MemberEdits, ScimError> {
    let patch = Patch::parse(&GROUP, &patch_of(operations.borrow()))?;
    assert_eq!(patch.needs_members(), !present.is_empty());
    let mut group = json!({"displayName": "g"}).as_object().unwrap().clone();
    patch.apply("g1", &mut group, present)
}

fn edited(add: &[&str], remove: &[&str], clear: bool) -> MemberEdits {
    MemberEdits {
        clear,
        add: add.iter().map(|id| ((*id).to_owned(), None)).collect(),
        remove: remove.iter().map(|id| (*id).to_owned()).collect(),
    }
}

#[test]
fn members_come_out_as_edits() {
    for (operations, expected) in [
        // Entra ID
        (
            one(
                "Add",
                "members",
                json!([{"$ref": null, "value": "a"}, {"$ref": null, "value": "b"}]),
            ),
            edited(&["a", "b"], &[], false),
        ),
        (
            one("Remove", "members", json!([{"$ref": null, "value": "a"}])),
            edited(&[], &["a"], false),
        ),
        (
            json!([{"op": "Remove", "path": r#"members[value eq "a"]"#}]),
            edited(&[], &["a"], false),
        ),
        // Okta
        (
            one(
                "replace",
                "members",
                json!([{"value": "a", "display": "Ann"}]),
            ),
            edited(&["a"], &[], true),
        ),
        (
            json!([
                {"op": "remove", "path": r#"members[value eq "a"]"#},
                {"op": "add", "path": "members", "value": [{"value": "b", "display": "Bob"}]},
            ]),
            edited(&["b"], &["a"], false),
        ),
        (
            json!([{"op": "replace", "value": {"id": "g1", "displayName": "new"}}]),
            edited(&[], &[], false),
        ),
        // All, and none
        (
            json!([{"op": "remove", "path": "members"}]),
            edited(&[], &[], true),
        ),
        (one("replace", "members", json!([])), edited(&[], &[], true)),
        (one("remove", "members", json!([])), edited(&[], &[], false)),
        (
            json!([{"op": "remove", "path": r#"members[value eq "a" or value eq "b"]"#}]),
            edited(&[], &["a", "b"], false),
        ),
        // The later operation counts.
        (
            json!([
                {"op": "add", "path": "members", "value": [{"value": "a"}, {"value": "b"}]},
                {"op": "remove", "path": "members", "value": [{"value": "a"}]},
            ]),
            edited(&["b"], &["a"], false),
        ),
        (
            json!([
                {"op": "remove", "path": "members"},
                {"op": "add", "path": "members", "value": {"value": "a"}},
                {"op": "remove", "path": "members", "value": {"value": "b"}},
            ]),
            edited(&["a"], &[], true),
        ),
        (
            json!([
                {"op": "remove", "path": "members", "value": [{"value": "a"}]},
                {"op": "add", "path": "members", "value": [{"value": "a"}]},
            ]),
            edited(&["a"], &[], false),
        ),
        (
            json!([{"op": "add", "value": {"members": [{"value": "a"}]}}]),
            edited(&["a"], &[], false),
        ),
    ] {
        let shown = operations.to_string();
        assert_eq!(edits(operations, &[]).unwrap(), expected, "{shown}");
    }
}

#[test]
fn members_are_of_a_kind_where_it_is_said() {
    let added = edits(
        one(
            "add",
            "members",
            json!([
                {"value": "a", "type": "user"},
                {"value": "b", "$ref": "https://gw.example.com/scim/v2/Groups/b"},
                {"value": "c", "$ref": "../Agents/c"},
                {"value": "d", "$ref": "https://other.example/d"},
            ]),
        ),
        &[],
    )
    .unwrap();
    let kinds: Vec<_> = added.add.values().copied().collect();
    assert_eq!(
        kinds,
        [
            Some(MemberKind::User),
            Some(MemberKind::Group),
            Some(MemberKind::Agent),
            None
        ]
    );
    assert!(
        edits(
            one("add", "members", json!([{"value": "a", "type": "Robot"}])),
            &[]
        )
        .is_err()
    );
}

#[test]
fn members_that_are_chosen_by_something_else_are_looked_at() {
    let member = |id: &str, kind| Member {
        id: id.to_owned(),
        kind: Some(kind),
    };
    let present = [
        member("a", MemberKind::User),
        member("b", MemberKind::Group),
        member("c", MemberKind::User),
    ];
    let removed = edits(
        json!([
            {"op": "remove", "path": r#"members[value eq "c"]"#},
            {"op": "remove", "path": r#"members[type eq "User"]"#},
        ]),
        &present,
    );
    assert_eq!(removed.unwrap(), edited(&[], &["a", "c"], false));
}

#[test]
fn a_member_is_not_changed_in_place() {
    for operations in [
        one("replace", r#"members[value eq "a"].value"#, json!("b")),
        one("replace", r#"members[value eq "a"]"#, json!({"value": "b"})),
        one("add", r#"members[value eq "a"].type"#, json!("Group")),
        json!([{"op": "remove", "path": "members.value"}]),
    ] {
        let shown = operations.to_string();
        let error = edits(operations, &[]).expect_err(&shown);
        assert_eq!(error.scim_type(), Some(ScimType::Mutability), "{shown}");
    }
    assert!(edits(one("add", "members", json!([{"type": "User"}])), &[]).is_err());
    assert!(edits(one("add", "members", json!([5])), &[]).is_err());
}

fn operation() -> impl Strategy<Value = Value> {
    let path = prop::sample::select(vec![
        "userName",
        "title",
        "active",
        "name",
        "name.givenName",
        "emails",
        "emails.value",
        r#"emails[type eq "work"]"#,
        r#"emails[type eq "work"].value"#,
        r#"emails[not (value pr)].primary"#,
        ENTERPRISE,
        "x509Certificates",
        "profileUrl",
    ]);
    let value = prop::sample::select(vec![
        json!("x"),
        json!(null),
        json!(true),
        json!("True"),
        json!([]),
        json!({}),
        json!({"value": "v", "primary": true}),
        json!([{"value": "v"}, {"value": "w", "primary": true}]),
        json!({"givenName": "A"}),
        json!({"manager": "m"}),
        json!(5),
        json!("https://x.example"),
        json!("AAAA"),
    ]);
    let op = prop::sample::select(vec!["add", "Replace", "remove"]);
    (op, path, value).prop_map(|(op, path, value)| json!({"op": op, "path": path, "value": value}))
}

proptest! {
    #[test]
    fn what_was_valid_is_so_after_any_patch_that_is_taken(operations in prop::collection::vec(operation(), 1..6)) {
        if let Ok(found) = patched(&ann(), &json!(operations)) {
            let mut document = found.clone();
            document["schemas"] = json!([USER.schema.id]);
            let kept = validate::canonical(&USER, &document).map(Value::Object);
            prop_assert_eq!(kept, Ok(found));
        }
    }

    #[test]
    fn members_after_edits_are_those_of_the_operations_one_by_one(
        steps in prop::collection::vec((0_usize..4, prop::collection::vec(0_u8..6, 0..4)), 1..8),
        before in prop::collection::btree_set(0_u8..6, 0..6),
    ) {
        let mut expected = before.clone();
        let mut operations = Vec::new();
        for (step, ids) in &steps {
            let value: Vec<Value> = ids.iter().map(|id| json!({"value": id.to_string()})).collect();
            match step {
                0 => { expected.extend(ids); operations.push(json!({"op": "add", "path": "members", "value": value})); }
                1 => {
                    expected.retain(|id| !ids.contains(id));
                    operations.push(json!({"op": "remove", "path": "members", "value": value}));
                }
                2 => {
                    expected = ids.iter().copied().collect();
                    operations.push(json!({"op": "replace", "path": "members", "value": value}));
                }
                _ => { expected.clear(); operations.push(json!({"op": "remove", "path": "members"})); }
            }
        }
        let found = edits(json!(operations), &[]).unwrap();
        let mut after: std::collections::BTreeSet<String> = if found.clear {
            std::collections::BTreeSet::new()
        } else {
            before.iter().map(u8::to_string).filter(|id| !found.remove.contains(id)).collect()
        };
        after.extend(found.add.into_keys());
        prop_assert_eq!(after, expected.iter().map(u8::to_string).collect());
    }
}
