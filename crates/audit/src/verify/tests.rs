use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use gatewright_core::TenantId;
use proptest::prelude::*;

use super::*;
use crate::{
    AuditSink as _, CheckpointKey, Durability, RecordKind,
    chain::{Head, Line},
    testing::{log, record},
};

/// A log of two tenants and several segments, and the last checkpoint, kept outside.
struct Sample {
    dir: tempfile::TempDir,
    checkpoint: Checkpoint,
    key: PublicKey,
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path()).segment_bytes(900).open().unwrap();
        for _ in 0..6 {
            for tenant in ["acme", "zeta"] {
                log.append(record(tenant), Durability::Written)
                    .await
                    .unwrap();
            }
        }
        log.close().await.unwrap();
        let text = fs::read_to_string(layout::checkpoints(dir.path(), "local")).unwrap();
        let checkpoint = Checkpoint::parse(text.lines().last().unwrap()).unwrap();
        let key = PublicKey::load(&layout::public_key(dir.path(), "local")).unwrap();
        Sample {
            dir,
            checkpoint,
            key,
        }
    })
});

/// A copy of the sample that a test may spoil.
fn copied() -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    copy(SAMPLE.dir.path(), to.path());
    to
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

fn outside() -> VerifyOptions {
    VerifyOptions::default()
        .checkpoint(SAMPLE.checkpoint.clone())
        .public_key(SAMPLE.key)
}

fn chain(dir: &Path, tenant: &str) -> PathBuf {
    layout::chain_dir(dir, &TenantId::new(tenant).unwrap(), "local")
}

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for tenant in ["acme", "zeta"] {
        let chain = chain(dir, tenant);
        let segments = layout::segments(&chain).unwrap();
        files.extend(
            segments
                .iter()
                .map(|number| chain.join(layout::segment_name(*number))),
        );
    }
    files
}

/// Takes away what the log says of itself, as a careful attacker would.
fn forget_checkpoints(dir: &Path) {
    fs::remove_file(layout::checkpoints(dir, "local")).unwrap();
}

fn findings(dir: &Path) -> Vec<Finding> {
    verify(dir, &outside()).unwrap().findings
}

fn the_finding(dir: &Path) -> Finding {
    let mut findings = findings(dir);
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.pop().unwrap()
}

#[test]
fn an_untouched_log_is_sound_and_proven_to_its_end() {
    let report = verify(SAMPLE.dir.path(), &outside()).unwrap();
    assert!(report.is_sound(), "{report}");
    for chain in &report.chains {
        assert_eq!(chain.records, 8);
        assert_eq!(chain.proven_outside, Some(8));
        assert_eq!(chain.open.len(), 6);
    }
    assert!(segment_files(SAMPLE.dir.path()).len() >= 6);
    assert_eq!(report.notes, Vec::<String>::new());
}

#[test]
fn without_anything_from_outside_the_report_says_what_it_cannot_know() {
    let report = verify(SAMPLE.dir.path(), &VerifyOptions::default()).unwrap();
    assert!(report.is_sound());
    let notes = report.notes.join("\n");
    assert!(notes.contains("no checkpoint from outside"), "{notes}");
    assert!(notes.contains("no public key from outside"), "{notes}");
}

#[test]
fn the_verifier_names_the_changed_record() {
    let dir = copied();
    let file = chain(dir.path(), "zeta").join(layout::segment_name(2));
    let text = fs::read_to_string(&file).unwrap();
    let line = text.lines().next().unwrap();
    let seq = Line::parse(line.as_bytes()).unwrap().head.seq;
    fs::write(&file, text.replacen("\"admitted\"", "\"admitteb\"", 1)).unwrap();
    let finding = the_finding(dir.path());
    assert_eq!(finding.problem, Problem::Changed);
    assert_eq!(finding.tenant.as_ref().unwrap().as_str(), "zeta");
    assert_eq!((finding.seq, finding.line), (Some(seq), Some(1)));
    assert_eq!(
        finding.to_string(),
        format!(
            "zeta/local/000000000002.jsonl:1: record {seq} of zeta/local: the record was changed"
        )
    );
}

