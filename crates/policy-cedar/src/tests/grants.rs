//! Grants that change while the engine is asked.

use std::time::Duration;

use gatewright_core::access::Scope;

use super::*;
use crate::{Grants, InvalidGrant, SetGrantsError, TenantEngines};

fn roles() -> [Role; 2] {
    ["a", "b"].map(|name| role(name, &json!([{"servers": ["billing"], "tools": [name]}])))
}

fn to_group(role: &str, name: &str) -> Grant {
    grant(role, Grantee::Group(group(name)))
}

/// Which of the tools `a` and `b` somebody may see and call.
async fn has(engine: &impl PolicyEngine, identity: Identity) -> String {
    let principal = principal(identity).await;
    let mut may = String::new();
    for name in ["a", "b"] {
        let shown = shows(engine, &principal, ItemKind::Tool, name).await;
        assert_eq!(shown, allows(engine, &principal, &tool(name, "{}")).await);
        may.push_str(if shown { name } else { "" });
    }
    may
}

fn user(name: &str) -> Identity {
    Identity::user(party(name))
}

#[tokio::test]
async fn a_change_counts_from_the_next_decision_on() {
    let grants = Grants::new([to_user("a", "ann"), to_group("b", "staff")]).unwrap();
    let engine = builder()
        .roles(roles())
        .shared_grants(grants.clone())
        .build()
        .unwrap();
    let ann = Grantee::User(subject("ann"));
    let in_staff = || Identity::user(party("ann").with_groups([group("staff")]));
    assert_eq!(has(&engine, user("ann")).await, "a");
    assert_eq!(has(&engine, in_staff()).await, "ab");
    grants.set(&ann, [to_user("b", "ann")]).unwrap();
    assert_eq!(has(&engine, user("ann")).await, "b");
    assert_eq!(has(&engine, in_staff()).await, "b");
    grants.set(&Grantee::Group(group("staff")), []).unwrap();
    assert_eq!(has(&engine, in_staff()).await, "b");
    grants.set(&ann, []).unwrap();
    assert_eq!(has(&engine, user("ann")).await, "");
    assert_eq!(has(&engine, in_staff()).await, "");
    assert!(grants.is_empty() && grants.of(&ann).is_empty());
    grants.add([to_user("a", "ann")]).unwrap();
    assert_eq!(has(&engine, user("ann")).await, "a");
    assert_eq!(
        has(&engine, Identity::agent(party("ann"))).await,
        "",
        "an agent of the name is another"
    );
}

/// What others are granted changes nothing for those who hold what they held: their answers stay warm.
#[tokio::test]
async fn a_change_of_others_keeps_what_is_known_of_somebody() {
    let engine = builder()
        .roles(roles())
        .grants([to_user("a", "ann")])
        .build()
        .unwrap();
    let ann = party("ann");
    let view = || {
        let now = clock_now();
        engine.view(crate::names::Kind::User, &ann, now).unwrap()
    };
    let first = view();
    for number in 0..50 {
        let name = format!("u{number}");
        let to = Grantee::User(subject(&name));
        engine.grants().set(&to, [to_user("b", &name)]).unwrap();
        assert!(Arc::ptr_eq(&first, &view()));
    }
    let to_ann = Grantee::User(subject("ann"));
    // The same again is no change either.
    engine.grants().set(&to_ann, [to_user("a", "ann")]).unwrap();
    assert!(Arc::ptr_eq(&first, &view()));
    engine.grants().set(&to_ann, [to_user("b", "ann")]).unwrap();
    let second = view();
    assert!(!Arc::ptr_eq(&first, &second));
    assert!(Arc::ptr_eq(&second, &view()));
}

fn clock_now() -> Timestamp {
    use gatewright_core::Clock as _;
    clock().now()
}

#[tokio::test]
async fn a_changed_grant_ends_when_it_says() {
    let clock = clock();
    let engine = CedarEngine::builder()
        .clock(clock.clone())
        .roles(roles())
        .grants([to_user("a", "ann")])
        .build()
        .unwrap();
    assert_eq!(has(&engine, user("ann")).await, "a");
    let ends = |after| Grant {
        expires: Some(Timestamp::from_secs(NOON + after)),
        ..to_user("a", "ann")
    };
    let ann = Grantee::User(subject("ann"));
    engine.grants().set(&ann, [ends(60)]).unwrap();
    assert_eq!(has(&engine, user("ann")).await, "a");
    clock.advance(Duration::from_secs(60));
    assert_eq!(has(&engine, user("ann")).await, "");
    engine.grants().set(&ann, [ends(120)]).unwrap();
    assert_eq!(has(&engine, user("ann")).await, "a");
}

