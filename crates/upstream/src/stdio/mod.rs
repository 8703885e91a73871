//! Servers that run as child processes and speak over their standard streams.
//!
//! | file | what it knows |
//! | --- | --- |
//! | `frame` | messages and lines, without I/O |
//! | `process` | how a child is started, and how its whole group is ended |
//! | `errors` | its standard error, into the log |
//! | `child` | the task that keeps one child |
//! | `link`, `incoming` | many calls over one pair of streams: ids, progress tokens, who is told what |
//! | `greet` | the era of a child, and the legacy handshake |
//! | `session` | a client's legacy session |
//! | `pool`, `backoff` | which children there are, for whom, how many, and when they are started again |
//! | `mailbox`, `answer` | from what a child says to an answer over HTTP |

mod answer;
mod backoff;
mod child;
mod errors;
mod frame;
mod greet;
mod incoming;
mod link;
mod mailbox;
mod pool;
mod process;
mod session;

use std::sync::Arc;

use bytes::Bytes;
use gatewright_core::{AnswerBody, Call, CallKind, Draft, Permitted, UpstreamAuth};
use gatewright_wire::{Era, Id, Splice, Version, headers::MCP_SESSION_ID};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio::time::timeout;
use uuid::Uuid;

use self::{
    answer::Terms,
    link::{Audience, Link, Question},
    pool::{Place, Scope, SessionKey, Start},
    session::Session,
};
use crate::{
    era::{self, Spoken},
    failure::Failure,
    program::{Program, Sharing},
    target::{EraSetting, Target},
};

pub(crate) use self::pool::Children;

/// Methods that would keep something at the server for one of its callers.
const STATEFUL: &[&str] = &[
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
];
/// Prefix of methods of the same kind.
const TASKS: &str = "tasks/";

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
            let supported = vec![Version::V2026_07_28.as_str().to_owned()];
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

struct Relay<'a> {
    children: &'a Arc<Children>,
    asked: &'a Asked<'a>,
}