#[test]
fn a_chain_that_was_written_anew_is_found() {
    let dir = copied();
    let mut head = Head::genesis(&TenantId::new("acme").unwrap(), "local");
    // Whoever can write the log can also compute every hash.
    for file in segment_files(dir.path())
        .iter()
        .filter(|file| file.starts_with(chain(dir.path(), "acme")))
    {
        let text = fs::read_to_string(file).unwrap();
        let mut out = Vec::new();
        for line in text.lines() {
            let record = Line::parse(line.as_bytes()).unwrap().record;
            let record = record.replace("billing", "selling");
            head = head.append(record.as_bytes(), &mut out);
        }
        fs::write(file, out).unwrap();
    }
    assert_eq!(the_finding(dir.path()).problem, Problem::NotAsInCheckpoint);
    forget_checkpoints(dir.path());
    assert_eq!(the_finding(dir.path()).problem, Problem::NotAsInCheckpoint);
    // And this is what cannot be known.
    let report = verify(dir.path(), &VerifyOptions::default()).unwrap();
    assert!(report.is_sound());
    assert!(report.to_string().contains("no checkpoint from outside"));
}

#[test]
fn a_record_replaced_by_one_of_fitting_form_is_found() {
    let dir = copied();
    let file = chain(dir.path(), "acme").join(layout::segment_name(1));
    let text = fs::read_to_string(&file).unwrap();
    let first = text.lines().next().unwrap();
    let mut out = Vec::new();
    Head::genesis(&TenantId::new("acme").unwrap(), "local")
        .append(b"{\"kind\":\"opened\",\"ms\":1}", &mut out);
    fs::write(
        &file,
        text.replacen(&format!("{first}\n"), std::str::from_utf8(&out).unwrap(), 1),
    )
    .unwrap();
    let finding = the_finding(dir.path());
    assert_eq!((finding.problem, finding.seq), (Problem::Replaced, Some(2)));
}

#[test]
fn a_missing_segment_is_found() {
    for number in 1..=2 {
        let dir = copied();
        let file = chain(dir.path(), "acme").join(layout::segment_name(number));
        fs::remove_file(&file).unwrap();
        let finding = the_finding(dir.path());
        assert_eq!(finding.problem, Problem::MissingSegment);
        assert!(file.ends_with(&finding.file), "{finding}");
    }
}

#[test]
fn a_chain_whose_end_was_cut_off_is_found() {
    let dir = copied();
    forget_checkpoints(dir.path());
    let last = segment_files(dir.path()).pop().unwrap();
    fs::remove_file(last).unwrap();
    let finding = the_finding(dir.path());
    assert_eq!(finding.problem, Problem::Truncated { named: 8 });
    // Nothing in the log knows.
    assert!(
        verify(dir.path(), &VerifyOptions::default())
            .unwrap()
            .is_sound()
    );
}

#[test]
fn a_missing_writer_or_tenant_is_found() {
    let dir = copied();
    fs::remove_dir_all(chain(dir.path(), "zeta")).unwrap();
    assert_eq!(
        the_finding(dir.path()).problem,
        Problem::MissingChain { seq: 8 }
    );
    fs::remove_dir_all(dir.path().join("acme")).unwrap();
    assert_eq!(findings(dir.path()).len(), 2);
}

#[test]
fn a_chain_under_another_name_is_found() {
    let dir = copied();
    fs::rename(chain(dir.path(), "zeta"), dir.path().join("zeta/other")).unwrap();
    let problems: Vec<_> = findings(dir.path())
        .into_iter()
        .map(|finding| finding.problem)
        .collect();
    assert_eq!(
        problems,
        [Problem::Replaced, Problem::MissingChain { seq: 8 }]
    );
}

