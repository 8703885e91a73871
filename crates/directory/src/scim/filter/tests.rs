use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::scim::{
    Attributes,
    schema::{GROUP, USER},
};

fn ann() -> Attributes {
    let ann = json!({
        "id": "2819c223",
        "externalId": "Ann-1",
        "userName": "Ann@Example.com",
        "name": {"familyName": "O'Malley", "givenName": "Ann"},
        "title": "",
        "active": true,
        "emails": [
            {"type": "work", "value": "ann@example.com", "primary": true},
            {"type": "home", "value": "ann@home.example"},
        ],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "department": "Sales", "manager": {"value": "26118915"},
        },
        "meta": {"resourceType": "User", "lastModified": "2026-11-27T10:00:00Z"},
    });
    ann.as_object().unwrap().clone()
}

fn fits(filter: &str) -> bool {
    let parsed = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    let bound = parsed
        .bind(&USER)
        .unwrap_or_else(|error| panic!("{filter}: {error}"));
    bound.matches(&ann())
}

fn refused(filter: &str) {
    let outcome = Filter::parse(filter).and_then(|filter| filter.bind(&USER));
    let error = outcome.expect_err(filter);
    assert_eq!(error.scim_type(), Some(ScimType::InvalidFilter), "{filter}");
}

#[test]
fn each_operator_does_what_rfc7644_3_4_2_2_says() {
    for filter in [
        r#"userName eq "ann@example.com""#,
        r#"USERNAME EQ "ANN@EXAMPLE.COM""#,
        r#"userName ne "bob""#,
        r#"nickName ne "bob""#,
        r#"name.familyName co "O'Mal""#,
        r#"userName sw "ann@""#,
        r#"userName ew ".COM""#,
        r#"userName gt "ann""#,
        r#"userName ge "ann@example.com""#,
        r#"userName lt "b""#,
        r#"userName le "ann@example.com""#,
        "active eq true",
        "active ne false",
        r#"active eq "True""#,
        "active eq True",
        "userName pr",
        "emails pr",
        "nickName eq null",
        "userName ne null",
        r#"id eq "2819c223""#,
        r#"emails eq "ann@home.example""#,
        r#"emails.type eq "home""#,
        r#"meta.lastModified gt "2026-11-27T09:00:00Z""#,
        r#"meta.lastModified eq "2026-11-27T11:00:00+01:00""#,
        r#"meta.lastModified ne "2026-11-27T11:00:00Z""#,
        r#"meta.lastModified sw "2026""#,
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "A""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "sales""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:user:manager eq "26118915""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value pr"#,
    ] {
        assert!(fits(filter), "{filter}");
    }
    for filter in [
        r#"userName eq "bob""#,
        r#"userName ne "ANN@example.com""#,
        // `externalId` and `id` are compared exactly.
        r#"externalId eq "ann-1""#,
        r#"id eq "2819C223""#,
        r#"nickName co "a""#,
        r#"nickName gt """#,
        "title pr",
        "nickName pr",
        "userName eq null",
        "active eq false",
        r#"emails ne "ann@home.example""#,
    ] {
        assert!(!fits(filter), "{filter}");
    }
}

#[test]
fn terms_are_grouped_as_rfc7644_3_4_2_2_says() {
    for filter in [
        // `and` binds closer than `or`.
        r#"userName pr or nickName pr and nickName pr"#,
        r#"(userName pr or nickName pr) and active eq true"#,
        "not (nickName pr)",
        "NOT(nickName pr) AND userName pr",
        r#"emails[type eq "work" and value co "@example.com"]"#,
        r#"emails[type eq "work" and not (value co "@home")] and active eq true"#,
        r#"emails[not (type eq "work")]"#,
        // As Entra ID asks.
        r#"emails[type eq "work"].value eq "Ann@Example.com""#,
        "  userName   pr  ",
    ] {
        assert!(fits(filter), "{filter}");
    }
    for filter in [
        "(userName pr or nickName pr) and nickName pr",
        "not (userName pr)",
        // No single value fits both.
        r#"emails[type eq "work" and value co "@home"]"#,
        r#"emails[type eq "home"].value eq "ann@example.com""#,
        r#"emails[type eq "fax"]"#,
    ] {
        assert!(!fits(filter), "{filter}");
    }
}

