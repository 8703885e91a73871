use std::sync::atomic::Ordering;

use gatewright_core::{ManualClock, Timestamp};
use tokio::sync::{Notify, Semaphore};

use super::*;
use crate::testing::{Keys, Records, agent, key, tenant, user};

const PLANTED: &str = "planted-secret";

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn vault(records: &Records) -> SealedVault {
    let clock = ManualClock::at(Timestamp::from_secs(50));
    SealedVault::with_clock(records.clone(), Keys::new(&[1]), clock)
}

async fn found(vault: &SealedVault, key: &RecordKey) -> Option<(String, u64)> {
    asked(vault, "acme", key).await.unwrap()
}

async fn asked(
    vault: &SealedVault,
    at: &str,
    key: &RecordKey,
) -> Result<Option<(String, u64)>, VaultError> {
    let credential = vault
        .credential(&tenant(at), &key.owner, &key.server)
        .await?;
    Ok(credential.map(|found| (found.secret.expose().to_owned(), found.version)))
}

#[tokio::test]
async fn a_stored_credential_is_its_owners_at_its_server_in_its_tenant() {
    let vault = vault(&Records::default());
    let ann = key(user("ann"), "wiki");
    vault
        .put(&tenant("acme"), ann.clone(), secret("a"))
        .await
        .unwrap();
    assert_eq!(found(&vault, &ann).await, Some(("a".to_owned(), 1)));
    for other in [
        key(user("ben"), "wiki"),
        key(agent("ann"), "wiki"),
        key(CredentialOwner::Shared, "wiki"),
        key(user("ann"), "notes"),
    ] {
        assert_eq!(found(&vault, &other).await, None, "{other:?}");
    }
    assert_eq!(asked(&vault, "other", &ann).await.unwrap(), None);
}

#[tokio::test]
async fn a_moved_row_does_not_open_anywhere() {
    let records = Records::default();
    let ann = key(user("ann"), "wiki");
    let acme = tenant("acme");
    vault(&records)
        .put(&acme, ann.clone(), secret(PLANTED))
        .await
        .unwrap();
    let other = tenant("other");
    for (tenant, to) in [
        (&other, ann.clone()),
        (&acme, key(user("ben"), "wiki")),
        (&acme, key(agent("ann"), "wiki")),
        (&acme, key(CredentialOwner::Shared, "wiki")),
        (&acme, key(user("ann"), "notes")),
    ] {
        records.moved((&acme, &ann), (tenant, &to));
        let refused = asked(&vault(&records), tenant.as_str(), &to)
            .await
            .unwrap_err();
        assert!(matches!(refused, VaultError::Unreadable(_)), "{to:?}");
        assert!(!format!("{refused} {refused:?}").contains(PLANTED));
    }
    for (_, record) in records.0.rows.lock().unwrap().values_mut() {
        record.version += 1;
    }
    let refused = asked(&vault(&records), "acme", &ann).await.unwrap_err();
    assert!(matches!(refused, VaultError::Unreadable(_)));
}

#[tokio::test]
async fn the_storage_and_every_text_hold_no_secret() {
    let records = Records::default();
    let vault = vault(&records);
    let ann = key(user("ann"), "wiki");
    let acme = tenant("acme");
    vault
        .put(&acme, ann.clone(), secret(PLANTED))
        .await
        .unwrap();
    found(&vault, &ann).await.unwrap();
    let listed = vault.list(&acme, None, 10).await.unwrap();
    let shown = format!("{vault:?} {listed:?} {:?}", records.0.rows.lock().unwrap());
    assert!(!shown.contains(PLANTED), "{shown}");
    for (_, record) in records.0.rows.lock().unwrap().values() {
        let bytes = &record.envelope;
        let holds = bytes
            .windows(PLANTED.len())
            .any(|part| part == PLANTED.as_bytes());
        assert!(!holds);
    }
    let asked = vault
        .credential(&acme, &ann.owner, &ann.server)
        .await
        .unwrap();
    assert!(!format!("{asked:?}").contains(PLANTED));
}

