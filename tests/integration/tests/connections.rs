//! As whom calls go upstream: invariants 6 and 10.

use gatewright_test_support::RawServer;
use serde_json::{Value, json};

use crate::{
    admin::{ask, key, place, put, raw, server},
    bed::{Bed, STAFF_ECHOES, everything_in},
};

const AGENTS: &str = "
    [[grants]]
    role = 'staff'
    agent = 'bot'
    [[grants]]
    role = 'staff'
    agent = 'other'
";

async fn call(bed: &Bed, server: &str, token: &str) -> Value {
    bed.tool(server, token, "echo", json!({"text": "x"})).await
}

fn last(upstream: &RawServer, header: &str) -> String {
    let requests = upstream.requests();
    requests.last().unwrap().header(header).to_owned()
}

#[tokio::test]
async fn each_mode_sends_the_credential_of_its_own_side_and_of_nobody_else() {
    let upstream = raw().await;
    let url = upstream.url("/mcp");
    let own = "credential_header = 'x-api-key'\ncredential_prefix = 'key='";
    let organisation = [
        server("all", &url, "credential = 'shared'"),
        server("people", &url, &format!("credential = 'per-user'\n{own}")),
        server("agents", &url, &format!("credential = 'per-agent'\n{own}")),
        server("none", &url, ""),
        STAFF_ECHOES.to_owned(),
        AGENTS.to_owned(),
    ]
    .concat();
    let bed = Bed::start(&[], &organisation).await;
    put(&bed, "all", "shared", "for-all").await;
    for who in ["ann", "ben"] {
        put(&bed, "people", &format!("user:{who}"), &format!("of-{who}")).await;
    }
    for who in ["bot", "other"] {
        let secret = format!("of-{who}");
        put(&bed, "agents", &format!("agent:{who}"), &secret).await;
    }
    // What belongs to somebody of the same name of another kind is nobody's here.
    put(&bed, "people", "agent:ann", "not-anns").await;
    put(&bed, "agents", "user:bot", "not-bots").await;
    put(&bed, "people", "shared", "not-for-all").await;

    for (server, user, agent, header, expected) in [
        ("all", "ann", None, "authorization", "Bearer for-all"),
        ("all", "ben", Some("bot"), "authorization", "Bearer for-all"),
        ("people", "ann", None, "x-api-key", "key=of-ann"),
        ("people", "ben", None, "x-api-key", "key=of-ben"),
        ("people", "ann", Some("bot"), "x-api-key", "key=of-ann"),
        ("agents", "ann", Some("bot"), "x-api-key", "key=of-bot"),
        ("agents", "ben", Some("other"), "x-api-key", "key=of-other"),
        ("none", "ann", None, "authorization", ""),
    ] {
        let mut token = bed.token(user, server);
        if let Some(agent) = agent {
            token = token.act(agent);
        }
        let answer = call(&bed, server, &token.sign()).await;
        assert!(answer["result"].is_object(), "{server} {user}: {answer}");
        assert_eq!(
            last(&upstream, header),
            expected,
            "{server} {user} {agent:?}"
        );
        let everything = upstream.requests().last().unwrap().everything();
        assert!(!everything.contains(&token.sign()), "{everything}");
    }
    // An agent by itself has its own, and no person's.
    let (_, bot) = key(&bed, "agent:bot", "*").await;
    assert!(call(&bed, "agents", &bot).await["result"].is_object());
    assert_eq!(last(&upstream, "x-api-key"), "key=of-bot");
    let before = upstream.requests().len();
    assert_eq!(call(&bed, "people", &bot).await["error"]["code"], 4403);
    // A person by herself has no agent's.
    let token = bed.token("ann", "agents").sign();
    let answer = call(&bed, "agents", &token).await;
    assert_eq!(answer["error"]["code"], 4403);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("for agents only"), "{message}");
    assert_eq!(upstream.requests().len(), before);
    let log = bed.closed_log().await;
    assert!(log.contains("no-such-side"), "{log}");
}

