use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::atomic::Ordering};

use gatewright_core::TenantId;
use tokio::task::JoinSet;

use super::*;
use crate::{
    RecordKind, VerifyOptions, layout,
    testing::{BadDisk, clock, kinds, log, record, records, start},
    verify,
};

fn segment(dir: &Path, number: u64) -> std::path::PathBuf {
    layout::chain_dir(dir, &TenantId::default(), "local").join(layout::segment_name(number))
}

fn sound(dir: &Path) -> crate::Report {
    let report = verify(dir, &VerifyOptions::default()).unwrap();
    assert!(report.is_sound(), "{report}");
    report
}

async fn append(log: &SegmentFiles) -> Result<Receipt, AppendError> {
    log.append(record("default"), Durability::Written).await
}

#[tokio::test]
async fn a_chain_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let log = log(dir.path()).open().unwrap();
        // Each round writes that it opened, one record, and that it closed.
        let receipt = append(&log).await.unwrap();
        assert_eq!(receipt, Receipt::numbered(3 * round + 2));
        log.close().await.unwrap();
    }
    assert_eq!(sound(dir.path()).records(), 9);
    let kinds_of_round = ["opened", "admitted", "closed"];
    assert_eq!(kinds(&records(dir.path())), kinds_of_round.repeat(3));
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path()).open().unwrap();
    let clone = log.clone();
    clone.enqueue(record("default"));
    drop(log);
    drop(clone);
    assert_eq!(
        kinds(&records(dir.path())),
        ["opened", "admitted", "closed"]
    );
    let report = sound(dir.path());
    assert_eq!(report.chains[0].proven_inside, Some(3));
}

#[tokio::test]
async fn each_tenant_has_a_chain() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path()).open().unwrap();
    for tenant in ["acme", "zeta", "acme"] {
        log.append(record(tenant), Durability::Written)
            .await
            .unwrap();
    }
    let checkpoint = log.checkpoint().await.unwrap();
    let heads = checkpoint.heads().iter();
    let heads: Vec<_> = heads.map(|head| (head.tenant.as_str(), head.seq)).collect();
    assert_eq!(heads, [("acme", 3), ("zeta", 2)]);
}

#[tokio::test]
async fn segments_are_rolled_and_the_chain_goes_through_them() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path()).segment_bytes(600).open().unwrap();
    for _ in 0..10 {
        append(&log).await.unwrap();
    }
    log.close().await.unwrap();
    drop(log);
    assert!(segment(dir.path(), 3).exists());
    assert_eq!(sound(dir.path()).records(), 12);
    // And after it is opened again.
    let log = self::log(dir.path()).segment_bytes(600).open().unwrap();
    append(&log).await.unwrap();
    drop(log);
    assert_eq!(sound(dir.path()).records(), 15);
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("audit");
    let log = SegmentFiles::builder(&dir)
        .reserve_bytes(70_000)
        .open()
        .unwrap();
    append(&log).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for private in [
        segment(&dir, 1),
        layout::reserve(&dir, "local"),
        layout::default_key(&dir),
    ] {
        assert_eq!(mode(&private), 0o600, "{private:?}");
        assert_eq!(mode(private.parent().unwrap()), 0o700, "{private:?}");
    }
    assert_eq!(
        fs::metadata(layout::reserve(&dir, "local")).unwrap().len(),
        70_000
    );
}

#[tokio::test]
async fn a_line_that_a_crash_cut_is_moved_aside_and_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let running = log(dir.path()).open().unwrap();
    append(&running).await.unwrap();
    append(&running).await.unwrap();
    // As if the process had ended in the middle of the last write.
    let after = tempfile::tempdir().unwrap();
    copy(dir.path(), after.path());
    let path = segment(after.path(), 1);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();

    let log = log(after.path()).open().unwrap();
    append(&log).await.unwrap();
    drop(log);
    let all = records(after.path());
    assert_eq!(
        kinds(&all),
        [
            "opened",
            "admitted",
            "opened",
            "recovered",
            "admitted",
            "closed"
        ]
    );
    let aside = path.with_file_name(all[3]["recovered"]["moved_to"].as_str().unwrap());
    let cut = fs::read(aside).unwrap();
    assert!(whole[..whole.len() - 10].ends_with(cut.strip_suffix(b"\n").unwrap()));
    sound(after.path());
}

