use super::*;

#[test]
fn a_moment_is_written_in_full_or_as_how_long_ago() {
    assert_eq!(
        moment("2027-01-31T18:00:00+01:00"),
        Ok(Timestamp::from_millis(1_801_414_800_000))
    );
    let hour_ago = SystemClock.now().minus(Duration::from_secs(3600));
    let parsed = moment("1h").unwrap();
    assert!(parsed >= hour_ago && parsed < SystemClock.now());
    for wrong in [
        "",
        "yesterday",
        "2027-01-31",
        "2027-01-31T18:00:00",
        "-1h",
        "5",
    ] {
        assert!(moment(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_last_line_of_a_file_is_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kept");
    let read = |text: &str| {
        fs::write(&file, text).unwrap();
        last_checkpoint(&file)
    };
    assert!(matches!(read(""), Err(AuditError::NoCheckpoint(_))));
    assert!(matches!(read("\n{}\n"), Err(AuditError::NoCheckpoint(_))));
    let missing = last_checkpoint(&dir.path().join("none"));
    assert!(matches!(missing, Err(AuditError::Read { .. })));
}

#[test]
fn who_stops_reading_is_no_failure() {
    let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
    let failure = |error: Failure| is_closed_pipe(&*error);
    assert!(failure(closed().into()));
    assert!(failure(ReadLogError::Write(closed()).into()));
    assert!(!failure(
        ReadLogError::Write(io::ErrorKind::StorageFull.into()).into()
    ));
    assert!(!failure("something else".into()));
}
