//! What Okta sends, in the order in which it does, as its reference "Okta and SCIM Version 2.0" shows it.

use super::*;

fn created() -> Value {
    json!({
        "schemas": [CORE],
        "userName": "test.user@okta.local",
        "name": {"givenName": "Test", "familyName": "User"},
        "emails": [{"primary": true, "value": "test.user@okta.local", "type": "work"}],
        "displayName": "Test User",
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "password": "1mz050nq",
        "active": true,
    })
}

#[tokio::test]
async fn a_person_of_okta_comes_changes_and_goes() {
    let bed = Bed::start().await;
    bed.get("/Users?startIndex=1&count=2").await.expect(200);
    bed.get("/Groups?startIndex=1&count=100").await.expect(200);
    let by_name = "/Users?filter=userName eq \"test.user@okta.local\"&startIndex=1&count=100";
    let none = bed.get(by_name).await.expect(200);
    assert_eq!(
        (
            &none.body["totalResults"],
            &none.body["startIndex"],
            &none.body["itemsPerPage"]
        ),
        (&json!(0), &json!(1), &json!(0))
    );
    let made = bed.post("/Users", &created()).await.expect(201);
    assert!(made.body.get("password").is_none());
    let path = format!("/Users/{}", made.id());
    assert_eq!(bed.get(by_name).await.listed("id"), [made.id()]);
    // It sends whole people by PUT, having read them first.
    let mut whole = bed.get(&path).await.expect(200).body;
    whole["name"]["middleName"] = json!("Excited");
    whole["password"] = json!("2mz050nq");
    let put = bed.ask("PUT", &path, Some(&whole)).await.expect(200);
    assert_eq!(put.body["name"]["middleName"], "Excited");
    assert_eq!(put.body["externalId"], "00ujl29u0le5T6Aj10h7");
    assert!(bed.is_let_in("00ujl29u0le5T6Aj10h7"));
    // People are switched off and on, and never deleted.
    let off = bed
        .patch(
            &path,
            json!([{"op": "replace", "value": {"active": false}}]),
        )
        .await
        .expect(200);
    assert_eq!(off.body["active"], false);
    assert!(!bed.is_let_in("00ujl29u0le5T6Aj10h7"));
    bed.patch(&path, json!([{"op": "replace", "value": {"active": true}}]))
        .await
        .expect(200);
    assert!(bed.is_let_in("00ujl29u0le5T6Aj10h7"));
    // Apps of the older kind do it by PUT.
    whole["active"] = json!(false);
    bed.ask("PUT", &path, Some(&whole)).await.expect(200);
    assert!(!bed.is_let_in("00ujl29u0le5T6Aj10h7"));
}

#[tokio::test]
async fn a_pushed_group_of_okta_comes_changes_and_goes() {
    let bed = Bed::start().await;
    let (one, two) = (bed.user("one").await, bed.user("two").await);
    let by_name = "/Groups?filter=displayName eq \"Test SCIMv2\"&startIndex=1&count=100";
    assert_eq!(bed.get(by_name).await.expect(200).body["totalResults"], 0);
    let made = bed
        .post(
            "/Groups",
            &json!({"schemas": [GROUP], "displayName": "Test SCIMv2", "members": []}),
        )
        .await
        .expect(201);
    let id = made.id();
    let path = format!("/Groups/{id}");
    // The first push, and every later one that is in doubt, names everybody.
    bed.patch(&path, json!([{"op": "replace", "path": "members", "value": [
        {"value": one, "display": "one@okta.local"}, {"value": two, "display": "two@okta.local"},
    ]}]))
    .await
    .expect(204);
    assert_eq!(bed.members(&id).await.len(), 2);
    bed.patch(&path, json!([
        {"op": "remove", "path": format!("members[value eq \"{one}\"]")},
        {"op": "add", "path": "members", "value": [{"value": two, "display": "two@okta.local"}]},
    ]))
    .await
    .expect(204);
    assert_eq!(bed.members(&id).await, std::slice::from_ref(&two));
    // A new name comes with the id.
    bed.patch(
        &path,
        json!([{"op": "replace", "value": {"id": id, "displayName": "Test SCIMv3"}}]),
    )
    .await
    .expect(204);
    assert_eq!(bed.get(&path).await.body["displayName"], "Test SCIMv3");
    assert_eq!(bed.members(&id).await, [two]);
    bed.ask("PUT", &path, Some(&json!({"schemas": [GROUP], "id": id, "displayName": "Test SCIMv4", "members": [{"value": one}]}))).await.expect(200);
    assert_eq!(bed.members(&id).await, [one]);
    bed.ask("DELETE", &path, None).await.expect(204);
    bed.get(&path).await.expect(404);
}
