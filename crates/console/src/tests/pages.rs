use super::*;

const ROOT: Who = Who::Root;

fn ids(answer: &Answer) -> Vec<&str> {
    let items = answer.body["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_whole() {
    let bed = Bed::new().await;
    for id in ["a", "b", "c", "d", "e"] {
        bed.person(id).await;
    }
    let mut seen = Vec::new();
    let mut path = "users?limit=2".to_owned();
    loop {
        let page = bed.get(&ROOT, &path).await.is(200);
        let found = ids(&page);
        assert!(found.len() <= 2);
        seen.extend(found.iter().map(|id| (*id).to_owned()));
        let Some(next) = page.body["next"].as_str() else {
            break;
        };
        path = format!("users?limit=2&cursor={next}");
        // Who goes meanwhile moves nobody else.
        bed.send(&ROOT, Method::DELETE, "/tenants/default/users/a", &[], None)
            .await;
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    let first = bed.get(&ROOT, "users?limit=2").await;
    let next = first.body["next"].as_str().unwrap();
    for foreign in [
        format!("groups?cursor={next}"),
        format!("/tenants/acme/users?cursor={next}"),
        format!("users?cursor=x{next}"),
        "users?limit=501".to_owned(),
        "users?limit=2&limit=3".to_owned(),
        "users?sort=id".to_owned(),
        "users?user_name=a&external_id=b".to_owned(),
    ] {
        bed.get(&ROOT, &foreign).await.refused(400, "query");
    }
}

#[tokio::test]
async fn names_are_found_without_reading_all() {
    let bed = Bed::new().await;
    let mut ann = person("ann");
    ann["external_id"] = json!("E-1");
    bed.make("users/ann", ann).await;
    bed.person("ben").await;
    bed.group("staff").await;
    bed.grant("g1", "metadata-viewer", json!({"user": "ann"}))
        .await;
    bed.grant("g2", "content-auditor", json!({"user": "ann"}))
        .await;
    bed.grant("g3", "metadata-viewer", json!({"group": "staff"}))
        .await;
    for (path, found) in [
        ("users?user_name=ANN@a.example", vec!["ann"]),
        ("users?external_id=E-1", vec!["ann"]),
        ("users?external_id=e-1", vec![]),
        ("users?user_name=none", vec![]),
        ("users?identity=https://idp.example|ben", vec!["ben"]),
        ("users?identity=https://other.example|ben", vec![]),
        ("groups?display_name=STAFF", vec!["staff"]),
        ("grants?user=ann", vec!["g1", "g2"]),
        ("grants?group=staff", vec!["g3"]),
        ("grants?agent=ann", vec![]),
    ] {
        let answer = bed.get(&ROOT, path).await.is(200);
        assert_eq!(ids(&answer), found, "{path}");
    }
    let page = bed.get(&ROOT, "grants?user=ann&limit=1").await;
    let next = page.body["next"].as_str().unwrap();
    let rest = bed
        .get(&ROOT, &format!("grants?user=ann&limit=1&cursor={next}"))
        .await;
    assert_eq!((ids(&page), ids(&rest)), (vec!["g1"], vec!["g2"]));
}

#[tokio::test]
async fn built_in_roles_are_listed_and_marked() {
    let bed = Bed::new().await;
    bed.role("mine", &["users.*"]).await;
    let roles = bed.get(&ROOT, "roles").await;
    let marked = roles.body["items"].as_array().unwrap().iter();
    let (built_in, own): (Vec<_>, Vec<_>) = marked.partition(|role| role["built_in"] == true);
    assert_eq!(own.len(), 1);
    assert!(built_in.iter().any(|role| role["id"] == "administrator"));
    let administrator = bed.get(&ROOT, "roles/administrator").await.is(200);
    assert_eq!(administrator.body["built_in"], true);
    bed.put(
        &ROOT,
        "roles/administrator",
        json!({"name": "administrator"}),
    )
    .await
    .refused(422, "built-in-role");
    bed.delete(&ROOT, "roles/administrator")
        .await
        .refused(404, "not-found");
}