#[tokio::test]
async fn wherever_a_crash_cuts_the_log_opens_and_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    let running = log(dir.path()).open().unwrap();
    append(&running).await.unwrap();
    let whole = fs::read(segment(dir.path(), 1)).unwrap();
    for kept in (0..whole.len()).step_by(17).chain([whole.len() - 1]) {
        let after = tempfile::tempdir().unwrap();
        copy(dir.path(), after.path());
        fs::write(segment(after.path(), 1), &whole[..kept]).unwrap();
        let lines = whole[..kept].iter().filter(|byte| **byte == b'\n').count();
        let cut = kept > 0 && whole[kept - 1] != b'\n';
        let log = log(after.path()).open().unwrap();
        append(&log).await.unwrap();
        drop(log);
        let all = records(after.path());
        // What it begins with, the record of the cut, what was appended, what it ends with.
        assert_eq!(all.len(), lines + 3 + usize::from(cut), "{kept} bytes");
        let recovered = all.iter().filter(|record| record["kind"] == "recovered");
        assert_eq!(recovered.count(), usize::from(cut), "{kept} bytes");
        sound(after.path());
    }
}

#[tokio::test]
async fn a_chain_that_lacks_what_a_checkpoint_names_is_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path()).open().unwrap();
    append(&log).await.unwrap();
    drop(log);
    let path = segment(dir.path(), 1);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for shorter in [lines[..2].concat(), String::new()] {
        fs::write(&path, shorter).unwrap();
        let refused = self::log(dir.path()).open().unwrap_err();
        assert!(
            matches!(refused, OpenLogError::Chain(RecoverError::Shortened(_))),
            "{refused}"
        );
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn a_log_whose_key_was_lost_stays_sound_and_the_change_is_said() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let log = log(dir.path()).open().unwrap();
        append(&log).await.unwrap();
        drop(log);
        // As after a restore from a backup that leaves keys out.
        fs::remove_file(layout::default_key(dir.path())).unwrap();
    }
    let report = sound(dir.path());
    assert_eq!(report.checkpoints, 2);
    let notes = report.notes.join("\n");
    assert!(
        notes.contains("from line 2 of its checkpoints on another key signs"),
        "{notes}"
    );
    // Who knows the first key only trusts nothing that the second one signed.
    let keys = layout::public_keys(dir.path()).unwrap();
    let former = keys
        .iter()
        .find(|(_, path)| *path != layout::public_key(dir.path(), "local"));
    let former = crate::PublicKey::load(&former.unwrap().1).unwrap();
    let report = verify(dir.path(), &VerifyOptions::default().public_key(former)).unwrap();
    let latest = crate::PublicKey::load(&layout::public_key(dir.path(), "local")).unwrap();
    let [finding] = report.findings.as_slice() else {
        panic!("{report}")
    };
    let key = latest.id();
    assert_eq!(finding.line, Some(2));
    assert_eq!(
        finding.problem,
        crate::Problem::CheckpointOfAnotherKey { key }
    );
    // And who knows both finds nothing.
    let both = VerifyOptions::default()
        .public_key(former)
        .public_key(latest);
    assert!(verify(dir.path(), &both).unwrap().is_sound());
}

#[tokio::test]
async fn an_empty_segment_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path()).open().unwrap();
    append(&log).await.unwrap();
    drop(log);
    fs::write(segment(dir.path(), 2), "").unwrap();
    let log = self::log(dir.path()).open().unwrap();
    append(&log).await.unwrap();
    drop(log);
    assert_eq!(sound(dir.path()).records(), 6);
    assert!(fs::metadata(segment(dir.path(), 2)).unwrap().len() > 0);
}

#[tokio::test]
async fn a_damaged_end_is_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path()).open().unwrap();
    append(&log).await.unwrap();
    drop(log);
    let path = segment(dir.path(), 1);
    let text = fs::read_to_string(&path).unwrap();
    for damaged in [
        text.replacen("closed", "cl0sed", 1),
        format!("{text}garbage\n"),
        format!("{text}{}\n", "x".repeat(2_000_000)),
    ] {
        fs::write(&path, damaged).unwrap();
        let refused = self::log(dir.path()).open().unwrap_err();
        assert!(
            matches!(refused, OpenLogError::Chain(RecoverError::Damaged(_))),
            "{refused}"
        );
    }
    fs::write(&path, text).unwrap();
    assert!(self::log(dir.path()).open().is_ok());
}

