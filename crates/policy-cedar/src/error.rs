use std::{io, path::PathBuf};

use gatewright_core::access::InheritanceError;

use crate::InvalidGrant;

/// Why an engine cannot be built. Nothing is served with policies that are not understood in full.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildEngineError {
    /// A file of policies, or their directory, cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of policies is not Cedar, or names what the schema does not have.
    #[error("{file}:{line}: {reason}")]
    Policy {
        /// Which file, relative to the directory.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Two policies have one id.
    #[error("{file}:{line}: the policy id `{id}` is taken already")]
    TakenId {
        /// Which file, relative to the directory.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// The id.
        id: String,
    },
    /// A role does not make sense.
    #[error("role `{role}`, permission {permission}: {reason}")]
    Role {
        /// Which role.
        role: String,
        /// Which of its permissions, from 1.
        permission: usize,
        /// What is wrong.
        reason: String,
    },
    /// Two roles have one name.
    #[error("there are two roles named `{0}`")]
    TwoRoles(String),
    /// A grant gives a role that there is none of.
    #[error("a grant gives the role `{0}`, which is not defined")]
    UnknownRole(String),
    /// A role has the name of a built-in one.
    #[error("every tenant has a role `{0}`: give yours another name")]
    BuiltInRole(String),
    /// Roles cannot inherit from each other as they say.
    #[error(transparent)]
    Inheritance(#[from] InheritanceError),
    /// What a role permits administrators does not make sense.
    #[error("role `{role}`, `admin` {permission}: {reason}")]
    Admin {
        /// Which role.
        role: String,
        /// Which of its permissions of administrators, from 1.
        permission: usize,
        /// What is wrong.
        reason: String,
    },
    /// A grant cannot be kept.
    #[error(transparent)]
    Grant(#[from] InvalidGrant),
    /// A policy made from a role does not fit the schema: our fault.
    #[error("the policy `{id}` made from a role does not fit: {reason}")]
    Compiled {
        /// Which policy.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// The schema does not fit together: our fault.
    #[error("the schema does not fit together: {reason}")]
    Schema {
        /// What is wrong.
        reason: String,
    },
}
