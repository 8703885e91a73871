use super::*;

const ROOT: Who = Who::Root;
const NO: u16 = 403;

fn draft(text: &str) -> Value {
    json!({"files": {"own.cedar": text}})
}

const READERS: &str =
    r#"permit(principal, action == GatewrightAdmin::Action::"metadata.read", resource);"#;

/// `author` drafts, `approver` and `other` publish, `root` everything.
async fn bed() -> Bed {
    let bed = Bed::new().await;
    for (id, roles) in [
        ("author", vec!["policy-author"]),
        ("approver", vec!["policy-approver"]),
        ("both", vec!["policy-author", "policy-approver"]),
        ("root", vec!["administrator"]),
        ("nobody", vec![]),
    ] {
        bed.person(id).await;
        for role in roles {
            bed.grant(&format!("{id}-{role}"), role, json!({"user": id}))
                .await;
        }
    }
    bed
}

#[tokio::test]
async fn a_draft_is_checked_compared_published_and_taken_back() {
    let bed = bed().await;
    bed.get(&ROOT, "policies/draft")
        .await
        .refused(404, "no-draft");
    bed.get(&ROOT, "policies/published")
        .await
        .refused(404, "nothing-published");
    bed.post(&ROOT, "policies/publish", json!({}))
        .await
        .refused(404, "no-draft");
    let nobody = bed.as_user("nobody").await;
    bed.get(&nobody, "servers").await.is(NO);
    bed.put(&ROOT, "policies/draft", draft(READERS))
        .await
        .is(200);
    bed.get(&nobody, "servers").await.is(NO);
    assert_eq!(
        bed.get(&ROOT, "policies/draft/check").await.body,
        json!({"good": true})
    );
    let diff = bed.get(&ROOT, "policies/draft/diff").await.is(200);
    assert_eq!(diff.body["files"][0]["change"], "added");
    let published = bed
        .post(&ROOT, "policies/publish", json!({"note": "readers"}))
        .await
        .is(200);
    assert_eq!(published.body["base"], "v0001");
    assert_eq!(published.body["note"], "readers");
    bed.get(&nobody, "servers").await.is(200);
    bed.get(&ROOT, "policies/draft")
        .await
        .refused(404, "no-draft");
    bed.put(&ROOT, "policies/draft", draft("// nothing"))
        .await
        .is(200);
    let diff = bed.get(&ROOT, "policies/draft/diff").await.body.to_string();
    assert!(
        diff.contains("-permit(principal") && diff.contains("+// nothing"),
        "{diff}"
    );
    bed.post(&ROOT, "policies/publish", json!({})).await.is(200);
    bed.get(&nobody, "servers").await.is(NO);
    bed.post(&ROOT, "policies/revert/v0001", json!({}))
        .await
        .is(200);
    bed.get(&nobody, "servers").await.is(200);
    let versions = bed.get(&ROOT, "policies/versions").await.is(200);
    let versions: Vec<(String, bool)> = versions.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["id"].as_str().unwrap().to_owned(),
                one["in_force"] == true,
            )
        })
        .collect();
    let expected = [("v0003", true), ("v0002", false), ("v0001", false)];
    assert_eq!(versions, expected.map(|(id, now)| (id.to_owned(), now)));
    let first = bed.get(&ROOT, "policies/versions?limit=2").await;
    let next = first.body["next"].as_str().unwrap();
    let rest = bed
        .get(&ROOT, &format!("policies/versions?limit=2&cursor={next}"))
        .await;
    assert_eq!(rest.body["items"][0]["id"], "v0001");
    let third = bed.get(&ROOT, "policies/versions/v0003").await.is(200);
    assert_eq!(third.body["note"], "back to v0001");
    assert_eq!(third.body["base"], "v0002");
    for none in ["v0009", "v1", "draft", "published", "..%2fdraft"] {
        bed.get(&ROOT, &format!("policies/versions/{none}"))
            .await
            .refused(404, "not-found");
        bed.post(&ROOT, &format!("policies/revert/{none}"), json!({}))
            .await
            .refused(404, "not-found");
    }
}

