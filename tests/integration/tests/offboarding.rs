//! Somebody leaves: invariant 9, and what the receipt proves.

use std::time::{Duration, Instant};

use gatewright_audit::{Attested, CheckpointKey, VerifyAttestedError};
use gatewright_core::{Actor, PartyKind, Subject, TenantId};
use gatewright_directory::{Edit, Expected, model::Document, records::Kind};
use gatewright_test_support::{Answer, RawServer, modern_request};
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::{
    admin::{ask, key, put, server},
    bed::{Bed, STAFF_ECHOES},
};

const PEOPLE: &str = "
    [[grants]]
    role = 'staff'
    user = 'ann'
    [[grants]]
    role = 'staff'
    user = 'ben'
    [[grants]]
    role = 'staff'
    agent = 'bot'
";

/// Answers calls, and holds those open that ask for it.
async fn upstream() -> RawServer {
    RawServer::start(|request| {
        if request.json()["params"]["name"] == "slow" {
            return Answer::event_stream([": working\n\n"]).hanging();
        }
        Answer::result(request, &json!({"content": []}))
    })
    .await
}

fn call(bed: &Bed, token: &str, tool: &str) -> http::Request<bytes::Bytes> {
    let params = json!({"name": tool, "arguments": {}});
    modern_request(&bed.url("people"), Some(token), 7, "tools/call", params)
}

async fn status(bed: &Bed, token: &str) -> u16 {
    let answer = bed.client.send(call(bed, token, "echo")).await;
    answer.status().as_u16()
}

async fn document(bed: &Bed, kind: Kind, id: &str) -> Document {
    let tenant = TenantId::default();
    let found = bed.running.directory().get(&tenant, kind, id).await;
    found.unwrap().unwrap().document
}

async fn change(bed: &Bed, id: &str, document: Document) -> Vec<String> {
    let edits = vec![Edit::Put {
        id: id.into(),
        document,
        expected: Expected::Present,
    }];
    let (by, tenant) = (Actor::Operator(0), TenantId::default());
    let directory = bed.running.directory();
    let made = directory.change(by, &tenant, "user.patch", edits);
    let receipts = made.await.unwrap().receipts;
    receipts.iter().map(ToString::to_string).collect()
}

fn whose(bed: &Bed, kind: PartyKind, id: &str) -> String {
    let subject = Subject::new(bed.idp.issuer(), id);
    let directory = bed.running.directory();
    let found = directory.whose(&TenantId::default(), kind, &subject);
    found.unwrap().to_string()
}

fn what(list: &Value) -> Vec<String> {
    let mut shown: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let name = item["name"].as_str().unwrap_or_default();
            format!("{} {name}", item["what"].as_str().unwrap())
        })
        .collect();
    shown.sort();
    shown
}

