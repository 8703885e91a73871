use super::*;
use crate::records::{Records as _, Revision, Write};

#[tokio::test]
async fn a_person_is_known_by_each_identity_and_nobody_else_is() {
    let bed = Bed::start().await;
    bed.ann().await;
    let Status::Active(ann) = bed.user("ann") else {
        panic!("{:?}", bed.user("ann"));
    };
    assert_eq!(ann.account.as_deref(), Some("user/u-ann"));
    assert_eq!(bed.user("ben"), Status::Unknown);
    // Her API keys know her by her id here.
    let local = bed.status(PartyKind::User, Subject::LOCAL, "u-ann");
    assert!(is_active(&local), "{local:?}");
    // Not as an agent, not of another issuer, not in another tenant.
    assert_eq!(bed.status(PartyKind::Agent, IDP, "ann"), Status::Unknown);
    let other = bed.status(PartyKind::User, "https://other.example", "ann");
    assert_eq!(other, Status::Disabled);
    let acme = TenantId::new("acme").unwrap();
    let elsewhere = bed
        .directory
        .status(&acme, PartyKind::User, &Subject::new(IDP, "ann"));
    assert_eq!(elsewhere, Status::Disabled);
}

#[tokio::test]
async fn a_provisioned_person_is_found_by_the_attribute_that_the_issuer_names() {
    let bed = Bed::start().await;
    let ann = json!({"user_name": "Ann@A.example", "external_id": "00u1", "origin": "scim"});
    bed.put(Kind::User, "u-ann", ann).await.unwrap();
    assert_eq!(bed.user("00u1"), Status::Unknown);
    for (attribute, finds, misses) in [
        ("externalId", "00u1", "00U1"),
        ("userName", "ann@a.EXAMPLE", "00u1"),
    ] {
        let issuer = json!({"issuer": IDP, "scim_attribute": attribute});
        bed.put(Kind::Issuer, "idp", issuer).await.unwrap();
        assert!(is_active(&bed.user(finds)), "{attribute}");
        assert_eq!(bed.user(misses), Status::Unknown, "{attribute}");
    }
}

#[tokio::test]
async fn whom_the_provider_or_an_administrator_switches_off_is_refused_and_loses_streams() {
    let bed = Bed::start().await;
    for off in [
        json!({"user_name": "Ann@a.example", "active": false, "identities": [{"issuer": IDP, "subject": "ann"}]}),
        json!({"user_name": "Ann@a.example", "disabled": {"at": 0}, "identities": [{"issuer": IDP, "subject": "ann"}]}),
        json!({"user_name": "Ann@a.example"}),
    ] {
        bed.ann().await;
        bed.put(
            Kind::User,
            "u-ben",
            json!({"user_name": "ben", "identities": [{"issuer": IDP, "subject": "ben"}]}),
        )
        .await
        .unwrap();
        let side = |id| (PartyKind::User, Subject::new(IDP, id));
        let mut ann = bed
            .directory
            .disabled(&bed.tenant, &[side("ben"), side("ann")]);
        let mut ben = bed.directory.disabled(&bed.tenant, &[side("ben")]);
        assert!(!is_done(&mut ann));
        bed.put(Kind::User, "u-ann", off.clone()).await.unwrap();
        assert!(!is_active(&bed.user("ann")), "{off}");
        assert!(is_done(&mut ann), "{off}");
        assert!(!is_done(&mut ben), "{off}");
        // Who asks later learns at once.
        assert!(is_done(
            &mut bed.directory.disabled(&bed.tenant, &[side("ann")])
        ));
    }
    let side = [(PartyKind::User, Subject::new(IDP, "ben"))];
    let mut ben = bed.directory.disabled(&bed.tenant, &side);
    bed.put(Kind::Tenant, "default", json!({"disabled": true}))
        .await
        .unwrap();
    assert!(is_done(&mut ben));
    assert_eq!(bed.user("ben"), Status::Disabled);
}

#[tokio::test]
async fn two_people_are_never_one() {
    let bed = Bed::start().await;
    bed.ann().await;
    let issuer = json!({"issuer": IDP, "scim_attribute": "externalId"});
    bed.put(Kind::Issuer, "idp", issuer).await.unwrap();
    for (rule, other) in [
        ("taken", json!({"user_name": "ANN@a.example"})),
        (
            "taken",
            json!({"user_name": "x", "identities": [{"issuer": IDP, "subject": "ann"}]}),
        ),
        ("taken", json!({"user_name": "x", "external_id": "ann"})),
        (
            "identities",
            json!({"user_name": "x", "identities": [{"issuer": "local", "subject": "u-ann"}]}),
        ),
        (
            "identities",
            json!({"user_name": "x", "identities": [{"issuer": "a|https://b", "subject": "u"}]}),
        ),
        ("text", json!({"user_name": "a\u{202e}nn"})),
        ("text", json!({"user_name": ""})),
    ] {
        let refused = bed.put(Kind::User, "u-x", other.clone()).await.unwrap_err();
        assert_eq!(refused.code(), rule, "{other}");
        assert_eq!(bed.get(Kind::User, "u-x").await, None);
    }
    // One change may pass a name on.
    bed.make(vec![
        put(Kind::User, "u-ann", json!({"user_name": "ann.old"})),
        put(Kind::User, "u-x", json!({"user_name": "ann@a.example", "identities": [{"issuer": IDP, "subject": "ann"}]})),
    ])
    .await
    .unwrap();
    let Status::Active(now) = bed.user("ann") else {
        panic!()
    };
    assert_eq!(now.account.as_deref(), Some("user/u-x"));
}