#[test]
fn a_chain_that_was_cut_and_gone_on_with_is_found_by_an_earlier_checkpoint() {
    let dir = copied();
    let key = CheckpointKey::load_or_create(&layout::default_key(dir.path())).unwrap();
    let acme = TenantId::new("acme").unwrap();
    // The end goes, another comes in its place, and a gateway that noticed nothing signs it.
    let file = chain(dir.path(), "acme").join(layout::segment_name(1));
    let text = fs::read_to_string(&file).unwrap();
    let first = text.lines().next().unwrap();
    let mut head = Line::parse(first.as_bytes()).unwrap().head;
    let mut out = format!("{first}\n").into_bytes();
    for _ in 0..20 {
        head = head.append(b"{\"kind\":\"opened\",\"ms\":1}", &mut out);
    }
    fs::write(&file, out).unwrap();
    for number in layout::segments(&chain(dir.path(), "acme")).unwrap() {
        if number > 1 {
            fs::remove_file(chain(dir.path(), "acme").join(layout::segment_name(number))).unwrap();
        }
    }
    let heads = vec![crate::ChainHead::new(&acme, "local", head)];
    let time = SAMPLE.checkpoint.time();
    let signed = Checkpoint::sign(&key, "local", time, heads).unwrap();
    let path = layout::checkpoints(dir.path(), "local");
    let before = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{before}{}\n", signed.to_json())).unwrap();

    let report = verify(dir.path(), &VerifyOptions::default()).unwrap();
    let problems = report.findings.iter().map(|finding| &finding.problem);
    assert_eq!(
        problems.collect::<Vec<_>>(),
        [&Problem::NotAsInCheckpoint],
        "{report}"
    );
}

#[test]
fn checkpoints_in_the_log_must_be_signed() {
    let dir = copied();
    let path = layout::checkpoints(dir.path(), "local");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"seq\":8", "\"seq\":7", 1)).unwrap();
    assert_eq!(the_finding(dir.path()).problem, Problem::CheckpointUnsigned);
    fs::write(&path, "garbage\n").unwrap();
    assert_eq!(the_finding(dir.path()).problem, Problem::BadCheckpoint);
}

#[test]
fn a_given_checkpoint_must_be_signed() {
    let options = outside();
    let other = CheckpointKey::generate().unwrap().public();
    let forged = Checkpoint::parse(&SAMPLE.checkpoint.to_json().replacen(
        "\"seq\":8",
        "\"seq\":7",
        1,
    ));
    let report = verify(
        SAMPLE.dir.path(),
        &options.clone().checkpoint(forged.unwrap()),
    )
    .unwrap();
    let problems: Vec<_> = report
        .findings
        .iter()
        .map(|finding| &finding.problem)
        .collect();
    assert!(problems.contains(&&Problem::GivenCheckpointUnsigned));
    let mut options = options;
    options.public_keys = vec![other];
    assert!(!verify(SAMPLE.dir.path(), &options).unwrap().is_sound());
}

#[test]
fn a_write_under_way_is_noted_and_no_finding() {
    let dir = copied();
    let last = segment_files(dir.path()).pop().unwrap();
    let text = fs::read_to_string(&last).unwrap();
    fs::write(&last, format!("{text}{{\"seq\":9,\"pr")).unwrap();
    let report = verify(dir.path(), &outside()).unwrap();
    assert!(report.is_sound());
    assert_eq!(report.chains[1].unfinished_bytes, 12);
    assert!(
        report
            .notes
            .join("\n")
            .contains("12 bytes after the last record")
    );
}

#[test]
fn what_is_later_than_the_given_checkpoint_is_said() {
    let dir = copied();
    let log = log(dir.path()).open().unwrap();
    log.enqueue(record("acme"));
    drop(log);
    let report = verify(dir.path(), &outside()).unwrap();
    assert!(report.is_sound(), "{report}");
    let acme = &report.chains[0];
    assert_eq!(acme.proven_outside, Some(8));
    assert_eq!(acme.proven_inside, Some(11));
    let notes = report.notes.join("\n");
    assert!(
        notes.contains("acme/local: records 9 to 11 are later than the given checkpoint"),
        "{notes}"
    );
    assert!(!notes.contains("zeta"), "{notes}");
}

