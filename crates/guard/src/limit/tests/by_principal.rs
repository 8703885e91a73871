use super::*;

#[tokio::test(start_paused = true)]
async fn a_burst_passes_then_the_rate_holds_for_this_principal_only() {
    let layer = LimitLayer::per_principal(Limits {
        rate: per_second(2),
        ..unbounded()
    });
    let server = Server::free();
    let stack = guarded(&layer, &server);
    for _ in 0..2 {
        let answer = answered(&stack, unread("default", "ann").await).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let refused = answered(&stack, unread("default", "ann").await).await;
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    assert_eq!(
        refusal(refused).await,
        (
            StatusCode::TOO_MANY_REQUESTS,
            code::RATE_LIMITED,
            Value::Null
        )
    );
    // Neither another person nor a person of that name in another tenant is affected.
    for (tenant, user) in [("default", "bob"), ("acme", "ann")] {
        let answer = answered(&stack, unread(tenant, user).await).await;
        assert_eq!(answer.status(), StatusCode::OK, "{tenant} {user}");
    }
    assert_eq!(server.seen(), 4, "what is refused reaches nobody");

    tokio::time::advance(Duration::from_millis(500)).await;
    let answer = answered(&stack, unread("default", "ann").await).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_does_not_put_off_the_next() {
    let layer = LimitLayer::per_principal(Limits {
        rate: per_second(1),
        ..unbounded()
    });
    let stack = guarded(&layer, &Server::free());
    let mut passed = 0;
    for _ in 0..100 {
        let answer = answered(&stack, unread("default", "ann").await).await;
        passed += usize::from(answer.status() == StatusCode::OK);
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert_eq!(passed, 10);
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_is_told() {
    let layer = LimitLayer::per_principal(Limits {
        rate: Some(Rate::per_minute(NonZeroU32::MIN)),
        ..unbounded()
    });
    let stack = guarded(&layer, &Server::free());
    answered(&stack, unread("default", "ann").await).await;
    tokio::time::advance(Duration::from_millis(10_500)).await;
    let refused = stack.oneshot(unread("default", "ann").await).await.unwrap();
    assert_eq!(refused.headers()[header::RETRY_AFTER], "50");
}

#[tokio::test(start_paused = true)]
async fn without_a_principal_nothing_passes() {
    let layer = LimitLayer::per_principal(unbounded());
    let server = Server::free();
    let answer = guarded(&layer, &server)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let refused = answer.extensions().get::<Refused>().unwrap();
    assert_eq!((refused.layer, refused.code), ("limit", "miswired"));
    assert_eq!(server.seen(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_holds_its_place_until_its_answer_ends() {
    let layer = LimitLayer::per_principal(Limits {
        calls: 1,
        queued: 1,
        ..unbounded()
    });
    let server = Server::held();
    let stack = guarded(&layer, &server);
    let first = answered(&stack, unread("default", "ann").await).await;
    let second = spawn(stack.clone().oneshot(unread("default", "ann").await));
    settle().await;
    assert_eq!(server.seen(), 1, "the second waits");
    let third = answered(&stack, unread("default", "ann").await).await;
    assert_eq!(
        refusal(third).await,
        (
            StatusCode::TOO_MANY_REQUESTS,
            code::RATE_LIMITED,
            Value::Null
        )
    );

    server.ends.add_permits(1);
    first.into_body().collect().await.unwrap();
    assert_eq!(second.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(server.seen(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_leaves_its_place() {
    let layer = LimitLayer::per_principal(Limits {
        calls: 1,
        queued: 1,
        ..unbounded()
    });
    let server = Server::held();
    let stack = guarded(&layer, &server);
    let first = answered(&stack, unread("default", "ann").await).await;
    // One that waits and goes, several times: the queue holds nobody who is not here.
    for _ in 0..3 {
        let gone = spawn(stack.clone().oneshot(unread("default", "ann").await));
        settle().await;
        gone.abort();
        settle().await;
    }
    let waiting = spawn(stack.clone().oneshot(unread("default", "ann").await));
    settle().await;
    drop(first);
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(server.seen(), 2);
    assert_eq!(layer.table.inside(), 0, "both answers are gone");
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_told_so() {
    let layer = LimitLayer::per_principal(Limits {
        calls: 1,
        queued: 1,
        ..unbounded()
    });
    let stack = guarded(&layer, &Server::held());
    let first = answered(&stack, unread("default", "ann").await).await;
    let before = tokio::time::Instant::now();
    let second = answered(&stack, unread("default", "ann").await).await;
    assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(before.elapsed(), Duration::from_secs(5));
    drop(first);
    let third = stack.oneshot(unread("default", "ann").await).await.unwrap();
    assert_eq!(third.status(), StatusCode::OK, "it took no place with it");
}

#[tokio::test(start_paused = true)]
async fn streams_that_stand_are_counted_apart_from_calls() {
    let layer = LimitLayer::per_principal(Limits {
        calls: 1,
        streams: 2,
        ..unbounded()
    });
    let (get, listen, calls) = (Server::held(), Server::standing(), Server::held());
    let mut stream = unread("default", "ann").await;
    *stream.method_mut() = http::Method::GET;
    let first = guarded(&layer, &get).oneshot(stream.clone()).await.unwrap();
    // A POST that turns out to stand: it was a call until its answer began.
    let second = guarded(&layer, &listen)
        .oneshot(unread("default", "ann").await)
        .await
        .unwrap();
    let call = guarded(&layer, &calls)
        .oneshot(unread("default", "ann").await)
        .await
        .unwrap();
    assert_eq!(call.status(), StatusCode::OK);
    drop(call);

    for refused in [
        guarded(&layer, &get).oneshot(stream.clone()).await.unwrap(),
        guarded(&layer, &listen)
            .oneshot(unread("default", "ann").await)
            .await
            .unwrap(),
    ] {
        let code = refused.extensions().get::<Refused>().unwrap().code;
        assert_eq!(code, "too-many-streams");
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    }
    drop((first, second));
    let again = guarded(&layer, &get).oneshot(stream).await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_waits_for_nothing() {
    let layer = LimitLayer::per_principal(Limits {
        calls: 1,
        ..unbounded()
    });
    let server = Server::held();
    let stack = guarded(&layer, &server);
    let _call = answered(&stack, unread("default", "ann").await).await;
    let mut end = unread("default", "ann").await;
    *end.method_mut() = http::Method::DELETE;
    let answer = stack.oneshot(end).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_failure_below_gives_the_place_back() {
    let layer = LimitLayer::per_principal(Limits {
        calls: 1,
        ..unbounded()
    });
    let broken = layer.layer(tower::service_fn(|_: Request<()>| async {
        Err::<Response<AnswerBody>, _>("broken")
    }));
    for _ in 0..3 {
        let request = unread("default", "ann").await;
        assert!(broken.clone().oneshot(request).await.is_err());
    }
    assert_eq!(layer.table.inside(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_in_the_draft() {
    let layer = LimitLayer::per_principal(Limits {
        calls: 0,
        ..unbounded()
    });
    let draft = draft();
    let mut request = unread("default", "ann").await;
    request.extensions_mut().insert(draft.clone());
    let answer = guarded(&layer, &Server::free())
        .oneshot(request)
        .await
        .unwrap();
    let noted = draft.read(|fields| fields.refusal.clone()).unwrap();
    assert_eq!(noted.refused, *answer.extensions().get().unwrap());
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body["error"]["data"]["reference"],
        draft.reference().to_string()
    );
    assert!(!body.to_string().contains("ann"));
}
