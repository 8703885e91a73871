use super::*;

async fn group(bed: &Bed, id: &str) {
    let name = json!({"display_name": format!("Group {id}")});
    bed.put(Kind::Group, id, name).await.unwrap();
}

#[tokio::test]
async fn whoever_is_in_a_group_is_in_those_above_it() {
    let bed = Bed::start().await;
    bed.ann().await;
    for id in ["team", "division", "company"] {
        group(&bed, id).await;
    }
    bed.join("company", MemberRef::group("division"))
        .await
        .unwrap();
    bed.join("division", MemberRef::group("team"))
        .await
        .unwrap();
    bed.join("team", MemberRef::user("u-ann")).await.unwrap();
    assert_eq!(groups(&bed.user("ann")), ["company", "division", "team"]);
    let leave = Edit::Leave {
        group: "company".into(),
        member: MemberRef::group("division"),
    };
    bed.make(vec![leave]).await.unwrap();
    assert_eq!(groups(&bed.user("ann")), ["division", "team"]);
    bed.remove(Kind::Group, "team").await.unwrap();
    assert_eq!(groups(&bed.user("ann")), Vec::<String>::new());
    assert_eq!(bed.directory.count_members(&bed.tenant, "division"), 0);
}

#[tokio::test]
async fn no_group_is_in_itself_however_long_the_way_round() {
    let bed = Bed::start().await;
    for id in ["a", "b", "c"] {
        group(&bed, id).await;
    }
    bed.join("a", MemberRef::group("b")).await.unwrap();
    bed.join("b", MemberRef::group("c")).await.unwrap();
    for (outer, inner) in [("c", "a"), ("b", "a"), ("a", "a")] {
        let refused = bed.join(outer, MemberRef::group(inner)).await.unwrap_err();
        assert_eq!(refused.code(), "cyclic-groups", "{outer} {inner}");
    }
    // Nor when both halves come in one change.
    for id in ["x", "y"] {
        group(&bed, id).await;
    }
    let join = |group: &str, member: &str| Edit::Join {
        group: group.into(),
        member: MemberRef::group(member),
    };
    let refused = bed
        .make(vec![join("x", "y"), join("y", "x")])
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "cyclic-groups");
    // Groups are not as deep as one likes.
    for n in 0..20 {
        group(&bed, &format!("d{n}")).await;
    }
    let mut deepest = 0;
    for n in 1..20 {
        let member = MemberRef::group(&format!("d{n}"));
        match bed.join(&format!("d{}", n - 1), member).await {
            Ok(_) => deepest = n,
            Err(error) => {
                assert_eq!(error.code(), "deep-groups");
                break;
            }
        }
    }
    assert_eq!(deepest, 16);
}

#[tokio::test]
async fn only_who_is_there_can_be_in_a_group_that_is_there() {
    let bed = Bed::start().await;
    bed.ann().await;
    group(&bed, "g").await;
    for (of, member) in [
        ("none", MemberRef::user("u-ann")),
        ("g", MemberRef::user("none")),
        ("g", MemberRef::agent("u-ann")),
        ("g", MemberRef::group("u-ann")),
    ] {
        let refused = bed.join(of, member).await.unwrap_err();
        assert_eq!(refused.code(), "not-found");
    }
    let same = bed
        .put(Kind::Group, "g2", json!({"display_name": "GROUP G"}))
        .await
        .unwrap_err();
    assert_eq!(same.code(), "taken");
}

#[tokio::test]
async fn a_group_is_changed_at_the_cost_of_what_changes() {
    let bed = Bed::start().await;
    group(&bed, "g").await;
    let mut edits = Vec::new();
    for n in 0..2_000 {
        let id = format!("u{n}");
        edits.push(put(Kind::User, &id, json!({"user_name": id})));
        edits.push(Edit::Join {
            group: "g".into(),
            member: MemberRef::user(&id),
        });
    }
    bed.make(edits).await.unwrap();
    assert_eq!(bed.directory.count_members(&bed.tenant, "g"), 2_000);
    let parts: Vec<usize> = bed
        .log()
        .iter()
        .filter(|(stage, change)| *stage == Stage::Begun && change.details.contains_key("part"))
        .map(|(_, change)| change.differences.len())
        .collect();
    assert_eq!(parts, [500; 8], "no record is too large to read");
    bed.ann().await;
    bed.join("g", MemberRef::user("u-ann")).await.unwrap();
    let (_, last) = bed.log().pop().unwrap();
    assert!(last.differences.is_empty(), "the end repeats nothing");
    let begun = bed
        .log()
        .into_iter()
        .rev()
        .find(|(stage, _)| *stage == Stage::Begun);
    assert_eq!(begun.unwrap().1.differences.len(), 1);
    bed.make(vec![Edit::LeaveAll { group: "g".into() }])
        .await
        .unwrap();
    assert_eq!(bed.directory.count_members(&bed.tenant, "g"), 0);
}

#[tokio::test]
async fn two_things_of_one_id_are_not_in_one_group() {
    let bed = Bed::start().await;
    group(&bed, "g").await;
    bed.put(Kind::User, "bot", json!({"user_name": "bot"}))
        .await
        .unwrap();
    bed.put(Kind::Agent, "bot", json!({"name": "Bot"}))
        .await
        .unwrap();
    bed.join("g", MemberRef::user("bot")).await.unwrap();
    let refused = bed.join("g", MemberRef::agent("bot")).await.unwrap_err();
    assert_eq!(refused.code(), "member-clash");
    assert_eq!(bed.directory.count_members(&bed.tenant, "g"), 1);
}

#[tokio::test]
async fn many_groups_in_many_are_looked_into_once() {
    let bed = Bed::start().await;
    let mut edits = Vec::new();
    for layer in 0..15 {
        for n in 0..8 {
            let id = format!("l{layer}-{n}");
            edits.push(put(Kind::Group, &id, json!({"display_name": id})));
            for inner in (0..8).filter(|_| layer > 0) {
                edits.push(Edit::Join {
                    group: format!("l{}-{inner}", layer - 1).into(),
                    member: MemberRef::group(&id),
                });
            }
        }
    }
    edits.push(put(Kind::User, "u-ben", json!({"user_name": "ben"})));
    edits.push(put(
        Kind::Grant,
        "a",
        json!({"role": "administrator", "to": {"group": "l0-0"}}),
    ));
    bed.make(edits).await.unwrap();
    bed.remove(Kind::User, "u-ben").await.unwrap();
}
