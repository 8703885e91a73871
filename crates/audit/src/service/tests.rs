use std::{
    convert::Infallible,
    future,
    net::SocketAddr,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::Waker,
    time::Duration,
};

use gatewright_core::{Identity, ManualClock, Party, Principal, Subject};
use http::HeaderValue;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::{ServiceExt as _, service_fn};
use tower_layer::Layer as _;

use super::*;
use crate::{
    AuditLayer, RecordKind, RecordLayer,
    testing::{Memory, PAY, clock, delegation, permitted, principal, route, start},
};

type Answer = Result<Response<AnswerBody>, Infallible>;

/// Counts calls that reach the server, which answers `body`.
#[derive(Clone, Default)]
struct Server(Arc<AtomicUsize>);

impl Server {
    fn calls(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn request(route: Option<Route>) -> Request<()> {
    let mut request = Request::post("/mcp").body(()).unwrap();
    if let Some(route) = route {
        request.extensions_mut().insert(route);
    }
    request
}

/// AuditLayer and RecordLayer with a permitted call between them, above a server that answers `answer`.
async fn through(
    memory: &Arc<Memory>,
    class: AuditClass,
    server: &Server,
    answer: impl Fn() -> Response<AnswerBody> + Clone + Send + 'static,
) -> Response<AnswerBody> {
    let route = route().map_profile(|profile| profile.audit = class);
    let clock = clock();
    let server = server.clone();
    let time = clock.clone();
    let bottom = service_fn(move |_: Request<Permitted>| {
        server.0.fetch_add(1, Ordering::Relaxed);
        time.advance(Duration::from_millis(7));
        let answer = answer();
        async move { Answer::Ok(answer) }
    });
    let below = RecordLayer::new(Arc::clone(memory))
        .with_clock(clock.clone())
        .layer(bottom);
    let permit_route = route.clone();
    let between = service_fn(move |request: Request<()>| {
        let (below, route) = (below.clone(), permit_route.clone());
        async move {
            let (parts, ()) = request.into_parts();
            let permitted = permitted(&route, PAY).await;
            below.oneshot(Request::from_parts(parts, permitted)).await
        }
    });
    let service = AuditLayer::new(Arc::clone(memory))
        .with_clock(clock)
        .layer(between);
    service.oneshot(request(Some(route))).await.unwrap()
}

fn full(text: &'static str) -> Response<AnswerBody> {
    Response::new(AnswerBody::wrap(Full::new(Bytes::from_static(
        text.as_bytes(),
    ))))
}

/// AuditLayer above something that answers by itself.
async fn answered(
    memory: &Arc<Memory>,
    clock: &ManualClock,
    request: Request<()>,
    fill: impl Fn(&Draft) + Clone + Send + Sync + 'static,
) -> Response<AnswerBody> {
    let below = service_fn(move |request: Request<()>| {
        if let Some(draft) = request.extensions().get::<Draft>() {
            fill(draft);
        }
        async { Answer::Ok(Response::new(AnswerBody::empty())) }
    });
    let layer = AuditLayer::new(Arc::clone(memory)).with_clock(clock.clone());
    layer.layer(below).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_call_is_admitted_before_its_server_sees_it_and_its_outcome_follows() {
    let memory = Arc::new(Memory::default());
    let seen = Arc::clone(&memory);
    let answer = through(
        &memory,
        AuditClass::Required,
        &Server::default(),
        move || {
            assert_eq!(seen.kinds(), [RecordKind::Admitted]);
            full("{\"jsonrpc\":\"2.0\"}")
        },
    )
    .await;
    assert_eq!(memory.kinds().len(), 1, "the body has not ended");
    answer.into_body().collect().await.unwrap();
    let [admitted, outcome] = memory.json().try_into().unwrap();
    assert_eq!(admitted["decision"]["policies"][0], "payers");
    assert_eq!(admitted["call"]["target"], "pay");
    assert_eq!(outcome["kind"], "outcome");
    assert_eq!(outcome["ref"], admitted["ref"]);
    assert_eq!(outcome["outcome"]["ended"], "complete");
    assert_eq!(outcome["outcome"]["bytes"], 17);
    assert_eq!(outcome["timings"]["total_ms"], 7);
}

#[tokio::test]
async fn the_class_of_the_server_says_how_durable_an_admission_is() {
    for (class, durability) in [
        (AuditClass::Required, Some(Durability::Written)),
        (AuditClass::RequiredFsync, Some(Durability::Synced)),
        (AuditClass::BestEffort, None),
    ] {
        let memory = Arc::new(Memory::default());
        drop(through(&memory, class, &Server::default(), || full("{}")).await);
        let records = memory.records.lock().unwrap();
        assert_eq!(records[0].1, durability);
        assert_eq!(records[1].1, None, "no answer waits for its outcome");
    }
}

#[tokio::test]
async fn without_a_required_record_there_is_no_call() {
    for class in [AuditClass::Required, AuditClass::RequiredFsync] {
        let (memory, server) = (Arc::new(Memory::default()), Server::default());
        memory.refuses.store(true, Ordering::Relaxed);
        let answer = through(&memory, class, &server, || full("{}")).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(server.calls(), 0);
        let body: Value = serde_json::from_slice(answer.body().known().unwrap()).unwrap();
        assert_eq!(body["error"]["code"], code::UNRECORDED);
        assert_eq!(body["id"], 7);
        let [refused] = memory.json().try_into().unwrap();
        assert_eq!(refused["kind"], "refused");
        assert_eq!(refused["refusal"]["code"], "unrecorded");
        assert_eq!(refused["ref"], body["error"]["data"]["reference"]);
        assert_eq!(refused["outcome"]["error"], code::UNRECORDED);
    }
}

#[tokio::test]
async fn best_effort_calls_without_a_record() {
    let (memory, server) = (Arc::new(Memory::default()), Server::default());
    memory.refuses.store(true, Ordering::Relaxed);
    let answer = through(&memory, AuditClass::BestEffort, &server, || full("{}")).await;
    assert_eq!((answer.status(), server.calls()), (StatusCode::OK, 1));
}

#[tokio::test]
async fn a_client_that_goes_away_is_the_outcome() {
    let memory = Arc::new(Memory::default());
    let answer = through(&memory, AuditClass::Required, &Server::default(), || {
        Response::new(AnswerBody::wrap(Endless))
    })
    .await;
    let mut body = answer.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    let outcome = memory.json().pop().unwrap();
    assert_eq!(outcome["outcome"]["ended"], "client-gone");
    assert_eq!(outcome["outcome"]["bytes"], 3);
}

#[tokio::test]
async fn a_client_that_goes_away_before_the_answer_is_an_outcome_too() {
    let memory = Arc::new(Memory::default());
    let route = route();
    let below = service_fn(|_: Request<Permitted>| future::pending::<Answer>());
    let below = RecordLayer::new(Arc::clone(&memory)).layer(below);
    let body = permitted(&route, PAY).await;
    let service = AuditLayer::new(Arc::clone(&memory)).layer(below);
    let (parts, ()) = request(Some(route)).into_parts();
    let mut call = Box::pin(service.oneshot(Request::from_parts(parts, body)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut context).is_pending());
    drop(call);
    let [_, outcome] = memory.json().try_into().unwrap();
    assert_eq!(outcome["kind"], "outcome");
    assert_eq!(outcome["outcome"]["ended"], "client-gone");
    assert_eq!(outcome["outcome"].get("status"), None);
}

/// A call of the gateway's own, with nothing above RecordLayer.
async fn alone(memory: &Arc<Memory>) -> (Draft, Request<Permitted>) {
    let draft = Draft::new(ReferenceId::random(), start());
    draft.fill(|fields| fields.alone = true);
    let (mut parts, ()) = request(None).into_parts();
    parts.extensions.insert(draft.clone());
    let permitted = permitted(&route(), PAY).await;
    assert!(memory.kinds().is_empty());
    (draft, Request::from_parts(parts, permitted))
}

#[tokio::test]
async fn a_call_of_the_gateway_itself_has_an_outcome_too() {
    let memory = Arc::new(Memory::default());
    let (draft, request) = alone(&memory).await;
    let below = service_fn(|_: Request<Permitted>| async { Answer::Ok(full("{}")) });
    let service = RecordLayer::new(Arc::clone(&memory)).layer(below);
    service.oneshot(request).await.unwrap();
    let [admitted, outcome] = memory.json().try_into().unwrap();
    assert_eq!(admitted["kind"], "admitted");
    assert_eq!(outcome["kind"], "outcome");
    assert_eq!(outcome["outcome"]["status"], 200);
    for record in [admitted, outcome] {
        assert_eq!(record["ref"], draft.reference().to_string());
    }
}

#[tokio::test]
async fn a_call_of_the_gateway_itself_that_is_given_up_or_refused_says_so() {
    let memory = Arc::new(Memory::default());
    let (_, request) = alone(&memory).await;
    let below = service_fn(|_: Request<Permitted>| future::pending::<Answer>());
    let service = RecordLayer::new(Arc::clone(&memory)).layer(below);
    let mut call = Box::pin(service.clone().oneshot(request));
    let mut context = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut context).is_pending());
    drop(call);
    assert_eq!(memory.json()[1]["outcome"]["ended"], "client-gone");

    let memory = Arc::new(Memory::default());
    let (_, request) = alone(&memory).await;
    memory.refuses.store(true, Ordering::Relaxed);
    let below = service_fn(|_: Request<Permitted>| future::pending::<Answer>());
    let service = RecordLayer::new(Arc::clone(&memory)).layer(below);
    let answer = service.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let [refused] = memory.json().try_into().unwrap();
    assert_eq!(refused["kind"], "refused");
    assert_eq!(refused["refusal"]["code"], "unrecorded");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_the_outcome() {
    let memory = Arc::new(Memory::default());
    let answer = through(&memory, AuditClass::Required, &Server::default(), || {
        Response::new(AnswerBody::wrap(Broken))
    })
    .await;
    assert!(answer.into_body().collect().await.is_err());
    let kinds = memory.kinds();
    assert_eq!(kinds, [RecordKind::Admitted, RecordKind::Outcome]);
    let outcome = memory.json().pop().unwrap();
    assert_eq!(outcome["outcome"]["ended"], "upstream-error");
}

#[tokio::test]
async fn a_server_that_stops_asking_at_the_announced_length_had_it_all() {
    let memory = Arc::new(Memory::default());
    let answer = through(&memory, AuditClass::Required, &Server::default(), || {
        let mut answer = Response::new(AnswerBody::wrap(Endless));
        answer
            .headers_mut()
            .insert("content-length", HeaderValue::from_static("3"));
        answer
    })
    .await;
    let mut body = answer.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    let outcome = memory.json().pop().unwrap();
    assert_eq!(outcome["outcome"]["ended"], "complete");
}

#[tokio::test]
async fn an_error_in_place_of_an_answer_is_recorded() {
    let memory = Arc::new(Memory::default());
    let below = service_fn(|_: Request<()>| async { Err::<Response<AnswerBody>, _>("down") });
    let service = AuditLayer::new(Arc::clone(&memory)).layer(below);
    service.oneshot(request(Some(route()))).await.unwrap_err();
    let [record] = memory.json().try_into().unwrap();
    assert_eq!(record["outcome"]["ended"], "failed");
}

#[tokio::test]
async fn layers_out_of_place_refuse() {
    let memory = Arc::new(Memory::default());
    let answer = answered(&memory, &clock(), request(None), |_| {}).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);

    let server = Server::default();
    let counting = server.clone();
    let below = service_fn(move |_: Request<Permitted>| {
        counting.0.fetch_add(1, Ordering::Relaxed);
        async { Answer::Ok(full("{}")) }
    });
    let service = RecordLayer::new(Arc::clone(&memory)).layer(below);
    let request = Request::new(permitted(&route(), PAY).await);
    let answer = service.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!((server.calls(), memory.kinds().len()), (0, 0));
}

#[tokio::test]
async fn a_refusal_of_somebody_known_is_written_each_time() {
    let memory = Arc::new(Memory::default());
    let route = route();
    let ann = principal(&route, delegation()).await;
    for _ in 0..20 {
        let ann = ann.clone();
        answered(
            &memory,
            &clock(),
            request(Some(route.clone())),
            move |draft| {
                draft.fill(|fields| fields.principal = Some(ann.clone()));
                let refused = Refused {
                    layer: "policy",
                    code: "denied",
                };
                draft.refuse(refused, Some("no policy permits it".to_owned()));
            },
        )
        .await;
    }
    let records = memory.json();
    assert_eq!(records.len(), 20);
    assert_eq!(records[0]["refusal"]["detail"], "no policy permits it");
    assert_eq!(records[0]["for_whom"], "https://idp.example|ann");
}

#[tokio::test]
async fn a_refusal_that_only_the_answer_names_is_recorded() {
    let memory = Arc::new(Memory::default());
    let below = service_fn(|_: Request<()>| async { Answer::Ok(miswired("policy", "Principal")) });
    let service = AuditLayer::new(Arc::clone(&memory)).layer(below);
    service.oneshot(request(Some(route()))).await.unwrap();
    let [record] = memory.json().try_into().unwrap();
    assert_eq!(record["kind"], "refused");
    assert_eq!(record["refusal"]["code"], "miswired");
    assert_eq!(record["outcome"]["status"], 500);
}

#[tokio::test]
async fn ten_thousand_requests_of_nobody_make_few_records_and_all_are_counted() {
    let memory = Arc::new(Memory::default());
    let clock = clock();
    let below = service_fn(|request: Request<()>| {
        let draft = request.extensions().get::<Draft>().unwrap();
        let refused = Refused {
            layer: "identity",
            code: "expired",
        };
        draft.refuse(refused, None);
        async { Answer::Ok(Response::new(AnswerBody::empty())) }
    });
    let layer = AuditLayer::new(Arc::clone(&memory)).with_clock(clock.clone());
    let service = layer.layer(below);
    for number in 0..10_000_u32 {
        let mut request = request(Some(route()));
        // From everywhere, so that neither a network nor the number of networks is what bounds it.
        let [_, a, b, c] = number.wrapping_mul(2_654_435_761).to_be_bytes();
        let peer = SocketAddr::from(([198, a, b, c], 9));
        request.extensions_mut().insert(peer);
        service.clone().oneshot(request).await.unwrap();
    }
    let whole = memory.kinds().len();
    assert_eq!(whole, 30);
    clock.advance(Duration::from_secs(60));
    service.oneshot(request(Some(route()))).await.unwrap();
    let records = memory.json();
    assert!(records.len() < 200, "{}", records.len());
    let counts = records
        .iter()
        .filter(|record| record["kind"] == "aggregate");
    let counted: u64 = counts
        .map(|record| record["aggregate"]["count"].as_u64().unwrap())
        .sum();
    assert_eq!(counted + 30, 10_000);
    let others = records
        .iter()
        .any(|record| record["aggregate"]["from"] == "others");
    assert!(others);
    assert_eq!(records[0]["peer"], "198.0.0.0:9");
}

/// A stack that refuses everybody, having noted this of them.
fn refuses(
    memory: &Arc<Memory>,
    clock: &ManualClock,
    note: impl Fn(&Draft) + Clone + Send + Sync + 'static,
) -> impl Service<Request<()>, Response = Response<AnswerBody>, Error = Infallible> + Clone {
    let below = service_fn(move |request: Request<()>| {
        note(request.extensions().get::<Draft>().unwrap());
        async { Answer::Ok(Response::new(AnswerBody::empty())) }
    });
    let layer = AuditLayer::new(Arc::clone(memory)).with_clock(clock.clone());
    layer.layer(below)
}

const TOO_FAST: Refused = Refused {
    layer: "guard",
    code: "rate-limited",
};

#[tokio::test]
async fn a_flood_of_a_known_caller_makes_few_records_that_name_them_and_all_are_counted() {
    let (memory, clock) = (Arc::new(Memory::default()), clock());
    let both = principal(&route(), delegation()).await;
    let ben = Identity::user(Party::new(Subject::new("https://idp.example", "ben")));
    let ben = principal(&route(), ben).await;
    let of = |caller: &Principal| {
        let caller = caller.clone();
        move |draft: &Draft| {
            draft.fill(|fields| fields.principal = Some(caller.clone()));
            draft.refuse_too_much(TOO_FAST, None);
        }
    };
    // One layer for both, so that one caller could crowd out the other.
    let callers = [of(&both), of(&ben)];
    let turn = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&turn);
    let service = refuses(&memory, &clock, move |draft| {
        // Of a hundred requests one is Ben's.
        let number = count.fetch_add(1, Ordering::SeqCst);
        callers[usize::from(number.is_multiple_of(100))](draft);
    });
    for _ in 0..1_000 {
        let request = request(Some(route()));
        service.clone().oneshot(request).await.unwrap();
    }
    assert_eq!(memory.kinds().len(), 6);
    clock.advance(Duration::from_secs(60));
    service.oneshot(request(Some(route()))).await.unwrap();
    let records = memory.json();
    let counted = |name: &str, who: &str| {
        let found = records.iter().find(|record| {
            record["kind"] == "aggregate"
                && record["who"][name] == format!("https://idp.example|{who}")
        });
        let found = found.unwrap();
        assert_eq!(found["refusal"]["code"], "rate-limited");
        assert_eq!(found["aggregate"].get("from"), None);
        (
            found["aggregate"]["count"].as_u64().unwrap(),
            found["for_whom"].clone(),
        )
    };
    assert_eq!(counted("user", "ben"), (7, Value::Null));
    assert_eq!(
        counted("agent", "bot"),
        (987, json!("https://idp.example|ann"))
    );
    assert_eq!(turn.load(Ordering::SeqCst), 1_001);
}