impl Relay<'_> {
    async fn modern(&self) -> Result<Response<AnswerBody>, Failure> {
        let asked = self.asked;
        if era::known(asked.target) == Some(Spoken::Legacy) {
            return Err(Failure::LegacyOnly);
        }
        let shared = asked.program.sharing() == Sharing::Stateless;
        if shared {
            self.check_stateless()?;
        }
        let principal = asked.principal();
        let scope = if shared {
            Scope::Callers(pool::revision(Era::Modern, asked.call().version()))
        } else {
            Scope::Principal(principal.clone())
        };
        let place = asked.place(scope);
        let start = asked.start(&place);
        let link = self.within(self.children.at(&start, |link| {
            let audience = if shared {
                Audience::Callers
            } else {
                Audience::Caller
            };
            greet::modern(link, asked.target, audience)
        }));
        let link = link.await?;
        self.ask(&link, &principal.into(), shared).await
    }

    /// Legacy callers of a server without state: the gateway has opened it, and there are no sessions.
    async fn shared(&self) -> Result<Response<AnswerBody>, Failure> {
        let asked = self.asked;
        let call = asked.call();
        match call.kind() {
            CallKind::Stream | CallKind::EndSession => {
                let mut answer = answer::bare(StatusCode::METHOD_NOT_ALLOWED);
                let post = HeaderValue::from_static("POST");
                answer.headers_mut().insert(header::ALLOW, post);
                return Ok(answer);
            }
            // The gateway has asked nothing on behalf of a caller.
            CallKind::Response => return Ok(answer::bare(StatusCode::ACCEPTED)),
            CallKind::Request | CallKind::Notification => {}
        }
        self.check_stateless()?;
        let opens = call.method() == Some("initialize");
        let named = if opens {
            requested(call)
        } else {
            call.version()
        };
        let version = pool::revision(Era::Legacy, named);
        let place = asked.place(Scope::Callers(version));
        let start = asked.start(&place);
        let link = self.within(
            self.children
                .at(&start, |link| greet::for_callers(link, version)),
        );
        let link = link.await?;
        if opens {
            return greeting(&link, call);
        }
        self.ask(&link, &asked.principal().into(), true).await
    }

    /// Legacy callers, each session at a child of its own.
    async fn session(&self) -> Result<Response<AnswerBody>, Failure> {
        let asked = self.asked;
        let call = asked.call();
        if call.method() == Some("initialize") {
            return self.open().await;
        }
        let id = asked
            .headers
            .get(&MCP_SESSION_ID)
            .ok_or(Failure::SessionNeeded)?;
        let id = id
            .to_str()
            .map_err(|_not_ascii| Failure::NoSession)?
            .to_owned();
        let principal = asked.principal();
        let key = SessionKey {
            tenant: call.route().tenant().clone(),
            server: call.route().server().clone(),
            principal: principal.clone(),
            id: id.clone(),
        };
        let session = self.children.session(&key).ok_or(Failure::NoSession)?;
        match call.kind() {
            CallKind::EndSession => {
                self.children.end_session(&key);
                return Ok(answer::bare(StatusCode::OK));
            }
            CallKind::Stream => return Ok(answer::standing(session.stand(), self.children)),
            CallKind::Response => {
                let (envelope, bytes) = (call.envelope(), call.bytes());
                if let Some((link, message)) =
                    envelope.and_then(|envelope| session.answer(envelope, bytes))
                {
                    self.within(link.send(&message)).await?;
                }
                return Ok(answer::bare(StatusCode::ACCEPTED));
            }
            CallKind::Request | CallKind::Notification => {}
        }
        let caller: Arc<str> = format!("{principal} {id}").into();
        let place = asked.place(Scope::Session { principal, id });
        let start = asked.start(&place);
        let link = self.within(self.children.at(&start, |link| {
            let session = &session;
            async move { greet::again(link, session).await }
        }));
        self.ask(&link.await?, &caller, false).await
    }

    /// A client's `initialize` starts a child, and is the first that it hears.
    async fn open(&self) -> Result<Response<AnswerBody>, Failure> {
        let asked = self.asked;
        let call = asked.call();
        let principal = asked.principal();
        let id = Uuid::new_v4().simple().to_string();
        let key = SessionKey {
            tenant: call.route().tenant().clone(),
            server: call.route().server().clone(),
            principal: principal.clone(),
            id: id.clone(),
        };
        let place = asked.place(Scope::Session {
            principal,
            id: id.clone(),
        });
        let start = asked.start(&place);
        let (link, ends) = self.children.start(&start)?;
        let message = self.within(greet::ask(&link, call.bytes())).await?;
        if !greet::is_result(&message) {
            let text = std::str::from_utf8(&message).unwrap_or_default();
            let supported = match era::known(asked.target) {
                Some(Spoken::Modern { supported }) => Some(Failure::ModernOnly { supported }),
                _ => greet::modern_only(text),
            };
            return supported.map_or_else(|| Ok(answer::whole(message.clone(), Era::Legacy)), Err);
        }
        let session = Session::new(call.bytes().clone(), asked.target.max_response());
        let session = Arc::new(session);
        greet::belongs(&link, &session)?;
        self.children.open(&start, key, &session, &link)?;
        ends.disarm();
        let mut answer = answer::whole(message, Era::Legacy);
        let id = HeaderValue::try_from(id).map_err(|_invalid| Failure::NoSession)?;
        answer.headers_mut().insert(MCP_SESSION_ID, id);
        Ok(answer)
    }

    /// A request or notification, to the child that is there for it.
    async fn ask(
        &self,
        link: &Arc<Link>,
        caller: &Arc<str>,
        shared: bool,
    ) -> Result<Response<AnswerBody>, Failure> {
        let call = self.asked.call();
        let (Some(envelope), Some(id)) = (call.envelope(), call.id()) else {
            self.within(notify(link, call, caller, shared)).await?;
            return Ok(answer::bare(StatusCode::ACCEPTED));
        };
        let standing = call.is_standing();
        let exchange = link.begin(Question {
            envelope,
            bytes: call.bytes(),
            caller: Some(caller),
            standing,
        });
        let exchange = self.within(exchange).await?;
        let terms = Terms {
            id,
            era: call.era(),
            timeouts: self.asked.target.timeouts(),
            standing,
            draft: self.asked.draft,
            children: self.children,
        };
        answer::answer(exchange, &terms).await
    }

    fn check_stateless(&self) -> Result<(), Failure> {
        let stateful = |method: &str| STATEFUL.contains(&method) || method.starts_with(TASKS);
        if self.asked.call().method().is_some_and(stateful) {
            return Err(Failure::Stateless);
        }
        Ok(())
    }

    /// Within the time that a server has until its first word.
    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let patience = self.asked.target.timeouts().first_byte;
        let done = timeout(patience, work).await;
        done.unwrap_or(Err(Failure::Timeout))
    }
}

/// The revision that an `initialize` asks for.
fn requested(call: &Call) -> Option<Version> {
    let raw = gatewright_wire::json::member(call.params()?, "protocolVersion")?;
    let version = Version::parse(&gatewright_wire::json::string(raw)?);
    let legacy = version.filter(|version| version.era() == Era::Legacy);
    Some(legacy.unwrap_or(Version::V2025_11_25))
}

/// What a shared server said to the gateway, as the answer to a client's own `initialize`.
fn greeting(link: &Link, call: &Call) -> Result<Response<AnswerBody>, Failure> {
    let greeting = link.known().and_then(|known| known.greeting.as_ref());
    let (Some(greeting), Some(id)) = (greeting, call.id()) else {
        return Err(Failure::Protocol("it has not greeted"));
    };
    let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{greeting}}}"#);
    Ok(answer::whole(Bytes::from(message), Era::Legacy))
}

/// Passes a notification on. A cancellation names a call as its caller knows it; to a shared child nothing else goes, since
/// it would speak for all.
async fn notify(
    link: &Arc<Link>,
    call: &Call,
    caller: &Arc<str>,
    shared: bool,
) -> Result<(), Failure> {
    if call.method() != Some("notifications/cancelled") {
        return if shared {
            Ok(())
        } else {
            link.send(call.bytes()).await
        };
    }
    let refers_to = call.envelope().and_then(|envelope| {
        let id: &Id = envelope.refers_to()?;
        Some((link.call_of(caller, id)?, envelope.refers_to_range()?))
    });
    let Some((wire, range)) = refers_to else {
        // It has been answered, or it was never asked.
        return Ok(());
    };
    let mut splice = Splice::new(call.bytes());
    splice.replace(range, wire.to_string());
    match splice.build() {
        Ok(message) => link.send(&message).await,
        Err(_) => Ok(()),
    }
}