#[test]
fn what_is_no_filter_is_refused() {
    for filter in [
        "",
        "userName",
        "userName eq",
        "userName eq ann",
        "userName eq 'ann'",
        r#"userName is "ann""#,
        r#"userName eq "ann"#,
        r#"userName eq "a\x""#,
        r#"userName eq "ann" and"#,
        r#"and userName eq "ann""#,
        r#"userName eq "ann")"#,
        r#"(userName eq "ann""#,
        "not userName pr",
        "userName pr active pr",
        r#"emails[type eq "work""#,
        "emails[]",
        r#"emails[type eq "work"].value"#,
        r#"emails.value[type eq "work"]"#,
        r#"emails[emails[type eq "work"]]"#,
        r#""ann" eq userName"#,
        "userName eq {}",
        "userName eq [1]",
        "userName\teq\t\"ann\"",
        "é pr",
    ] {
        refused(filter);
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    for filter in [
        "shoeSize pr",
        r#"name.shoe eq "x""#,
        "password pr",
        r#"name[type eq "x"]"#,
        r#"userName[type eq "x"]"#,
        r#"emails[shoe eq "x"]"#,
        r#"emails[userName eq "x"]"#,
        // Booleans and binaries have no order.
        "active gt true",
        r#"active co "t""#,
        r#"x509Certificates.value gt "AA==""#,
        "active eq 1",
        r#"active eq "maybe""#,
        "userName eq 5",
        "userName gt null",
        r#"meta.lastModified gt "yesterday""#,
        r#"name eq "x""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr"#,
        r#"urn:x:y:userName eq "x""#,
    ] {
        refused(filter);
    }
}

#[test]
fn a_filter_bomb_is_refused() {
    refused(&"(".repeat(LONGEST));
    refused(&format!("{}userName pr{}", "(".repeat(17), ")".repeat(17)));
    refused(&format!(
        "{}userName pr{}",
        "not (".repeat(17),
        ")".repeat(17)
    ));
    refused(&vec!["userName pr"; MOST_TERMS + 1].join(" or "));
    refused(&format!(r#"userName eq "{}""#, "a".repeat(LONGEST)));
    assert!(fits(&format!(
        "{}userName pr{}",
        "(".repeat(16),
        ")".repeat(16)
    )));
    assert!(fits(&vec!["userName pr"; MOST_TERMS].join(" and ")));
}

#[test]
fn what_a_filter_needs_can_be_looked_up() {
    let required = |filter: &str, attribute: &str| {
        let bound = Filter::parse(filter).unwrap().bind(&USER).unwrap();
        bound.required(attribute).map(str::to_owned)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(required(r#"userName eq "Ann""#, "userName"), some("ann"));
    assert_eq!(
        required(r#"active eq true and externalId eq "X""#, "externalId"),
        some("X")
    );
    assert_eq!(
        required(r#"userName eq "a" or userName eq "b""#, "userName"),
        None
    );
    assert_eq!(required(r#"not (userName eq "a")"#, "userName"), None);
    assert_eq!(required(r#"userName ne "a""#, "userName"), None);
    assert_eq!(required(r#"userName sw "a""#, "userName"), None);
    let member = |filter: &str| {
        let bound = Filter::parse(filter).unwrap().bind(&GROUP).unwrap();
        bound.required("members.value").map(str::to_owned)
    };
    for filter in [
        r#"members eq "M1""#,
        r#"members.value eq "M1""#,
        r#"members[value eq "M1"]"#,
        r#"displayName sw "a" and members[type eq "User" and value eq "M1"]"#,
    ] {
        assert_eq!(member(filter), some("M1"), "{filter}");
    }
    assert_eq!(member(r#"members[not (value eq "M1")]"#), None);
    let asked = |filter: &str| {
        let bound = Filter::parse(filter).unwrap().bind(&GROUP).unwrap();
        bound.member_asked().map(str::to_owned)
    };
    for filter in [
        r#"members eq "M1""#,
        r#"id eq "G" and members eq "M1" and (displayName sw "a" or displayName sw "b")"#,
        r#"members[value eq "M1" and type eq "User"]"#,
        r#"members eq "M1" and members[value eq "M1"]"#,
    ] {
        assert_eq!(asked(filter), some("M1"), "{filter}");
    }
    for filter in [
        r#"displayName sw "a""#,
        r#"members eq "M1" and members eq "M2""#,
        r#"members eq "M1" and members.type eq "Group""#,
        r#"members eq "M1" and not (members eq "M2")"#,
        r#"members eq "M1" or members eq "M1""#,
        r#"members eq "M1" and (members.type eq "User" or displayName pr)"#,
    ] {
        assert_eq!(asked(filter), None, "{filter}");
    }
}

fn name() -> impl Strategy<Value = AttributeName> {
    "(urn:[a-z]{1,5}:[a-z0-9.]{1,5}:)?[a-zA-Z][a-zA-Z0-9]{0,8}(\\.[a-z]{1,5})?"
        .prop_map(|text| AttributeName::parse(&text).unwrap())
}

fn leaf() -> impl Strategy<Value = Filter> {
    let value = prop_oneof![
        any::<String>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let operator = prop::sample::select(Operator::ALL.as_slice());
    prop_oneof![
        name().prop_map(Filter::Present),
        (name(), operator, value)
            .prop_map(|(name, operator, value)| Filter::Compare(name, operator, value)),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    leaf().prop_recursive(4, 24, 3, |inner| {
        let many = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            many().prop_map(Filter::All),
            many().prop_map(Filter::Any),
            inner
                .clone()
                .prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

fn within() -> impl Strategy<Value = Filter> {
    ("[a-z]{1,8}", filter()).prop_map(|(name, inner)| {
        Filter::Within(AttributeName::parse(&name).unwrap(), Box::new(inner))
    })
}

proptest! {
    #[test]
    fn a_filter_reads_back(filter in prop_oneof![filter(), within()]) {
        let text = filter.to_string();
        if text.len() <= LONGEST {
            prop_assert_eq!(Filter::parse(&text), Ok(filter));
        }
    }

    #[test]
    fn no_text_makes_the_reader_stumble(text in ".{0,80}") {
        let _parsed = Filter::parse(&text);
    }

    #[test]
    fn no_words_of_the_grammar_make_the_reader_stumble(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "(", ")", "[", "]", ".", "not", "and", "or", "eq", "pr", "userName", "emails", "type", "\"x\"", "\"", "\\", "true",
                "null", "1", "-", " ",
            ]),
            0..24,
        ),
        glue in prop::sample::select(vec!["", " "]),
    ) {
        if let Ok(filter) = Filter::parse(&words.join(glue))
            && let Ok(condition) = filter.bind(&USER)
        {
            let _fits = condition.matches(&ann());
        }
    }

    #[test]
    fn not_is_the_opposite(filter in filter()) {
        if let (Ok(one), Ok(other)) = (filter.bind(&USER), Filter::Not(Box::new(filter)).bind(&USER)) {
            prop_assert_ne!(one.matches(&ann()), other.matches(&ann()));
        }
    }
}