#[tokio::test]
async fn of_somebody_who_is_switched_off_the_log_says_who_it_was_and_counts() {
    let (memory, clock) = (Arc::new(Memory::default()), clock());
    let service = refuses(&memory, &clock, |draft| {
        draft.fill(|fields| fields.subject = Some(Subject::new("https://idp.example", "ann")));
        let refused = Refused {
            layer: "identity",
            code: "disabled",
        };
        draft.refuse(refused, None);
    });
    for number in 0..50_u8 {
        let mut request = request(Some(route()));
        let peer = SocketAddr::from(([198, 51, number, 1], 9));
        request.extensions_mut().insert(peer);
        service.clone().oneshot(request).await.unwrap();
    }
    assert_eq!(memory.kinds().len(), 3);
    drop(service);
    let records = memory.json();
    let subjects = records.iter().map(|record| &record["subject"]);
    assert!(
        subjects
            .clone()
            .all(|subject| subject == "https://idp.example|ann"),
        "{records:?}"
    );
    let aggregate = &records[3]["aggregate"];
    assert_eq!(aggregate["count"], 47);
    // From where: eight networks by name, and how many requests came from others.
    let networks: Vec<_> = (3..11)
        .map(|number| format!("198.51.{number}.0/24"))
        .collect();
    assert_eq!(aggregate["networks"], json!(networks));
    assert_eq!(aggregate["elsewhere"], 39);
}

