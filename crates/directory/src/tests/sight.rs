use gatewright_core::Party;

use super::*;

fn newcomer(id: &str) -> Party {
    Party::new(Subject::new(IDP, id)).with_name("New")
}

#[tokio::test]
async fn whom_nobody_knows_is_taken_in_only_where_the_tenant_says_so() {
    let bed = Bed::start().await;
    let ann = newcomer("ann");
    assert_eq!(
        bed.directory.admit(&bed.tenant, &ann).await,
        Status::Unknown
    );
    bed.put(
        Kind::Tenant,
        "default",
        json!({"create_people_on_sight": true}),
    )
    .await
    .unwrap();
    let (one, other) = tokio::join!(
        bed.directory.admit(&bed.tenant, &ann),
        bed.directory.admit(&bed.tenant, &ann)
    );
    assert!(is_active(&one), "{one:?}");
    assert_eq!(one, other, "one person, however many requests come at once");
    assert_eq!(bed.user("ann"), one);
    let (_, made) = bed
        .log()
        .into_iter()
        .find(|(_, change)| change.action == "user.create")
        .unwrap();
    assert_eq!(made.by.to_string(), "gateway:first-sight");
}

#[tokio::test]
async fn an_invitation_binds_once_and_only_to_who_it_is_for() {
    let bed = Bed::start().await;
    let issuer = json!({"issuer": IDP, "email_domains": ["a.example"]});
    bed.put(Kind::Issuer, "idp", issuer).await.unwrap();
    let other = json!({"issuer": "https://other.example", "email_domains": ["b.example"]});
    bed.put(Kind::Issuer, "other", other).await.unwrap();
    let end = bed.clock.now().millis() + 10_000;
    let invited =
        |email: &str| json!({"user_name": email, "invited": {"email": email, "expires": end}});
    bed.put(Kind::User, "u-ann", invited("ann@a.example"))
        .await
        .unwrap();
    bed.put(Kind::User, "u-bob", invited("bob@b.example"))
        .await
        .unwrap();

    let of = |issuer: &str, id: &str, email: Option<&str>| {
        let party = Party::new(Subject::new(issuer, id));
        email.map_or(party.clone(), |email| party.with_verified_email(email))
    };
    for refused in [
        of(IDP, "x", None),
        of(IDP, "x", Some("ben@a.example")),
        of(IDP, "x", Some("bob@b.example")),
        of("https://other.example", "x", Some("ann@a.example")),
        of(IDP, "x", Some("ann@a.example@evil.example")),
    ] {
        assert_eq!(
            bed.directory.admit(&bed.tenant, &refused).await,
            Status::Unknown
        );
    }
    let ann = of(IDP, "ann", Some("Ann@A.example"));
    let Status::Active(now) = bed.directory.admit(&bed.tenant, &ann).await else {
        panic!()
    };
    assert_eq!(now.account.as_deref(), Some("user/u-ann"));
    let second = of(IDP, "thief", Some("ann@a.example"));
    assert_eq!(
        bed.directory.admit(&bed.tenant, &second).await,
        Status::Unknown
    );

    bed.clock.advance(std::time::Duration::from_secs(10));
    let late = of("https://other.example", "bob", Some("bob@b.example"));
    assert_eq!(
        bed.directory.admit(&bed.tenant, &late).await,
        Status::Unknown
    );
}
