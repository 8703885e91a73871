//! What they may do: invariants 1, 4, 5.

use gatewright_test_support::{FakeServer, message};
use serde_json::{Value, json};

use crate::bed::{Bed, STAFF_ECHOES};

fn names(answer: &Value, field: &str) -> Vec<String> {
    let items = answer["result"][field].as_array().unwrap();
    items
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn lists_show_what_may_be_used_and_nothing_else() {
    let server = FakeServer::start().await;
    let organisation = format!(
        "{STAFF_ECHOES}\n[[roles]]\nname = 'adder'\n[[roles.permissions]]\nservers = ['tools']\ntools = ['add']\n\
         [[grants]]\nrole = 'adder'\nuser = 'ann'\n"
    );
    let bed = Bed::start(&[("tools", server.url())], &organisation).await;
    let list =
        async |token: &str| message(&bed.call("tools", token, "tools/list", json!({})).await);

    let ann = list(&bed.token("ann", "tools").sign()).await;
    let ben = list(&bed.token("ben", "tools").sign()).await;
    let adder = list(&bed.token("ann", "tools").claim("groups", ["guests"]).sign()).await;
    assert!(names(&ann, "tools").contains(&"add".to_owned()));
    assert!(!names(&ben, "tools").contains(&"add".to_owned()));
    assert!(names(&ben, "tools").contains(&"echo".to_owned()));
    assert_eq!(names(&adder, "tools"), ["add"]);
    // A list that depends on who asks may not be shared by caches.
    assert_eq!(ben["result"]["cacheScope"], "private");

    let prompts = message(
        &bed.call(
            "tools",
            &bed.token("ben", "tools").sign(),
            "prompts/list",
            json!({}),
        )
        .await,
    );
    assert_eq!(names(&prompts, "prompts"), ["greet"]);
    let none = bed.token("ann", "tools").claim("groups", ["guests"]).sign();
    let prompts = message(&bed.call("tools", &none, "prompts/list", json!({})).await);
    assert_eq!(prompts["result"]["prompts"], json!([]));
}

#[tokio::test]
async fn unknown_and_forbidden_tools_answer_alike() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    let token = bed.token("ben", "tools").sign();
    let mut forbidden = bed
        .tool("tools", &token, "add", json!({"a": 1, "b": 2}))
        .await;
    let mut unknown = bed.tool("tools", &token, "no_such_tool", json!({})).await;
    let references = [&mut forbidden, &mut unknown].map(|answer| {
        assert_eq!(answer["error"]["code"], 4403);
        answer["error"]["data"]["reference"].take()
    });
    assert_eq!(forbidden, unknown);
    assert_eq!(server.calls(), 0);
    let log = bed.closed_log().await;
    for reference in references {
        let reference = reference.as_str().unwrap();
        assert!(log.contains(reference), "{reference} leads to the record");
    }
}

#[tokio::test]
async fn conditions_on_arguments_hold_whatever_form_the_value_takes() {
    let server = FakeServer::start().await;
    let organisation = "
        [[roles]]
        name = 'adder'
        [[roles.permissions]]
        servers = ['tools']
        tools = ['add']
        when.arguments = [{ argument = 'a', at_most = 100 }]
        [[grants]]
        role = 'adder'
        group = 'staff'
    ";
    let bed = Bed::start(&[("tools", server.url())], organisation).await;
    let token = bed.token("ann", "tools").sign();
    let allowed = bed
        .tool("tools", &token, "add", json!({"a": 100, "b": 2}))
        .await;
    assert!(allowed["result"].is_object(), "{allowed}");
    for refused in [
        json!({"a": 101, "b": 2}),
        json!({"a": "100", "b": 2}),
        json!({"a": null, "b": 2}),
        json!({"b": 2}),
        json!({"a": [1], "b": 2}),
        json!({"a": {"b": 1}, "b": 2}),
        serde_json::from_str("{\"a\": 99999999999999999999999, \"b\": 2}").unwrap(),
        json!({"a": 1.5, "b": 2}),
        json!({"A": 1, "b": 2}),
    ] {
        let answer = bed.tool("tools", &token, "add", refused.clone()).await;
        assert_eq!(answer["error"]["code"], 4403, "{refused}");
    }
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn a_delegation_is_never_the_union() {
    let server = FakeServer::start().await;
    let organisation = format!(
        "{STAFF_ECHOES}\n[[agents]]\nid = 'bot'\n[[agents]]\nid = 'other'\n[[roles]]\nname = 'bot'\n[[roles.permissions]]\nservers = ['tools']\n\
         tools = ['echo', 'add']\n[[grants]]\nrole = 'bot'\nagent = 'bot'\n"
    );
    let bed = Bed::start(&[("tools", server.url())], &organisation).await;
    let delegated = bed.token("ann", "tools").act("bot").sign();
    let both = bed
        .tool("tools", &delegated, "echo", json!({"text": "x"}))
        .await;
    assert!(both["result"].is_object(), "{both}");
    // Ann may, the agent may not; the agent may, Ann may not.
    for (tool, arguments) in [
        ("progress", json!({"steps": 1})),
        ("add", json!({"a": 1, "b": 2})),
    ] {
        let answer = bed.tool("tools", &delegated, tool, arguments).await;
        assert_eq!(answer["error"]["code"], 4403, "{tool}");
    }
    let list = message(&bed.call("tools", &delegated, "tools/list", json!({})).await);
    assert_eq!(names(&list, "tools"), ["echo"]);
    // An agent that nobody granted anything gives Ann's permissions to nobody.
    let stranger = bed.token("ann", "tools").act("other").sign();
    let answer = bed
        .tool("tools", &stranger, "echo", json!({"text": "x"}))
        .await;
    assert_eq!(answer["error"]["code"], 4403);
    // One that nobody knows is nobody, whomever it acts for.
    let unknown = bed.token("ann", "tools").act("unknown").sign();
    let answer = bed.call("tools", &unknown, "tools/list", json!({})).await;
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn a_hand_written_policy_forbids_what_a_role_permits() {
    let server = FakeServer::start().await;
    let policies = tempfile::tempdir().unwrap();
    std::fs::write(
        policies.path().join("quiet.cedar"),
        "@id(\"no-echo\")\nforbid(principal, action == Gatewright::Action::\"tools/call\", resource == Gatewright::Tool::\"tools/echo\");\n",
    )
    .unwrap();
    let organisation = format!("policies = '{}'\n", policies.path().display());
    // Top-level keys stand before the tables of a TOML file.
    let bed = Bed::start_top(&organisation, &[("tools", server.url())], STAFF_ECHOES).await;
    let token = bed.token("ann", "tools").sign();
    let answer = bed
        .tool("tools", &token, "echo", json!({"text": "x"}))
        .await;
    assert_eq!(answer["error"]["code"], 4403);
    let answer = bed
        .tool("tools", &token, "progress", json!({"steps": 1}))
        .await;
    assert!(answer["result"].is_object(), "{answer}");
    assert!(bed.closed_log().await.contains("no-echo"));
}