#[tokio::test]
async fn who_is_removed_leaves_nothing_behind() {
    let bed = Bed::start().await;
    bed.ann().await;
    bed.put(Kind::Group, "g", json!({"display_name": "G"}))
        .await
        .unwrap();
    bed.join("g", MemberRef::user("u-ann")).await.unwrap();
    bed.put(Kind::Role, "reader", json!({"name": "reader"}))
        .await
        .unwrap();
    bed.put(
        Kind::Grant,
        "1",
        json!({"role": "reader", "to": {"user": "u-ann"}}),
    )
    .await
    .unwrap();
    let applied = bed.remove(Kind::User, "u-ann").await.unwrap();
    assert_eq!(applied.also, ["grant 1"]);
    assert_eq!(bed.directory.count_members(&bed.tenant, "g"), 0);
    assert_eq!(bed.get(Kind::Grant, "1").await, None);
    assert_eq!(bed.user("ann"), Status::Unknown);
    // A later person of that id has nothing of hers.
    bed.ann().await;
    assert_eq!(groups(&bed.user("ann")), Vec::<String>::new());
}

#[tokio::test]
async fn a_name_that_is_passed_on_is_found_whoever_comes_first() {
    for (from, to) in [("u-a", "u-z"), ("u-z", "u-a")] {
        let bed = Bed::start().await;
        let with = |name: &str, of: Option<&str>| {
            let identities: Vec<Value> = of
                .into_iter()
                .map(|subject| json!({"issuer": IDP, "subject": subject}))
                .collect();
            json!({"user_name": name, "identities": identities})
        };
        bed.put(Kind::User, from, with("ann", Some("ann")))
            .await
            .unwrap();
        bed.put(Kind::User, to, with("other", None)).await.unwrap();
        bed.make(vec![
            put(Kind::User, from, with("was-ann", None)),
            put(Kind::User, to, with("ann", Some("ann"))),
        ])
        .await
        .unwrap();
        let Status::Active(now) = bed.user("ann") else {
            panic!("{from}")
        };
        assert_eq!(now.account.unwrap().strip_prefix("user/"), Some(to));
        assert!(bed.directory.is_user_name_taken(&bed.tenant, "ANN"));
        // The same in a memory that was made of what is stored.
        let later = Bed::over(bed.records.clone()).await;
        assert_eq!(later.user("ann"), bed.user("ann"));
    }
}

#[tokio::test]
async fn no_change_makes_two_people_one() {
    let bed = Bed::start().await;
    let known_by = json!({"issuer": IDP, "scim_attribute": "externalId"});
    bed.put(Kind::Issuer, "idp", known_by.clone())
        .await
        .unwrap();
    let by_id = json!({"user_name": "a", "external_id": "x"});
    let by_identity = json!({"user_name": "b", "identities": [{"issuer": IDP, "subject": "x"}]});
    let both = || {
        vec![
            put(Kind::User, "a", by_id.clone()),
            put(Kind::User, "b", by_identity.clone()),
        ]
    };
    assert_eq!(bed.make(both()).await.unwrap_err().code(), "taken");
    // Nor does an issuer that knows people otherwise than before.
    bed.put(Kind::Issuer, "idp", json!({"issuer": IDP}))
        .await
        .unwrap();
    bed.make(both()).await.unwrap();
    let refused = bed.put(Kind::Issuer, "idp", known_by).await.unwrap_err();
    assert_eq!(refused.code(), "taken");
}

#[tokio::test]
async fn a_tenant_that_cannot_be_read_keeps_nobody_else_out() {
    let bed = Bed::start().await;
    bed.ann().await;
    let acme = TenantId::new("acme").unwrap();
    let newer = Write::Put {
        kind: Kind::User,
        id: "u".into(),
        document: r#"{"user_name": "u", "from_a_later_version": 1}"#.into(),
        names: Vec::new(),
    };
    let at = Timestamp::from_secs(1);
    let writes = [newer];
    let committed = bed.records.commit(&acme, Revision::NONE, at, &writes);
    committed.await.unwrap();
    bed.directory.look_at_heads().await;
    let later = Bed::over(bed.records.clone()).await;
    for bed in [&bed, &later] {
        assert!(is_active(&bed.user("ann")));
        let subject = Subject::new(Subject::LOCAL, "u");
        let refused = bed.directory.status(&acme, PartyKind::User, &subject);
        assert_eq!(refused, Status::Unavailable);
    }
}
