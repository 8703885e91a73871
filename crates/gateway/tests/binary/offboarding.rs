//! Somebody is shut out, and the process is killed before it has cut what they have.

use std::{fs, process::Command, time::Instant};

use serde_json::Value;

use super::{PATIENCE, Served, gatewright, organisation, path, piped, run};

const AGENTS: usize = 4;
const KILLS: usize = 3;

fn agents(round: usize) -> Vec<String> {
    (0..AGENTS).map(|n| format!("bot-{round}-{n}")).collect()
}

/// The organisation with agents of every round, those of the first rounds switched off.
fn text(served: &Served, off: usize) -> String {
    let all = (0..KILLS).flat_map(|round| agents(round).into_iter().map(move |bot| (round, bot)));
    let mut more = String::new();
    for (round, bot) in all {
        more += &format!("[[grants]]\nrole = 'staff'\nagent = '{bot}'\n");
        if round < off {
            more += &format!("[[agents]]\nid = '{bot}'\ndisabled = true\n");
        }
    }
    let plain = organisation(&served.idp, &served.server, &more);
    plain.replacen(
        "[[servers]]\n",
        "[[servers]]\ncredential = 'per-agent'\n",
        1,
    )
}

/// How many changes have shut somebody out, as the files of the log have it now.
fn shut_out(served: &Served) -> usize {
    let chain = served.dir.path().join("data/audit/default/local");
    let files = fs::read_dir(chain).unwrap();
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    texts
        .map(|text| text.matches("\"receipts\":").count())
        .sum()
}

/// Every record of the log that holds this.
fn records(served: &Served, what: &str) -> Vec<Value> {
    let config = served.config();
    let (status, all, error) = run(&["audit", "export", "--config", path(&config)]);
    assert_eq!(status, 0, "{error}");
    let lines = all.lines().filter(|line| line.contains(what));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The receipts that are complete, by the id of the agent, as the log has them.
fn complete(served: &Served) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for record in records(served, "receipt.put") {
        let differences = record["change"]["differences"].as_array();
        for difference in differences.into_iter().flatten() {
            let receipt = &difference["after"];
            if receipt["statement"]["complete"] == true {
                let name = receipt["statement"]["of"]["name"].as_str().unwrap();
                found.push((name.to_owned(), receipt.clone()));
            }
        }
    }
    found
}

#[tokio::test]
async fn what_a_kill_left_of_somebody_who_was_shut_out_the_next_start_cuts() {
    let mut served = Served::start(200).await;
    served.apply(&text(&served, 0));
    let config = served.config();
    let own = ["--config", path(&config)];
    for bot in (0..KILLS).flat_map(agents) {
        let put = ["vault", "put", "tools", "--agent", &bot];
        let (status, _, error) = piped("planted-secret\n", &[&put[..], &own].concat());
        assert_eq!(status, 0, "{error}");
        let create = ["key", "create", "--agent", &bot, "--server", "tools"];
        let (status, _, error) = piped("", &[&create[..], &own].concat());
        assert_eq!(status, 0, "{error}");
    }
    let list = |what: &str| -> Value {
        let (status, out, error) = run(&[&[what, "list", "--json"], &own[..]].concat());
        assert_eq!(status, 0, "{error}");
        serde_json::from_str(&out).unwrap()
    };

    for round in 0..KILLS {
        let file = served.dir.path().join("org.toml");
        fs::write(&file, text(&served, round + 1)).unwrap();
        let before = shut_out(&served);
        let mut apply: Command = gatewright();
        apply.args(["apply", "--yes", "--file", path(&file)]);
        let mut apply = apply.args(own).spawn().unwrap();
        // Once the log says so they are shut out, and what they have is being cut.
        let began = Instant::now();
        while shut_out(&served) <= before {
            assert!(began.elapsed() < PATIENCE);
        }
        served.process.kill().unwrap();
        let _outcome = apply.wait().unwrap();
        served.ends();
        served.again();

        let began = Instant::now();
        let bots = agents(round);
        loop {
            let complete = complete(&served);
            if bots
                .iter()
                .all(|bot| complete.iter().any(|(name, _)| name.contains(bot.as_str())))
            {
                break;
            }
            // The change itself may not have been committed.
            let (status, out, error) = served.try_apply(&text(&served, round + 1), &["--yes"]);
            assert_eq!(status, 0, "{out}{error}");
            assert!(began.elapsed() < PATIENCE, "{complete:?}");
        }
        let keys = list("key");
        let credentials = list("vault").to_string();
        for bot in &bots {
            let mut theirs = keys["keys"].as_array().unwrap().iter();
            let key = theirs.find(|key| key["holder"].as_str().unwrap().contains(bot.as_str()));
            assert_eq!(key.unwrap()["state"], "revoked", "{keys}");
            assert!(!credentials.contains(bot.as_str()), "{credentials}");
        }
        for bot in (round + 1..KILLS).flat_map(agents) {
            assert!(credentials.contains(&bot), "{bot}: {credentials}");
        }
    }

    // A receipt verifies without a gateway, and not once it was touched.
    served.signal("TERM");
    served.ends();
    let (name, receipt) = complete(&served).pop().unwrap();
    let (file, text) = (served.dir.path().join("receipt.json"), receipt.to_string());
    fs::write(&file, &text).unwrap();
    let verify = ["audit", "verify-receipt", path(&file)];
    let (status, out, error) = run(&[&verify[..], &own].concat());
    assert_eq!(status, 0, "{out}{error}");
    assert!(
        out.starts_with("genuine: receipt ") && out.contains(&name),
        "{out}"
    );
    assert!(
        out.contains("  cut: api-key ") && out.contains("  cut: credential tools of "),
        "{out}"
    );
    assert!(out.ends_with(": complete\n"), "{out}");
    let public = served
        .dir
        .path()
        .join("data/audit/checkpoint-key.local.pub");
    let (status, _, error) = run(&[&verify[..], &["--public-key", path(&public)]].concat());
    assert_eq!(status, 0, "{error}");
    for (from, to) in [
        ("\"complete\":true", "\"complete\":false"),
        ("\"what\":\"credential\"", "\"what\":\"api-key\""),
        ("\"v\":1", "\"v\":1,\"v\":1"),
    ] {
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let (status, out, error) = run(&[&verify[..], &own].concat());
        assert_eq!(status, 1, "{from}: {out}{error}");
        assert!(out.starts_with("NOT GENUINE: "), "{out}");
    }
    fs::write(&file, "{}").unwrap();
    assert_eq!(run(&[&verify[..], &own].concat()).0, 2);
}
