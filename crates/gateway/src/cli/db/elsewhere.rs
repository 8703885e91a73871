//! What of an installation is not in its database, where it is, and how to take it.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use gatewright_vault::{FileKeys, KeyProvider as _};

use super::super::{Failure, Found};
use crate::{
    config::{MasterKey, Settings},
    serve::audit_dir,
};

pub(super) fn not_in_a_backup(
    out: &mut impl Write,
    settings: &Settings,
    needed: &BTreeSet<String>,
) -> io::Result<()> {
    writeln!(out, "\nNot in it:")?;
    let dir = audit_dir(settings);
    let dir = dir.display();
    writeln!(
        out,
        "  the audit log of this process, in `{dir}`: its files are only ever added to, so copy them as they are (`cp -a`), and \
         check the copy with `gatewright audit verify --dir`"
    )?;
    match &settings.master_key {
        MasterKey::File => writeln!(
            out,
            "  the keys in `{}`: copy that directory to another place than the backup, for whoever has both can read every \
             credential",
            settings.key_dir.display()
        )?,
        MasterKey::Environment(variable) => writeln!(
            out,
            "  the master key, which is in the variable `{variable}`, and the key of the audit log's checkpoints in `{}`: keep \
             them at another place than the backup",
            settings.key_dir.display()
        )?,
    }
    if !needed.is_empty() {
        let needed = list(needed);
        writeln!(
            out,
            "Credentials and API keys in it are of no use without: {needed}"
        )?;
    }
    Ok(())
}

pub(super) fn not_moved(
    out: &mut impl Write,
    settings: &Settings,
    replica: &str,
    needed: &BTreeSet<String>,
) -> io::Result<()> {
    writeln!(out, "\nNot moved, for it is no part of a database:")?;
    let dir = audit_dir(settings);
    let dir = dir.display();
    writeln!(
        out,
        "  the audit log in `{dir}`: it stays where it is, and this replica goes on beside it, as `{replica}`; each replica writes \
         one of its own"
    )?;
    match &settings.master_key {
        MasterKey::File => writeln!(
            out,
            "  the master keys in `{}`: each replica needs the same; copy the files `master-*.key` into its `key_dir`",
            settings.key_dir.display()
        )?,
        MasterKey::Environment(variable) => writeln!(
            out,
            "  the master key, which is in the variable `{variable}`: each replica needs the same"
        )?,
    }
    if !needed.is_empty() {
        let needed = list(needed);
        writeln!(
            out,
            "Credentials and API keys are of no use without: {needed}"
        )?;
    }
    Ok(())
}

/// Whether the keys are here that the restored database needs.
pub(super) async fn keys_of_a_restored(
    out: &mut impl Write,
    settings: &Settings,
    needed: &BTreeSet<String>,
) -> Result<Found, Failure> {
    if needed.is_empty() {
        return Ok(Found::Good);
    }
    let variable = match &settings.master_key {
        MasterKey::File => None,
        MasterKey::Environment(variable) => Some(variable),
    };
    if let Some(variable) = variable {
        let needed = list(needed);
        writeln!(
            out,
            "`{variable}` has to hold the master keys that it needs: {needed}"
        )?;
        return Ok(Found::Good);
    }
    let dir = settings.key_dir.display();
    let keys = if settings.key_dir.exists() {
        FileKeys::open_existing(&settings.key_dir)?
    } else {
        None
    };
    let mut missing = needed.clone();
    if let Some(keys) = keys {
        for key in keys.derive("api-keys").await? {
            missing.remove(key.master.as_str());
        }
    }
    if missing.is_empty() {
        writeln!(out, "the master keys that it needs are in `{dir}`")?;
        return Ok(Found::Good);
    }
    let missing = list(&missing);
    writeln!(
        out,
        "`{dir}` lacks master keys that it needs: {missing}. Put their files (`master-*.key`) there before you start the gateway; \
         until then credentials and API keys are of no use"
    )?;
    Ok(Found::Bad)
}

fn list(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.join(", ")
}
