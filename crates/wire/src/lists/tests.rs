use proptest::prelude::*;

use super::*;
use crate::{Limits, Peer};

/// As it is passed on; else why not.
fn read(message: Bytes, kind: ItemKind) -> Result<ListView, String> {
    let envelope = Envelope::parse(&message, Peer::Server, &Limits::default());
    let envelope = envelope.map_err(|error| error.to_string())?;
    ListView::new(message, &envelope, kind).map_err(|error| error.to_string())
}

fn view(result: &str, kind: ItemKind) -> Result<ListView, String> {
    let message = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
    read(Bytes::from(message), kind)
}

fn result_of(message: &Bytes) -> String {
    let text = std::str::from_utf8(message).unwrap();
    json::member(text, "result").unwrap().to_owned()
}

#[test]
fn every_kind_is_read_by_its_name() {
    for (result, kind, name) in [
        (
            r#"{"tools":[{"name":"a","inputSchema":{}}]}"#,
            ItemKind::Tool,
            "a",
        ),
        (r#"{"prompts":[{"name":"\u0061"}]}"#, ItemKind::Prompt, "a"),
        (
            r#"{"resources":[{"name":"a","uri":"x:y"}]}"#,
            ItemKind::Resource,
            "x:y",
        ),
        (
            r#"{"resourceTemplates":[{"name":"a","uriTemplate":"x:{y}"}]}"#,
            ItemKind::ResourceTemplate,
            "x:{y}",
        ),
    ] {
        let list = view(result, kind).unwrap();
        assert_eq!(&*list.items()[0].name, name);
        assert_eq!(result_of(&list.retain(&[true]).unwrap()), result);
        assert!(list.text(&list.items()[0]).starts_with("{\"name\""));
    }
}

#[test]
fn dropped_items_leave_nothing_and_the_rest_keeps_its_bytes() {
    let list = view(
        r#"{ "nextCursor" : "c","tools": [ {"name":"a" , "v":1.50} , {"name":"secret"},{"name":"c"} ],"x":1e2 }"#,
        ItemKind::Tool,
    )
    .unwrap();
    let kept = result_of(&list.retain(&[true, false, true]).unwrap());
    assert_eq!(
        kept,
        r#"{ "nextCursor" : "c","tools": [{"name":"a" , "v":1.50},{"name":"c"}],"x":1e2 }"#
    );
    let none = result_of(&list.retain(&[false; 3]).unwrap());
    assert_eq!(none, r#"{ "nextCursor" : "c","tools": [],"x":1e2 }"#);
}

#[test]
fn the_cache_scope_becomes_private_where_there_is_one() {
    let result = r#"{"tools":[],"ttlMs":5,"cacheScope":"public"}"#;
    let mut list = view(result, ItemKind::Tool).unwrap();
    assert_eq!(result_of(&list.retain(&[]).unwrap()), result);
    list.set_private_cache();
    assert_eq!(
        result_of(&list.retain(&[]).unwrap()),
        r#"{"tools":[],"ttlMs":5,"cacheScope":"private"}"#
    );
    let mut legacy = view(r#"{"tools":[]}"#, ItemKind::Tool).unwrap();
    legacy.set_private_cache();
    assert_eq!(result_of(&legacy.retain(&[]).unwrap()), r#"{"tools":[]}"#);
}

#[test]
fn lists_that_cannot_be_judged_are_refused() {
    for bad in [
        r#"{"tools":[{"title":"a"}]}"#,
        r#"{"tools":[{"name":1}]}"#,
        r#"{"tools":["a"]}"#,
        r#"{"tools":[null]}"#,
        r#"{"tools":[{"name":"a","Name":"b"}]}"#,
        r#"{"tools":{}}"#,
        r#"{"prompts":[]}"#,
        r#"{"tools":[],"Tools":[{"name":"b"}]}"#,
        r#"{"tools":[],"tool\u017f":[{"name":"b"}]}"#,
        r#"{"tools":[],"tools":[{"name":"b"}]}"#,
        r#"{"tools":[{"name":"a","n\u0061me":"b"}]}"#,
        "[]",
        "null",
    ] {
        assert!(view(bad, ItemKind::Tool).is_err(), "{bad}");
    }
    let error = Bytes::from(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#);
    let refused = read(error, ItemKind::Tool);
    assert_eq!(refused.unwrap_err(), ListError::NotAResult.to_string());
}

#[test]
fn decisions_must_be_as_many_as_items() {
    let list = view(r#"{"tools":[{"name":"a"}]}"#, ItemKind::Tool).unwrap();
    for wrong in [&[][..], &[true, true]] {
        assert!(matches!(
            list.retain(wrong),
            Err(ListError::Undecided { .. })
        ));
    }
}

proptest! {
    #[test]
    fn exactly_the_kept_items_remain(keep in prop::collection::vec(any::<bool>(), 0..12), space in "[ \n]{0,2}") {
        let item = |at: usize| format!("{{\"name\":\"t{at}\",\"n\":{at}.0}}");
        let all: Vec<String> = (0..keep.len()).map(item).collect();
        let result = format!("{{\"tools\":[{space}{}{space}]}}", all.join(&format!("{space},{space}")));
        let kept = view(&result, ItemKind::Tool).unwrap().retain(&keep).unwrap();
        let again = read(kept, ItemKind::Tool).unwrap();
        let found: Vec<String> = again.items().iter().map(|item| again.text(item).to_owned()).collect();
        let expected: Vec<String> = (0..keep.len()).filter(|at| keep[*at]).map(item).collect();
        prop_assert_eq!(found, expected);
    }
}
