//! Rules about the repository's text and manifests that no other tool holds.

mod documents;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use toml::{Table, Value};

use crate::cargo;

/// From this many lines on (tests apart) a file deserves a look.
const LONG_FILE: usize = 400;

/// Text that no tracked file may contain, in two halves so that this file does not, and why.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("/wo", "rk/", "a path of one machine"),
    (
        "/tm",
        "p/",
        "a path of one machine; tests take a temporary folder",
    ),
    ("registry.np", "mjs.org", "a package registry's host"),
    ("registry.yarn", "pkg.com", "a package registry's host"),
    ("files.python", "hosted.org", "a package registry's host"),
    ("py", "pi.org", "a package registry's host"),
    ("index.cra", "tes.io", "a package registry's host"),
    ("static.cra", "tes.io", "a package registry's host"),
];

/// The same for Rust source only.
const FORBIDDEN_IN_RUST: &[(&str, &str, &str)] = &[
    ("#[al", "low(", "use `#[expect(lint, reason = \"...\")]`"),
    ("#![al", "low(", "use `#![expect(lint, reason = \"...\")]`"),
    ("to", "do!(", "finish it, or leave it out"),
    ("unimple", "mented!(", "finish it, or leave it out"),
    ("#[ign", "ore", "a test that does not run proves nothing"),
];

/// A tracked text file.
#[derive(Debug)]
struct TextFile {
    /// From the repository's root, with forward slashes.
    path: String,
    text: String,
}

/// Fails when any rule is broken; a long file is only a warning.
pub(crate) fn run() -> Result<()> {
    let files = text_files()?;
    let mut faults: Vec<String> = files.iter().flat_map(forbidden_text).collect();
    for file in &files {
        faults.extend(manifest_faults(file)?);
        if let Some(lines) = long_file(file) {
            println!(
                "tidy: warning: {} has {lines} lines without its tests",
                file.path
            );
        }
    }
    faults.extend(documents::invariant_faults(&files));
    faults.extend(documents::failure_faults(&files));
    faults.extend(documents::readme_faults(&files));
    for fault in &faults {
        println!("tidy: {fault}");
    }
    if !faults.is_empty() {
        bail!("{} rules are broken", faults.len());
    }
    println!("tidy: {} files are in order", files.len());
    Ok(())
}

/// What git tracks or would track, as far as it is text.
fn text_files() -> Result<Vec<TextFile>> {
    let root = cargo::root()?;
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    ensure!(
        output.status.success(),
        "git ls-files failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listing = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut files = Vec::new();
    for path in listing.split('\0').filter(|path| !path.is_empty()) {
        // A file that is listed and gone, or a binary one, has nothing to check.
        if let Ok(text) = fs::read_to_string(root.join(path)) {
            files.push(TextFile {
                path: path.to_owned(),
                text,
            });
        }
    }
    Ok(files)
}

fn forbidden_text(file: &TextFile) -> Vec<String> {
    let in_rust: &[_] = if file.path.ends_with(".rs") {
        FORBIDDEN_IN_RUST
    } else {
        &[]
    };
    let mut faults = Vec::new();
    for (head, tail, reason) in FORBIDDEN.iter().chain(in_rust) {
        let needle = format!("{head}{tail}");
        let hit = file.text.lines().position(|line| line.contains(&needle));
        if let Some(index) = hit {
            faults.push(format!("{}:{}: `{needle}`: {reason}", file.path, index + 1));
        }
    }
    faults
}

/// Every package takes the workspace's lints, and names no version of its own.
fn manifest_faults(file: &TextFile) -> Result<Vec<String>> {
    if Path::new(&file.path)
        .file_name()
        .is_none_or(|name| name != "Cargo.toml")
    {
        return Ok(Vec::new());
    }
    let manifest: Table = file
        .text
        .parse()
        .with_context(|| format!("{} is not TOML", file.path))?;
    let mut faults = Vec::new();
    // The root is not a package; a package outside the workspace (fuzz targets) has a `[workspace]` table of its own.
    if !manifest.contains_key("package") || manifest.contains_key("workspace") {
        return Ok(faults);
    }
    let inherits_lints = manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        == Some(&Value::Boolean(true));
    if !inherits_lints {
        faults.push(format!("{}: needs `[lints] workspace = true`", file.path));
    }
    let platforms = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flatten();
    let tables = platforms
        .filter_map(|(_, table)| table.as_table())
        .chain([&manifest]);
    for table in tables {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = table
                .get(kind)
                .and_then(Value::as_table)
                .into_iter()
                .flatten();
            for (name, value) in dependencies {
                if value.get("workspace") != Some(&Value::Boolean(true)) {
                    faults.push(format!(
                        "{}: `{name}` needs `workspace = true`; versions stand in the root manifest",
                        file.path
                    ));
                }
            }
        }
    }
    Ok(faults)
}

/// The number of lines before the file's tests, where that is too many.
fn long_file(file: &TextFile) -> Option<usize> {
    let is_source = file.path.ends_with(".rs") && !file.path.contains("tests");
    let before_tests = || {
        file.text
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .count()
    };
    is_source
        .then(before_tests)
        .filter(|lines| *lines > LONG_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn machine_path_is_refused_with_its_line() {
        let found = forbidden_text(&file("docs/a.md", concat!("fine\nsee /tm", "p/x\n")));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("docs/a.md:2:"), "{found:?}");
    }

    #[test]
    fn rust_rules_leave_other_text_alone() {
        let text = concat!("to", "do!()");
        assert_eq!(forbidden_text(&file("a.rs", text)).len(), 1);
        assert!(forbidden_text(&file("a.md", text)).is_empty());
    }

    #[test]
    fn own_version_and_missing_lints_are_refused() {
        let bad = file(
            "crates/a/Cargo.toml",
            "[package]\nname = \"a\"\n[dependencies]\nx = \"1\"\n[target.'cfg(unix)'.dev-dependencies]\ny = { version = \"1\" }\n",
        );
        assert_eq!(manifest_faults(&bad).unwrap().len(), 3);
        let good = file(
            "crates/a/Cargo.toml",
            "[package]\nname = \"a\"\n[lints]\nworkspace = true\n[dependencies]\nx.workspace = true\n",
        );
        assert!(manifest_faults(&good).unwrap().is_empty());
    }

    #[test]
    fn tests_do_not_make_a_file_long() {
        let long = "x\n".repeat(LONG_FILE + 1);
        assert_eq!(long_file(&file("a.rs", &long)), Some(LONG_FILE + 1));
        assert_eq!(
            long_file(&file("a.rs", &format!("#[cfg(test)]\n{long}"))),
            None
        );
        assert_eq!(long_file(&file("a/tests.rs", &long)), None);
    }
}
