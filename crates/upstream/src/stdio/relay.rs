//! What becomes of each kind of call.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_core::{AnswerBody, Call, CallKind};
use gatewright_wire::{Era, Id, Splice, Version, headers::MCP_SESSION_ID, json};
use http::{HeaderValue, Response, StatusCode, header};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    Asked,
    answer::{self, Terms},
    greet,
    link::{Audience, Link, Question},
    place::{Scope, SessionKey, revision},
    pool::Children,
    session::Session,
};
use crate::{
    era::{self, Spoken},
    failure::Failure,
    program::Sharing,
};

/// Methods that would keep something at the server for one of its callers.
const STATEFUL: &[&str] = &[
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
];
/// Prefix of methods of the same kind.
const TASKS: &str = "tasks/";

/// Takes one call to the child that is there for it.
pub(super) struct Relay<'a> {
    pub(super) children: &'a Arc<Children>,
    pub(super) asked: &'a Asked<'a>,
}

impl Relay<'_> {
    /// Modern callers: a child for each principal, or one for all.
    pub(super) async fn modern(&self) -> Result<Response<AnswerBody>, Failure> {
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
            Scope::Callers(revision(Era::Modern, asked.call().version()))
        } else {
            Scope::Principal(principal.clone())
        };
        let place = asked.place(scope);
        let start = asked.start(&place);
        let link = self.children.at(&start, |link| {
            let audience = if shared {
                Audience::Callers
            } else {
                Audience::Caller
            };
            greet::modern(link, asked.target, audience)
        });
        let link = link.await?;
        self.ask(&link, &principal.into(), shared).await
    }

    /// Legacy callers of a server without state: the gateway has opened it, and there are no sessions.
    pub(super) async fn shared(&self) -> Result<Response<AnswerBody>, Failure> {
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
        let version = revision(Era::Legacy, named);
        let place = asked.place(Scope::Callers(version));
        let start = asked.start(&place);
        let link = self
            .children
            .at(&start, |link| {
                greet::for_callers(link, asked.target, version)
            })
            .await?;
        if opens {
            return greeting(&link, call);
        }
        self.ask(&link, &asked.principal().into(), true).await
    }

    /// Legacy callers, each session at a child of its own.
    pub(super) async fn session(&self) -> Result<Response<AnswerBody>, Failure> {
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
        let link = self
            .children
            .at(&start, |link| greet::again(link, &session))
            .await?;
        self.ask(&link, &caller, false).await
    }

    /// A client's `initialize` starts a child, and is the first that it hears.
    async fn open(&self) -> Result<Response<AnswerBody>, Failure> {
        let asked = self.asked;
        let call = asked.call();
        let id = Uuid::new_v4().simple().to_string();
        let place = asked.place(Scope::Session {
            principal: asked.principal(),
            id: id.clone(),
        });
        let start = asked.start(&place);
        let claim = self.children.claim(&start)?;
        let (link, ends) = self.children.start(&start)?;
        let message = self.within(greet::ask(&link, call.bytes())).await;
        let message = message.inspect_err(|failure| self.children.ungreeted(&start, failure))?;
        if !greet::is_result(&message) {
            let why = greet::refused(&link, asked.target, &message).await;
            return why.map_or_else(|| Ok(answer::whole(message.clone(), Era::Legacy)), Err);
        }
        let session = Session::new(call.bytes().clone());
        let session = Arc::new(session);
        greet::belongs(&link, &session)?;
        self.children.open(&claim, &session, &link)?;
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
    let raw = json::member(call.params()?, "protocolVersion")?;
    let version = Version::parse(&json::string(raw)?);
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