#[tokio::test]
async fn a_warm_credential_costs_no_read_and_neither_does_a_missing_one() {
    let records = Records::default();
    let vault = vault(&records);
    let (ann, ben) = (key(user("ann"), "wiki"), key(user("ben"), "wiki"));
    vault
        .put(&tenant("acme"), ann.clone(), secret("a"))
        .await
        .unwrap();
    for _ in 0..3 {
        assert!(found(&vault, &ann).await.is_some());
        assert!(found(&vault, &ben).await.is_none());
    }
    assert_eq!(records.0.reads.load(Ordering::SeqCst), 2);
    // Nor does it need the storage.
    records.0.down.store(true, Ordering::SeqCst);
    assert!(found(&vault, &ann).await.is_some());
    let refused = asked(&vault, "acme", &key(user("new"), "wiki")).await;
    assert!(matches!(refused, Err(VaultError::Unavailable(_))));
}

#[tokio::test]
async fn a_change_is_effective_in_the_next_call() {
    let vault = vault(&Records::default());
    let (acme, ann) = (tenant("acme"), key(user("ann"), "wiki"));
    assert_eq!(found(&vault, &ann).await, None);
    vault.put(&acme, ann.clone(), secret("a")).await.unwrap();
    assert_eq!(found(&vault, &ann).await, Some(("a".to_owned(), 1)));
    vault.put(&acme, ann.clone(), secret("b")).await.unwrap();
    assert_eq!(found(&vault, &ann).await, Some(("b".to_owned(), 2)));
    assert!(vault.remove(&acme, ann.clone()).await.unwrap());
    assert_eq!(found(&vault, &ann).await, None);
    assert!(!vault.remove(&acme, ann.clone()).await.unwrap());
    // Not version 1 again: what is kept open under the first secret is not for this one.
    vault.put(&acme, ann.clone(), secret("c")).await.unwrap();
    assert_eq!(found(&vault, &ann).await, Some(("c".to_owned(), 3)));
}

#[tokio::test]
async fn a_slow_reader_does_not_bring_an_older_credential_back() {
    let records = Records::default();
    let vault = vault(&records);
    let (acme, ann) = (tenant("acme"), key(user("ann"), "wiki"));
    vault.put(&acme, ann.clone(), secret("old")).await.unwrap();
    let gate = Arc::new((Semaphore::new(0), Notify::new()));
    *records.0.gate.lock().unwrap() = Some(Arc::clone(&gate));
    let slow = async { found(&vault, &ann).await };
    let change = async {
        gate.1.notified().await;
        vault.put(&acme, ann.clone(), secret("new")).await.unwrap();
        *records.0.gate.lock().unwrap() = None;
        gate.0.add_permits(1);
    };
    let (seen, ()) = tokio::join!(slow, change);
    assert_eq!(seen.unwrap().0, "old", "it asked before the change");
    assert_eq!(found(&vault, &ann).await.unwrap().0, "new");
}