#[tokio::test]
async fn a_flood_of_nobody_does_not_hide_who_floods() {
    let (memory, clock) = (Arc::new(Memory::default()), clock());
    let ann = principal(&route(), delegation()).await;
    let number = Arc::new(AtomicUsize::new(0));
    let service = refuses(&memory, &clock, move |draft| {
        if number.fetch_add(1, Ordering::SeqCst) >= 2_000 {
            draft.fill(|fields| fields.principal = Some(ann.clone()));
        }
        draft.refuse_too_much(TOO_FAST, None);
    });
    for number in 0..2_100_u32 {
        let mut request = request(Some(route()));
        let [_, _, a, b] = number.to_be_bytes();
        let peer = SocketAddr::from(([198, a, b, 1], 9));
        request.extensions_mut().insert(peer);
        service.clone().oneshot(request).await.unwrap();
    }
    drop(service);
    let records = memory.json();
    let named = records
        .iter()
        .filter(|record| record["kind"] == "aggregate");
    let named: Vec<_> = named.filter(|record| !record["who"].is_null()).collect();
    assert_eq!(named.len(), 1);
    assert_eq!(named[0]["aggregate"]["count"], 97);
}

#[tokio::test]
async fn what_policy_refuses_and_what_was_admitted_is_written_one_by_one() {
    let ann = principal(&route(), delegation()).await;
    let (memory, clock) = (Arc::new(Memory::default()), clock());
    let denied = {
        let ann = ann.clone();
        refuses(&memory, &clock, move |draft| {
            draft.fill(|fields| fields.principal = Some(ann.clone()));
            let refused = Refused {
                layer: "policy",
                code: "denied",
            };
            draft.refuse(refused, None);
        })
    };
    let admitted = refuses(&memory, &clock, move |draft| {
        draft.fill(|fields| {
            fields.principal = Some(ann.clone());
            fields.admitted = true;
        });
        draft.refuse_too_much(TOO_FAST, None);
    });
    for _ in 0..40 {
        let (one, other) = (request(Some(route())), request(Some(route())));
        denied.clone().oneshot(one).await.unwrap();
        admitted.clone().oneshot(other).await.unwrap();
    }
    let kinds = memory.kinds();
    let of = |kind| kinds.iter().filter(|found| **found == kind).count();
    assert_eq!((of(RecordKind::Refused), of(RecordKind::Outcome)), (40, 40));
}

