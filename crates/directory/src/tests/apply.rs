use super::*;
use crate::apply::{AppliedTenant, Wanted};

fn wanted(tenant: &Value) -> Wanted {
    serde_json::from_value(json!({"tenants": {"default": tenant}})).unwrap()
}

fn demo() -> Value {
    json!({
        "issuers": [{"issuer": IDP}],
        "servers": {"notes": {"url": "https://notes.example/mcp"}},
        "roles": [{"name": "reader", "permissions": [{"servers": ["notes"], "tools": ["*"]}]}],
        "users": [{"identity": {"issuer": IDP, "subject": "ann"}}],
        "agents": [{"identity": {"issuer": IDP, "subject": "bot"}, "owner": {"issuer": IDP, "subject": "ann"}}],
        "groups": [{"name": "Team A", "users": [{"issuer": IDP, "subject": "ann"}]}],
        "grants": [
            {"role": "reader", "to": {"group": {"name": "Team A"}}},
            {"role": "reader", "to": {"user": {"issuer": IDP, "subject": "ben"}}},
            {"role": "reader", "to": {"claimed-group": {"issuer": IDP, "name": "staff"}}},
        ],
        "policies": {"own.cedar": "// nothing"},
    })
}

async fn apply(bed: &Bed, tenant: &Value) -> Result<AppliedTenant, ChangeError> {
    let wanted = wanted(tenant);
    let planned = bed
        .directory
        .plan_file(&Actor::Operator(0), &wanted)
        .await?;
    let applied = bed
        .directory
        .apply_file(&Actor::Operator(0), &wanted)
        .await?;
    let (mut planned, mut applied) = (planned, applied);
    let (planned, applied) = (planned.pop().unwrap(), applied.pop().unwrap());
    assert_eq!(
        planned.differences, applied.differences,
        "it does what it said"
    );
    assert_eq!(planned.revision, None);
    Ok(applied)
}

fn of(applied: &AppliedTenant) -> Vec<&str> {
    applied
        .differences
        .iter()
        .map(|it| it.of.as_str())
        .collect()
}

#[tokio::test]
async fn a_file_is_applied_once_and_then_changes_nothing() {
    let bed = Bed::start().await;
    let first = apply(&bed, &demo()).await.unwrap();
    for made in [
        "user ann",
        "user ben",
        "agent bot",
        "group Team_20A",
        "server notes",
        "role reader",
        "policies v0001",
    ] {
        assert!(of(&first).contains(&made), "{made} {:?}", of(&first));
    }
    assert_eq!(groups(&bed.user("ann")), ["Team_20A"]);
    assert!(
        is_active(&bed.user("ben")),
        "who is granted something may come"
    );
    assert!(is_active(&bed.status(PartyKind::Agent, IDP, "bot")));
    let again = apply(&bed, &demo()).await.unwrap();
    assert_eq!(of(&again), Vec::<&str>::new());
    assert_eq!(again.revision, first.revision);
}

#[tokio::test]
async fn what_the_file_no_longer_has_goes_and_what_others_made_stays() {
    let bed = Bed::start().await;
    bed.put(Kind::User, "scim-1", json!({"user_name": "carl", "origin": "scim", "identities": [{"issuer": IDP, "subject": "carl"}]}))
        .await
        .unwrap();
    let mut file = demo();
    file["users"]
        .as_array_mut()
        .unwrap()
        .push(json!({"identity": {"issuer": IDP, "subject": "carl"}, "disabled": true}));
    apply(&bed, &file).await.unwrap();
    assert_eq!(bed.user("carl"), Status::Disabled);
    bed.put(Kind::Role, "by-hand", json!({"name": "by-hand"}))
        .await
        .unwrap();

    let mut file = demo();
    file["groups"] = json!([]);
    file["grants"] = json!([]);
    file["agents"] = json!([]);
    let applied = apply(&bed, &file).await.unwrap();
    for gone in [
        "agent bot",
        "group Team_20A",
        "user ben",
        "grant reader:user:ben",
    ] {
        assert!(of(&applied).contains(&gone), "{gone} {:?}", of(&applied));
    }
    assert_eq!(bed.user("ben"), Status::Unknown);
    assert_eq!(
        bed.get(Kind::Role, "by-hand").await.unwrap()["name"],
        "by-hand"
    );
    // Whom the provider brought is the provider's; that they were switched off stays until somebody says otherwise.
    assert_eq!(bed.user("carl"), Status::Disabled);
    assert!(bed.get(Kind::User, "scim-1").await.is_some());
}

#[tokio::test]
async fn what_a_rule_is_against_leaves_everything_as_it_was() {
    let bed = Bed::start().await;
    apply(&bed, &demo()).await.unwrap();
    let mut file = demo();
    file["roles"] = json!([]);
    file["servers"]["new"] = json!({"url": "https://new.example"});
    let refused = apply(&bed, &file).await.unwrap_err();
    assert_eq!(refused.code(), "role-in-use", "{refused}");
    assert_eq!(bed.get(Kind::Server, "new").await, None);
}

#[tokio::test]
async fn two_issuers_people_of_one_name_are_two() {
    let bed = Bed::start().await;
    let other = "https://other.example/x";
    let file = json!({
        "issuers": [{"issuer": IDP}, {"issuer": other}],
        "users": [{"identity": {"issuer": IDP, "subject": "ann"}}, {"identity": {"issuer": other, "subject": "ann"}}],
    });
    apply(&bed, &file).await.unwrap();
    let account = |status: Status| match status {
        Status::Active(membership) => membership.account,
        _ => None,
    };
    let (one, two) = (
        account(bed.user("ann")),
        account(bed.status(PartyKind::User, other, "ann")),
    );
    assert!(
        one.is_some() && two.is_some() && one != two,
        "{one:?} {two:?}"
    );
    assert_eq!(of(&apply(&bed, &file).await.unwrap()), Vec::<&str>::new());
}

#[tokio::test]
async fn a_tenant_that_is_not_there_is_made() {
    let bed = Bed::start().await;
    let mut wanted = wanted(&demo());
    let demo = wanted.tenants.pop_first().unwrap().1;
    let acme = TenantId::new("acme").unwrap();
    wanted.tenants.insert(acme.clone(), demo);
    let planned = bed
        .directory
        .plan_file(&Actor::Operator(0), &wanted)
        .await
        .unwrap();
    assert!(!planned[0].differences.is_empty());
    assert_eq!(bed.directory.tenants().len(), 1, "a plan makes nothing");
    bed.directory
        .apply_file(&Actor::Operator(0), &wanted)
        .await
        .unwrap();
    let ann = bed
        .directory
        .status(&acme, PartyKind::User, &Subject::new(IDP, "ann"));
    assert!(is_active(&ann), "{ann:?}");
    assert_eq!(bed.user("ann"), Status::Unknown, "in her tenant only");
}
