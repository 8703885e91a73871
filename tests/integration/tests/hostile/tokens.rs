//! Floods of bad tokens: they cost their sender an answer, and neither the identity provider nor the log a flood.

use gatewright_test_support::{Algorithm, FakeServer, SigningKey, modern_request};
use http::StatusCode;
use serde_json::json;

use super::{echo, records};
use crate::bed::{Bed, STAFF_ECHOES};

const FLOOD: usize = 2_000;
const AT_A_TIME: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_bad_tokens_is_no_flood_at_the_issuer_nor_in_the_log() {
    let server = FakeServer::start().await;
    let bed = Bed::start(&[("tools", server.url())], STAFF_ECHOES).await;
    assert_eq!(echo(&bed, "tools", "ann").await.status(), StatusCode::OK);
    let fetches = |bed: &Bed| (bed.idp.discoveries(), bed.idp.key_fetches());
    let before = fetches(&bed);
    let others = SigningKey::generate(Algorithm::Es256, "unknown");
    let bad = |number: usize| {
        let good = bed.token(&format!("user-{number}"), "tools");
        match number % 6 {
            0 => good
                .header("kid", format!("unknown-{number}"))
                .sign_with(&others),
            1 => good.sign_with(&others),
            2 => good.expires_in(-60).sign(),
            3 => good.claim("aud", "https://elsewhere.example").sign(),
            4 => good
                .claim("iss", format!("https://{number}.example"))
                .sign(),
            _ => format!("rubbish.{number}"),
        }
    };
    for batch in 0..FLOOD / AT_A_TIME {
        let mut answers = tokio::task::JoinSet::new();
        for number in batch * AT_A_TIME..(batch + 1) * AT_A_TIME {
            let request = modern_request(
                &bed.url("tools"),
                Some(&bad(number)),
                7,
                "tools/list",
                json!({}),
            );
            let client = bed.client.clone();
            answers.spawn(async move { client.send(request).await.status() });
        }
        while let Some(status) = answers.join_next().await {
            assert_eq!(status.unwrap(), StatusCode::UNAUTHORIZED);
        }
    }
    // One fetch for all the keys that nobody has heard of.
    let after = fetches(&bed);
    assert!(
        after.0 <= before.0 + 1 && after.1 <= before.1 + 1,
        "{before:?} {after:?}"
    );
    assert_eq!(server.calls(), 1);
    assert_eq!(echo(&bed, "tools", "ann").await.status(), StatusCode::OK);

    let records = records(bed).await;
    let of = |kind: &str| {
        records
            .iter()
            .filter(|record| record["kind"] == kind)
            .count()
    };
    assert!(
        of("refused") <= 30,
        "{} refusals are written one by one",
        of("refused")
    );
    let counted: u64 = records
        .iter()
        .filter_map(|record| record["aggregate"]["count"].as_u64())
        .sum();
    assert_eq!(
        counted + of("refused") as u64,
        FLOOD as u64,
        "and none is forgotten"
    );
    assert_eq!(of("admitted"), 2);
}
