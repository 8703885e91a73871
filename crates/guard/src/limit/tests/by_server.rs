use gatewright_core::{Decision, authorize, engine_fn};

use super::*;

fn one_at_a_time(queued: usize) -> LimitLayer<ByServer> {
    LimitLayer::per_server(Limits {
        calls: 1,
        queued,
        ..unbounded()
    })
}

#[tokio::test(start_paused = true)]
async fn a_refusal_answers_the_call() {
    let layer = LimitLayer::per_server(Limits {
        rate: per_second(1),
        ..unbounded()
    });
    let stack = guarded(&layer, &Server::free());
    let first = answered(&stack, parsed("billing", "ann", CALL).await).await;
    assert_eq!(first.status(), StatusCode::OK);
    // The server is what is counted, whoever calls it.
    let second = answered(&stack, parsed("billing", "bob", CALL).await).await;
    assert_eq!(
        refusal(second).await,
        (
            StatusCode::TOO_MANY_REQUESTS,
            code::RATE_LIMITED,
            Value::from(7)
        )
    );
    let note = answered(&stack, parsed("billing", "bob", NOTE).await).await;
    assert_eq!(
        refusal(note).await,
        (
            StatusCode::TOO_MANY_REQUESTS,
            code::RATE_LIMITED,
            Value::Null
        )
    );
    let other = stack
        .oneshot(parsed("crm", "bob", CALL).await)
        .await
        .unwrap();
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn without_a_principal_nothing_passes() {
    let server = Server::free();
    let mut request = parsed("billing", "ann", CALL).await;
    request.extensions_mut().remove::<Principal>();
    let answer = guarded(&one_at_a_time(0), &server)
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(server.seen(), 0);
}

#[tokio::test(start_paused = true)]
async fn it_also_stands_below_the_policy() {
    let layer = one_at_a_time(0);
    let permitted = async || {
        let (parts, body) = parsed("billing", "ann", CALL).await.into_parts();
        let principal = parts.extensions.get::<Principal>().unwrap().clone();
        let engine = engine_fn(|_, _| Decision::allow(["all"]));
        let body = authorize(&engine, &principal, body).await.unwrap();
        Request::from_parts(parts, body)
    };
    let stack = guarded(&layer, &Server::held());
    let _first = answered(&stack, permitted().await).await;
    let second = stack.oneshot(permitted().await).await.unwrap();
    assert_eq!(refusal(second).await.2, Value::from(7));
}

#[tokio::test(start_paused = true)]
async fn principals_take_turns() {
    let layer = one_at_a_time(10);
    let server = Server::held();
    let stack = guarded(&layer, &server);
    let mut tasks = Vec::new();
    for user in ["flood", "flood", "flood", "flood", "ann", "bob"] {
        let answer = stack.clone().oneshot(parsed("billing", user, CALL).await);
        tasks.push(spawn(async move {
            answer.await.unwrap().into_body().collect().await.unwrap()
        }));
        settle().await;
    }
    server.ends.add_permits(tasks.len());
    for task in tasks {
        task.await.unwrap();
    }
    let seen: Vec<_> = server.seen.lock().unwrap().clone().into();
    assert_eq!(seen, ["flood", "flood", "ann", "bob", "flood", "flood"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_sheds_whoever_fills_it() {
    let layer = one_at_a_time(3);
    let server = Server::held();
    let stack = guarded(&layer, &server);
    let mut flood = Vec::new();
    for _ in 0..4 {
        let answer = stack
            .clone()
            .oneshot(parsed("billing", "flood", CALL).await);
        flood.push(spawn(answer));
        settle().await;
    }
    // One more of the same is too much by itself; somebody else takes the place of the last.
    let more = answered(&stack, parsed("billing", "flood", CALL).await).await;
    assert_eq!(
        refusal(more).await,
        (
            StatusCode::TOO_MANY_REQUESTS,
            code::RATE_LIMITED,
            Value::from(7)
        )
    );
    let ann = spawn(stack.clone().oneshot(parsed("billing", "ann", CALL).await));
    let shed = flood.pop().unwrap().await.unwrap().unwrap();
    assert_eq!(
        refusal(shed).await,
        (
            StatusCode::SERVICE_UNAVAILABLE,
            code::OVERLOADED,
            Value::from(7)
        )
    );

    drop(flood.remove(0).await.unwrap().unwrap());
    drop(flood.remove(0).await.unwrap().unwrap());
    assert_eq!(ann.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn what_lets_calls_end_does_not_wait_behind_them() {
    let layer = one_at_a_time(0);
    let server = Server::held();
    let stack = guarded(&layer, &server);
    let _call = answered(&stack, parsed("billing", "ann", CALL).await).await;
    for message in [NOTE, RESULT, "DELETE", "GET"] {
        let answer = answered(&stack, parsed("billing", "ann", message).await).await;
        assert_eq!(answer.status(), StatusCode::OK, "{message}");
    }
    let refused = stack
        .oneshot(parsed("billing", "ann", CALL).await)
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn servers_of_one_name_in_two_tenants_are_two() {
    let layer = one_at_a_time(0);
    let server = Server::held();
    let stack = guarded(&layer, &server);
    let _call = answered(&stack, parsed("billing", "ann", CALL).await).await;
    let (mut parts, _) = parsed("billing", "ann", CALL).await.into_parts();
    let route = route("acme", "billing");
    let bytes = Bytes::from_static(CALL.as_bytes());
    let call = CallBody::parse(&route, &parts, bytes, &WireLimits::default()).unwrap();
    parts.extensions.insert(principal(&route, "ann").await);
    let answer = stack
        .oneshot(Request::from_parts(parts, call))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}
