use std::time::Duration;

use super::*;

fn two_roles() -> CedarEngine {
    builder()
        .roles([
            role(
                "wide",
                &json!([{"servers": ["billing"], "tools": ["a", "b"]}]),
            ),
            role(
                "narrow",
                &json!([{"servers": ["billing"], "tools": ["b", "c"]}]),
            ),
        ])
        .grants([
            to_user("wide", "ann"),
            grant("narrow", Grantee::Agent(subject("bot"))),
            grant("wide", Grantee::Group(group("staff"))),
        ])
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_delegated_call_needs_both_parties_permissions() {
    let engine = two_roles();
    let both = principal(Identity::delegated(party("ann"), party("bot"))).await;
    let alone = principal(Identity::agent(party("bot"))).await;
    for (name, user, agent) in [
        ("a", true, false),
        ("b", true, true),
        ("c", false, true),
        ("d", false, false),
    ] {
        assert_eq!(
            allows(&engine, &ann().await, &tool(name, "{}")).await,
            user,
            "{name}"
        );
        assert_eq!(
            allows(&engine, &alone, &tool(name, "{}")).await,
            agent,
            "{name}"
        );
        assert_eq!(
            allows(&engine, &both, &tool(name, "{}")).await,
            user && agent,
            "{name}"
        );
        assert_eq!(
            shows(&engine, &both, ItemKind::Tool, name).await,
            user && agent,
            "{name}"
        );
    }
    let Decision::Allow { policies, .. } = decide(&engine, &both, &tool("b", "{}")).await else {
        panic!()
    };
    assert_eq!(
        names(&policies),
        [
            "role:wide/1#see",
            "role:wide/1#call",
            "role:narrow/1#see",
            "role:narrow/1#call"
        ]
    );
}

#[tokio::test]
async fn a_user_and_an_agent_of_one_name_are_two_parties() {
    let engine = two_roles();
    assert!(
        !allows(
            &engine,
            &principal(Identity::agent(party("ann"))).await,
            &tool("a", "{}")
        )
        .await
    );
    assert!(
        !allows(
            &engine,
            &principal(Identity::user(party("bot"))).await,
            &tool("c", "{}")
        )
        .await
    );
}

#[tokio::test]
async fn groups_of_two_issuers_are_two_groups() {
    let engine = two_roles();
    let of = |issuer: &str| Identity::user(party("eve").with_groups([Group::new(issuer, "staff")]));
    assert!(allows(&engine, &principal(of(IDP)).await, &tool("a", "{}")).await);
    assert!(
        !allows(
            &engine,
            &principal(of("https://other.example")).await,
            &tool("a", "{}")
        )
        .await
    );
    // Nor can names make up for the issuer.
    let crafted =
        Identity::user(party("eve").with_groups([Group::new("https", &format!("{IDP}|staff"))]));
    assert!(!allows(&engine, &principal(crafted).await, &tool("a", "{}")).await);
    let split = Identity::user(party("eve").with_groups([Group::new(&format!("{IDP}|staff"), "")]));
    assert!(!allows(&engine, &principal(split).await, &tool("a", "{}")).await);
}

#[tokio::test]
async fn leaving_a_group_counts_at_once() {
    let engine = two_roles();
    let eve = |groups: Vec<Group>| Identity::user(party("eve").with_groups(groups));
    assert!(
        allows(
            &engine,
            &principal(eve(vec![group("staff")])).await,
            &tool("a", "{}")
        )
        .await
    );
    assert!(!allows(&engine, &principal(eve(vec![])).await, &tool("a", "{}")).await);
}

#[tokio::test]
async fn a_role_that_a_token_names_is_not_a_grant() {
    let engine = two_roles();
    let eve = principal(Identity::user(party("eve").with_roles(["wide"]))).await;
    assert!(!allows(&engine, &eve, &tool("a", "{}")).await);
    let by_claim = written(
        r#"permit(principal is Gatewright::User, action, resource) when { principal.claimedRoles.contains("wide") };"#,
    );
    assert!(allows(&by_claim, &eve, &tool("a", "{}")).await);
    assert!(!allows(&by_claim, &ann().await, &tool("a", "{}")).await);
}

#[tokio::test]
async fn an_expired_grant_gives_nothing() {
    let clock = clock();
    let ends = |role: &str, secs: i64| Grant {
        expires: Some(Timestamp::from_secs(NOON + secs)),
        ..to_user(role, "ann")
    };
    let engine = CedarEngine::builder()
        .clock(clock.clone())
        .roles(
            ["a", "b", "c"]
                .map(|name| role(name, &json!([{"servers": ["billing"], "tools": [name]}]))),
        )
        .grants([ends("a", 0), ends("b", 60), ends("c", 120)])
        .build()
        .unwrap();
    let ann = ann().await;
    let mut seen = Vec::new();
    for wait in [0, 59, 1, 59, 1] {
        clock.advance(Duration::from_secs(wait));
        let mut may = String::new();
        for name in ["a", "b", "c"] {
            let shown = shows(&engine, &ann, ItemKind::Tool, name).await;
            assert_eq!(shown, allows(&engine, &ann, &tool(name, "{}")).await);
            may.push_str(if shown { name } else { "" });
        }
        seen.push(may);
    }
    assert_eq!(seen, ["bc", "bc", "c", "c", ""]);
}

#[tokio::test]
async fn policies_can_tell_who_acts_for_whom() {
    let text = format!(
        r#"permit(principal, action, resource);
        forbid(principal, action in Gatewright::Action::"call", resource) when {{ context.delegated
            && context has agent && context.agent in Gatewright::Group::"{IDP}|bots" && context has user
            && context.user == Gatewright::User::"{IDP}|ann" }};"#
    );
    let engine = written(&text);
    let bot = || party("bot").with_groups([group("bots")]);
    let call = tool("a", "{}");
    assert!(
        !allows(
            &engine,
            &principal(Identity::delegated(party("ann"), bot())).await,
            &call
        )
        .await
    );
    assert!(
        allows(
            &engine,
            &principal(Identity::delegated(party("bob"), bot())).await,
            &call
        )
        .await
    );
    assert!(
        allows(
            &engine,
            &principal(Identity::delegated(party("ann"), party("bot"))).await,
            &call
        )
        .await
    );
    assert!(allows(&engine, &ann().await, &call).await);
}

#[test]
fn grants_that_cannot_be_kept_apart_are_refused() {
    let roles = || role("r", &json!([{"servers": ["s"], "tools": ["t"]}]));
    let built = builder()
        .roles([roles()])
        .grants([grant("r", Grantee::User(Subject::new("a|b", "c")))])
        .build();
    assert!(matches!(
        built,
        Err(crate::BuildEngineError::Grant(crate::InvalidGrant::Issuer(
            _
        )))
    ));
    let built = builder()
        .roles([roles()])
        .grants([to_user("other", "ann")])
        .build();
    assert!(matches!(
        built,
        Err(crate::BuildEngineError::UnknownRole(_))
    ));
    let built = builder().roles([roles(), roles()]).build();
    assert!(matches!(built, Err(crate::BuildEngineError::TwoRoles(_))));
}
