use proptest::prelude::*;

use super::*;
use crate::{Limits, Peer};

fn read(text: &str) -> Envelope {
    Envelope::parse(text.as_bytes(), Peer::Client, &Limits::default()).unwrap()
}

fn with_meta(text: &str, members: &[(&str, &str)]) -> String {
    let mut splice = Splice::new(text.as_bytes());
    splice.set_meta(&read(text), members).unwrap();
    let built = splice.build().unwrap();
    String::from_utf8(built.to_vec()).unwrap()
}

#[test]
fn no_changes_give_the_text() {
    let splice = Splice::new(b"abc");
    assert!(splice.is_empty());
    assert_eq!(splice.build().unwrap(), "abc");
}

#[test]
fn changes_apply_in_place_whatever_their_order() {
    let mut splice = Splice::new(b"0123456789");
    splice.replace(7..9, "xyz");
    splice.replace(0..1, "");
    splice.replace(10..10, "!");
    splice.replace(2..2, "a");
    splice.replace(2..2, "b");
    splice.replace(2..4, "c");
    assert_eq!(splice.build().unwrap(), "1abc456xyz9!");
}

#[test]
fn overlaps_and_ranges_outside_are_refused() {
    let build = |ranges: &[Range<usize>]| {
        let mut splice = Splice::new(b"0123456789");
        for range in ranges {
            splice.replace(range.clone(), "x");
        }
        splice.build()
    };
    assert_eq!(build(&[2..5, 4..6]), Err(SpliceError::Overlap { at: 4 }));
    assert_eq!(build(&[2..5, 2..5]), Err(SpliceError::Overlap { at: 2 }));
    assert_eq!(build(&[2..5, 3..3]), Err(SpliceError::Overlap { at: 3 }));
    assert_eq!(
        build(&[0..1, 8..11]),
        Err(SpliceError::OutOfRange { len: 10 })
    );
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
    let reversed = 5..3;
    assert_eq!(build(&[reversed]), Err(SpliceError::OutOfRange { len: 10 }));
    assert!(build(&[2..5, 5..6]).is_ok());
}

#[test]
fn id_and_target_are_replaced() {
    let text = r#"{"jsonrpc":"2.0","id" : 1 ,"method":"tools/call","params":{"arguments":{"id":1},"name" : "a"}}"#;
    let env = read(text);
    let mut splice = Splice::new(text.as_bytes());
    splice.set_id(&env, &Id::string("s\"1")).unwrap();
    splice.set_target(&env, "b\"\n").unwrap();
    let expected = r#"{"jsonrpc":"2.0","id" : "s\"1" ,"method":"tools/call","params":{"arguments":{"id":1},"name" : "b\"\n"}}"#;
    let built = splice.build().unwrap();
    assert_eq!(built, expected);
    assert_eq!(
        Envelope::parse(&built, Peer::Client, &Limits::default())
            .unwrap()
            .target(),
        Some("b\"\n")
    );
}

#[test]
fn meta_is_set_where_it_is_and_made_where_it_is_missing() {
    let head = r#""jsonrpc":"2.0","id":1,"method":"tools/list""#;
    let set: &[(&str, &str)] = &[("k", "1"), ("a.b/c", "[]")];
    let cases = [
        (
            r#","params":{"_meta":{"k": 0 ,"z":2.0}}"#,
            r#","params":{"_meta":{"a.b/c":[],"k": 1 ,"z":2.0}}"#,
        ),
        (
            r#","params":{"_meta":{"\u006b":0,"a.b\/c":{}}}"#,
            r#","params":{"_meta":{"\u006b":1,"a.b\/c":[]}}"#,
        ),
        (
            r#","params":{"_meta":{ }}"#,
            r#","params":{"_meta":{"k":1,"a.b/c":[] }}"#,
        ),
        (
            r#","params":{}"#,
            r#","params":{"_meta":{"k":1,"a.b/c":[]}}"#,
        ),
        (
            r#","params":{"x":1}"#,
            r#","params":{"_meta":{"k":1,"a.b/c":[]},"x":1}"#,
        ),
    ];
    for (before, after) in cases {
        assert_eq!(
            with_meta(&format!("{{{head}{before}}}"), set),
            format!("{{{head}{after}}}")
        );
    }
    let bare = with_meta(&format!(" {{{head}}}\n"), set);
    assert_eq!(
        bare,
        format!(" {{\"params\":{{\"_meta\":{{\"k\":1,\"a.b/c\":[]}}}},{head}}}\n")
    );
}

#[test]
fn places_that_are_not_there_are_refused() {
    let text = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let mut splice = Splice::new(text.as_bytes());
    assert_eq!(
        splice.set_id(&read(text), &Id::number(1)),
        Err(SpliceError::NoPlace("id"))
    );
    assert_eq!(
        splice.set_target(&read(text), "a"),
        Err(SpliceError::NoPlace("target"))
    );
    assert_eq!(
        splice.set_members(1..5, &[]),
        Err(SpliceError::NoPlace("object"))
    );
    assert_eq!(
        splice.set_members(0..500, &[]),
        Err(SpliceError::NoPlace("object"))
    );
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(
        splice.set_meta(&read(answer), &[]),
        Err(SpliceError::NoPlace("params"))
    );
}

proptest! {
    #[test]
    fn a_splice_is_the_same_as_replacing_from_the_back(
        text in prop::collection::vec(any::<u8>(), 0..60),
        cuts in prop::collection::vec((0usize..60, 0usize..60, prop::collection::vec(any::<u8>(), 0..5)), 0..6),
    ) {
        let mut splice = Splice::new(&text);
        for (start, end, new) in &cuts {
            splice.replace(*start..*end, new.clone());
        }
        let mut sorted = cuts;
        sorted.sort_by_key(|cut| (cut.0, cut.1));
        let apart = sorted.windows(2).all(|pair| pair[0].1 <= pair[1].0);
        let within = sorted.iter().all(|cut| cut.0 <= cut.1 && cut.1 <= text.len());
        let built = splice.build();
        prop_assert_eq!(built.is_ok(), apart && within);
        if let Ok(built) = built {
            let mut expected = text.clone();
            for (start, end, new) in sorted.into_iter().rev() {
                expected.splice(start..end, new);
            }
            prop_assert_eq!(built, expected);
        }
    }

    #[test]
    fn setting_members_keeps_all_others(keys in prop::collection::btree_map("[a-e]", 0u8..9, 0..5), key in "[a-e]", value in 10u8..99) {
        let before = serde_json::to_string(&keys).unwrap();
        let mut splice = Splice::new(before.as_bytes());
        splice.set_members(0..before.len(), &[(&key, &value.to_string())]).unwrap();
        let built = splice.build().unwrap();
        prop_assert!(json::check(&built, &Limits::default()).is_ok());
        let mut expected = keys;
        expected.insert(key, value);
        let after: std::collections::BTreeMap<String, u8> = serde_json::from_slice(&built).unwrap();
        prop_assert_eq!(after, expected);
    }
}
