use std::sync::{
    Arc, Mutex as SyncMutex,
    atomic::{AtomicUsize, Ordering},
};

use gatewright_core::ManualClock;
use gatewright_egress::FetchError;
use tokio::sync::Semaphore;

use super::*;
use crate::{Algorithm, SigningKey};

/// An issuer whose key set a test changes, and whose answers it can hold back.
#[derive(Clone)]
struct Issuer {
    keys: Arc<SyncMutex<Option<KeySet>>>,
    fetches: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

#[async_trait]
impl FetchKeys for Issuer {
    async fn fetch(&self) -> Result<KeySet, FetchKeysError> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        let keys = self.keys.lock().unwrap().clone();
        keys.ok_or_else(|| FetchKeysError::Fetch {
            url: "https://idp.example/jwks".into(),
            source: FetchError::Timeout,
        })
    }
}

struct Bed {
    issuer: Issuer,
    clock: ManualClock,
    source: KeySource,
}

impl Bed {
    fn new() -> Self {
        let issuer = Issuer {
            keys: Arc::default(),
            fetches: Arc::default(),
            gate: Arc::new(Semaphore::new(1000)),
        };
        let clock = ManualClock::at(Timestamp::from_secs(1_000));
        let source = KeySource::fetched(
            issuer.clone(),
            Arc::new(clock.clone()),
            CacheTimes::default(),
        );
        let bed = Self {
            issuer,
            clock,
            source,
        };
        drop(bed.publish());
        bed
    }

    /// The issuer rotates; gives back the name of the new key.
    fn publish(&self) -> String {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        *self.issuer.keys.lock().unwrap() = Some(key.key_set());
        key.kid().to_owned()
    }

    fn down(&self) {
        *self.issuer.keys.lock().unwrap() = None;
    }

    fn fetches(&self) -> usize {
        self.issuer.fetches.load(Ordering::SeqCst)
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Lets a background fetch run to its end.
    async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn keys_are_fetched_at_the_first_use_and_kept() {
    let bed = Bed::new();
    assert_eq!(bed.fetches(), 0, "nothing is fetched before");
    for _ in 0..5 {
        assert_eq!(bed.source.keys().await.unwrap().keys().len(), 1);
        bed.pass(100);
    }
    assert_eq!(bed.fetches(), 1);
}

#[tokio::test]
async fn many_first_users_make_one_fetch() {
    let bed = Bed::new();
    bed.issuer.gate.forget_permits(1000);
    let tasks = TaskTracker::new();
    let users: Vec<_> = (0..50)
        .map(|_| {
            let source = bed.source.clone();
            tasks.spawn(async move { source.keys().await.is_ok() })
        })
        .collect();
    bed.settle().await;
    bed.issuer.gate.add_permits(1000);
    for user in users {
        assert!(user.await.unwrap());
    }
    assert_eq!(bed.fetches(), 1);
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_break_the_fetch_off() {
    let bed = Bed::new();
    bed.issuer.gate.forget_permits(1000);
    let gone = tokio::time::timeout(Duration::from_millis(1), bed.source.keys());
    assert!(gone.await.is_err());
    bed.issuer.gate.add_permits(1);
    assert!(bed.source.keys().await.is_ok());
    assert_eq!(bed.fetches(), 1);
}

#[tokio::test]
async fn old_keys_serve_while_new_ones_are_fetched() {
    let bed = Bed::new();
    drop(bed.source.keys().await);
    let kid = bed.publish();
    bed.pass(601);
    assert!(
        !bed.source.keys().await.unwrap().has_kid(&kid),
        "nobody waits"
    );
    bed.settle().await;
    assert!(bed.source.keys().await.unwrap().has_kid(&kid));
    assert_eq!(bed.fetches(), 2);
}

#[tokio::test]
async fn a_rotated_key_is_found_at_once() {
    let bed = Bed::new();
    drop(bed.source.keys().await);
    let kid = bed.publish();
    let keys = bed.source.keys_for(Some(&kid)).await.unwrap();
    assert!(keys.has_kid(&kid));
    assert_eq!(bed.fetches(), 2);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_makes_one_fetch_in_thirty_seconds() {
    let bed = Bed::new();
    drop(bed.source.keys().await);
    for round in 2..4 {
        for number in 0..100 {
            let kid = format!("made-up-{number}");
            let keys = bed.source.keys_for(Some(&kid)).await.unwrap();
            assert!(!keys.has_kid(&kid));
        }
        assert_eq!(bed.fetches(), round);
        bed.pass(30);
    }
}

#[tokio::test]
async fn an_issuer_that_is_down_is_asked_less_and_less() {
    let bed = Bed::new();
    bed.down();
    let mut asked = Vec::new();
    for second in 0..100 {
        let before = bed.fetches();
        let refused = bed.source.keys().await.unwrap_err();
        assert!(refused.to_string().contains("took too long"), "{refused}");
        if bed.fetches() > before {
            asked.push(second);
        }
        bed.pass(1);
    }
    assert_eq!(asked, [0, 1, 3, 7, 15, 31, 63, 95]);
    drop(bed.publish());
    bed.pass(32);
    assert!(bed.source.keys().await.is_ok());
}

#[tokio::test]
async fn keys_outlive_their_issuer_for_an_hour_and_no_longer() {
    let bed = Bed::new();
    drop(bed.source.keys().await);
    bed.down();
    bed.pass(3599);
    assert!(bed.source.keys().await.is_ok());
    bed.settle().await;
    bed.pass(1);
    assert!(bed.source.keys().await.is_err());
    drop(bed.publish());
    bed.pass(60);
    assert!(bed.source.keys().await.is_ok());
}

#[tokio::test]
async fn an_unknown_key_of_an_issuer_that_is_down_cannot_be_judged() {
    let bed = Bed::new();
    let known = bed.publish();
    drop(bed.source.keys().await);
    bed.down();
    assert!(bed.source.keys_for(Some("new")).await.is_err());
    let fetches = bed.fetches();
    assert!(bed.source.keys_for(Some("new")).await.is_err());
    assert_eq!(bed.fetches(), fetches, "and is not asked for again at once");
    assert!(bed.source.keys_for(Some(&known)).await.is_ok());
}

#[tokio::test]
async fn fixed_keys_are_never_fetched() {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let source = KeySource::fixed(key.key_set());
    assert!(source.keys().await.unwrap().has_kid(key.kid()));
    assert!(
        !source
            .keys_for(Some("other"))
            .await
            .unwrap()
            .has_kid("other")
    );
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_nothing_younger() {
    let bed = Bed::new();
    let back = |by: i64| {
        let now = bed.clock.now().millis();
        bed.clock.set(Timestamp::from_millis(now - by));
    };
    assert!(bed.source.keys().await.is_ok());
    back(3_600_000);
    assert!(bed.source.keys().await.is_ok());
    assert_eq!(bed.fetches(), 2, "nobody knows how old the keys are");

    // A failure of the future holds nobody back.
    bed.down();
    bed.pass(CacheTimes::default().usable.as_secs());
    assert!(bed.source.keys().await.is_err());
    back(86_400_000);
    bed.publish();
    assert!(bed.source.keys().await.is_ok());
}
