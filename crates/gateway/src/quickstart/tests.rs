use std::net::TcpListener;

use super::*;
use crate::quickstart::screen::Verdict;

/// The files go when nobody writes them any more.
async fn end(scene: Scene) {
    let (gateway, _rest) = scene.into_parts();
    gateway.shutdown().await;
}

#[tokio::test]
async fn every_step_of_the_tour_does_what_it_says() {
    let scene = Scene::start(Port::Free, None).await.unwrap();
    let mut shown = 0;
    let steps = scene.tour(|_| shown += 1).await;
    assert_eq!(shown, steps.len());
    for step in &steps {
        assert!(step.passed(), "{step:?}");
    }
    end(scene).await;
}

#[tokio::test]
async fn a_gateway_that_does_otherwise_fails_the_step_that_shows_it() {
    let scene = Scene::start(Port::Free, None).await.unwrap();
    let settings = scene.gateway.settings();
    let file = scene.dir().join("org.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let careless = text.replace(", at_most = 1000", "").replace(
        "role = \"writer\"\ngroup = \"support\"",
        "role = \"writer\"\ngroup = \"finance\"",
    );
    let organisation = Organisation::parse(&careless, &file, settings).unwrap();
    apply(&scene.gateway, &organisation).await.unwrap();
    let steps = scene.tour(|_| {}).await;
    let failed: Vec<_> = steps
        .iter()
        .filter(|step| !step.passed())
        .map(|step| step.number)
        .collect();
    assert_eq!(
        failed,
        [2, 5],
        "the lists, and the amount that is too large"
    );
    let Verdict::Otherwise { expected, got } = &steps[1].verdict else {
        panic!("{:?}", steps[1])
    };
    assert!(expected.contains("add_note: Ben;"), "{expected}");
    assert!(got.contains("add_note: Ann;"), "{got}");
    end(scene).await;
}

#[test]
fn a_port_that_is_taken_is_left_to_who_has_it() {
    let theirs = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = theirs.local_addr().unwrap().port();
    let refused = choose(Port::Only(taken)).unwrap_err();
    assert!(
        matches!(refused, StartDemoError::PortTaken(port) if port == taken),
        "{refused}"
    );
    assert_ne!(choose(Port::Rather(taken)).unwrap(), taken);
    drop(theirs);
    assert_eq!(choose(Port::Rather(taken)).unwrap(), taken);
}
