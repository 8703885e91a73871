//! Replays the corpora that the fuzz targets have left, so that what they reached is reached in every run.

use std::{fs, panic, path::Path};

use gatewright_properties::TARGETS;

/// Every input, under the property that it was kept for.
#[test]
fn every_kept_input_has_its_property() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (target, property) in TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(corpora.join(target)).unwrap() {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            if panic::catch_unwind(|| property(&input)).is_err() {
                panic!("{} does not hold for {}", target, path.display());
            }
            inputs += 1;
        }
        assert!(inputs >= 20, "{target} has {inputs} inputs only");
    }
}

/// A target without its property, or the other way round, would fuzz nothing.
#[test]
fn every_property_has_a_target_that_asks_for_it() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for (target, _) in TARGETS {
        let source = fs::read_to_string(fuzz.join(format!("fuzz_targets/{target}.rs"))).unwrap();
        assert!(
            source.contains(&format!("gatewright_properties::{target}(text)")),
            "{target}"
        );
        assert!(
            manifest.contains(&format!("name = \"{target}\"")),
            "{target}"
        );
        assert!(
            fuzz.join(format!("dictionaries/{target}.dict")).is_file(),
            "{target}"
        );
    }
}
