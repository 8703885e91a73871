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
    // Whom the provider brought stays; that they were switched off was the file's.
    assert!(is_active(&bed.user("carl")));
    // Whom somebody else switches off stays so, whatever the file does not say.
    bed.put(Kind::User, "ann", json!({"user_name": "ann", "disabled": {"at": 0}, "identities": [{"issuer": IDP, "subject": "ann"}]}))
        .await
        .unwrap();
    apply(&bed, &file).await.unwrap();
    assert_eq!(bed.user("ann"), Status::Disabled);
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

#[tokio::test]
async fn a_hundred_thousand_people_are_planned_without_a_read_for_each() {
    let bed = Bed::start().await;
    let people = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|n| json!({"identity": {"issuer": IDP, "subject": format!("p{n}")}}))
            .collect()
    };
    let file = wanted(&json!({"users": people(100_000)}));
    let (tenant, file) = file.tenants.first_key_value().unwrap();
    let began = std::time::Instant::now();
    let edits = bed.directory.edits_of(tenant, file).await.unwrap();
    // The tenant itself, and what is kept in mind.
    assert_eq!(edits.len(), 100_002);
    assert!(began.elapsed() < std::time::Duration::from_secs(60));
}

/// Changes the tenant in another process as soon as a file's change has begun.
struct Meanwhile(Directory, std::sync::atomic::AtomicBool);

