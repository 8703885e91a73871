//! A gateway that is killed while it is changed.

use std::fmt::Write as _;

use super::*;

const KILLS: u32 = 5;
/// People of the organisation that is made whole.
const MANY: usize = 60;

fn people(site: &Site, generation: u32, many: usize) -> String {
    let mut text = site.organisation("");
    for number in 0..many {
        writeln!(
            text,
            "[[users]]\nid = 'p{number}'\nname = 'generation {generation}'"
        )
        .unwrap();
    }
    text
}

/// Makes the organisation as each of ever more files has it, and kills the gateway in the middle of each: earlier and earlier.
/// What was acknowledged is there at the next start, and a file is there whole or not at all.
async fn nothing_acknowledged_is_lost(site: &Site, mut replica: Replica) {
    let mut last = people(site, 0, MANY);
    let whole = Instant::now();
    replica.apply(&last);
    let whole = whole.elapsed();
    let mut undone = 0;
    for kill in 0..KILLS {
        let next = people(site, kill + 1, MANY);
        let file = replica.file(&next);
        let mut applies = gatewright(&replica.url)
            .args([
                "apply",
                "--yes",
                "--file",
                path(&file),
                "--config",
                path(&replica.config),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // What it says ends with it.
        let patience = whole.mul_f64(f64::from(kill + 1) / f64::from(KILLS));
        let _ended_or_not = lines_of(&mut applies).recv_timeout(patience);
        replica.signal("KILL");
        let acknowledged = applies.wait().unwrap().success();
        replica = replica.again();
        let is = |replica: &Replica, organisation: &str| {
            let file = replica.file(organisation);
            replica.run(&["apply", "--check", "--file", path(&file)]).0 == 0
        };
        let made = is(&replica, &next);
        if acknowledged {
            assert!(made, "kill {kill}: what was acknowledged is lost");
        }
        assert!(
            made || is(&replica, &last),
            "kill {kill}: a part of it was made"
        );
        if made {
            last = next;
        } else {
            undone += 1;
        }
    }
    assert!(undone > 0, "no kill came early enough");
    // One by one, as an identity provider makes them.
    let mut acknowledged = 0;
    for kill in 0..3 {
        for _ in 0..5 {
            acknowledged += 1;
            let more = format!("{last}{}", ones(acknowledged));
            replica.apply(&more);
        }
        let file = replica.file(&format!("{last}{}", ones(acknowledged + 1)));
        let mut applies = gatewright(&replica.url)
            .args([
                "apply",
                "--yes",
                "--file",
                path(&file),
                "--config",
                path(&replica.config),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        replica.signal("KILL");
        acknowledged += usize::from(applies.wait().unwrap().success());
        replica = replica.again();
        let of = |many: usize| {
            let file = replica.file(&format!("{last}{}", ones(many)));
            replica.run(&["apply", "--check", "--file", path(&file)]).0 == 0
        };
        if of(acknowledged + 1) {
            acknowledged += 1;
        }
        assert!(of(acknowledged), "kill {kill}");
    }
    let (status, report, _) = replica.run(&["audit", "verify"]);
    assert_eq!(status, 0, "{report}");
    replica.end();
}

fn ones(many: usize) -> String {
    (0..many).fold(String::new(), |mut text, number| {
        writeln!(text, "[[users]]\nid = 'one-{number}'").unwrap();
        text
    })
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_in_sqlite() {
    let site = Site::new().await;
    let config = site.configured("alone", "");
    nothing_acknowledged_is_lost(&site, Replica::start(config, "")).await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_in_postgres() {
    let site = Site::new().await;
    let replica = site.replica("gw-1");
    nothing_acknowledged_is_lost(&site, replica).await;
}
