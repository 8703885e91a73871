//! What a commit comes to, in the form in which both databases take it: each record once, each name once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use gatewright_directory::records::{CommitError, RecordsError, Revision, Write};

use crate::rows::kind_named;

/// The longest id, in bytes. Postgres bounds what an index holds, and nobody's ids are so long.
pub(crate) const LONGEST_ID: usize = 1024;
/// The longest unique name, in bytes.
pub(crate) const LONGEST_NAME: usize = 2048;

/// Writes, each in the order of its records, so that two commits never wait for each other's rows.
#[derive(Debug, Default)]
pub(crate) struct Commit<'a> {
    pub(crate) puts: Vec<Put<'a>>,
    pub(crate) removes: Vec<Place<'a>>,
    pub(crate) names: BTreeSet<Name<'a>>,
}

/// Where a record is: the name of its kind, and its id.
pub(crate) type Place<'a> = (&'static str, &'a str);

#[derive(Debug)]
pub(crate) struct Put<'a> {
    pub(crate) place: Place<'a>,
    pub(crate) document: &'a str,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name<'a> {
    pub(crate) space: &'static str,
    pub(crate) value: &'a str,
    pub(crate) place: Place<'a>,
}

/// What neither database would take, or only one of them.
#[derive(Debug, thiserror::Error)]
enum UnfitWrite {
    #[error("an id is empty or longer than {LONGEST_ID} bytes")]
    Id,
    #[error("a unique name is longer than {LONGEST_NAME} bytes")]
    Name,
    #[error("an id, a name or a document holds a NUL character")]
    Nul,
}

impl<'a> Commit<'a> {
    /// Of two writes to one record the later one counts.
    pub(crate) fn of(writes: &'a [Write]) -> Result<Self, CommitError> {
        let mut last: BTreeMap<Place<'a>, &'a Write> = BTreeMap::new();
        for write in writes {
            let (Write::Put { kind, id, .. } | Write::Remove { kind, id }) = write;
            fit(write)?;
            last.insert((kind.name(), id), write);
        }
        let mut commit = Self::default();
        for (place, write) in last {
            match write {
                Write::Put {
                    document, names, ..
                } => {
                    commit.puts.push(Put { place, document });
                    commit.names.extend(names.iter().map(|name| Name {
                        space: name.space,
                        value: &name.value,
                        place,
                    }));
                }
                Write::Remove { .. } => commit.removes.push(place),
            }
        }
        Ok(commit)
    }

    /// Every record that it writes or takes away.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place<'a>> {
        let puts = self.puts.iter().map(|put| put.place);
        puts.chain(self.removes.iter().copied())
    }

    /// A name that it gives to two records.
    pub(crate) fn clash(&self) -> Result<(), CommitError> {
        let both = self.names.iter().zip(self.names.iter().skip(1));
        let mut clashes =
            both.filter(|(one, next)| (one.space, one.value) == (next.space, next.value));
        match clashes.next() {
            None => Ok(()),
            Some((holder, _)) => {
                let (kind, id) = holder.place;
                Err(taken(
                    holder.space.to_owned(),
                    holder.value.to_owned(),
                    kind,
                    id,
                ))
            }
        }
    }
}

/// The name is that record's.
pub(crate) fn taken(space: String, value: String, kind: &str, id: &str) -> CommitError {
    match kind_named(kind) {
        Ok(kind) => CommitError::Taken {
            space,
            value,
            kind,
            id: Arc::from(id),
        },
        Err(error) => error.into(),
    }
}

/// The revision after this one, and both as a database counts.
pub(crate) fn next(base: Revision) -> Result<(i64, i64), CommitError> {
    let signed = i64::try_from(base.0).map_err(RecordsError::new)?;
    let next = signed
        .checked_add(1)
        .ok_or_else(|| RecordsError::new("there are no more revisions"))?;
    Ok((signed, next))
}

fn fit(write: &Write) -> Result<(), RecordsError> {
    let (Write::Put { id, .. } | Write::Remove { id, .. }) = write;
    if id.is_empty() || id.len() > LONGEST_ID {
        return Err(RecordsError::new(UnfitWrite::Id));
    }
    if id.contains('\0') {
        return Err(RecordsError::new(UnfitWrite::Nul));
    }
    let Write::Put {
        document, names, ..
    } = write
    else {
        return Ok(());
    };
    if names.iter().any(|name| name.value.len() > LONGEST_NAME) {
        return Err(RecordsError::new(UnfitWrite::Name));
    }
    if document.contains('\0') || names.iter().any(|name| name.value.contains('\0')) {
        return Err(RecordsError::new(UnfitWrite::Nul));
    }
    Ok(())
}
