use std::collections::BTreeSet;

use super::*;

#[tokio::test]
async fn what_the_service_says_of_itself_is_there() {
    let bed = Bed::start().await;
    let config = bed.get("/ServiceProviderConfig").await.expect(200);
    for feature in ["patch", "bulk", "filter", "sort", "etag"] {
        assert_eq!(config.body[feature]["supported"], true, "{feature}");
    }
    assert_eq!(config.body["pagination"]["cursor"], true);
    let types = bed.get("/ResourceTypes").await.expect(200);
    assert_eq!(types.listed("name"), ["User", "Group", "Agent"]);
    let schemas = bed.get("/Schemas").await.expect(200);
    assert_eq!(schemas.listed("id"), [CORE, ENTERPRISE, GROUP, AGENT]);
    assert_eq!(
        bed.get(&format!("/Schemas/{CORE}")).await.expect(200).id(),
        CORE
    );
    assert_eq!(
        bed.get("/ResourceTypes/Agent").await.expect(200).body["schema"],
        AGENT
    );
    for path in ["/ServiceProviderConfig", "/Schemas", "/ResourceTypes/User"] {
        let filtered = format!("{path}?filter=id pr");
        bed.get(&filtered).await.expect(403);
    }
    bed.get("/Schemas/urn:x").await.expect(404);
    bed.get("/ResourceTypes/Robot").await.expect(404);
}

async fn with_people(count: usize) -> Bed {
    let bed = Bed::start().await;
    for number in 0..count {
        bed.user(&format!("user{number:02}")).await;
    }
    bed
}

#[tokio::test]
async fn pages_by_index_are_those_of_rfc7644_3_4_2_4() {
    let bed = with_people(5).await;
    let page = async |query: &str| {
        let page = bed.get(&format!("/Users?{query}")).await.expect(200);
        let of = |name: &str| page.body[name].as_u64().unwrap();
        (
            of("totalResults"),
            of("startIndex"),
            of("itemsPerPage"),
            page.listed("userName"),
        )
    };
    assert_eq!(
        page("startIndex=2&count=2").await,
        (5, 2, 2, vec!["user01".into(), "user02".into()])
    );
    assert_eq!(
        page("startIndex=-3&count=1").await,
        (5, 1, 1, vec!["user00".into()])
    );
    assert_eq!(page("startIndex=6").await, (5, 6, 0, vec![]));
    assert_eq!(page("count=0").await, (5, 1, 0, vec![]));
    assert_eq!(page("count=-1").await, (5, 1, 0, vec![]));
    assert_eq!(
        page("startIndex=99999999999").await,
        (5, 99_999_999_999, 0, vec![])
    );
    let filtered = encoded("startIndex=2&count=1&filter=userName gt \"user02\"");
    assert_eq!(page(&filtered).await, (2, 2, 1, vec!["user04".into()]));
    bed.get("/Users?count=many")
        .await
        .of_type(400, "invalidCount");
    bed.get("/Users?startIndex=1&cursor=")
        .await
        .of_type(400, "invalidCursor");
}

