//! Which file is what in the directory of a log.
//!
//! ```text
//! <dir>/<tenant>/<writer>/000000000001.jsonl   segments of one chain, 000000000001.cut beside them after a crash
//! <dir>/checkpoints.<writer>.jsonl             what a writer signed
//! <dir>/checkpoint-key.<writer>.pub            the key that verifies it
//! <dir>/checkpoint-key.<writer>.<id>.pub       one that did before
//! <dir>/<writer>.reserve                       space for records of calls when the disk is full
//! <dir>/<writer>.lock                          held by the process that writes
//! <dir>/.key/checkpoint.pem                    the key that signs, if no better place was given
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use gatewright_core::TenantId;

/// Whether the text can name a writer: the rule of names, for it becomes a directory.
pub(crate) fn is_writer(name: &str) -> bool {
    TenantId::new(name).is_ok()
}

pub(crate) fn chain_dir(dir: &Path, tenant: &TenantId, writer: &str) -> PathBuf {
    dir.join(tenant.as_str()).join(writer)
}

pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:012}.jsonl")
}

pub(crate) fn cut_name(number: u64) -> String {
    format!("{number:012}.cut")
}

pub(crate) fn checkpoints(dir: &Path, writer: &str) -> PathBuf {
    dir.join(format!("checkpoints.{writer}.jsonl"))
}

pub(crate) fn public_key(dir: &Path, writer: &str) -> PathBuf {
    dir.join(format!("checkpoint-key.{writer}.pub"))
}

/// Where the public key goes when another takes its place.
pub(crate) fn former_public_key(dir: &Path, writer: &str, id: &str) -> PathBuf {
    dir.join(format!("checkpoint-key.{writer}.{id}.pub"))
}

/// Every public key that lies in the log, those of before included, with the writer that it is of.
pub(crate) fn public_keys(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let names = name
            .to_str()
            .and_then(|name| name.strip_prefix("checkpoint-key.")?.strip_suffix(".pub"));
        let writer = names.and_then(|names| names.split('.').next());
        if let Some(writer) = writer.filter(|writer| is_writer(writer)) {
            found.push((writer.to_owned(), entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

pub(crate) fn reserve(dir: &Path, writer: &str) -> PathBuf {
    dir.join(format!("{writer}.reserve"))
}

pub(crate) fn lock(dir: &Path, writer: &str) -> PathBuf {
    dir.join(format!("{writer}.lock"))
}

pub(crate) fn default_key(dir: &Path) -> PathBuf {
    dir.join(".key").join("checkpoint.pem")
}

/// Names of writers that have a file `<before><writer><after>` in the log, in order.
pub(crate) fn writers_with(dir: &Path, before: &str, after: &str) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let writer = name
            .to_str()
            .and_then(|name| name.strip_prefix(before)?.strip_suffix(after));
        found.extend(writer.filter(|name| is_writer(name)).map(str::to_owned));
    }
    found.sort_unstable();
    Ok(found)
}

/// Every chain of the log, by tenant and writer, in order.
pub(crate) fn chains(dir: &Path) -> io::Result<Vec<(TenantId, String)>> {
    let mut found = Vec::new();
    for tenant in directories(dir)? {
        let Ok(id) = TenantId::new(&tenant) else {
            continue;
        };
        for writer in directories(&dir.join(&tenant))? {
            if is_writer(&writer) {
                found.push((id.clone(), writer));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn directories(dir: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(entry.file_name().into_string());
        }
    }
    Ok(found)
}

/// Numbers of a chain's segments, in order; none for a chain that does not exist.
pub(crate) fn segments(chain: &Path) -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(chain) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_suffix(".jsonl")?.parse().ok());
        found.extend(number.filter(|number| segment_name(*number).as_str() == name));
    }
    found.sort_unstable();
    Ok(found)
}

/// Makes the directory and those above it, for its owner only.
pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(dir)
}

/// Opens a file to append to; makes it, for its owner only, where there is none.
pub(crate) fn private_append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}
