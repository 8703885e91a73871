//! What the directory says, as problems.

use gatewright_directory::{ChangeError, LookError, records::Kind};
use http::StatusCode;

use crate::problem::Problem;

/// Rules that are against what there is, and not against what was sent.
const OF_WHAT_THERE_IS: [&str; 5] = [
    "last-administrator",
    "role-in-use",
    "server-in-use",
    "agent-owner",
    "tenant-stays",
];

impl Problem {
    /// Why the directory did not change the thing of this kind and id.
    pub(crate) fn of_change(error: &ChangeError, kind: Kind, id: &str) -> Self {
        let status = match error {
            ChangeError::NoTenant(_) => return Self::no_tenant(),
            ChangeError::NotFound {
                kind: of,
                id: missing,
            } if *of == kind && **missing == *id => {
                return Self::no_such(kind);
            }
            // Something that the document names.
            ChangeError::NotFound { .. } => {
                return Self::unfit("unknown-reference", error.to_string());
            }
            ChangeError::Exists { .. } | ChangeError::Taken { .. } => StatusCode::CONFLICT,
            ChangeError::Stale { .. } => StatusCode::PRECONDITION_FAILED,
            ChangeError::Broken(fault) if OF_WHAT_THERE_IS.contains(&fault.rule) => {
                StatusCode::CONFLICT
            }
            ChangeError::Broken(_) => StatusCode::UNPROCESSABLE_ENTITY,
            ChangeError::Forbidden(_) => StatusCode::FORBIDDEN,
            ChangeError::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            ChangeError::Unrecorded(_) | ChangeError::Busy | ChangeError::Unavailable(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.code(), error.to_string())
    }

    /// Why something could not be looked up.
    pub(crate) fn of_look(error: &LookError) -> Self {
        match error {
            LookError::Unreadable(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unreadable",
                error.to_string(),
            ),
            _ => Self::unavailable("storage", error),
        }
    }

    /// The same of every tenant that is not there or that whoever asks is not of.
    pub(crate) fn no_tenant() -> Self {
        Self::unknown("unknown-tenant", "there is no such tenant")
    }

    /// The same of every id: whether another tenant has it is not said.
    pub(crate) fn no_such(kind: Kind) -> Self {
        Self::unknown("not-found", format!("there is no such {kind}"))
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }
}
