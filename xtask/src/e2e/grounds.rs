//! What servers work on: a folder of files, and a repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A folder with one file for everybody and one that is not.
pub(super) fn files(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("files");
    for (place, text) in [
        ("public", "for everybody\n"),
        ("private", "for members only\n"),
    ] {
        fs::create_dir_all(root.join(place))?;
        fs::write(root.join(place).join("note.txt"), text)?;
    }
    Ok(root)
}

/// A repository with one commit and one file that is not in it.
pub(super) fn repository(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("repository");
    let path = root.to_str().context("the folder's name is no text")?;
    fs::create_dir_all(&root)?;
    fs::write(root.join("note.txt"), "not committed\n")?;
    git(&["init", "--quiet", path])?;
    let commit = ["commit", "--quiet", "--allow-empty", "--message"];
    let as_somebody = ["-c", "user.name=e2e", "-c", "user.email=e2e@example.com"];
    let unsigned = ["-c", "commit.gpgsign=false", "-C", path];
    git(&[&as_somebody[..], &unsigned, &commit, &["the first commit"]].concat())?;
    Ok(root)
}

fn git(args: &[&str]) -> Result<()> {
    let output = Command::new("git")
        .args(args)
        .output()
        .context("cannot run git")?;
    ensure!(
        output.status.success(),
        "`git {}` failed: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
