//! Secrets that were planted wherever one can be, over a whole run that writes down all it can.

use std::{fs, path::Path};

use gatewright_test_support::{message, modern_request};
use http::header;
use serde_json::json;

use super::{PATIENCE, Served, organisation, path, piped, run};

const CREDENTIAL: &str = "planted-credential-1f";
const ARGUMENT: &str = "planted-argument-3d";
const RUBBISH: &str = "planted-rubbish-4c";
const QUERY: &str = "planted-query-5b";
const COOKIE: &str = "planted-cookie-6a";
const BROKEN: &str = "planted-broken-79";
const SAID: &str = "planted-said-88";

/// A child that repeats its secret to its standard error, and then breaks the protocol with it. The log holds how it is
/// started, so the marker is put together when it speaks.
const CHATTY: &str = "echo \"I have $KEY\" >&2; read -r line; echo \"$KEY planted-said-$((80+8))\"";

fn everything_in(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            everything_in(&path, text);
        } else if path.is_file() {
            *text += &String::from_utf8_lossy(&fs::read(path).unwrap());
        }
    }
}

#[tokio::test]
async fn planted_secrets_are_nowhere_after_a_whole_run_that_traces_everything() {
    let mut served = Served::start_at("trace", 200, "").await;
    let child = format!(
        "[[servers]]\nname = 'chatty'\ncommand = 'sh'\nargs = ['-c', '''{CHATTY}''']\nera = 'modern'\n\
         credential = 'shared'\ncredential_env = 'KEY'\n\
         [[grants]]\nrole = 'staff'\nagent = 'bot'\n"
    );
    let text = organisation(&served.idp, &served.server, &child).replacen(
        "[[servers]]\n",
        "[[servers]]\ncredential = 'shared'\n",
        1,
    );
    served.apply(&text);
    let mut traces = String::new();
    let config = served.config();
    let mut shown = String::new();
    for server in ["tools", "chatty"] {
        let args = [
            "vault",
            "put",
            server,
            "--shared",
            "--config",
            path(&config),
        ];
        let (status, out, error) = piped(&format!("{CREDENTIAL}\n"), &args);
        assert_eq!(status, 0, "{error}");
        shown += &(out + &error);
    }
    let create = [
        "key",
        "create",
        "--agent",
        "bot",
        "--server",
        "tools",
        "--expires",
        "1h",
    ];
    let (status, key, error) = piped("", &[&create[..], &["--config", path(&config)]].concat());
    assert_eq!(status, 0, "{error}");
    let key = key.trim();

    let url = format!("{}/mcp/tools", served.base);
    let token = |user: &str, server: &str| {
        let url = format!("{}/mcp/{server}", served.base);
        served.idp.token(user, &url).claim("groups", ["staff"])
    };
    let (good, expired) = (
        token("ann", "tools").sign(),
        token("ann", "tools").expires_in(-60).sign(),
    );
    let chatty = token("ann", "chatty").sign();
    let call = |url: &str, token: &str, name: &str| {
        let params = json!({"name": name, "arguments": {"text": ARGUMENT}});
        modern_request(url, Some(token), 1, "tools/call", params)
    };
    let mut odd = call(&format!("{url}?key={QUERY}"), &good, "echo");
    let cookie = format!("session={COOKIE}").parse().unwrap();
    odd.headers_mut().insert(header::COOKIE, cookie);
    let mut broken = call(&url, &good, "echo");
    *broken.body_mut() = format!("{{\"jsonrpc\":\"2.0\",\"{BROKEN}\":\"{BROKEN}\"").into();
    let at_the_child = call(&url.replace("tools", "chatty"), &chatty, "echo");
    for (what, request, status) in [
        ("a call", call(&url, &good, "echo"), 200),
        ("a key's call", call(&url, key, "echo"), 200),
        ("a query and a cookie", odd, 200),
        ("an expired token", call(&url, &expired, "echo"), 401),
        ("rubbish", call(&url, RUBBISH, "echo"), 401),
        ("no message", broken, 400),
        ("a child", at_the_child, 502),
    ] {
        let answer = served.client.send(request).await;
        assert_eq!(answer.status(), status, "{what}: {answer:?}");
        if status == 200 {
            assert_eq!(
                message(&answer)["result"]["content"][0]["text"],
                ARGUMENT,
                "{what}"
            );
        } else {
            shown += &format!("{answer:?}");
        }
    }
    for args in [
        &["status"] as &[&str],
        &["vault", "list"],
        &["key", "list"],
        &["audit", "tail"],
    ] {
        let (status, out, error) = piped("", &[args, &["--config", path(&config)]].concat());
        assert_eq!(status, 0, "{args:?}: {error}");
        shown += &(out + &error);
    }
    shown += &served.health("/metrics").await.1;
    let data = served.dir.path().join("data");
    let mut files = String::new();
    everything_in(&data, &mut files);
    served.signal("TERM");
    while let Ok(line) = served.lines.recv_timeout(PATIENCE) {
        traces += &line.to_string();
    }
    assert_eq!(served.ends(), Some(0));
    everything_in(&data, &mut files);
    let (_, log, _) = run(&["audit", "export", "--config", path(&config)]);

    for (place, text, is_there) in [
        ("what was shown", &shown, "gatewright_requests_total"),
        ("the traces", &traces, "\"level\":\"TRACE\""),
        ("the files", &files, "SQLite format 3"),
        ("the log", &log, "malformed-token"),
    ] {
        assert!(text.contains(is_there), "{place} was searched");
        for secret in [
            CREDENTIAL,
            ARGUMENT,
            RUBBISH,
            QUERY,
            COOKIE,
            BROKEN,
            SAID,
            key.split_at(16).1,
            good.rsplit('.').next().unwrap(),
            expired.rsplit('.').next().unwrap(),
            chatty.rsplit('.').next().unwrap(),
        ] {
            if let Some(at) = text.find(secret) {
                let around = text.get(at.saturating_sub(200)..at + 60);
                panic!("{secret} is in {place}: {around:?}");
            }
        }
    }
}
