use super::*;

const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

fn request(operations: &Value) -> Value {
    json!({"schemas": [REQUEST], "Operations": operations})
}

fn user(bulk_id: &str, user_name: &str) -> Value {
    json!({"method": "POST", "path": "/Users", "bulkId": bulk_id, "data": {"schemas": [CORE], "userName": user_name}})
}

fn group(bulk_id: &str, name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
    let data = json!({"schemas": [GROUP], "displayName": name, "members": members});
    json!({"method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data})
}

fn statuses(answered: &Answered) -> Vec<String> {
    let operations = answered.body["Operations"].as_array().unwrap();
    operations
        .iter()
        .map(|operation| operation["status"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn what_is_made_can_be_named_before_and_after() {
    let bed = Bed::start().await;
    let operations = json!([
        group("g", "Tour Guides", &["bulkId:a", "bulkId:b"]),
        user("a", "alice"),
        user("b", "bob"),
        {"method": "PATCH", "path": "/Users/bulkId:a", "data": {
            "schemas": [PATCH], "Operations": [{"op": "Replace", "path": "title", "value": "Dr"}],
        }},
        {"method": "delete", "path": "/Users/nobody"},
    ]);
    let answered = bed.post("/Bulk", &request(&operations)).await.expect(200);
    assert_eq!(
        answered.body["schemas"],
        json!(["urn:ietf:params:scim:api:messages:2.0:BulkResponse"])
    );
    assert_eq!(statuses(&answered), ["201", "201", "201", "200", "404"]);
    let made = &answered.body["Operations"];
    assert_eq!(
        (&made[0]["bulkId"], &made[0]["method"]),
        (&json!("g"), &json!("POST"))
    );
    assert_eq!(made[4]["response"]["status"], "404");
    let place = |index: usize| {
        let place = made[index]["location"].as_str().unwrap();
        place
            .strip_prefix(&format!("{URL}/scim/v2"))
            .unwrap()
            .to_owned()
    };
    let alice = bed.get(&place(1)).await.expect(200);
    assert_eq!(
        (&alice.body["userName"], &alice.body["title"]),
        (&json!("alice"), &json!("Dr"))
    );
    let guides = bed.get(&place(0)).await.expect(200);
    assert_eq!(guides.header("etag"), made[0]["version"]);
    assert_eq!(guides.body["members"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn people_may_name_each_other_and_groups_may_not() {
    let bed = Bed::start().await;
    let with_manager = |bulk_id: &str, name: &str, manager: &str| {
        let mut made = user(bulk_id, name);
        made["data"][ENTERPRISE] = json!({"manager": {"value": format!("bulkId:{manager}")}});
        made
    };
    let people = json!([
        with_manager("a", "alice", "b"),
        with_manager("b", "bob", "a")
    ]);
    let answered = bed.post("/Bulk", &request(&people)).await.expect(200);
    assert_eq!(statuses(&answered), ["201", "201"]);
    let found = bed.get("/Users").await.expect(200);
    let (one, other) = (&found.body["Resources"][0], &found.body["Resources"][1]);
    assert_eq!(one[ENTERPRISE]["manager"]["value"], other["id"]);
    assert_eq!(other[ENTERPRISE]["manager"]["value"], one["id"]);

    let groups = json!([
        group("a", "A", &["bulkId:b"]),
        group("b", "B", &["bulkId:c"]),
        group("c", "C", &["bulkId:a"]),
        group("d", "D", &["bulkId:d"]),
        group("e", "E", &[]),
    ]);
    let answered = bed.post("/Bulk", &request(&groups)).await.expect(200);
    assert_eq!(statuses(&answered), ["400", "400", "409", "409", "201"]);
    assert_eq!(bed.get("/Groups").await.listed("displayName"), ["E"]);
}

#[tokio::test]
async fn errors_end_it_where_the_request_says_so() {
    let bed = Bed::start().await;
    let operations = json!([
        user("a", "alice"),
        user("b", "ALICE"),
        user("c", ""),
        user("d", "dora")
    ]);
    let mut body = request(&operations);
    body["failOnErrors"] = json!(1);
    let answered = bed.post("/Bulk", &body).await.expect(200);
    assert_eq!(statuses(&answered), ["201", "409"]);
    body["failOnErrors"] = json!(2);
    let answered = bed.post("/Bulk", &body).await.expect(200);
    assert_eq!(statuses(&answered), ["409", "409"]);
    let answered = bed.post("/Bulk", &request(&operations)).await.expect(200);
    assert_eq!(statuses(&answered), ["409", "409", "400", "201"]);
    assert_eq!(
        bed.get("/Users").await.listed("userName"),
        ["alice", "dora"]
    );
    body["failOnErrors"] = json!(0);
    bed.post("/Bulk", &body).await.of_type(400, "invalidSyntax");
}

#[tokio::test]
async fn what_depends_on_what_was_not_made_is_not_made_either() {
    let bed = Bed::start().await;
    let operations = json!([
        group("g", "G", &["bulkId:a"]),
        user("a", ""),
        group("h", "H", &["bulkId:nobody"]),
        {"method": "DELETE", "path": "/Users/bulkId:zzz"},
    ]);
    let answered = bed.post("/Bulk", &request(&operations)).await.expect(200);
    assert_eq!(statuses(&answered), ["400", "400", "400", "400"]);
    assert_eq!(bed.get("/Groups").await.listed("id").len(), 0);
}

#[tokio::test]
async fn versions_are_looked_at_in_bulk_too() {
    let bed = Bed::start().await;
    let id = bed.user("ann").await;
    let path = format!("/Users/{id}");
    let version = bed.get(&path).await.header("etag").to_owned();
    let patch = |version: &str, title: &str| {
        json!({"method": "PATCH", "path": path, "version": version, "data": {
            "schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": title}],
        }})
    };
    let operations = json!([
        patch(&version, "one"),
        patch(&version, "two"),
        patch("nonsense", "three")
    ]);
    let answered = bed.post("/Bulk", &request(&operations)).await.expect(200);
    assert_eq!(statuses(&answered), ["200", "412", "400"]);
    assert_eq!(bed.get(&path).await.body["title"], "one");
}

#[tokio::test]
async fn what_is_no_bulk_request_is_refused() {
    let bed = Bed::start().await;
    for body in [
        json!({}),
        json!({"schemas": [REQUEST]}),
        json!({"schemas": ["urn:x"], "Operations": []}),
        request(&json!([{"path": "/Users"}])),
        request(&json!([{"method": "POST", "data": {}}])),
        request(&json!([{"method": "POST", "path": "/Users", "data": {}}])),
        request(&json!([user("a", "x"), user("a", "y")])),
    ] {
        bed.post("/Bulk", &body).await.of_type(400, "invalidSyntax");
    }
    for (method, path, status) in [
        ("GET", "/Users/x", "405"),
        ("POST", "/Users/x", "405"),
        ("POST", "/Bulk", "405"),
        ("POST", "/.search", "405"),
        ("PUT", "/Nothing/x", "404"),
        ("DELETE", "/Users/../Groups/x", "404"),
    ] {
        let operation = json!([{"method": method, "path": path, "bulkId": "a", "data": {}}]);
        let answered = bed.post("/Bulk", &request(&operation)).await.expect(200);
        assert_eq!(statuses(&answered), [status], "{method} {path}");
    }
    let many = vec![json!({"method": "DELETE", "path": "/Users/x"}); 1_001];
    bed.post("/Bulk", &request(&json!(many))).await.expect(413);
    let none = bed.post("/Bulk", &request(&json!([]))).await.expect(200);
    assert_eq!(none.body["Operations"], json!([]));
}

#[tokio::test]
async fn a_long_chain_of_names_is_followed_without_depth() {
    let bed = Bed::start().await;
    let mut operations: Vec<Value> = (0..200)
        .map(|number| {
            let mut made = user(&format!("u{number}"), &format!("user{number}"));
            made["data"][ENTERPRISE] = json!({"manager": format!("bulkId:u{}", number + 1)});
            made
        })
        .collect();
    operations.push(user("u200", "user200"));
    let answered = bed
        .post("/Bulk", &request(&json!(operations)))
        .await
        .expect(200);
    assert!(statuses(&answered).iter().all(|status| status == "201"));
}

#[tokio::test]
async fn a_rehearsal_of_many_says_what_all_of_them_would_do() {
    let bed = Bed::start().await;
    let operations = json!([group("g", "G", &["bulkId:a"]), user("a", "alice")]);
    let answered = bed
        .post("/Bulk?dryRun=true", &request(&operations))
        .await
        .expect(200);
    assert_eq!(statuses(&answered), ["201", "201"]);
    let of: Vec<&str> = answered.body["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["of"].as_str().unwrap().split(' ').next().unwrap())
        .collect();
    assert_eq!(of, ["user", "group", "member"]);
    assert_eq!(bed.get("/Users").await.listed("id").len(), 0);
}