#[tokio::test]
async fn two_processes_do_not_write_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let first = log(dir.path()).open().unwrap();
    let refused = log(dir.path()).open().unwrap_err();
    assert!(matches!(refused, OpenLogError::InUse { .. }), "{refused}");
    let other = log(dir.path()).writer("second").open().unwrap();
    append(&first).await.unwrap();
    append(&other).await.unwrap();
    first.close().await.unwrap();
    // Names the chain of the other writer too.
    let checkpoint = other.checkpoint().await.unwrap();
    let writers = checkpoint.heads().iter().map(|head| head.writer.as_str());
    assert_eq!(writers.collect::<Vec<_>>(), ["local", "second"]);
    assert!(log(dir.path()).open().is_ok(), "closed, so free again");
    let refused = log(dir.path()).writer("../up").open().unwrap_err();
    assert!(matches!(refused, OpenLogError::Writer(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_appends_keep_one_order() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path()).segment_bytes(20_000).open().unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..400_u32 {
        let log = log.clone();
        tasks.spawn(async move {
            match number % 4 {
                0 => log.enqueue(record("default")),
                1 => drop(
                    log.append(record("default"), Durability::Synced)
                        .await
                        .unwrap(),
                ),
                _ => drop(append(&log).await.unwrap()),
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    log.close().await.unwrap();
    assert_eq!(log.lost(), 0);
    assert_eq!(sound(dir.path()).records(), 402);
}

#[tokio::test]
async fn those_who_wait_on_one_runtime_share_a_write() {
    let dir = tempfile::tempdir().unwrap();
    let disk = BadDisk::with_space();
    let log = log(dir.path()).disk(disk.clone()).open().unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let log = log.clone();
        tasks.spawn(async move { append(&log).await.unwrap() });
    }
    while tasks.join_next().await.is_some() {}
    assert_eq!(disk.0.writes.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_leader_that_is_dropped_still_writes_for_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path()).open().unwrap();
    let mut leader = Box::pin(append(&log));
    let mut follower = Box::pin(append(&log));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(leader.as_mut().poll(&mut context).is_pending());
    assert!(follower.as_mut().poll(&mut context).is_pending());
    drop(leader);
    assert_eq!(follower.await.unwrap(), Receipt::numbered(3));
}

#[tokio::test]
async fn a_full_disk_refuses_and_leaves_no_half_record() {
    let dir = tempfile::tempdir().unwrap();
    let disk = BadDisk::with_space();
    let log = log(dir.path()).disk(disk.clone()).open().unwrap();
    append(&log).await.unwrap();
    disk.0.left.store(100, Ordering::Relaxed);
    let refused = append(&log).await.unwrap_err();
    assert!(matches!(refused, AppendError::Io(_)), "{refused}");
    log.enqueue(record("default"));
    log.flush();
    assert_eq!(log.lost(), 1);
    // There is space again: the chain goes on, and says what is missing.
    disk.0.left.store(u64::MAX, Ordering::Relaxed);
    append(&log).await.unwrap();
    drop(log);
    assert_eq!(
        kinds(&records(dir.path())),
        ["opened", "admitted", "lost", "admitted", "closed"]
    );
    assert_eq!(sound(dir.path()).chains[0].lost, 1);
}

#[tokio::test]
async fn a_half_record_that_cannot_be_taken_back_ends_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let disk = BadDisk::with_space();
    let log = log(dir.path()).disk(disk.clone()).open().unwrap();
    append(&log).await.unwrap();
    disk.0.left.store(100, Ordering::Relaxed);
    disk.0.keeps_partial_writes.store(true, Ordering::Relaxed);
    let refused = append(&log).await.unwrap_err();
    assert!(matches!(refused, AppendError::Broken(_)), "{refused}");
    disk.0.left.store(u64::MAX, Ordering::Relaxed);
    assert!(append(&log).await.is_err(), "it would follow half a record");
    drop(log);
    // Opening it again takes the half aside.
    let log = self::log(dir.path()).open().unwrap();
    append(&log).await.unwrap();
    drop(log);
    sound(dir.path());
}

#[tokio::test]
async fn the_reserve_is_given_up_for_calls_and_not_for_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let disk = BadDisk::with_space();
    let builder = log(dir.path()).reserve_bytes(4096).disk(disk.clone());
    let log = builder.open().unwrap();
    append(&log).await.unwrap();
    let reserve = layout::reserve(dir.path(), "local");
    assert!(reserve.exists());

    disk.0.left.store(10, Ordering::Relaxed);
    assert!(append(&log).await.is_err(), "this disk gains nothing by it");
    assert!(!reserve.exists());
    disk.0.left.store(u64::MAX, Ordering::Relaxed);
    append(&log).await.unwrap();

    let counted = crate::record::Counted {
        tenant: TenantId::default(),
        server: gatewright_core::ServerName::new("billing").ok(),
        refused: None,
        anonymous: true,
        caller: None,
        from: Some("others".to_owned()),
        networks: Vec::new(),
        elsewhere: 0,
        count: 5,
        since: start(),
        last: start(),
    };
    log.enqueue(Record::aggregate(counted, start()));
    log.flush();
    assert_eq!(log.lost(), 1);
    assert_eq!(
        kinds(&records(dir.path())),
        ["opened", "admitted", "space", "admitted", "lost"]
    );
}

#[tokio::test]
async fn a_required_fsync_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let disk = BadDisk::with_space();
    let log = log(dir.path()).disk(disk.clone()).open().unwrap();
    append(&log).await.unwrap();
    assert_eq!(disk.0.syncs.load(Ordering::Relaxed), 0);
    log.append(record("default"), Durability::Synced)
        .await
        .unwrap();
    assert_eq!(disk.0.syncs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn after_a_failed_fsync_nothing_is_promised_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let disk = BadDisk::with_space();
    let log = log(dir.path()).disk(disk.clone()).open().unwrap();
    disk.0.sync_fails.store(true, Ordering::Relaxed);
    let refused = log.append(record("default"), Durability::Synced).await;
    assert!(
        matches!(refused, Err(AppendError::Broken(_))),
        "{refused:?}"
    );
    disk.0.sync_fails.store(false, Ordering::Relaxed);
    assert!(append(&log).await.is_err());
    assert!(log.checkpoint().await.is_err());
}

#[tokio::test]
async fn a_full_queue_refuses_who_waits_and_counts_what_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path()).queue_records(2).open().unwrap();
    // The log's thread gathers for a while, so the queue fills.
    let chain = log.0.shared.chain(&TenantId::default()).unwrap();
    for _ in 0..3 {
        chain.enqueue(record("default").to_json());
    }
    assert_eq!(log.lost(), 1);
    let refused = append(&log).await.unwrap_err();
    assert!(matches!(refused, AppendError::Full), "{refused}");
    drop(chain);
    log.close().await.unwrap();
    assert_eq!(
        kinds(&records(dir.path())),
        ["opened", "lost", "admitted", "admitted", "closed"]
    );
}