#[tokio::test]
async fn the_next_engine_keeps_the_grants() {
    let engines = TenantEngines::default();
    let default = TenantId::default();
    let ann = Grantee::User(subject("ann"));
    let set = |grant: Grant| engines.set_grants(&default, &ann, [grant]);
    assert_eq!(
        set(to_user("a", "ann")),
        Err(SetGrantsError::NoEngine(default.clone()))
    );
    let [a, b] = roles();
    let first = builder().roles([a]).build().unwrap();
    let grants = first.grants().clone();
    engines.publish(first);
    set(to_user("a", "ann")).unwrap();
    assert_eq!(has(&engines, user("ann")).await, "a");
    // Of a role that is not defined nobody has anything, yet.
    set(to_user("b", "ann")).unwrap();
    assert_eq!(has(&engines, user("ann")).await, "");
    let second = builder()
        .roles([b])
        .shared_grants(grants.clone())
        .build()
        .unwrap();
    assert!(second.warnings().is_empty(), "{:?}", second.warnings());
    engines.publish(second);
    assert_eq!(has(&engines, user("ann")).await, "b");
    let third = builder().shared_grants(grants).build().unwrap();
    assert!(
        third.warnings()[0].contains("`b`"),
        "{:?}",
        third.warnings()
    );
    engines.publish(third);
    assert_eq!(has(&engines, user("ann")).await, "");
}

#[test]
fn grants_that_cannot_be_kept_change_nothing() {
    let grants = Grants::new([to_user("a", "ann")]).unwrap();
    let ann = Grantee::User(subject("ann"));
    let crafted = Grantee::User(Subject::new("a|b", "c"));
    let of_another = grants.set(&ann, [to_user("a", "ann"), to_user("b", "bob")]);
    assert!(matches!(of_another, Err(InvalidGrant::OfAnother { .. })));
    let issuer = || Err(InvalidGrant::Issuer("a|b".into()));
    assert_eq!(
        grants.set(&crafted, [grant("a", crafted.clone())]),
        issuer()
    );
    let over = Grant {
        over: Some(Scope::Group(Group::new("a|b", "c"))),
        ..to_user("a", "ann")
    };
    assert_eq!(grants.set(&ann, [over.clone()]), issuer());
    assert_eq!(grants.add([to_user("b", "ann"), over.clone()]), issuer());
    assert_eq!(grants.replace([over]), issuer());
    assert_eq!(grants.len(), 1);
    assert_eq!(*grants.of(&ann)[0], to_user("a", "ann"));
}

/// Invariant: nothing that somebody lost is answered from what was kept, whoever asks meanwhile.
#[test]
fn changes_while_others_ask_are_never_lost() {
    let engine = Arc::new(builder().roles(roles()).build().unwrap());
    let ann = Grantee::User(subject("ann"));
    let asks = |engine: &CedarEngine| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async { has(engine, user("ann")).await })
    };
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let others: Vec<_> = (0..2)
        .map(|_| {
            let (engine, stop) = (Arc::clone(&engine), Arc::clone(&stop));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let ann = ann_of().await;
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        shows(&*engine, &ann, ItemKind::Tool, "a").await;
                    }
                });
            })
        })
        .collect();
    for number in 0..200 {
        let role = if number % 2 == 0 { "a" } else { "b" };
        engine.grants().set(&ann, [to_user(role, "ann")]).unwrap();
        assert_eq!(asks(&engine), role, "{number}");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for other in others {
        other.join().unwrap();
    }
}

async fn ann_of() -> Principal {
    ann().await
}

#[tokio::test]
async fn a_role_has_what_it_inherits() {
    let [a, b] = roles();
    let heir = Role {
        inherits: vec!["a".into()],
        ..Role::new("heir")
    };
    let both = Role {
        inherits: vec!["heir".into(), "b".into()],
        ..Role::new("both")
    };
    let engine = builder()
        .roles([a, b, heir, both])
        .grants([to_user("heir", "ann"), to_user("both", "bob"), to_user("a", "eve")])
        .policies(
            "p.cedar",
            r#"forbid(principal in Gatewright::Role::"heir", action, resource == Gatewright::Tool::"billing/b");"#,
        )
        .build()
        .unwrap();
    assert_eq!(has(&engine, user("ann")).await, "a");
    assert_eq!(
        has(&engine, user("bob")).await,
        "a",
        "a policy names what bob inherits from"
    );
    assert_eq!(has(&engine, user("eve")).await, "a");
    let Decision::Allow { policies, .. } = decide(&engine, &ann().await, &tool("a", "{}")).await
    else {
        panic!()
    };
    assert_eq!(names(&policies), ["role:a/1#see", "role:a/1#call"]);
}
