use gatewright_core::{Identity, Party, ReferenceId, Route, Subject};
use serde_json::Value;

use super::*;
use crate::testing::{Memory, principal, route, route_of, start};

#[test]
fn a_clock_that_is_set_back_holds_no_counts_back() {
    let memory = Arc::new(Memory::default());
    let tally = Tally::new(Arc::clone(&memory));
    let draft = Draft::new(ReferenceId::random(), start());
    draft.fill(|fields| fields.route = Some(route()));
    for _ in 0..=FIRST {
        tally.is_among_first(&draft, start());
    }
    tally.flush(start());
    assert!(memory.kinds().is_empty());
    tally.flush(Timestamp::from_millis(start().millis() - 3_600_000));
    assert_eq!(memory.json()[0]["aggregate"]["count"], 1);
}

const DISABLED: Refused = Refused {
    layer: "identity",
    code: "disabled",
};

/// A refusal of a subject that is switched off.
fn of_subject(route: Route, name: &str) -> Draft {
    let draft = Draft::new(ReferenceId::random(), start());
    draft.fill(|fields| {
        fields.route = Some(route);
        fields.subject = Some(Subject::new("https://idp.example", name));
    });
    draft.refuse(DISABLED, None);
    draft
}

fn route_to(server: usize) -> Route {
    Route::single(&format!("s{server}"), "https://api.example.com/mcp").unwrap()
}

/// How many requests of each subject are counted by name.
fn named(memory: &Memory, subject: &str) -> u64 {
    let records = memory.json();
    let of = records
        .iter()
        .filter(|record| record["subject"] == format!("https://idp.example|{subject}"));
    of.filter_map(|record| record["aggregate"]["count"].as_u64())
        .sum()
}

fn total(memory: &Memory) -> u64 {
    let records = memory.json();
    let counts = records
        .iter()
        .map(|record: &Value| record["aggregate"]["count"].as_u64());
    counts.map(Option::unwrap).sum()
}

#[test]
fn the_callers_of_one_tenant_do_not_hide_those_of_another() {
    let memory = Arc::new(Memory::default());
    let tally = Tally::new(Arc::clone(&memory));
    let mut written = 0;
    let mut count = |draft: &Draft| {
        written += u64::from(tally.is_among_first(draft, start()));
    };
    for number in 0..=MOST_OF_CALLERS {
        count(&of_subject(route_of("acme"), &format!("flood{number}")));
    }
    for _ in 0..10 {
        count(&of_subject(route_of("globex"), "ann"));
    }
    tally.flush_all(start());
    assert_eq!(named(&memory, "ann"), 7);
    assert_eq!(total(&memory) + written, MOST_OF_CALLERS as u64 + 11);
}

#[test]
fn the_networks_at_one_tenant_do_not_hide_those_at_another() {
    let memory = Arc::new(Memory::default());
    let tally = Tally::new(Arc::clone(&memory));
    let count = |tenant: &str, a: u8, b: u8| {
        let draft = Draft::new(ReferenceId::random(), start());
        draft.fill(|fields| {
            fields.route = Some(route_of(tenant));
            fields.peer = Some(([198, a, b, 1], 9).into());
        });
        tally.is_among_first(&draft, start());
    };
    for number in 0..=255 {
        count("acme", 0, number);
    }
    for _ in 0..10 {
        count("globex", 51, 100);
    }
    tally.flush_all(start());
    let records = memory.json();
    let of = records.iter().find(|record| record["tenant"] == "globex");
    let of = &of.unwrap()["aggregate"];
    assert_eq!(
        (&of["from"], &of["count"]),
        (&"198.51.100.0/24".into(), &7.into())
    );
}

#[test]
fn one_caller_at_many_servers_does_not_hide_another() {
    let memory = Arc::new(Memory::default());
    let tally = Tally::new(Arc::clone(&memory));
    let servers = MOST_OF_CALLERS + 100;
    let mut written = 0;
    for server in 0..servers {
        let draft = of_subject(route_to(server), "flood");
        written += u64::from(tally.is_among_first(&draft, start()));
    }
    for _ in 0..40 {
        let draft = of_subject(route(), "ann");
        written += u64::from(tally.is_among_first(&draft, start()));
    }
    tally.flush_all(start());
    assert!(named(&memory, "ann") > 0);
    assert_eq!(total(&memory) + written, servers as u64 + 40);
    // All of the one caller's are still counted by name and with the code, those of the later servers together.
    let records = memory.json();
    let together = records.iter().find(|record| record["server"].is_null());
    let together = together.unwrap();
    assert_eq!(together["subject"], "https://idp.example|flood");
    assert_eq!(together["refusal"]["code"], "disabled");
    assert!(records.len() <= MOST_OF_ONE + 2, "{records:?}");
}

#[tokio::test]
async fn principals_that_are_not_told_apart_are_not_taken_for_nobody() {
    let memory = Arc::new(Memory::default());
    let tally = Tally::new(Arc::clone(&memory));
    for number in 0..MOST_OF_CALLERS {
        tally.is_among_first(&of_subject(route(), &format!("s{number}")), start());
    }
    let ann = Identity::user(Party::new(Subject::new("https://idp.example", "ann")));
    let ann = principal(&route(), ann).await;
    let refused = Draft::new(ReferenceId::random(), start());
    refused.fill(|fields| {
        fields.route = Some(route());
        fields.principal = Some(ann);
    });
    refused.refuse_too_much(DISABLED, None);
    for _ in 0..5 {
        tally.is_among_first(&refused, start());
    }
    // The same refusal, of somebody who is switched off: a count of its own.
    tally.is_among_first(&of_subject(route(), "later"), start());
    tally.flush_all(start());
    let records = memory.records.lock().unwrap();
    let mut others = Vec::new();
    for (record, _) in records.iter() {
        let json: Value = serde_json::from_str(&record.to_json()).unwrap();
        let aggregate = &json["aggregate"];
        if aggregate["from"] == "others" {
            others.push((record.is_anonymous(), aggregate["count"].as_u64().unwrap()));
        }
    }
    others.sort_unstable();
    assert_eq!(others, [(false, 5), (true, 1)]);
}

#[test]
fn the_first_of_each_caller_and_code_is_written_however_many_others_were() {
    let memory = Arc::new(Memory::default());
    let tally = Tally::new(Arc::clone(&memory));
    let is_written = |draft: &Draft| tally.is_among_first(draft, start());
    let flood = |number: usize| of_subject(route(), &format!("flood{number}"));
    // Three of each, so that what all callers share is used up.
    for number in 0..MOST_MET - 2 {
        assert!(is_written(&flood(number)));
        is_written(&flood(number));
        is_written(&flood(number));
    }
    let ann = of_subject(route(), "ann");
    assert!(is_written(&ann));
    assert!(!is_written(&ann));
    // Another server is nothing new, another code is.
    assert!(!is_written(&of_subject(route_to(1), "ann")));
    let other = Refused {
        layer: "identity",
        code: "expired",
    };
    let draft = Draft::new(ReferenceId::random(), start());
    draft.fill(|fields| {
        fields.route = Some(route());
        fields.subject = Some(Subject::new("https://idp.example", "ann"));
    });
    draft.refuse(other, None);
    assert!(is_written(&draft));
    assert!(!is_written(&draft));
    // Bounded, for each tenant.
    assert!(!is_written(&of_subject(route(), "one-too-many")));
    assert!(is_written(&of_subject(route_of("globex"), "ben")));
}
