use std::{fmt, future::Future};

use gatewright_core::{Call, Decision, Principal};
use serde::Serialize;

/// How an engine comes to a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The decision, as the engine gives it on the real call.
    pub decision: Decision,
    /// What was asked for it, in order: every half of every party, those after a denial too.
    pub halves: Vec<Half>,
    /// The roles that each party holds, and through whom.
    pub roles: Vec<HeldRole>,
}

/// One question to the policies: may this party see, or call?
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Half {
    /// Whose permissions were asked: the user's or the agent's.
    pub party: String,
    /// What for: `see`, or the action that the call is.
    pub action: String,
    /// On what.
    pub resource: String,
    /// The answer.
    pub allowed: bool,
    /// The policies that decided it; empty when none permits.
    pub policies: Vec<String>,
    /// Policies that failed; any one denies.
    pub errors: Vec<String>,
    /// How many policies were evaluated.
    pub slice: usize,
}

/// A role that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct HeldRole {
    /// Who holds it.
    pub party: String,
    /// The role.
    pub role: String,
    /// The user, agent or group that it was granted to.
    pub through: String,
    /// The role that was granted, where it is another, which inherits from this one.
    pub granted: Option<String>,
    /// What is administered by it, where that is not everything.
    pub over: Option<String>,
    /// When the grant ends, if it does.
    pub expires: Option<String>,
    /// Why it was granted.
    pub reason: Option<String>,
}

impl Explanation {
    /// An explanation.
    #[must_use]
    pub const fn new(decision: Decision, halves: Vec<Half>, roles: Vec<HeldRole>) -> Self {
        Self {
            decision,
            halves,
            roles,
        }
    }
}

impl Half {
    /// A question about `party`, not yet answered: denied by no policy.
    #[must_use]
    pub const fn denied(party: String, action: String, resource: String) -> Self {
        Self {
            party,
            action,
            resource,
            allowed: false,
            policies: Vec::new(),
            errors: Vec::new(),
            slice: 0,
        }
    }
}

impl HeldRole {
    /// `party` holds `role` since it was granted to `through`.
    #[must_use]
    pub const fn new(party: String, role: String, through: String) -> Self {
        Self {
            party,
            role,
            through,
            granted: None,
            over: None,
            expires: None,
            reason: None,
        }
    }
}

/// For people to read; not stable.
impl fmt::Display for HeldRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} holds `{}` through {}",
            self.party, self.role, self.through
        )?;
        if let Some(granted) = &self.granted {
            write!(f, " as `{granted}` inherits from it")?;
        }
        if let Some(over) = &self.over {
            write!(f, " over {over}")?;
        }
        if let Some(expires) = &self.expires {
            write!(f, " until {expires}")?;
        }
        if let Some(reason) = &self.reason {
            // Somebody wrote it, and a terminal obeys what is in it.
            write!(f, " ({})", reason.escape_debug())?;
        }
        Ok(())
    }
}

/// For people to read; not stable.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.decision {
            Decision::Allow { policies, .. } => writeln!(f, "allowed by {}", policies.join(", "))?,
            Decision::Deny {
                policies, reason, ..
            } if policies.is_empty() => writeln!(f, "denied: {reason}")?,
            Decision::Deny {
                policies, reason, ..
            } => writeln!(f, "denied by {}: {reason}", policies.join(", "))?,
            Decision::Challenge { challenge, .. } => {
                writeln!(f, "more is needed: {}", challenge.scopes.join(" "))?;
            }
        }
        for half in &self.halves {
            let answer = if half.allowed { "yes" } else { "no" };
            write!(
                f,
                "  {answer}: {} of {} by {}",
                half.action, half.resource, half.party
            )?;
            match half.policies.as_slice() {
                [] => write!(f, "; no policy permits it")?,
                policies => write!(f, "; {}", policies.join(", "))?,
            }
            writeln!(f, " ({} evaluated)", half.slice)?;
            for error in &half.errors {
                writeln!(f, "    failed: {error}")?;
            }
        }
        for held in &self.roles {
            writeln!(f, "  {held}")?;
        }
        Ok(())
    }
}

/// An engine that can say why.
pub trait Explain: Send + Sync {
    /// How the engine decides on this call by this principal.
    fn explain(
        &self,
        principal: &Principal,
        call: &Call,
    ) -> impl Future<Output = Explanation> + Send;
}
