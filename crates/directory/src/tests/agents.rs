use super::*;

fn bot(owner: &str) -> Value {
    json!({"name": "Bot", "owner": owner, "identities": [{"issuer": IDP, "subject": "bot"}]})
}

fn agent(bed: &Bed) -> Status {
    bed.status(PartyKind::Agent, IDP, "bot")
}

#[tokio::test]
async fn when_its_owner_leaves_an_agent_is_suspended_until_somebody_else_answers_for_it() {
    for leaves in [
        put(
            Kind::User,
            "u-ann",
            json!({"user_name": "ann", "active": false}),
        ),
        remove(Kind::User, "u-ann"),
    ] {
        let bed = Bed::start().await;
        bed.ann().await;
        bed.put(Kind::Agent, "bot", bot("u-ann")).await.unwrap();
        assert!(is_active(&agent(&bed)));
        let side = [(PartyKind::Agent, Subject::new(IDP, "bot"))];
        let mut stream = bed.directory.disabled(&bed.tenant, &side);
        let applied = bed.make(vec![leaves]).await.unwrap();
        assert_eq!(applied.also, ["agent bot"]);
        assert_eq!(agent(&bed), Status::Disabled);
        assert!(is_done(&mut stream));
        let change = bed
            .log()
            .into_iter()
            .rev()
            .find(|(stage, change)| *stage == Stage::Begun && change.action == "test");
        let of: Vec<String> = change
            .unwrap()
            .1
            .differences
            .into_iter()
            .map(|it| it.of)
            .collect();
        assert!(of.contains(&"agent bot".to_owned()), "{of:?}");
        // Nobody can put it back while nobody answers for it.
        let refused = bed.put(Kind::Agent, "bot", bot("u-ann")).await.unwrap_err();
        assert_eq!(refused.code(), "agent-owner");
        bed.put(Kind::User, "u-ben", json!({"user_name": "ben"}))
            .await
            .unwrap();
        bed.put(Kind::Agent, "bot", bot("u-ben")).await.unwrap();
        assert!(is_active(&agent(&bed)));
    }
}

#[tokio::test]
async fn an_agent_outlives_its_credentials_and_not_its_expiry() {
    let bed = Bed::start().await;
    bed.ann().await;
    let end = bed.clock.now().millis() + 10_000;
    let with = |subject: &str| json!({"name": "Bot", "owner": "u-ann", "expires": end, "identities": [{"issuer": IDP, "subject": subject}]});
    bed.put(Kind::Agent, "bot", with("bot")).await.unwrap();
    bed.put(Kind::Agent, "bot", with("bot-2")).await.unwrap();
    assert_eq!(agent(&bed), Status::Unknown);
    let Status::Active(now) = bed.status(PartyKind::Agent, IDP, "bot-2") else {
        panic!()
    };
    assert_eq!(now.account.as_deref(), Some("agent/bot"));
    assert!(is_active(&bed.status(
        PartyKind::Agent,
        Subject::LOCAL,
        "bot"
    )));
    bed.clock.advance(std::time::Duration::from_secs(10));
    assert_eq!(bed.status(PartyKind::Agent, IDP, "bot-2"), Status::Disabled);
}