impl Recorder for Meanwhile {
    fn record<'a>(
        &'a self,
        change: &'a Change,
        _: Stage,
        _: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send + 'a>> {
        Box::pin(async move {
            let first = !self.1.swap(true, std::sync::atomic::Ordering::Relaxed);
            if change.action == "file.apply" && first {
                let ann = json!({"user_name": "ann", "active": false, "origin": "scim", "identities": [{"issuer": IDP, "subject": "ann"}]});
                let edits = vec![put(Kind::User, "ann", ann)];
                let (actor, tenant) = (Actor::Operator(0), TenantId::default());
                let made = self.0.change(actor, &tenant, "scim", edits);
                made.await.unwrap();
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn whom_the_provider_lets_go_meanwhile_stays_out() {
    let bed = Bed::start().await;
    apply(&bed, &demo()).await.unwrap();
    let meanwhile = Meanwhile(bed.directory.clone(), false.into());
    let other = Directory::builder(bed.records.clone(), meanwhile)
        .clock(bed.clock.clone())
        .open()
        .await
        .unwrap();
    let mut file = demo();
    file["users"][0]["display_name"] = json!("Ann");
    let actor = Actor::Operator(0);
    other.apply_file(&actor, &wanted(&file)).await.unwrap();
    let ann = bed.get(Kind::User, "ann").await.unwrap();
    assert_eq!(ann["active"], false);
    assert_eq!(ann["display_name"], "Ann", "and the file was applied");
}

#[tokio::test]
async fn policies_and_settings_that_a_file_does_not_say_stay() {
    let bed = Bed::start().await;
    let policies = |text: &str, base: &str| json!({"files": {"a.cedar": text}, "base": base});
    bed.put(Kind::Policies, "v0001", policies("// by hand", "v0000"))
        .await
        .unwrap();
    bed.put(Kind::Policies, "published", policies("// by hand", "v0001"))
        .await
        .unwrap();
    bed.put(
        Kind::Tenant,
        "default",
        json!({"title": "Acme", "api_keys_for_people": true}),
    )
    .await
    .unwrap();
    let mut file = demo();
    file.as_object_mut().unwrap().remove("policies");
    file["settings"] = json!({"create_people_on_sight": true});
    apply(&bed, &file).await.unwrap();
    let published = bed.get(Kind::Policies, "published").await.unwrap();
    assert_eq!(published["files"]["a.cedar"], "// by hand");
    let tenant = bed.get(Kind::Tenant, "default").await.unwrap();
    assert_eq!(tenant["title"], "Acme");
    assert_eq!(tenant["api_keys_for_people"], true);
    assert_eq!(tenant["create_people_on_sight"], true);
    // What the file itself published goes with it.
    apply(&bed, &demo()).await.unwrap();
    apply(&bed, &file).await.unwrap();
    let published = bed.get(Kind::Policies, "published").await.unwrap();
    assert_eq!(published["files"], json!({}));
}

#[tokio::test]
async fn a_server_that_somebody_switched_off_stays_off_until_the_file_says() {
    let bed = Bed::start().await;
    apply(&bed, &demo()).await.unwrap();
    let off = json!({"url": "https://notes.example/mcp", "disabled": true});
    bed.put(Kind::Server, "notes", off).await.unwrap();
    let mut file = demo();
    assert_eq!(of(&apply(&bed, &file).await.unwrap()), Vec::<&str>::new());
    file["servers"]["notes"]["disabled"] = json!(false);
    apply(&bed, &file).await.unwrap();
    let server = bed.get(Kind::Server, "notes").await.unwrap();
    assert_eq!(server["disabled"], false);
}

#[tokio::test]
async fn what_others_made_is_theirs() {
    let bed = Bed::start().await;
    let notes = json!({"url": "https://notes.example/mcp"});
    bed.put(Kind::Server, "notes", notes).await.unwrap();
    apply(&bed, &demo()).await.unwrap();
    // It was equal, and is not the file's for that.
    let mut none = demo();
    for part in ["servers", "roles", "grants"] {
        none.as_object_mut().unwrap().remove(part);
    }
    apply(&bed, &none).await.unwrap();
    assert!(bed.get(Kind::Server, "notes").await.is_some());
    assert_eq!(bed.get(Kind::Role, "reader").await, None);
    let mut file = demo();
    file["servers"]["notes"]["url"] = json!("https://other.example/mcp");
    let refused = apply(&bed, &file).await.unwrap_err();
    assert_eq!(refused.code(), "made-by-others");
    assert!(refused.to_string().contains("server `notes`"), "{refused}");
    bed.put(Kind::Role, "reader", json!({"name": "reader"}))
        .await
        .unwrap();
    let refused = apply(&bed, &demo()).await.unwrap_err();
    assert!(refused.to_string().contains("role `reader`"), "{refused}");
}

#[tokio::test]
async fn only_what_the_file_switched_off_is_switched_on() {
    let bed = Bed::start().await;
    let ann = |at: i64| json!({"user_name": "ann", "disabled": {"at": at, "reason": "leave"}, "identities": [{"issuer": IDP, "subject": "ann"}]});
    apply(&bed, &demo()).await.unwrap();
    let mut off = demo();
    off["users"][0]["disabled"] = json!(true);
    off["agents"][0]["disabled"] = json!(true);
    // Somebody else did, before the file.
    bed.put(Kind::User, "ann", ann(5)).await.unwrap();
    apply(&bed, &off).await.unwrap();
    apply(&bed, &demo()).await.unwrap();
    assert_eq!(bed.user("ann"), Status::Disabled);
    // The file did, and somebody else again after it.
    bed.put(
        Kind::User,
        "ann",
        json!({"user_name": "ann", "identities": [{"issuer": IDP, "subject": "ann"}]}),
    )
    .await
    .unwrap();
    apply(&bed, &off).await.unwrap();
    apply(&bed, &off).await.unwrap();
    assert_eq!(bed.user("ann"), Status::Disabled);
    bed.put(Kind::User, "ann", ann(7)).await.unwrap();
    apply(&bed, &demo()).await.unwrap();
    assert_eq!(bed.user("ann"), Status::Disabled);
    // Nobody else did.
    bed.put(
        Kind::User,
        "ann",
        json!({"user_name": "ann", "identities": [{"issuer": IDP, "subject": "ann"}]}),
    )
    .await
    .unwrap();
    apply(&bed, &off).await.unwrap();
    apply(&bed, &demo()).await.unwrap();
    assert!(is_active(&bed.user("ann")));
}

#[tokio::test]
async fn nobody_is_written_over_by_somebody_of_the_same_id() {
    let bed = Bed::start().await;
    let local = json!({"issuer": "local", "subject": "ann"});
    let ann = json!({"issuer": IDP, "subject": "ann"});
    let both = json!({"users": [{"identity": ann}, {"identity": local}]});
    apply(&bed, &both).await.unwrap();
    let first = bed.get(Kind::User, "ann").await.unwrap();
    assert_eq!(first.get("identities"), None, "who is local");
    assert!(is_active(&bed.user("ann")));
    assert_eq!(of(&apply(&bed, &both).await.unwrap()), Vec::<&str>::new());

    let bed = Bed::start().await;
    apply(&bed, &json!({"users": [{"identity": ann}]}))
        .await
        .unwrap();
    let refused = apply(&bed, &both).await.unwrap_err();
    assert_eq!(refused.code(), "named-twice", "{refused}");

    let bed = Bed::start().await;
    for (id, name) in [("ann", "x"), ("ann@idp.example", "y")] {
        let other = json!({"user_name": name});
        bed.put(Kind::User, id, other).await.unwrap();
    }
    let refused = apply(&bed, &json!({"users": [{"identity": ann}]}))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "id-of-others", "{refused}");
}

#[tokio::test]
async fn issuers_that_differ_by_a_slash_are_two() {
    let bed = Bed::start().await;
    let (one, two) = ("https://a.example", "https://a.example/");
    let file = json!({
        "issuers": [{"issuer": one}, {"issuer": two}],
        "users": [{"identity": {"issuer": one, "subject": "x"}}, {"identity": {"issuer": two, "subject": "x"}}],
    });
    apply(&bed, &file).await.unwrap();
    let issuers = bed.directory.settings(&bed.tenant).unwrap().issuers;
    assert!(
        [one, two]
            .iter()
            .all(|it| issuers.values().any(|known| known.issuer == *it))
    );
    assert!(is_active(&bed.status(PartyKind::User, one, "x")));
    assert!(is_active(&bed.status(PartyKind::User, two, "x")));
    assert_eq!(of(&apply(&bed, &file).await.unwrap()), Vec::<&str>::new());
}