#[tokio::test]
async fn admissions_without_outcome_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path()).open().unwrap();
    let (done, open) = (record("acme"), record("acme"));
    let reference = open.reference().unwrap();
    let draft = gatewright_core::Draft::new(done.reference().unwrap(), done.time());
    draft.fill(|fields| {
        fields.route = Some(crate::testing::route_of("acme"));
        fields.admitted = true;
    });
    let outcome = crate::record::OutcomeRecord {
        status: None,
        ended: crate::Ended::ClientGone,
        bytes: 0,
        error: None,
    };
    let ended = crate::Record::ended(&draft, outcome, None, done.time()).unwrap();
    assert_eq!(ended.kind(), RecordKind::Outcome);
    for record in [done, open] {
        log.append(record, Durability::Written).await.unwrap();
    }
    log.enqueue(ended);
    log.close().await.unwrap();
    let report = verify(dir.path(), &VerifyOptions::default()).unwrap();
    let [chain] = report.chains.as_slice() else {
        panic!("{report}")
    };
    let listed: Vec<_> = chain.open.iter().map(|open| open.reference).collect();
    assert_eq!(listed, [reference]);
    assert!(report.to_string().contains(&reference.to_string()));
}

#[test]
fn the_form_of_a_report() {
    let dir = copied();
    let file = chain(dir.path(), "acme").join(layout::segment_name(1));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("opened", "0pened", 1)).unwrap();
    fs::remove_dir_all(dir.path().join("zeta")).unwrap();
    insta::assert_snapshot!(verify(dir.path(), &VerifyOptions::default()).unwrap());
}

/// What may be done to a file of lines.
#[derive(Clone, Debug)]
enum Deed {
    Change(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Duplicate(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, u8),
}

impl Deed {
    fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let count = lines.len();
        let mut out = bytes.to_vec();
        match self {
            Self::Change(at, to) => {
                let at = at.index(out.len());
                out[at] = *to;
                return out;
            }
            Self::Cut(at) => {
                out.truncate(at.index(out.len()));
                return out;
            }
            Self::Insert(at, byte) => {
                out.insert(at.index(out.len()), *byte);
                return out;
            }
            Self::Remove(at) => drop(lines.remove(at.index(count))),
            Self::Duplicate(at) => lines.insert(at.index(count), lines[at.index(count)].clone()),
            Self::Swap(a, b) => lines.swap(a.index(count), b.index(count)),
        }
        lines.concat()
    }
}

fn deed() -> impl Strategy<Value = Deed> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), any::<u8>()).prop_map(|(at, to)| Deed::Change(at, to)),
        1 => index().prop_map(Deed::Remove),
        1 => index().prop_map(Deed::Duplicate),
        1 => (index(), index()).prop_map(|(a, b)| Deed::Swap(a, b)),
        1 => index().prop_map(Deed::Cut),
        1 => (index(), any::<u8>()).prop_map(|(at, byte)| Deed::Insert(at, byte)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_is_done_to_a_segment_is_found(file: prop::sample::Index, deed in deed(), forget: bool) {
        let dir = copied();
        let files = segment_files(dir.path());
        let file = &files[file.index(files.len())];
        let before = fs::read(file).unwrap();
        let after = deed.apply(&before);
        prop_assume!(before != after);
        fs::write(file, after).unwrap();
        if forget {
            forget_checkpoints(dir.path());
        }
        let report = verify(dir.path(), &outside()).unwrap();
        prop_assert!(!report.is_sound(), "{report}");
        let place = report.findings[0].file.clone();
        let tenant = file.strip_prefix(dir.path()).unwrap().iter().next().unwrap();
        prop_assert!(place.starts_with(tenant), "{report}");
    }
}