#[tokio::test]
async fn requests_of_nobody_from_one_network_make_one_count() {
    let memory = Arc::new(Memory::default());
    let clock = clock();
    {
        let below =
            service_fn(|_: Request<()>| async { Answer::Ok(Response::new(AnswerBody::empty())) });
        let layer = AuditLayer::new(Arc::clone(&memory)).with_clock(clock.clone());
        let service = layer.layer(below);
        for number in 0..100_u16 {
            let mut request = request(Some(route()));
            let ip = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 1, number, 0, 0, 1);
            let peer = SocketAddr::from((ip, 9));
            request.extensions_mut().insert(peer);
            service.clone().oneshot(request).await.unwrap();
        }
        assert_eq!(memory.kinds().len(), 3);
    }
    // The layer is gone, and with it would be its counts.
    let records = memory.json();
    assert_eq!(records.len(), 4);
    assert_eq!(records[3]["aggregate"]["count"], 97);
    assert_eq!(records[3]["aggregate"]["from"], "2001:db8:0:1::/64");
    assert_eq!(records[3]["aggregate"]["since_ms"], start().millis());
}

#[tokio::test]
async fn no_header_of_a_request_reaches_a_record() {
    let memory = Arc::new(Memory::default());
    let route = route().map_profile(|profile| profile.log_contents = true);
    let ann = principal(&route, delegation()).await;
    let body = permitted(&route, PAY).await;
    let below =
        RecordLayer::new(Arc::clone(&memory)).layer(service_fn(|_: Request<Permitted>| async {
            Answer::Ok(full("planted-answer"))
        }));
    let service = AuditLayer::new(Arc::clone(&memory)).layer(below);
    let plant = |request: &mut http::request::Parts| {
        for name in [
            "authorization",
            "cookie",
            "mcp-session-id",
            "x-api-key",
            "tracestate",
        ] {
            let value = HeaderValue::from_static("Bearer planted-secret");
            request.headers.insert(name, value);
        }
        let parent = HeaderValue::from_static("planted-secret");
        request.headers.insert("traceparent", parent);
        request.uri = "/mcp?access_token=planted-secret".parse().unwrap();
    };
    let (mut parts, ()) = request(Some(route.clone())).into_parts();
    plant(&mut parts);
    let answer = service
        .oneshot(Request::from_parts(parts, body))
        .await
        .unwrap();
    answer.into_body().collect().await.unwrap();

    let (mut parts, ()) = request(Some(route)).into_parts();
    plant(&mut parts);
    let refused = Request::from_parts(parts, ());
    answered(&memory, &clock(), refused, move |draft| {
        draft.fill(|fields| fields.principal = Some(ann.clone()));
    })
    .await;
    let records = memory.json();
    assert_eq!(records.len(), 3);
    let text = serde_json::to_string(&records).unwrap();
    assert!(text.contains("cents"), "contents were asked for");
    assert!(!text.contains("planted"), "{text}");
}

#[tokio::test]
async fn trace_context_is_recorded() {
    let memory = Arc::new(Memory::default());
    let mut request = request(Some(route()));
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request
        .headers_mut()
        .insert("traceparent", HeaderValue::from_static(parent));
    answered(&memory, &clock(), request, |_| {}).await;
    assert_eq!(memory.json()[0]["trace"], parent);
}

#[tokio::test]
async fn known_answers_stay_known() {
    let memory = Arc::new(Memory::default());
    let below = service_fn(|_: Request<()>| async { Answer::Ok(miswired("policy", "Principal")) });
    let service = AuditLayer::new(Arc::clone(&memory)).layer(below);
    let answer = service.oneshot(request(Some(route()))).await.unwrap();
    assert!(answer.body().known().is_some());
}

/// One piece, and then nothing for ever.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"abc")))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// A body that is an error.
struct Broken;

impl Body for Broken {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(Err("reset".into())))
    }
}
