use std::fs;

use gatewright_core::Draft;

use super::*;
use crate::{
    AuditSink as _, Record, SegmentFiles,
    testing::{delegation, log, principal, records, reference, route_of, start},
};

/// Writes records of these tenants and seconds.
async fn written(dir: &Path, all: &[(&str, u64)]) -> SegmentFiles {
    let log = log(dir).segment_bytes(600).open().unwrap();
    for (tenant, seconds) in all {
        append(&log, tenant, *seconds).await;
    }
    log
}

async fn append(log: &SegmentFiles, tenant: &str, seconds: u64) {
    let route = route_of(tenant);
    let principal = principal(&route, delegation()).await;
    let draft = Draft::new(reference(), start());
    draft.fill(|fields| {
        fields.route = Some(route);
        fields.principal = Some(principal);
    });
    let time = start().plus(std::time::Duration::from_secs(seconds));
    log.enqueue(Record::admitted(&draft, time).unwrap());
    log.flush();
}

fn exported(dir: &Path, filter: &Filter) -> usize {
    let mut out = Vec::new();
    let count = export(dir, filter, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count() as u64, count);
    text.lines().count()
}

fn seconds(records: &[String]) -> Vec<i64> {
    let of = |record: &String| {
        let value: serde_json::Value = serde_json::from_str(record).unwrap();
        (value["ms"].as_i64().unwrap() - start().millis()) / 1000
    };
    records.iter().map(of).collect()
}

#[tokio::test]
async fn an_export_holds_what_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let _log = written(dir.path(), &[("acme", 1), ("zeta", 2), ("acme", 3)]).await;
    let dir = dir.path();
    assert_eq!(exported(dir, &Filter::default()), 5);
    let tenant = Some(TenantId::new("acme").unwrap());
    let of_acme = Filter {
        tenant,
        ..Filter::default()
    };
    assert_eq!(exported(dir, &of_acme), 3);
    let at = |seconds| Some(start().plus(std::time::Duration::from_secs(seconds)));
    let in_time = Filter {
        since: at(2),
        until: at(3),
        ..Filter::default()
    };
    assert_eq!(exported(dir, &in_time), 1);
    for (id, count) in [(reference(), 3), (ReferenceId::random(), 0)] {
        let of_one = Filter {
            reference: Some(id),
            ..Filter::default()
        };
        assert_eq!(exported(dir, &of_one), count);
    }
    for (principal, count) in [
        ("https://idp.example|ann", 3),
        ("ann", 3),
        ("bot", 3),
        ("an", 0),
        ("idp.example|ann", 0),
    ] {
        let of_one = Filter {
            principal: Some(principal.to_owned()),
            ..Filter::default()
        };
        assert_eq!(exported(dir, &of_one), count, "{principal}");
    }
}

#[tokio::test]
async fn an_export_of_something_else_fails() {
    let dir = tempfile::tempdir().unwrap();
    drop(written(dir.path(), &[("acme", 1)]).await);
    let file = dir.path().join("acme/local/000000000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}hello\n")).unwrap();
    let refused = export(dir.path(), &Filter::default(), &mut Vec::new()).unwrap_err();
    assert!(matches!(refused, ReadLogError::Damaged(_)), "{refused}");
    let missing = export(
        &dir.path().join("none"),
        &Filter::default(),
        &mut Vec::new(),
    );
    assert!(matches!(missing, Err(ReadLogError::Io { .. })));
}

#[tokio::test]
async fn the_latest_records_come_in_the_order_of_time() {
    let dir = tempfile::tempdir().unwrap();
    let all = [
        ("acme", 1),
        ("zeta", 2),
        ("acme", 3),
        ("zeta", 4),
        ("acme", 5),
    ];
    let _log = written(dir.path(), &all).await;
    let (latest, _) = Tail::open(dir.path(), Filter::default(), 3).unwrap();
    assert_eq!(seconds(&latest), [3, 4, 5]);
    let (latest, _) = Tail::open(dir.path(), Filter::default(), 100).unwrap();
    assert_eq!(seconds(&latest), [0, 0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_comes_later_is_returned_once_through_new_segments_and_tenants() {
    let dir = tempfile::tempdir().unwrap();
    let log = written(dir.path(), &[("acme", 1)]).await;
    let (_, mut tail) = Tail::open(dir.path(), Filter::default(), 0).unwrap();
    assert!(tail.more().unwrap().is_empty());
    for number in 2..8 {
        append(&log, "acme", number).await;
    }
    append(&log, "zeta", 9).await;
    assert_eq!(seconds(&tail.more().unwrap()), [0, 2, 3, 4, 5, 6, 7, 9]);
    assert!(tail.more().unwrap().is_empty());
    append(&log, "acme", 10).await;
    assert_eq!(seconds(&tail.more().unwrap()), [10]);
    assert_eq!(records(dir.path()).len(), 11);
}
