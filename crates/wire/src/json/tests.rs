use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<&str, JsonError> {
    check(text.as_bytes(), &Limits::default())
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn whole_texts_pass() {
    for good in [
        "null",
        " {} ",
        "[1,-0,1.5e3]",
        r#"{"a":{"a":[{"a":1},{"a":2}]}}"#,
        r#""\ud83d\ude00""#,
        "123456789012345678901234567890",
        "-123456789012345678901234567890",
        "1e-999",
    ] {
        assert_eq!(read(good), Ok(good));
    }
}

/// RFC 8259 §2 and §7.
#[test]
fn broken_texts_are_refused() {
    for bad in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "'a'",
        "01",
        "1.",
        "+1",
        "NaN",
        "1e999",
        "\"\t\"",
        r#""\x""#,
        r#""\ud800""#,
        "{} {}",
        "{}x",
        "\u{feff}{}",
        "// no\n{}",
        "\u{a0}1",
    ] {
        assert!(
            matches!(read(bad), Err(JsonError::Syntax { .. })),
            "{bad:?}"
        );
    }
}

#[test]
fn a_fault_says_where_it_is_and_quotes_nothing() {
    let fault = read("{\"token\": sekret}").unwrap_err().to_string();
    assert!(
        fault.contains("line 1 column 11") && !fault.contains("sek"),
        "{fault}"
    );
}

/// RFC 8259 §8.1.
#[test]
fn what_is_not_utf8_is_refused() {
    for bad in [
        &b"\"\xff\""[..],
        b"\"\xc0\xaf\"",
        b"\"\xed\xa0\x80\"",
        b"\xff\xfe{\0}\0",
    ] {
        assert_eq!(check(bad, &Limits::default()), Err(JsonError::NotUtf8));
    }
}

#[test]
fn duplicate_names_are_refused_at_any_depth_and_after_unescaping() {
    for bad in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"a/b":1,"a\/b":2}"#,
        r#"[{"x":{"y":[{"":0,"":0}]}}]"#,
        r#"{"\ud83d\ude00":1,"😀":2}"#,
    ] {
        assert!(
            matches!(read(bad), Err(JsonError::DuplicateKey { .. })),
            "{bad}"
        );
    }
    // Names are compared as written, not normalised: these are two.
    assert!(read("{\"\u{e9}\":1,\"e\u{301}\":2,\"A\":3,\"a\":4}").is_ok());
}

#[test]
fn duplicates_are_found_in_large_objects() {
    let names: Vec<String> = (0..1000).map(|n| format!("\"k{n}\":0")).collect();
    let all = names.join(",");
    assert!(read(&format!("{{{all}}}")).is_ok());
    for again in [0, 11, 12, 13, 999] {
        let text = format!("{{{all},\"k{again}\":1}}");
        assert_eq!(
            read(&text),
            Err(JsonError::DuplicateKey {
                key: format!("k{again}").into()
            })
        );
    }
}

#[test]
fn a_duplicate_name_is_shown_cut_and_escaped() {
    let name = "\\n".to_owned() + &"x".repeat(500);
    let Err(JsonError::DuplicateKey { key }) = read(&format!("{{\"{name}\":1,\"{name}\":2}}"))
    else {
        panic!("accepted");
    };
    assert_eq!(key.chars().count(), 64);
    assert!(key.starts_with("\\nxx"));
}

