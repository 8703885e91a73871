//! What a child gets, and who gets which child.

use std::sync::Arc;

use gatewright_core::{
    CredentialForm, CredentialOwner, Route, Secret, ServerName, TenantId, UpstreamAuth,
};
use gatewright_egress::Egress;
use gatewright_upstream::{EraSetting, Program, ResourceLimits, Target, Targets, Upstream};
use serde_json::{Value, json};

use crate::support::{Caller, Gate, Watch, call, key, modern_at, target, upstream};

#[tokio::test]
async fn a_child_has_the_environment_that_configuration_names_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let watch = Watch::start().await;
    let program = watch
        .program(["--flag", "a b"])
        .in_directory(directory.path())
        .with_variable("ROOT", "/data");
    // The tests themselves have many more.
    assert!(std::env::vars_os().count() > 4);
    let ann = Caller::new(&modern_at(program), "ann").with(key(1, "planted"));
    let answer = ann.tool("environment", json!({})).await;
    let place = directory.path().to_str().unwrap();
    let expected = json!({
        "API_KEY": "planted", "ROOT": "/data", "HOME": place, "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    });
    assert_eq!(answer["result"]["environment"], expected);
    assert_eq!(answer["result"]["directory"], place);
    assert_eq!(
        answer["result"]["arguments"],
        json!(["--watch", watch.address(), "--flag", "a b"])
    );
}

#[tokio::test]
async fn without_a_credential_there_is_none_in_the_environment() {
    let watch = Watch::start().await;
    let ann = Caller::new(&modern_at(watch.program([])), "ann");
    let answer = ann.tool("environment", json!({})).await;
    let environment = answer["result"]["environment"].as_object().unwrap();
    assert_eq!(environment.len(), 3, "{environment:?}");
}

#[tokio::test]
async fn a_credential_that_no_environment_can_carry_starts_nothing() {
    let watch = Watch::start().await;
    let upstream = modern_at(watch.program([]));
    let secret = || Secret::new("planted".to_owned());
    let variable = |name: &str| CredentialForm::Environment {
        variable: name.to_owned(),
    };
    for auth in [
        UpstreamAuth::new(
            CredentialOwner::Shared,
            1,
            CredentialForm::default(),
            secret(),
        ),
        UpstreamAuth::new(CredentialOwner::Shared, 1, variable(""), secret()),
        UpstreamAuth::new(CredentialOwner::Shared, 1, variable("A=B"), secret()),
        key(1, "planted\0"),
    ] {
        let answer = Caller::new(&upstream, "ann")
            .with(auth)
            .tool("echo", json!({}))
            .await;
        assert!(
            matches!(crate::support::code(&answer), 5500 | 5502),
            "{answer}"
        );
        assert!(!answer.to_string().contains("planted"), "{answer}");
    }
    watch.nothing_more().await;
}

#[tokio::test]
async fn resources_are_limited_and_no_core_is_written() {
    let watch = Watch::start().await;
    let mut limits = ResourceLimits::default();
    limits.open_files = Some(77);
    limits.file_size = Some(1_000_000);
    let program = watch.program([]).with_resources(limits);
    let ann = Caller::new(&modern_at(program), "ann");
    let answer = ann.tool("environment", json!({})).await;
    let shown = answer["result"]["limits"].as_str().unwrap();
    let limit = |name: &str| -> Vec<String> {
        let line = shown
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.split_whitespace().take(2).map(str::to_owned).collect()
    };
    assert_eq!(limit("Max open files"), ["77", "77"]);
    assert_eq!(limit("Max file size"), ["1000000", "1000000"]);
    assert_eq!(limit("Max core file size"), ["0", "0"]);
}

#[tokio::test]
async fn a_child_runs_as_the_user_that_is_configured_or_not_at_all() {
    // It answers the first call, whose id it knows.
    let answer = r#"read -r line; printf '{"jsonrpc":"2.0","id":1,"result":"%s"}\n' "$(id -u) $(id -g) $(id -G)"; read -r line"#;
    let program = Program::new("/bin/sh")
        .with_arguments(["-c", answer])
        .as_user(54321, 54322);
    let answer = Caller::new(&modern_at(program), "ann")
        .tool("echo", json!({}))
        .await;
    if rustix::process::geteuid().is_root() {
        assert_eq!(answer["result"], "54321 54322 54322", "{answer}");
    } else {
        assert_eq!(crate::support::code(&answer), 5502);
    }
}

#[tokio::test]
async fn each_tenant_server_principal_credential_and_session_has_a_child_of_its_own() {
    let watch = Watch::start().await;
    let ann = Caller::new(&modern_at(watch.program([])), "ann").with(key(1, "k"));
    let pid = async |caller: &Caller| caller.tool("echo", json!({})).await["result"]["pid"].clone();
    let user = |id: &str| {
        let subject = gatewright_core::Subject::new("i", id);
        let variable = "API_KEY".to_owned();
        let form = CredentialForm::Environment { variable };
        UpstreamAuth::new(
            CredentialOwner::User(subject),
            1,
            form,
            Secret::new("k".to_owned()),
        )
    };
    let mut pids: Vec<Value> = Vec::new();
    for caller in [
        ann.clone(),
        ann.at("other", "s"),
        ann.at("default", "t"),
        ann.as_user("bob"),
        ann.with(user("ann")),
        ann.with(UpstreamAuth::none()),
    ] {
        pids.push(pid(&caller).await);
        // And it stays that one.
        assert_eq!(pids.last(), Some(&pid(&caller).await));
    }

    let legacy = upstream(target(watch.program([])));
    let ann = Caller::new(&legacy, "ann").with(key(1, "k"));
    for session in [ann.initialize().await, ann.initialize().await] {
        pids.push(session.legacy_tool("echo", json!({})).await["result"]["pid"].clone());
    }
    let different: std::collections::HashSet<String> = pids.iter().map(Value::to_string).collect();
    assert_eq!(different.len(), 8, "{pids:?}");
}

#[tokio::test]
async fn a_session_is_nobody_elses() {
    let watch = Watch::start().await;
    let legacy = upstream(target(watch.program([])));
    let ann = Caller::new(&legacy, "ann").initialize().await;
    for (stranger, status) in [
        (ann.as_user("bob"), 404),
        (ann.at("other", "s"), 404),
        (ann.at("default", "t"), 404),
        (ann.in_session("0123456789abcdef"), 404),
        (Caller::new(&legacy, "ann"), 400),
    ] {
        let (answered, answer) = stranger.says(&call(7, "echo", json!({}))).await;
        assert_eq!(answered, status, "{answer}");
        assert_eq!(answer["id"], 7);
        assert_eq!(stranger.send(stranger.bare("GET")).await.status(), status);
        assert_eq!(
            stranger.send(stranger.bare("DELETE")).await.status(),
            status
        );
    }
    assert_eq!(ann.legacy_tool("echo", json!({})).await["id"], 7);
}

#[tokio::test]
async fn a_changed_credential_starts_a_new_child_at_once_and_ends_the_old_one_after_its_calls() {
    let (watch, gate) = (Watch::start().await, Gate::new().await);
    let ann = Caller::new(&modern_at(watch.program([])), "ann");
    let (before, after) = (ann.with(key(1, "old")), ann.with(key(2, "new")));
    let (waited, old) = tokio::join!(before.tool("wait", gate.address()), async {
        let old = watch.child().await;
        let waiting = gate.waits().await;
        let seen = after.tool("environment", json!({})).await;
        assert_eq!(seen["result"]["environment"]["API_KEY"], "new");
        let new = watch.child().await;
        assert_ne!(old.pid, new.pid);
        drop(waiting);
        old
    });
    assert_eq!(waited["result"]["pid"], old.pid);
    let heard = old.dies().await;
    assert!(heard.contains(&"input ended".to_owned()), "{heard:?}");
    // The new one stays.
    after.tool("echo", json!({})).await;
    watch.nothing_more().await;
}

#[tokio::test]
async fn a_credential_that_is_taken_back_ends_its_children_after_their_calls() {
    let (watch, gate) = (Watch::start().await, Gate::new().await);
    let upstream = modern_at(watch.program([]));
    let ann = Caller::new(&upstream, "ann").with(key(1, "k"));
    let bob = ann.with(UpstreamAuth::none()).as_user("bob");
    bob.tool("echo", json!({})).await;
    let other = watch.child().await;
    let (tenant, server) = (TenantId::default(), ServerName::new("s").unwrap());
    let (waited, ()) = tokio::join!(ann.tool("wait", gate.address()), async {
        let waiting = gate.waits().await;
        upstream.forget_credential(&tenant, &server, &CredentialOwner::Shared);
        drop(waiting);
    });
    let child = watch.child().await;
    assert_eq!(waited["result"]["pid"], child.pid);
    child.dies().await;
    assert_eq!(
        bob.tool("echo", json!({})).await["result"]["pid"],
        other.pid
    );
}

#[tokio::test]
async fn a_session_goes_on_under_a_changed_credential() {
    let watch = Watch::start().await;
    let ann = Caller::new(&upstream(target(watch.program([]))), "ann");
    let before = ann.with(key(1, "old")).initialize().await;
    let mut old = watch.child().await;
    old.hears("initialized").await;
    let after = before.with(key(2, "new"));
    let seen = after.legacy_tool("environment", json!({})).await;
    assert_eq!(seen["result"]["environment"]["API_KEY"], "new");
    let mut new = watch.child().await;
    // It was opened with the client's own words.
    let opened = new.hears("initialize").await;
    assert_eq!(opened["params"]["clientInfo"]["name"], "c");
    new.hears("notifications/initialized").await;
    old.dies().await;
    let again = after.legacy_tool("echo", json!({})).await;
    assert_eq!(again["result"]["pid"], new.pid);
}

#[tokio::test]
async fn a_program_that_changed_starts_a_new_child() {
    let watch = Watch::start().await;
    let targets = Arc::new(Changing(std::sync::Mutex::new(Arc::new(
        target(watch.program([]).with_variable("X", "1")).with_era(EraSetting::Modern),
    ))));
    let upstream = Upstream::with_targets(targets.clone(), &Egress::builder().build());
    let ann = Caller::new(&upstream, "ann");
    let x = async || ann.tool("environment", json!({})).await["result"]["environment"]["X"].clone();
    assert_eq!(x().await, "1");
    let old = watch.child().await;
    *targets.0.lock().unwrap() =
        Arc::new(target(watch.program([]).with_variable("X", "2")).with_era(EraSetting::Modern));
    assert_eq!(x().await, "2");
    old.dies().await;
}

struct Changing(std::sync::Mutex<Arc<Target>>);

impl Targets for Changing {
    fn target(&self, _: &Route) -> Option<Arc<Target>> {
        Some(Arc::clone(&self.0.lock().unwrap()))
    }
}
