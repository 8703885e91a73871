//! What Entra ID sends, in the order in which it does, as its documentation shows it: "Develop and plan provisioning for a SCIM
//! endpoint" and "Known issues and resolutions with SCIM 2.0 protocol compliance".

use super::*;

/// As the tenant URL is given to get the newer behaviour: it comes back with every request.
const FLAG: &str = "aadOptscim062020";

fn created() -> Value {
    json!({
        "schemas": [CORE, ENTERPRISE],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "Test_User_ab6490ee",
        "active": true,
        "emails": [{"primary": true, "type": "work", "value": "Test_User_fd0ea19b@testuser.com"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
        "roles": [],
    })
}

#[tokio::test]
async fn a_person_of_entra_id_comes_changes_and_goes() {
    let bed = Bed::start().await;
    // The connection is tested with somebody who is not there.
    let nobody = bed
        .get("/Users?filter=userName eq \"0f3f4c4d-3c5c-4d2b-9d5b-8b2f5d0a1f11\"")
        .await
        .expect(200);
    assert_eq!(
        (&nobody.body["totalResults"], &nobody.body["Resources"]),
        (&json!(0), &json!([]))
    );
    let by_name = "/Users?filter=userName eq \"Test_User_ab6490ee\"";
    assert_eq!(bed.get(by_name).await.expect(200).body["totalResults"], 0);
    let made = bed.post("/Users", &created()).await.expect(201);
    assert_eq!(
        made.body["externalId"],
        "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef"
    );
    assert_eq!(made.body["meta"]["resourceType"], "User");
    assert!(made.body.get("roles").is_none());
    let path = format!("/Users/{}", made.id());
    assert_eq!(bed.get(by_name).await.expect(200).listed("id"), [made.id()]);
    for filter in [
        "externalId eq \"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef\"",
        "emails[type eq \"work\"].value eq \"test_user_fd0ea19b@testuser.com\"",
    ] {
        assert_eq!(
            bed.get(&format!("/Users?filter={filter}"))
                .await
                .expect(200)
                .listed("id"),
            [made.id()]
        );
    }
    bed.post("/Users", &created())
        .await
        .of_type(409, "uniqueness");

    let patched = bed
        .patch(&path, json!([
            {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "updatedEmail@microsoft.com"},
            {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
        ]))
        .await
        .expect(200);
    assert_eq!(
        patched.body["emails"],
        json!([{"primary": true, "type": "work", "value": "updatedEmail@microsoft.com"}])
    );
    assert_eq!(patched.body["name"]["familyName"], "updatedFamilyName");
    let renamed = json!([{"op": "Replace", "path": "userName", "value": "5b50642d@testuser.com"}]);
    assert_eq!(
        bed.patch(&path, renamed).await.expect(200).body["userName"],
        "5b50642d@testuser.com"
    );
    // What was never there is added by the names of values that are not there either.
    let added = bed
        .patch(&path, json!([
            {"op": "Add", "path": "nickName", "value": "Babs"},
            {"op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "55555555555"},
            {"op": "Add", "path": "addresses[type eq \"work\"].streetAddress", "value": "18/2111"},
            {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "Retail"},
            {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "value": "26118915"},
        ]))
        .await
        .expect(200);
    assert_eq!(
        added.body["phoneNumbers"],
        json!([{"type": "mobile", "value": "55555555555"}])
    );
    assert_eq!(
        added.body["addresses"],
        json!([{"type": "work", "streetAddress": "18/2111"}])
    );
    assert_eq!(added.body[ENTERPRISE]["department"], "Retail");
    assert_eq!(added.body[ENTERPRISE]["manager"]["value"], "26118915");
    bed.patch(&path, json!([
        {"op": "Remove", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"},
        {"op": "Remove", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "55555555555"},
    ]))
    .await
    .expect(200);
    let left = bed.get(&path).await.expect(200);
    assert!(
        left.body[ENTERPRISE].get("manager").is_none() && left.body.get("phoneNumbers").is_none()
    );

    // Out of scope, and back again, and deleted.
    let external = "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef";
    assert!(bed.is_let_in(external));
    let off = json!([{"op": "Replace", "path": "active", "value": "False"}]);
    assert_eq!(
        bed.patch(&path, off).await.expect(200).body["active"],
        false
    );
    assert!(!bed.is_let_in(external));
    // Also whoever is not let in is found.
    assert_eq!(
        bed.get("/Users?filter=userName eq \"5b50642d@testuser.com\"")
            .await
            .listed("id"),
        [made.id()]
    );
    bed.patch(
        &path,
        json!([{"op": "Replace", "path": "active", "value": "True"}]),
    )
    .await
    .expect(200);
    assert!(bed.is_let_in(external));
    bed.ask("DELETE", &path, None).await.expect(204);
    assert!(!bed.is_let_in(external));
    bed.get(&path).await.expect(404);
}

#[tokio::test]
async fn entra_id_with_the_flag_for_compliance_is_understood_too() {
    let bed = Bed::start().await;
    let made = bed
        .post(&format!("/Users?{FLAG}"), &created())
        .await
        .expect(201);
    let path = format!("/Users/{}?{FLAG}", made.id());
    let patched = bed
        .patch(&path, json!([
            {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "TestMhvaes@test.microsoft.com"},
            {"op": "replace", "value": {
                "displayName": "Bjfe",
                "name.givenName": "Kkom",
                "name.familyName": "Unua",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber": "Aklq",
            }},
        ]))
        .await
        .expect(200);
    assert_eq!(patched.body["displayName"], "Bjfe");
    assert_eq!(
        patched.body["name"],
        json!({"formatted": "givenName familyName", "familyName": "Unua", "givenName": "Kkom"})
    );
    assert_eq!(patched.body[ENTERPRISE]["employeeNumber"], "Aklq");
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    assert_eq!(
        bed.patch(&path, off).await.expect(200).body["active"],
        false
    );
}

#[tokio::test]
async fn a_group_of_entra_id_comes_changes_and_goes() {
    let bed = Bed::start().await;
    let (one, two) = (bed.user("one").await, bed.user("two").await);
    let by_name = "/Groups?excludedAttributes=members&filter=displayName eq \"displayName\"";
    assert_eq!(bed.get(by_name).await.expect(200).body["totalResults"], 0);
    let made = bed
        .post("/Groups", &json!({
            "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
            "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
            "displayName": "displayName",
            "meta": {"resourceType": "Group"},
        }))
        .await
        .expect(201);
    assert_eq!(
        made.body["externalId"],
        "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159"
    );
    let id = made.id();
    let path = format!("/Groups/{id}");
    assert_eq!(
        bed.get(by_name).await.expect(200).listed("id"),
        std::slice::from_ref(&id)
    );
    bed.patch(
        &path,
        json!([{"op": "Replace", "path": "displayName", "value": "1879db59updatedDisplayName"}]),
    )
    .await
    .expect(204);
    bed.patch(
        &path,
        json!([{"op": "Add", "path": "members", "value": [
            {"$ref": null, "value": one}, {"$ref": null, "value": two},
        ]}]),
    )
    .await
    .expect(204);
    assert_eq!(bed.members(&id).await.len(), 2);
    let shown = bed
        .get(&format!("{path}?excludedAttributes=members"))
        .await
        .expect(200);
    assert_eq!(shown.body["displayName"], "1879db59updatedDisplayName");
    assert!(shown.body.get("members").is_none());
    // Whether somebody is in a group is asked so.
    let is_in = format!("/Groups?filter=id eq \"{id}\" and members eq \"{one}\"&attributes=id");
    assert_eq!(bed.get(&is_in).await.expect(200).body["totalResults"], 1);
    bed.patch(
        &path,
        json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": one}]}]),
    )
    .await
    .expect(204);
    assert_eq!(bed.get(&is_in).await.expect(200).body["totalResults"], 0);
    bed.patch(
        &path,
        json!([{"op": "remove", "path": format!("members[value eq \"{two}\"]")}]),
    )
    .await
    .expect(204);
    assert_eq!(bed.members(&id).await, Vec::<String>::new());
    bed.ask("DELETE", &path, None).await.expect(204);
    bed.get(&path).await.expect(404);
}
