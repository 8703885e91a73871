//! Servers that run as child processes and speak over their standard streams.
//!
//! | file | what it knows |
//! | --- | --- |
//! | `frame` | messages and lines, without I/O |
//! | `process` | how a child is started, and how its whole group is ended |
//! | `errors` | its standard error, into the log |
//! | `child` | the task that keeps one child |
//! | `link`, `exchange`, `incoming` | many calls over one pair of streams: ids, progress tokens, who is told what |
//! | `relay` | what becomes of each kind of call |
//! | `greet` | the era of a child, and the legacy handshake |
//! | `session` | a client's legacy session |
//! | `place`, `slot`, `pool` | which children there are, and for whom |
//! | `seats`, `backoff` | how many, and when one that failed is started again |
//! | `mailbox`, `answer` | from what a child says to an answer over HTTP |

mod answer;
mod backoff;
mod child;
mod errors;
mod exchange;
pub mod frame;
mod greet;
mod incoming;
mod link;
mod mailbox;
mod place;
mod pool;
mod process;
mod relay;
mod seats;
mod session;
mod slot;

use std::sync::Arc;

use gatewright_core::{AnswerBody, Call, Draft, Permitted, UpstreamAuth};
use gatewright_wire::{Era, Version};
use http::{HeaderMap, Response};

use self::{
    place::{Place, Scope},
    relay::Relay,
    slot::Start,
};
use crate::{
    failure::Failure,
    program::{Program, Sharing},
    target::{EraSetting, Target},
};

pub(crate) use self::pool::Children;

/// A permitted call for a server in child processes.
pub(crate) struct Asked<'a> {
    pub(crate) target: &'a Target,
    pub(crate) program: &'a Program,
    pub(crate) permitted: &'a Permitted,
    pub(crate) auth: &'a UpstreamAuth,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) draft: Option<&'a Draft>,
}

/// Takes the call to the child that is there for it.
pub(crate) async fn relay(
    children: &Arc<Children>,
    asked: &Asked<'_>,
) -> Result<Response<AnswerBody>, Failure> {
    asked.check_credential()?;
    let relay = Relay { children, asked };
    match (asked.call().era(), asked.program.sharing()) {
        (Era::Modern, _) => relay.modern().await,
        (Era::Legacy, _) if asked.target.era() == EraSetting::Modern => {
            let supported = [Version::V2026_07_28.as_str().to_owned()].into();
            Err(Failure::ModernOnly { supported })
        }
        (Era::Legacy, Sharing::Stateless) => relay.shared().await,
        (Era::Legacy, Sharing::Separate) => relay.session().await,
    }
}

impl Asked<'_> {
    fn call(&self) -> &Call {
        self.permitted.call()
    }

    /// A child gets a credential from its environment, or not at all.
    fn check_credential(&self) -> Result<(), Failure> {
        match self.auth.environment() {
            None if self.auth.owner().is_some() => Err(Failure::CredentialForm(
                "it goes into a header, and the server is a child process",
            )),
            Some((name, _)) if name.is_empty() || name.contains(['=', '\0']) => {
                Err(Failure::CredentialForm("its variable has no usable name"))
            }
            Some((_, secret)) if secret.expose().contains('\0') => Err(Failure::UnfitSecret(
                "the stored credential has characters that no environment may have: store it again",
            )),
            _ => Ok(()),
        }
    }

    fn place(&self, scope: Scope) -> Place {
        let route = self.call().route();
        Place {
            tenant: route.tenant().clone(),
            server: route.server().clone(),
            owner: self.auth.label(),
            scope,
        }
    }

    const fn start<'a>(&'a self, place: &'a Place) -> Start<'a> {
        Start {
            place,
            target: self.target,
            program: self.program,
            auth: self.auth,
        }
    }

    fn principal(&self) -> String {
        self.permitted.principal().key()
    }
}