#[test]
fn nesting_is_bounded() {
    let limits = Limits {
        max_depth: 3,
        ..Limits::default()
    };
    assert!(check(nested(3).as_bytes(), &limits).is_ok());
    assert_eq!(
        check(nested(4).as_bytes(), &limits),
        Err(JsonError::TooDeep { limit: 3 })
    );
    assert_eq!(
        check(br#"{"a":{"b":{"c":{}}}}"#, &limits),
        Err(JsonError::TooDeep { limit: 3 })
    );
}

#[test]
fn the_deepest_limit_holds_before_the_stack_does() {
    let limits = Limits {
        max_depth: usize::MAX,
        ..Limits::default()
    };
    assert!(check(nested(Limits::DEEPEST).as_bytes(), &limits).is_ok());
    let refused = Err(JsonError::TooDeep {
        limit: Limits::DEEPEST,
    });
    assert_eq!(
        check(nested(Limits::DEEPEST + 1).as_bytes(), &limits),
        refused
    );
    assert_eq!(check(nested(1_000_000).as_bytes(), &limits), refused);
    // Unclosed: nothing to return from.
    assert_eq!(check("[".repeat(1_000_000).as_bytes(), &limits), refused);
}

#[test]
fn size_is_bounded() {
    let limits = Limits {
        max_bytes: 4,
        ..Limits::default()
    };
    assert!(check(b"1234", &limits).is_ok());
    assert_eq!(
        check(b"12345", &limits),
        Err(JsonError::TooLarge { limit: 4 })
    );
}

#[test]
fn members_keep_their_text() {
    let text = r#" { "a" : 1.50 , "\u0062":[ 1 ,2], "c":{"x":"\u0041"} } "#;
    let found = members(text).unwrap();
    let expected = [("a", "1.50"), ("b", "[ 1 ,2]"), ("c", r#"{"x":"\u0041"}"#)];
    assert!(
        found
            .iter()
            .map(|(name, raw)| (name.as_ref(), *raw))
            .eq(expected)
    );
    assert_eq!(member(text, "b"), Some("[ 1 ,2]"));
    assert_eq!(pointer(text, &["c", "x"]).and_then(string).unwrap(), "A");
    assert_eq!(pointer(text, &[]), Some(text));
    assert_eq!(pointer(text, &["a", "x"]), None);
    assert_eq!(members("[]"), None);
    assert_eq!(items("[1, {}]"), Some(vec!["1", "{}"]));
    assert_eq!(items("{}"), None);
}

#[test]
fn a_member_that_is_there_twice_is_not_read() {
    assert_eq!(member(r#"{"a":1,"\u0061":2}"#, "a"), None);
}

#[test]
fn ranges_point_into_the_whole() {
    let text = r#"{"a": "x" }"#;
    assert_eq!(range_in(text, member(text, "a").unwrap()), 6..9);
    assert_eq!(range_in(text, "elsewhere"), 0..0);
}

#[test]
fn names_that_readers_fold_are_mistakable() {
    let known = &["taskId", "params"];
    for name in ["taskid", "TASKID", "ta\u{17f}kId", "tas\u{212a}Id"] {
        assert_eq!(mistakable(name, known), Some("taskId"), "{name}");
    }
    for name in ["taskId", "params", "task_id", "param", "paramsx"] {
        assert_eq!(mistakable(name, known), None, "{name}");
    }
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".{0,4}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_accepted_or_refused(bytes in any::<Vec<u8>>()) {
        let _checked = check(&bytes, &Limits::default());
    }

    #[test]
    fn any_near_json_is_accepted_or_refused(text in r#"[\[\]{}",:\\u0-9a-f. eE+-]{0,40}"#) {
        let checked = read(&text).is_ok();
        let parsed = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        // Whatever we accept is JSON; the other way round, only duplicates are refused.
        prop_assert!(parsed || !checked);
        let _members = (members(&text), items(&text), string(&text), member(&text, "a"));
    }

    #[test]
    fn values_pass_and_members_add_up(value in value()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            prop_assert!(read(&text).is_ok());
            if let Some(object) = value.as_object() {
                let found = members(&text).unwrap();
                prop_assert_eq!(found.len(), object.len());
                for (name, raw) in found {
                    let again: serde_json::Value = serde_json::from_str(raw).unwrap();
                    prop_assert_eq!(Some(&again), object.get(name.as_ref()));
                }
            }
        }
    }

    #[test]
    fn a_repeated_name_is_found_however_it_is_written(name in "[a-z]{1,4}", mask in any::<u8>(), deep in 0usize..8) {
        let escaped: String = name
            .chars()
            .enumerate()
            .map(|(at, c)| if mask >> at & 1 == 1 { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() })
            .collect();
        let object = format!(r#"{{"{name}":1,"other":2,"{escaped}":3}}"#);
        let text = format!("{}{object}{}", "[".repeat(deep), "]".repeat(deep));
        prop_assert_eq!(read(&text), Err(JsonError::DuplicateKey { key: name.into() }));
    }

    #[test]
    fn quoted_strings_read_back(value in any::<String>()) {
        let quoted = quote(&value);
        prop_assert_eq!(string(&quoted).unwrap(), value);
    }
}
