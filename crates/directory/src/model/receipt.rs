use gatewright_core::{Attestation, GoneParty, HeldKind, Subject};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Identity;

/// What was cut when somebody left, and what is still to be cut; signed by whoever wrote it last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// What is said.
    pub statement: Statement,
    /// Who signed it; nothing where nobody could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// A signature under the canonical text of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Names the key.
    pub key: String,
    /// In base64.
    pub signature: String,
}

/// What a receipt says. Moments are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// The form of the statement: 1.
    pub v: u32,
    /// The receipt's own id.
    pub receipt: String,
    /// Whose tenant.
    pub tenant: String,
    /// Who left.
    pub of: Leaver,
    /// As whom requests could come that were theirs.
    pub subjects: Vec<Identity>,
    /// What was done to them.
    pub why: Leaving,
    /// The reason that whoever did it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who did it, as the log names them.
    pub by: String,
    /// By which of their actions.
    pub action: String,
    /// The records of the change in the log have this reference.
    pub reference: String,
    /// When the change was committed.
    pub committed_at: i64,
    /// When this statement was made; it replaces those before.
    pub stated_at: i64,
    /// Whether nothing is outstanding.
    pub complete: bool,
    /// What is cut.
    pub cut: Vec<Cut>,
    /// What is still to be cut, and why it is not yet. They are refused all the same.
    pub outstanding: Vec<Open>,
    /// What stays as it is, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Open>,
    /// What cannot be known here.
    pub unknown: Vec<Open>,
}

/// Who left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaver {
    /// What they are.
    pub kind: LeaverKind,
    /// Their id.
    pub id: String,
    /// What people call them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What can leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LeaverKind {
    /// A person.
    User,
    /// An agent.
    Agent,
    /// Everybody of the tenant.
    Tenant,
}

/// How somebody left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Leaving {
    /// The identity provider no longer lets them in.
    Deactivated,
    /// An administrator switched them off.
    Disabled,
    /// An agent waits for somebody who answers for it.
    Suspended,
    /// They are no longer there.
    Removed,
}

/// Something that was cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// What it was.
    pub what: What,
    /// Its id; of a credential, the server where it was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As whom they had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Identity>,
    /// How many, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// When, at the latest.
    pub at: i64,
}

/// Something that is not cut, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// What it is.
    pub what: What,
    /// Its id; of a credential, the server where it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As whom they have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Identity>,
    /// Why.
    pub why: String,
}

/// What somebody has here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum What {
    /// New calls, as themselves or by whoever acts for them.
    Calls,
    /// Open streams and calls under way.
    Streams,
    /// An API key; without a name, all of them.
    ApiKey,
    /// A stored credential; without a name, all of them.
    Credential,
    /// An agent for which they answered.
    Agent,
    /// A role that they had.
    Grant,
    /// Tokens that an issuer made.
    Tokens,
    /// What servers let in.
    Upstream,
    /// What other processes of the gateway do.
    Replicas,
}

impl From<HeldKind> for What {
    fn from(kind: HeldKind) -> Self {
        match kind {
            HeldKind::ApiKey => Self::ApiKey,
            _ => Self::Credential,
        }
    }
}

impl Receipt {
    /// This statement, under what signs it.
    #[must_use]
    pub fn signed(statement: Statement, sign: impl FnOnce(&Value) -> Option<Attestation>) -> Self {
        // INVARIANT: the form has string keys and whole numbers only, which is all that serde_json can refuse.
        let value = serde_json::to_value(&statement).unwrap_or(Value::Null);
        let signed = sign(&value).map(|attestation| Signed {
            key: attestation.key,
            signature: attestation.signature,
        });
        Self { statement, signed }
    }
}

impl Statement {
    /// As whom requests could come.
    #[must_use]
    pub fn parties(&self) -> Vec<GoneParty> {
        let Some(kind) = self.of.kind.party() else {
            return Vec::new();
        };
        let subjects = self.subjects.iter();
        subjects
            .map(|identity| GoneParty {
                kind,
                subject: identity.subject(),
            })
            .collect()
    }

    /// Whether keys and credentials go. Who is suspended is to come back, and a tenant may.
    #[must_use]
    pub fn loses_all(&self) -> bool {
        self.of.kind != LeaverKind::Tenant && self.why != Leaving::Suspended
    }

    /// Whether API keys or credentials are still to be cut.
    #[must_use]
    pub fn holds(&self) -> bool {
        let held = |open: &Open| matches!(open.what, What::ApiKey | What::Credential);
        self.outstanding.iter().any(held)
    }
}

impl LeaverKind {
    pub(crate) const fn party(self) -> Option<gatewright_core::PartyKind> {
        match self {
            Self::User => Some(gatewright_core::PartyKind::User),
            Self::Agent => Some(gatewright_core::PartyKind::Agent),
            Self::Tenant => None,
        }
    }
}

impl Open {
    pub(crate) fn new(what: What, why: &str) -> Self {
        Self {
            what,
            name: None,
            subject: None,
            why: why.to_owned(),
        }
    }

    /// Of this one, which a subject has.
    pub(crate) fn held(what: What, name: &str, subject: &Subject, why: &str) -> Self {
        Self {
            what,
            name: Some(name.to_owned()),
            subject: Some(Identity::from(subject)),
            why: why.to_owned(),
        }
    }
}
