//! What an operator writes: `gatewright.toml` about the process, and a file about who may do what, which is applied to the
//! directory.
//!
//! Both are read strictly. Everything that is wrong is named with its line and the way to put it right, and as far
//! as possible all of it in one run; nothing is served from a file that is not understood in full.

mod document;
mod organisation;
mod settings;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

pub use organisation::{Issuer, Organisation, Reach, Server, Tenant};
pub(crate) use organisation::{grant, grantee, served};
pub use settings::{
    Database, Limits, LogFormat, Logging, MasterKey, Outbound, Place, Replica,
    ResolveDatabaseError, Settings, Tls,
};

/// One thing that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// In which file.
    pub file: PathBuf,
    /// In which line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// How to put it right.
    pub fix: String,
}

/// `file:line: what`, and the fix in a line of its own.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            what,
            fix,
        } = self;
        write!(f, "{}:{line}: {what}\n  fix: {fix}", file.display())
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadConfigError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

impl LoadConfigError {
    /// What is wrong in the files; empty when one cannot be read.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Read { .. } => &[],
            Self::Invalid(problems) => problems,
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

fn read(path: &Path) -> Result<String, LoadConfigError> {
    std::fs::read_to_string(path).map_err(|source| LoadConfigError::Read {
        path: path.to_owned(),
        source,
    })
}