#[tokio::test]
async fn a_closed_log_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path()).open().unwrap();
    append(&log).await.unwrap();
    log.close().await.unwrap();
    log.close().await.unwrap();
    let refused = append(&log).await.unwrap_err();
    assert!(matches!(refused, AppendError::Closed), "{refused}");
    log.enqueue(record("default"));
    assert_eq!(log.lost(), 1);
    assert!(log.checkpoint().await.is_err());
}

#[tokio::test]
async fn who_holds_records_back_is_asked_before_the_log_closes() {
    struct Holding(SegmentFiles);
    impl Held for Holding {
        fn flush(&self, _: Timestamp) {}
        fn flush_all(&self, now: Timestamp) {
            let tenant = TenantId::default();
            let record = Record::of_writer(RecordKind::Space, tenant, "held", now);
            self.0.enqueue(record);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path()).clock(clock()).open().unwrap();
    let holding: Arc<dyn Held> = Arc::new(Holding(log.clone()));
    log.register(Arc::downgrade(&holding));
    log.close().await.unwrap();
    assert_eq!(kinds(&records(dir.path())), ["opened", "space", "closed"]);
}

#[tokio::test]
async fn a_queued_record_is_written_without_anybody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path()).open().unwrap();
    log.enqueue(record("default"));
    // The thread answers in turn, and writes what was announced before.
    while records(dir.path()).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(kinds(&records(dir.path())), ["opened", "admitted"]);
}
