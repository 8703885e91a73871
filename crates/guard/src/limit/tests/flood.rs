//! Many at once, and many keys.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_flood_does_not_keep_others_out() {
    // Each call takes 10 ms; the flood asks for a hundred times what the server can do.
    let layer = LimitLayer::per_server(Limits {
        calls: 4,
        queued: 16,
        patience: Duration::from_secs(1),
        ..unbounded()
    });
    let stack = layer.layer(tower::service_fn(|_: Request<CallBody>| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok::<_, Infallible>(Response::new(AnswerBody::empty()))
    }));
    let flood = {
        let stack = stack.clone();
        spawn(async move {
            let mut answered = 0;
            for _ in 0..100 {
                let mut burst = Vec::new();
                for _ in 0..40 {
                    let request = parsed("billing", "flood", CALL).await;
                    burst.push(spawn(stack.clone().oneshot(request)));
                }
                for answer in burst {
                    answered +=
                        usize::from(answer.await.unwrap().unwrap().status() == StatusCode::OK);
                }
            }
            answered
        })
    };
    for _ in 0..50 {
        let request = parsed("billing", "ann", CALL).await;
        let before = tokio::time::Instant::now();
        let answer = answered(&stack, request).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(
            before.elapsed() <= Duration::from_millis(30),
            "{:?}",
            before.elapsed()
        );
    }
    assert!(
        flood.await.unwrap() >= 1900,
        "and the flood is served as far as it goes"
    );
    assert_eq!(layer.table.inside(), 0);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_total_everybody_is_shed() {
    let layer = LimitLayer::per_principal(Limits {
        total: 2,
        ..unbounded()
    });
    let stack = guarded(&layer, &Server::held());
    let first = answered(&stack, unread("default", "ann").await).await;
    let _second = answered(&stack, unread("default", "bob").await).await;
    let third = answered(&stack, unread("default", "cy").await).await;
    assert_eq!(
        refusal(third).await,
        (
            StatusCode::SERVICE_UNAVAILABLE,
            code::OVERLOADED,
            Value::Null
        )
    );
    drop(first);
    let again = stack.oneshot(unread("default", "cy").await).await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
}

fn load(key: usize) -> Load {
    Load::call(format!("default/user:idp|{key}"))
}

#[tokio::test(start_paused = true)]
async fn keys_are_forgotten_when_nothing_is_lost_with_them() {
    let layer = LimitLayer::per_principal(Limits {
        rate: per_second(10),
        ..unbounded()
    });
    for key in 0..100_000 {
        drop(layer.table.admit(&load(key)).await.unwrap());
        if key % 100 == 0 {
            tokio::time::advance(Duration::from_millis(10)).await;
        }
    }
    // The buckets of the last second are in use: 10 000 keys, and no more than twice as many are kept.
    let kept = layer.table.keys();
    assert!(kept <= 20_000, "{kept}");
}

#[tokio::test(start_paused = true)]
async fn more_keys_than_may_be_are_not_kept_even_within_a_moment() {
    let layer = LimitLayer::per_principal(Limits {
        rate: per_second(1),
        keys: 1024,
        ..unbounded()
    });
    // Under way: it is never forgotten, and its rate with it.
    let busy = layer.table.admit(&load(usize::MAX)).await.unwrap();
    for key in 0..100_000 {
        drop(layer.table.admit(&load(key)).await.unwrap());
        assert!(key % 1000 != 0 || layer.table.keys() <= 1024);
    }
    assert!(layer.table.keys() <= 1024);
    let again = layer.table.admit(&load(usize::MAX)).await.unwrap_err();
    assert!(matches!(again, refusal::Refusal::Rate(_)));
    drop(busy);
}

#[tokio::test(start_paused = true)]
async fn where_all_keys_are_busy_a_new_one_is_shed() {
    let layer = LimitLayer::per_principal(Limits {
        keys: 64,
        ..unbounded()
    });
    let mut held = Vec::new();
    let mut shed = 0;
    for key in 0..1000 {
        match layer.table.admit(&load(key)).await {
            Ok(admission) => held.push(admission),
            Err(refusal) => {
                assert_eq!(refusal, refusal::Refusal::Overloaded);
                shed += 1;
            }
        }
    }
    assert!(held.len() <= 64 && shed >= 936, "{} {shed}", held.len());
    let kept = held.len();
    drop(held);
    assert_eq!(layer.table.inside(), 0);
    for key in 2000..3000 {
        drop(layer.table.admit(&load(key)).await.unwrap());
    }
    assert!(layer.table.keys() <= 64 && kept > 0);
}