#[tokio::test]
async fn a_change_goes_on_when_whoever_asked_for_it_has_gone() {
    let vault = vault(&Records::default());
    let (acme, ann) = (tenant("acme"), key(user("ann"), "wiki"));
    assert_eq!(found(&vault, &ann).await, None);
    let mut put = Box::pin(vault.put(&acme, ann.clone(), secret("a")));
    std::future::poll_fn(|context| {
        assert!(put.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(put);
    vault.tasks().close();
    vault.tasks().wait().await;
    assert_eq!(found(&vault, &ann).await, Some(("a".to_owned(), 1)));
}

#[tokio::test]
async fn a_new_master_key_takes_every_record_over() {
    let records = Records::default();
    let keys = Keys::new(&[1]);
    let vault = SealedVault::new(records.clone(), keys.clone());
    let (acme, ann) = (tenant("acme"), key(user("ann"), "wiki"));
    let ben = key(user("ben"), "wiki");
    vault.put(&acme, ann.clone(), secret("a")).await.unwrap();
    vault.put(&acme, ben.clone(), secret("b")).await.unwrap();
    let before = vault.list(&acme, None, 10).await.unwrap();

    keys.replace(&[2, 1]);
    assert_eq!(vault.rewrap(&acme).await.unwrap().rewrapped, 2);
    assert_eq!(vault.rewrap(&acme).await.unwrap(), Rewrapped::default());
    keys.replace(&[2]);
    let cold = SealedVault::new(records.clone(), keys.clone());
    assert_eq!(found(&cold, &ann).await.unwrap(), ("a".to_owned(), 1));
    let after = cold.list(&acme, None, 10).await.unwrap();
    assert_eq!(after.len(), 2);
    assert_ne!(before[0].master_key, after[0].master_key);
    assert_eq!(before[0].version, after[0].version);

    // One that was spoilt is named, and the others are taken over.
    records.moved((&acme, &ann), (&acme, &ben));
    keys.replace(&[3, 2]);
    let done = cold.rewrap(&acme).await.unwrap();
    assert_eq!((done.rewrapped, done.unreadable), (1, vec![ben]));
    // While the key provider is down nothing is judged.
    keys.replace(&[4, 3]);
    keys.take_away();
    let refused = cold.rewrap(&acme).await.unwrap_err();
    assert!(matches!(refused, VaultError::Unavailable(_)), "{refused}");
}

#[tokio::test]
async fn a_secret_that_was_removed_or_replaced_is_not_kept_in_memory() {
    let vault = vault(&Records::default());
    let (acme, ann) = (tenant("acme"), key(user("ann"), "wiki"));
    for last in [false, true] {
        vault.put(&acme, ann.clone(), secret("a")).await.unwrap();
        assert!(found(&vault, &ann).await.is_some());
        vault.forget_idle();
        assert_eq!(vault.0.warm.entry_count(), 1);
        if last {
            vault.remove(&acme, ann.clone()).await.unwrap();
        } else {
            vault.put(&acme, ann.clone(), secret("b")).await.unwrap();
        }
        assert_eq!(vault.0.warm.entry_count(), 0);
    }
}

#[tokio::test]
async fn what_is_written_while_the_master_key_changes_is_taken_over_too() {
    let records = Records::default();
    let keys = Keys::new(&[1]);
    let vault = SealedVault::new(records.clone(), keys.clone());
    let (acme, ann) = (tenant("acme"), key(user("ann"), "wiki"));
    let gate = Arc::new((Semaphore::new(0), Notify::new()));
    *records.0.write_gate.lock().unwrap() = Some(Arc::clone(&gate));
    let put = {
        let (vault, acme, ann) = (vault.clone(), acme.clone(), ann.clone());
        TaskTracker::new().spawn(async move { vault.put(&acme, ann, secret("a")).await })
    };
    gate.1.notified().await;

    keys.replace(&[2, 1]);
    let mut rewrap = Box::pin(vault.rewrap(&acme));
    std::future::poll_fn(|context| {
        let early = rewrap.as_mut().poll(context);
        assert!(early.is_pending(), "{early:?}");
        std::task::Poll::Ready(())
    })
    .await;
    gate.0.add_permits(1);
    assert_eq!(rewrap.await.unwrap().rewrapped, 1);
    put.await.unwrap().unwrap();
    keys.replace(&[2]);
    let cold = SealedVault::new(records.clone(), keys.clone());
    assert_eq!(found(&cold, &ann).await.unwrap(), ("a".to_owned(), 1));
}

#[tokio::test]
async fn a_key_provider_that_is_down_or_lost_its_key_refuses() {
    let records = Records::default();
    let keys = Keys::new(&[1]);
    let ann = key(user("ann"), "wiki");
    let warm = SealedVault::new(records.clone(), keys.clone());
    warm.put(&tenant("acme"), ann.clone(), secret("a"))
        .await
        .unwrap();
    keys.take_away();
    let cold = || SealedVault::new(records.clone(), keys.clone());
    let refused = asked(&cold(), "acme", &ann).await.unwrap_err();
    assert!(matches!(refused, VaultError::Unavailable(_)), "{refused}");
    let refused = cold().put(&tenant("acme"), ann.clone(), secret("b")).await;
    assert!(matches!(refused, Err(PutCredentialError::Key(_))));
    keys.replace(&[9]);
    let refused = asked(&cold(), "acme", &ann).await.unwrap_err();
    assert!(matches!(refused, VaultError::Unreadable(_)), "{refused}");
    assert!(refused.to_string().contains("is not here"), "{refused}");
    // A failure is not remembered.
    let again = cold();
    assert!(asked(&again, "acme", &ann).await.is_err());
    keys.replace(&[1]);
    assert!(asked(&again, "acme", &ann).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_no_secret_is_not_stored() {
    let vault = vault(&Records::default());
    let (acme, ann) = (tenant("acme"), key(user("ann"), "wiki"));
    let refused = vault.put(&acme, ann.clone(), secret("")).await;
    assert!(matches!(refused, Err(PutCredentialError::Empty)));
    let long = secret(&"x".repeat(LONGEST + 1));
    let refused = vault.put(&acme, ann.clone(), long).await;
    assert!(matches!(refused, Err(PutCredentialError::TooLong)));
    let longest = secret(&"x".repeat(LONGEST));
    assert!(vault.put(&acme, ann, longest).await.is_ok());
}

#[tokio::test]
async fn a_list_comes_in_pages_of_one_tenant() {
    let vault = vault(&Records::default());
    for (at, id) in [("acme", "a"), ("acme", "b"), ("acme", "c"), ("other", "d")] {
        vault
            .put(&tenant(at), key(user(id), "wiki"), secret("s"))
            .await
            .unwrap();
    }
    let acme = tenant("acme");
    let first = vault.list(&acme, None, 2).await.unwrap();
    let last = RecordKey {
        owner: first[1].owner.clone(),
        server: first[1].server.clone(),
    };
    let second = vault.list(&acme, Some(&last), 2).await.unwrap();
    let names: Vec<String> = first
        .iter()
        .chain(&second)
        .map(|connection| connection.owner.to_string())
        .collect();
    assert_eq!(names, ["user:idp|a", "user:idp|b", "user:idp|c"]);
    assert_eq!(first[0].stored_at, Timestamp::from_secs(50));
    assert!(first[0].master_key.is_some());
}

#[tokio::test]
async fn all_of_somebody_who_left_is_destroyed_and_forgotten_and_of_nobody_else() {
    let records = Records::default();
    let (vault, acme) = (vault(&records), tenant("acme"));
    let anns = [key(user("ann"), "wiki"), key(user("ann"), "notes")];
    let others = [
        key(user("ben"), "wiki"),
        key(agent("ann"), "wiki"),
        key(CredentialOwner::Shared, "wiki"),
    ];
    for at in anns.iter().chain(&others) {
        vault.put(&acme, at.clone(), secret("s")).await.unwrap();
        assert!(found(&vault, at).await.is_some());
    }
    let owned = vault.owned_by(&acme, &[user("ann"), user("eve")]).await;
    assert_eq!(owned.unwrap().len(), 2);

    // While the storage is down nothing is destroyed, and that is said; what is in use is forgotten all the same.
    records.0.down.store(true, Ordering::SeqCst);
    vault.remove_all(&acme, &[user("ann")]).await.unwrap_err();
    asked(&vault, "acme", &anns[0]).await.unwrap_err();
    assert!(found(&vault, &others[0]).await.is_some(), "from memory");
    records.0.down.store(false, Ordering::SeqCst);

    assert!(found(&vault, &anns[0]).await.is_some());
    let removed = vault.remove_all(&acme, &[user("eve"), user("ann")]).await;
    let mut removed = removed.unwrap();
    removed.sort_by_key(|at| at.server.to_string());
    assert_eq!(removed, [anns[1].clone(), anns[0].clone()]);
    for at in &anns {
        assert_eq!(found(&vault, at).await, None);
    }
    for at in &others {
        assert!(found(&vault, at).await.is_some(), "{at:?}");
    }
    let again = vault.remove_all(&acme, &[user("ann")]).await;
    assert_eq!(again.unwrap(), []);
}

#[tokio::test]
async fn what_is_being_read_or_stored_for_somebody_who_leaves_does_not_stay() {
    let records = Records::default();
    let (vault, acme) = (vault(&records), tenant("acme"));
    let ann = key(user("ann"), "wiki");
    vault.put(&acme, ann.clone(), secret("s")).await.unwrap();
    let gate = || std::sync::Arc::new((Semaphore::new(0), Notify::new()));
    // It was read before, and is remembered by nobody after.
    let reads = gate();
    *records.0.gate.lock().unwrap() = Some(reads.clone());
    let (read, ()) = tokio::join!(found(&vault, &ann), async {
        reads.1.notified().await;
        vault.remove_all(&acme, &[user("ann")]).await.unwrap();
        reads.0.add_permits(1);
    });
    assert!(read.is_some());
    *records.0.gate.lock().unwrap() = None;
    assert_eq!(found(&vault, &ann).await, None);

    let writes = gate();
    *records.0.write_gate.lock().unwrap() = Some(writes.clone());
    let leaves = async {
        writes.1.notified().await;
        let owners = [user("ann")];
        let mut removing = std::pin::pin!(vault.remove_all(&acme, &owners));
        tokio::select! {
            biased;
            removed = &mut removing => panic!("{removed:?}"),
            () = tokio::task::yield_now() => writes.0.add_permits(1),
        }
        removing.await.unwrap()
    };
    let (stored, removed) = tokio::join!(vault.put(&acme, ann.clone(), secret("t")), leaves);
    stored.unwrap();
    assert_eq!(removed, [ann.clone()]);
    assert_eq!(found(&vault, &ann).await, None);
}