#[tokio::test]
async fn who_is_not_connected_is_told_in_words() {
    let upstream = raw().await;
    let more = "credential = 'per-user'\ntitle = 'The Wiki'";
    let wiki = server("wiki", &upstream.url("/mcp"), more);
    let bed = Bed::start(&[], &format!("{wiki}{STAFF_ECHOES}")).await;
    put(&bed, "wiki", "user:ben", "of-ben").await;
    let answer = call(&bed, "wiki", &bed.token("ann", "wiki").sign()).await;
    assert_eq!(answer["error"]["code"], 4401);
    assert_eq!(answer["id"], 7);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("Your account at The Wiki is not connected"),
        "{message}"
    );
    let reference = answer["error"]["data"]["reference"].as_str().unwrap();
    assert!(upstream.requests().is_empty());
    let reference = reference.to_owned();
    assert!(bed.closed_log().await.contains(&reference));
}

#[tokio::test]
async fn a_change_takes_effect_in_the_next_call() {
    let upstream = raw().await;
    let wiki = server("wiki", &upstream.url("/mcp"), "credential = 'shared'");
    let bed = Bed::start(&[], &format!("{wiki}{STAFF_ECHOES}")).await;
    let token = bed.token("ann", "wiki").sign();
    assert_eq!(call(&bed, "wiki", &token).await["error"]["code"], 4401);
    for secret in ["first", "second"] {
        put(&bed, "wiki", "shared", secret).await;
        call(&bed, "wiki", &token).await;
        assert_eq!(last(&upstream, "authorization"), format!("Bearer {secret}"));
    }
    let path = place(&bed, "wiki", "shared");
    assert_eq!(ask(&bed, "DELETE", &path, &Value::Null).await.0, 204);
    assert_eq!(call(&bed, "wiki", &token).await["error"]["code"], 4401);
    assert_eq!(upstream.requests().len(), 2);
    let log = bed.closed_log().await;
    for said in ["credential.put", "credential.remove", "\"operator\":\"uid:"] {
        assert!(log.contains(said), "{said} is not in {log}");
    }
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart_and_nowhere_in_the_clear() {
    const PLANTED: &str = "planted-4f1c9b-secret";
    let upstream = raw().await;
    let wiki = server("wiki", &upstream.url("/mcp"), "credential = 'shared'");
    let bed = Bed::start(
        &[],
        &format!("{wiki}{STAFF_ECHOES}[[agents]]\nid = 'bot'\n"),
    )
    .await;
    put(&bed, "wiki", "shared", PLANTED).await;
    let (_, text) = key(&bed, "agent:bot", "wiki").await;
    let token = bed.token("ann", "wiki").sign();
    call(&bed, "wiki", &token).await;
    call(&bed, "wiki", &text).await;
    assert_eq!(
        last(&upstream, "authorization"),
        format!("Bearer {PLANTED}")
    );
    // A server that refuses the credential is not let to say which it was.
    upstream.set(|request| {
        gatewright_test_support::Answer::bytes(
            401,
            "text/plain",
            request.header("authorization").to_owned(),
        )
    });
    let refused = call(&bed, "wiki", &token).await;
    assert!(!refused.to_string().contains(PLANTED), "{refused}");
    let secret = text.split_at(16).1.to_owned();
    let files = |bed: &Bed| everything_in(bed.dir.path());
    for marker in [PLANTED, &secret] {
        assert!(!files(&bed).contains(marker), "while it runs");
    }
    let bed = bed.restarted().await;
    upstream
        .set(|request| gatewright_test_support::Answer::result(request, &json!({"content": []})));
    call(&bed, "wiki", &token).await;
    assert_eq!(
        last(&upstream, "authorization"),
        format!("Bearer {PLANTED}")
    );
    assert!(
        call(&bed, "wiki", &text).await["error"]["code"] == 4403,
        "it is known, and may nothing"
    );
    for marker in [PLANTED, &secret] {
        assert!(!files(&bed).contains(marker), "after a restart");
    }
}

#[tokio::test]
async fn a_role_chooses_with_whose_credential_its_holders_call() {
    let upstream = raw().await;
    let role = |name: &str, credential: &str| {
        format!(
            "[[roles]]\nname = '{name}'\n[[roles.permissions]]\nservers = ['wiki']\ntools = ['echo']\n{credential}\n"
        )
    };
    let grant = |role: &str, user: &str| format!("[[grants]]\nrole = '{role}'\nuser = '{user}'\n");
    let organisation = [
        server("wiki", &upstream.url("/mcp"), "credential = 'shared'"),
        role("writer", "credential = 'per-user'"),
        role("guest", "credential = 'none'"),
        role("reader", ""),
        grant("writer", "ann"),
        grant("guest", "ben"),
        grant("reader", "cleo"),
        grant("writer", "dan"),
        grant("writer", "eve"),
        grant("guest", "eve"),
    ]
    .concat();
    let bed = Bed::start(&[], &organisation).await;
    put(&bed, "wiki", "shared", "for-all").await;
    put(&bed, "wiki", "user:ann", "of-ann").await;
    put(&bed, "wiki", "user:ben", "of-ben").await;
    put(&bed, "wiki", "user:eve", "of-eve").await;
    for (user, expected) in [
        ("ann", "Bearer of-ann"),
        ("ben", ""),
        ("cleo", "Bearer for-all"),
    ] {
        let token = bed.token(user, "wiki").sign();
        for _ in 0..2 {
            let answer = call(&bed, "wiki", &token).await;
            assert!(answer["result"].is_object(), "{user}: {answer}");
            assert_eq!(last(&upstream, "authorization"), expected, "{user}");
        }
        bed.call("wiki", &token, "tools/list", json!({})).await;
        assert_eq!(last(&upstream, "authorization"), expected, "{user} lists");
    }
    let before = upstream.requests().len();
    // Who is to call with a credential of his own and has none does not get everybody's.
    let answer = call(&bed, "wiki", &bed.token("dan", "wiki").sign()).await;
    assert_eq!(answer["error"]["code"], 4401, "{answer}");
    // Two roles of one person that choose differently: neither is taken.
    let answer = call(&bed, "wiki", &bed.token("eve", "wiki").sign()).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    assert_eq!(upstream.requests().len(), before);
    let log = bed.closed_log().await;
    assert!(log.contains("policies ask for the credentials `none` and `per-user` at once"));
}

#[tokio::test]
async fn a_policy_in_cedar_chooses_with_whose_credential_a_call_goes() {
    let upstream = raw().await;
    let policies = tempfile::tempdir().unwrap();
    std::fs::write(
        policies.path().join("own.cedar"),
        r#"@credential("per-user")
           permit(principal, action, resource) when { principal.subject == "ann" };
           permit(principal, action, resource) when { principal.subject == "ben" };"#,
    )
    .unwrap();
    let top = format!("policies = '{}'", policies.path().display());
    let wiki = server("wiki", &upstream.url("/mcp"), "credential = 'shared'");
    let bed = Bed::start_top(&top, &[], &wiki).await;
    put(&bed, "wiki", "shared", "for-all").await;
    put(&bed, "wiki", "user:ann", "of-ann").await;
    for (user, expected) in [("ann", "Bearer of-ann"), ("ben", "Bearer for-all")] {
        let answer = call(&bed, "wiki", &bed.token(user, "wiki").sign()).await;
        assert!(answer["result"].is_object(), "{user}: {answer}");
        assert_eq!(last(&upstream, "authorization"), expected, "{user}");
    }
}

#[tokio::test]
async fn a_new_master_key_is_in_force_at_once_and_after_a_restart() {
    let upstream = raw().await;
    let wiki = server("wiki", &upstream.url("/mcp"), "credential = 'shared'");
    let organisation = format!("{wiki}{STAFF_ECHOES}{AGENTS}");
    let bed = Bed::start(&[], &organisation).await;
    put(&bed, "wiki", "shared", "first").await;
    let (_, before) = key(&bed, "agent:bot", "wiki").await;
    let (status, rotated) = ask(&bed, "POST", "/master-key/rotate", &Value::Null).await;
    assert_eq!(
        (status, &rotated["rewrapped"]),
        (200, &json!(1)),
        "{rotated}"
    );
    let older = rotated["older_needed_by"].as_array().unwrap();
    assert_eq!(older.len(), 1, "the key of the bot");
    let (id, after) = key(&bed, "agent:other", "wiki").await;

    // What was made since needs the older key no more.
    let (_, again) = ask(&bed, "POST", "/master-key/rotate", &Value::Null).await;
    let needs = again["older_needed_by"].as_array().unwrap();
    assert_eq!(needs.len(), 2, "{again}");
    let of_other = needs
        .iter()
        .find(|need| need["api_key"] == json!(id))
        .unwrap();
    assert_eq!(of_other["master_key"], rotated["master_key"]);
    let bed = bed.restarted().await;
    for text in [&before, &after] {
        assert!(call(&bed, "wiki", text).await["result"].is_object());
        assert_eq!(last(&upstream, "authorization"), "Bearer first");
    }
    let log = bed.closed_log().await;
    assert!(log.contains("master-key.rotate") && log.contains("credential.rewrap"));
}