#[tokio::test]
async fn who_drafted_does_not_publish() {
    let bed = bed().await;
    let [author, approver, both, root, nobody] = [
        bed.as_user("author").await,
        bed.as_user("approver").await,
        bed.as_user("both").await,
        bed.as_user("root").await,
        bed.as_user("nobody").await,
    ];
    for (who, put, publish) in [(&author, 200, NO), (&nobody, NO, NO)] {
        bed.put(who, "policies/draft", draft("// 1")).await.is(put);
        bed.post(who, "policies/publish", json!({}))
            .await
            .is(publish);
    }
    bed.put(&approver, "policies/draft", draft("// 2"))
        .await
        .is(NO);
    bed.delete(&approver, "policies/draft").await.is(NO);
    bed.post(&approver, "policies/publish", json!({}))
        .await
        .is(200);
    // Whoever had a part in it, also where somebody else wrote last.
    bed.put(&both, "policies/draft", draft("// 3"))
        .await
        .is(200);
    bed.put(&author, "policies/draft", draft("// 4"))
        .await
        .is(200);
    bed.post(&both, "policies/publish", json!({})).await.is(NO);
    // That the body says otherwise changes nothing.
    let mut lie = draft("// 5");
    lie["drafted_by"] = json!([]);
    bed.put(&both, "policies/draft", lie).await.is(200);
    bed.post(&both, "policies/publish", json!({})).await.is(NO);
    bed.post(&approver, "policies/publish", json!({}))
        .await
        .is(200);
    // Who drafted an earlier one does not bring it back either.
    bed.post(&both, "policies/revert/v0002", json!({}))
        .await
        .is(NO);
    bed.post(&both, "policies/revert/v0001", json!({}))
        .await
        .is(200);
    bed.post(&author, "policies/revert/v0001", json!({}))
        .await
        .is(NO);
    // Administrators of everything could do so anyway.
    bed.put(&root, "policies/draft", draft("// 6"))
        .await
        .is(200);
    bed.post(&root, "policies/publish", json!({})).await.is(200);
    // What an operator drafted, an approver publishes.
    bed.put(&ROOT, "policies/draft", draft("// 7"))
        .await
        .is(200);
    bed.post(&approver, "policies/publish", json!({}))
        .await
        .is(200);
}

#[tokio::test]
async fn who_drafts_through_an_agent_or_as_somebody_else_they_are_does_not_publish() {
    let bed = bed().await;
    let bot =
        json!({"name": "bot", "owner": "both", "identities": [{"issuer": IDP, "subject": "bot"}]});
    bed.make("agents/bot", bot).await;
    bed.grant("bot", "policy-author", json!({"agent": "bot"}))
        .await;
    let mut both = person("both");
    both["identities"] =
        json!([{"issuer": IDP, "subject": "both"}, {"issuer": IDP, "subject": "both2"}]);
    bed.make("users/both", both).await;
    let bot = bed
        .of_tenant(
            "default",
            Identity::agent(Party::new(Subject::new(IDP, "bot"))),
        )
        .await;
    bed.put(&bot, "policies/draft", draft("// 1")).await.is(200);
    for name in ["both", "both2"] {
        let who = bed.as_user(name).await;
        bed.post(&who, "policies/publish", json!({})).await.is(NO);
    }
    let approver = bed.as_user("approver").await;
    bed.post(&approver, "policies/publish", json!({}))
        .await
        .is(200);
}

#[tokio::test]
async fn a_draft_of_what_is_no_longer_in_force_is_not_published() {
    let bed = bed().await;
    bed.put(&ROOT, "policies/draft", draft("// 1"))
        .await
        .is(200);
    bed.post(&ROOT, "policies/publish", json!({})).await.is(200);
    bed.put(&ROOT, "policies/draft", draft("// 2"))
        .await
        .is(200);
    bed.post(&ROOT, "policies/revert/v0001", json!({}))
        .await
        .is(200);
    bed.post(&ROOT, "policies/publish", json!({}))
        .await
        .refused(409, "stale-draft");
    bed.put(&ROOT, "policies/draft", draft("// 3"))
        .await
        .is(200);
    bed.post(&ROOT, "policies/publish", json!({})).await.is(200);
    let seen = bed
        .put(&ROOT, "policies/draft", draft("// 4"))
        .await
        .etag()
        .to_owned();
    bed.put(&ROOT, "policies/draft", draft("// 5"))
        .await
        .is(200);
    let tag = [("if-match", seen.as_str())];
    let path = "/tenants/default/policies/draft";
    let late = bed.send(&ROOT, Method::PUT, path, &tag, Some(draft("// 6")));
    late.await.refused(412, "stale");
}

#[tokio::test]
async fn drafts_are_bounded_and_their_files_stay_in_place() {
    let bed = bed().await;
    for name in ["../x.cedar", "/x.cedar", "x", "x.cedar\n", ""] {
        let body = json!({"files": {name: "// x"}});
        bed.put(&ROOT, "policies/draft", body)
            .await
            .refused(422, "file-name");
    }
    bed.put(&ROOT, "policies/draft", json!({"files": [], "typo": 1}))
        .await
        .refused(422, "document");
    let large = "x".repeat(5 << 20);
    bed.put(&ROOT, "policies/draft", draft(&large))
        .await
        .refused(413, "body");
    let fits = format!("// {}", "x".repeat(1 << 20));
    bed.put(&ROOT, "policies/draft", draft(&fits)).await.is(200);
}