#[tokio::test]
async fn pages_by_cursor_are_those_of_rfc9865() {
    let bed = with_people(7).await;
    for more in [
        "",
        "&filter=userName ge \"user00\"",
        "&sortBy=userName&sortOrder=descending",
    ] {
        let (mut cursor, mut seen) = (String::new(), Vec::new());
        loop {
            let page = bed
                .get(&format!("/Users?cursor={cursor}&count=3{more}"))
                .await
                .expect(200);
            seen.extend(page.listed("userName"));
            assert!(seen.len() <= 7);
            match page.body["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        if more.contains("descending") {
            seen.reverse();
        }
        let expected: Vec<String> = (0..7).map(|number| format!("user{number:02}")).collect();
        assert_eq!(seen, expected, "{more}");
    }
    let first = bed.get("/Users?cursor=&count=3").await.expect(200);
    let cursor = first.body["nextCursor"].as_str().unwrap().to_owned();
    // Of another list, of another type, made up, and too old.
    bed.get(&format!("/Users?cursor={cursor}&filter=active eq true"))
        .await
        .of_type(400, "invalidCursor");
    bed.get(&format!("/Groups?cursor={cursor}"))
        .await
        .of_type(400, "invalidCursor");
    bed.get("/Users?cursor=abc")
        .await
        .of_type(400, "invalidCursor");
    // Who was removed meanwhile is no reason to lose one's place.
    let gone = first.body["Resources"][2]["id"].as_str().unwrap();
    bed.ask("DELETE", &format!("/Users/{gone}"), None)
        .await
        .expect(204);
    let next = bed
        .get(&format!("/Users?cursor={cursor}&count=3"))
        .await
        .expect(200);
    assert_eq!(next.listed("userName"), ["user03", "user04", "user05"]);
    bed.clock.advance(std::time::Duration::from_secs(4_000));
    bed.get(&format!("/Users?cursor={cursor}"))
        .await
        .of_type(400, "expiredCursor");
    let empty = bed.get("/Users?cursor=&count=0").await.expect(200);
    assert_eq!(empty.listed("id").len(), 0);
}

#[tokio::test]
async fn filters_find_and_bombs_are_refused() {
    let bed = with_people(3).await;
    let ids = bed.get("/Users").await.listed("id");
    let staff = bed.group("Staff", &[&ids[0], &ids[1]]).await;
    let of_user = bed.get(&format!("/Users/{}", ids[0])).await.body;
    assert_eq!(
        of_user["groups"],
        json!([{"value": staff, "$ref": format!("{URL}/scim/v2/Groups/{staff}"), "display": "Staff", "type": "direct"}])
    );
    for (path, expected) in [
        ("/Users?filter=userName eq \"USER01\"", vec![&ids[1]]),
        ("/Users?filter=externalId eq \"x-user02\"", vec![&ids[2]]),
        ("/Users?filter=externalId eq \"X-USER02\"", vec![]),
        (
            "/Users?filter=userName eq \"user01\" and active eq false",
            vec![],
        ),
        (
            "/Users?filter=not (userName eq \"user01\")",
            vec![&ids[0], &ids[2]],
        ),
        (
            "/Users?filter=userName ew \"2\" or userName ew \"0\"",
            vec![&ids[0], &ids[2]],
        ),
        (
            "/Users?filter=groups.display eq \"staff\"",
            vec![&ids[0], &ids[1]],
        ),
        ("/Users?filter=groups pr", vec![&ids[0], &ids[1]]),
        ("/Groups?filter=displayName eq \"staff\"", vec![&staff]),
        ("/Groups?filter=meta.resourceType eq \"User\"", vec![]),
    ] {
        let found = bed.get(path).await.expect(200);
        assert_eq!(
            found.listed("id").iter().collect::<Vec<_>>(),
            expected,
            "{path}"
        );
        assert_eq!(found.body["totalResults"], expected.len(), "{path}");
    }
    let by_id = format!("/Users?filter=id eq \"{}\"", ids[2]);
    assert_eq!(bed.get(&by_id).await.listed("id"), [ids[2].clone()]);
    for (member, fits) in [(&ids[0], true), (&ids[2], false)] {
        for filter in [
            format!("members.value eq \"{member}\""),
            format!("members eq \"{member}\""),
            format!("members[value eq \"{member}\" and type eq \"User\"]"),
            format!("id eq \"{staff}\" and members eq \"{member}\""),
        ] {
            let found = bed
                .get(&format!(
                    "/Groups?filter={filter}&excludedAttributes=members"
                ))
                .await
                .expect(200);
            assert_eq!(found.listed("id").len(), usize::from(fits), "{filter}");
            assert!(
                found.body["Resources"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|group| group.get("members").is_none())
            );
        }
    }
    for bad in [
        "userName",
        "shoeSize eq 1",
        &"(".repeat(100),
        &vec!["active pr"; 65].join(" or "),
    ] {
        bed.get(&format!("/Users?filter={bad}"))
            .await
            .of_type(400, "invalidFilter");
    }
}

#[tokio::test]
async fn lists_are_sorted_and_show_what_is_asked_for() {
    let bed = with_people(3).await;
    let sorted = bed
        .get("/Users?sortBy=userName&sortOrder=descending&count=2&attributes=userName")
        .await
        .expect(200);
    assert_eq!(sorted.listed("userName"), ["user02", "user01"]);
    assert_eq!(sorted.body["totalResults"], 3);
    let first = sorted.body["Resources"][0].as_object().unwrap();
    assert_eq!(
        first.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        BTreeSet::from(["id", "schemas", "userName"])
    );
    let without = bed
        .get("/Users?excludedAttributes=userName,meta")
        .await
        .expect(200);
    assert!(without.body["Resources"][0].get("userName").is_none());
    bed.get("/Users?sortBy=shoeSize")
        .await
        .of_type(400, "invalidPath");
    bed.get("/Users?sortOrder=up")
        .await
        .of_type(400, "invalidValue");
    bed.get("/Users?attributes=userName&excludedAttributes=title")
        .await
        .of_type(400, "invalidValue");
}

#[tokio::test]
async fn a_search_is_over_one_type_or_over_all() {
    let bed = with_people(2).await;
    bed.group("Staff", &[]).await;
    let search = |more: Value| {
        let mut body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let all = bed.post("/.search", &search(json!({}))).await.expect(200);
    assert_eq!(
        (all.listed("id").len(), &all.body["totalResults"]),
        (3, &json!(3))
    );
    let window = bed
        .post("/.search", &search(json!({"startIndex": 2, "count": 2})))
        .await
        .expect(200);
    assert_eq!(window.listed("id"), all.listed("id")[1..]);
    // Groups have no user name, and so none that fits.
    let named = search(json!({"filter": "userName pr", "attributes": ["userName"]}));
    let found = bed.post("/.search", &named).await.expect(200);
    assert_eq!(found.listed("userName"), ["user00", "user01"]);
    bed.post("/.search", &search(json!({"filter": "shoeSize pr"})))
        .await
        .of_type(400, "invalidFilter");
    let of_groups = bed
        .post("/Groups/.search", &search(json!({})))
        .await
        .expect(200);
    assert_eq!(of_groups.listed("displayName"), ["Staff"]);
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let page = bed
            .post("/.search", &search(json!({"cursor": cursor, "count": 1})))
            .await
            .expect(200);
        seen.extend(page.listed("id"));
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, all.listed("id"));
    bed.post("/.search", &json!({}))
        .await
        .of_type(400, "invalidSyntax");
}

#[tokio::test]
async fn a_version_that_is_known_is_not_sent_again() {
    let bed = with_people(1).await;
    let id = bed.get("/Users").await.listed("id").remove(0);
    let path = format!("/Users/{id}");
    let found = bed.get(&path).await.expect(200);
    let version = found.header("etag").to_owned();
    assert_eq!(found.body["meta"]["version"], version);
    assert_eq!(
        found.body["meta"]["location"],
        format!("{URL}/scim/v2{path}")
    );
    let ask = async |tag: &str| {
        let request = Request::builder()
            .uri(format!("/scim/v2{path}"))
            .header("if-none-match", tag);
        bed.send(&bed.token, request, None).await
    };
    let known = ask(&version).await.expect(304);
    assert_eq!(
        (known.header("etag"), &known.body),
        (version.as_str(), &Value::Null)
    );
    ask("W/\"0\"").await.expect(200);
    ask("not a tag").await.of_type(400, "invalidValue");
    bed.patch(
        &path,
        json!([{"op": "add", "path": "title", "value": "Dr"}]),
    )
    .await
    .expect(200);
    ask(&version).await.expect(200);
}

#[tokio::test]
async fn ids_and_names_that_nothing_can_have_are_those_of_nothing() {
    let bed = with_people(1).await;
    for path in [
        "/Users/%00",
        "/Users/%C3%A9",
        "/Users/a%20b",
        "/Users/..%2FUsers",
        &format!("/Users/{}", "x".repeat(129)),
    ] {
        bed.get(path).await.expect(404);
    }
    for filter in [
        r#"userName eq "\u0000""#,
        r#"externalId eq "\u0000""#,
        r#"id eq "\u0000""#,
        r#"id eq """#,
    ] {
        let found = bed
            .get(&format!("/Users?filter={filter}"))
            .await
            .expect(200);
        assert_eq!(found.body["totalResults"], 0, "{filter}");
    }
    let of_nothing =
        crate::scim::Cursor::new("[\"User\"] None None Ascending", "User/\0", bed.clock.now());
    bed.get(&format!("/Users?cursor={}", of_nothing.text()))
        .await
        .of_type(400, "invalidCursor");
}

#[tokio::test]
async fn a_page_with_too_many_members_ends_before() {
    let bed = Bed::start().await;
    let service = ScimService::new(bed.directory.clone(), URL, bed.clock.clone());
    let service = service.with(|inner| inner.most_members = 100);
    let bed = Bed {
        router: service.router(),
        ..bed
    };
    let tenant = TenantId::default();
    let many: Vec<Edit> = (0..60)
        .map(|number| Edit::Put {
            id: format!("a{number:05}").into(),
            document: Document::Agent(crate::model::Agent::new("bot")),
            expected: Expected::Absent,
        })
        .collect();
    let actor = || gatewright_core::Actor::Operator(0);
    bed.directory
        .change(actor(), &tenant, "test", many)
        .await
        .unwrap();
    for name in ["g1", "g2", "g3"] {
        bed.put("default", Kind::Group, name, &json!({"display_name": name}))
            .await;
        let members = (0..60)
            .map(|number| Edit::Join {
                group: name.into(),
                member: crate::model::MemberRef::agent(&format!("a{number:05}")),
            })
            .collect();
        bed.directory
            .change(actor(), &tenant, "test", members)
            .await
            .unwrap();
    }
    let page = bed.get("/Groups").await.expect(200);
    assert_eq!(
        (page.listed("id"), &page.body["totalResults"]),
        (vec!["g1".to_owned()], &json!(3))
    );
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    for sort in ["", "&sortBy=displayName"] {
        loop {
            let page = bed
                .get(&format!("/Groups?cursor={cursor}{sort}"))
                .await
                .expect(200);
            seen.extend(page.listed("id"));
            match page.body["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        cursor.clear();
    }
    assert_eq!(seen, ["g1", "g2", "g3", "g1", "g2", "g3"]);
    let lean = bed
        .get("/Groups?excludedAttributes=members")
        .await
        .expect(200);
    assert_eq!(lean.listed("id").len(), 3);
    // Whether somebody is in one of them is asked without looking at all, and everything else is too much.
    let asked = bed
        .get(r#"/Groups?filter=id eq "g1" and members eq "a00017"&attributes=id"#)
        .await;
    assert_eq!(asked.expect(200).listed("id"), ["g1"]);
    let twice = bed
        .get(r#"/Groups?filter=members.type eq "Robot" or members.type eq "User""#)
        .await;
    assert_eq!(twice.expect(200).body["totalResults"], 0);
    let version = bed
        .get("/Groups/g1?attributes=id")
        .await
        .header("etag")
        .to_owned();
    let remove = json!([{"op": "remove", "path": r#"members[value eq "a00017"]"#}]);
    bed.patch_if("/Groups/g1", &version, remove)
        .await
        .expect(204);
    let recorded = bed.log.0.lock().unwrap().last().unwrap().differences.len();
    assert_eq!(recorded, 1);
}