#[tokio::test]
async fn within_a_second_nothing_of_somebody_who_left_works_and_a_receipt_proves_it() {
    let upstream = upstream().await;
    let people = server("people", &upstream.url("/mcp"), "credential = 'per-user'");
    let bots = server("bots", &upstream.url("/mcp"), "credential = 'per-agent'");
    let organisation = format!("{people}{bots}{STAFF_ECHOES}{PEOPLE}");
    let bed = Bed::start_top("api_keys_for_people = true", &[], &organisation).await;
    for owner in ["user:ann", "user:ben"] {
        put(&bed, "people", owner, "planted-secret").await;
    }
    put(&bed, "bots", "agent:bot", "bots-own").await;
    let anns = bed.token("ann", "people").sign();
    let bens = bed.token("ben", "people").sign();
    let delegated = bed.token("ann", "people").act("bot").sign();
    let (key_id, key_text) = key(&bed, "user:ann", "people").await;
    let (bot_key_id, bot_key) = key(&bed, "agent:bot", "*").await;
    let (ann, bot) = (
        whose(&bed, PartyKind::User, "ann"),
        whose(&bed, PartyKind::Agent, "bot"),
    );
    // She answers for the agent.
    let Document::Agent(mut agent) = document(&bed, Kind::Agent, &bot).await else {
        panic!("no agent");
    };
    agent.owner = Some(ann.clone());
    change(&bed, &bot, Document::Agent(agent)).await;
    for token in [&anns, &bens, &delegated, &key_text] {
        assert_eq!(status(&bed, token).await, 200);
    }
    let bots_call = modern_request(
        &bed.url("bots"),
        Some(&bot_key),
        7,
        "tools/call",
        json!({"name": "echo", "arguments": {}}),
    );
    let answer = bed.client.send(bots_call.clone()).await;
    assert_eq!(answer.status(), 200);
    let mut streams = Vec::new();
    for token in [&anns, &delegated, &key_text] {
        let mut stream = bed.client.open(call(&bed, token, "slow")).await;
        assert_eq!(stream.status(), StatusCode::OK);
        assert!(stream.body_mut().frame().await.unwrap().is_ok());
        streams.push(stream);
    }

    // What SCIM makes of `active: false`.
    let Document::User(mut user) = document(&bed, Kind::User, &ann).await else {
        panic!("no user");
    };
    user.active = false;
    let began = Instant::now();
    let receipts = change(&bed, &ann, Document::User(user)).await;
    for mut stream in streams {
        while let Some(Ok(_)) = stream.body_mut().frame().await {}
    }
    for token in [&anns, &delegated, &key_text] {
        assert_eq!(status(&bed, token).await, 401);
    }
    assert_eq!(bed.client.send(bots_call).await.status(), 401);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(status(&bed, &bens).await, 200);

    // The credential is gone from the store, and the key is revoked for good; those of her agent stay.
    let (_, listed) = ask(&bed, "GET", "/tenants/default/credentials", &Value::Null).await;
    let listed = listed.to_string();
    assert!(
        listed.contains("|ben") && listed.contains("agent:"),
        "{listed}"
    );
    assert!(!listed.contains("|ann"), "{listed}");
    let (_, keys) = ask(&bed, "GET", "/tenants/default/keys", &Value::Null).await;
    let state = |id: &str| {
        let keys = keys["keys"].as_array().unwrap();
        let found = keys.iter().find(|key| key["id"] == id).unwrap();
        found["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(&key_id), "revoked", "{keys}");
    assert_ne!(state(&bot_key_id), "revoked", "{keys}");

    let receipt = document(&bed, Kind::Receipt, &receipts[0]).await.to_value();
    let statement = &receipt["statement"];
    assert_eq!(statement["complete"], true, "{receipt}");
    assert_eq!(
        what(&statement["cut"]),
        [
            format!("agent {bot}"),
            format!("api-key {key_id}"),
            "calls ".to_owned(),
            "credential people".to_owned(),
            "streams ".to_owned()
        ]
    );
    let cut = statement["cut"].as_array().unwrap();
    let count = cut.iter().find(|cut| cut["what"] == "streams").unwrap();
    assert_eq!(count["count"], 3);
    let of_log = bed.running.settings().key_dir.join("checkpoint.pem");
    let public = CheckpointKey::load_or_create(&of_log).unwrap().public();
    let attested = Attested::verify(&receipt.to_string(), &[public]).unwrap();
    assert_eq!(Value::Object(attested.statement), *statement);
    let tampered = receipt.to_string().replace(&key_id, "000000000000");
    let refused = Attested::verify(&tampered, &[public]).unwrap_err();
    assert!(
        matches!(refused, VerifyAttestedError::Forged(_)),
        "{refused}"
    );

    // Let in again, she has nothing of what was cut; also after a start.
    let Document::User(mut user) = document(&bed, Kind::User, &ann).await else {
        panic!("no user");
    };
    user.active = true;
    change(&bed, &ann, Document::User(user)).await;
    let bed = bed.restarted().await;
    assert_eq!(status(&bed, &key_text).await, 401);
    let again = bed.token("ann", "people").sign();
    let answer = bed.tool("people", &again, "echo", json!({})).await;
    assert_eq!(answer["error"]["code"], 4401, "{answer}");
    let log = bed.closed_log().await;
    assert!(log.contains("receipt.put") && log.contains(&receipts[0]));
    assert!(!log.contains("planted-secret"));
}
